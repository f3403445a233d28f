"""The store that the settings name: the only module that chooses one."""

from __future__ import annotations

import time
from functools import lru_cache
from pathlib import Path

from engine.core.settings import Settings, settings
from engine.store.base import MissingFile, Store
from engine.store.local import LocalStore

PAGE_PATIENCE_S = 10.0
"""How long a page waits for an object store that does not respond."""
COPY_S = 10.0


def open_store(current: Settings, *, patience_s: float | None = None, trusts_cache: bool = True) -> Store:
    """Return the store of an installation: the object store of STORE_URL, or the folder DATA_ROOT.

    Args:
        patience_s: how long to wait for an object store that does not respond; None as a job does.
        trusts_cache: see `engine.store.objects.ObjectStore`.
    """
    if not current.store_url:
        return LocalStore(current.data_root)
    from engine.store.objects import PATIENCE_S, ObjectStore  # obstore is an optional package

    return ObjectStore(
        current.store_url,
        current.data_root,
        current.store_cache_mb * 1_000_000,
        PATIENCE_S if patience_s is None else patience_s,
        trusts_cache,
    )


def local_copy(key: str) -> Path:
    """Return a path of a stored file that changes rarely, such as pretrained weights; it need not exist."""
    current = settings()
    if not current.store_url:
        return LocalStore(current.data_root).path(key)
    return _copy(current, key, int(time.monotonic() / COPY_S))


@lru_cache(maxsize=8)
def _copy(current: Settings, key: str, moment: int) -> Path:
    try:
        with open_store(current, patience_s=PAGE_PATIENCE_S).local(key) as path:
            return path
    except MissingFile:
        return current.data_root / key
