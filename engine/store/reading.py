"""A store whose files are changed as they are read, so that what is stored stays as it was computed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from engine.store.base import Store


def changed_on_reading(files: Store, change: Callable[[str, bytes], bytes]) -> Store:
    """Return a store that reads what `change` returns for a key and its content. All else is done as before."""
    return cast(Store, _ChangedOnReading(files, change))


class _ChangedOnReading:
    def __init__(self, files: Store, change: Callable[[str, bytes], bytes]) -> None:
        self._files, self._change = files, change

    def read(self, key: str) -> bytes:
        return self._change(key, self._files.read(key))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._files, name)
