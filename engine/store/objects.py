"""The store in an object store: a bucket of S3, Google Cloud Storage or Azure, with a cache on each machine.

Objects are replaced whole, so that a file is there completely or not at all. What is written once (see
`engine.store.keys.is_written_once`) is requested once by a machine; of all else the object store is asked each time
whether it has changed. obstore's threads do not survive a fork: processes have to be spawned.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

from engine.store import object_workspaces as workspaces
from engine.store.base import Listing, MissingFile
from engine.store.disk import CACHE, PART, WORK
from engine.store.keys import checked, is_key, is_written_once
from engine.store.local import LocalStore
from engine.store.object_cache import Kept, ObjectCache
from engine.store.object_errors import named_failures, without_obstore

PATIENCE_S = 120.0
LOG_PATIENCE_S = 5.0
"""A log that cannot be stored may not hold up the end of its job."""

BACKOFF = {"init_backoff": timedelta(seconds=0.1), "max_backoff": timedelta(seconds=5), "base": 2}


@dataclass(frozen=True)
class ObjectStore:
    """Objects below the prefix of a URL; a key is the path relative to it. Implements `engine.store.base.Store`.

    Args:
        url: such as "s3://bucket/prefix". Keys and endpoints come from the variables of each provider.
        root: a folder of this machine, for the cache and for what is being written.
        cache_bytes: how large the cache may become.
        patience_s: how long requests are repeated while the object store does not respond.
        trusts_cache: False requests everything anew, as a check-up has to.
    """

    url: str
    root: Path
    cache_bytes: int = 20_000_000_000
    patience_s: float = PATIENCE_S
    trusts_cache: bool = True

    place: ClassVar[str] = "STORE_URL"

    def read(self, key: str) -> bytes:
        while True:
            path = self.fetched(key)
            with suppress(FileNotFoundError):  # trimmed by another process just now
                return path.read_bytes()

    def tail(self, key: str, limit_bytes: int) -> str:
        size = self._head(key)["size"]
        start = max(size - limit_bytes, 0)
        if size == 0:
            return ""
        with self._requesting(key):
            data = bytes(_obstore().get_range(self._remote, key, start=start, end=size))
        return (data.partition(b"\n")[2] if start else data).decode("utf-8", "replace")

    @contextmanager
    def local(self, key: str) -> Iterator[Path]:
        yield self.fetched(key)

    def fetched(self, key: str) -> Path:
        """Return the path in the cache of a file as it is now, requested if it is not there."""
        kept = self._kept(key)
        if kept and is_written_once(key):
            return kept.used()
        with self._cache.arriving() as beside:
            with self._requesting(key):
                try:
                    found = _obstore().get(self._remote, key, options={"if_none_match": kept.tag} if kept else {})
                except _exceptions().NotModifiedError:
                    assert kept is not None
                    return kept.used()
                with beside.open("wb") as file:
                    for piece in found:
                        file.write(piece)
            return self._cache.keep(key, found.meta["e_tag"], beside)

    def write(self, key: str, data: bytes) -> None:
        tag = self.put(checked(key), data)
        with self._cache.arriving() as beside:
            beside.write_bytes(data)
            self._cache.keep(key, tag, beside)

    @contextmanager
    def writing(self, key: str) -> Iterator[Path]:
        target = self.working.path(key)
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = target.with_name(f"{target.stem}.{uuid.uuid4().hex[:8]}{PART}{target.suffix}")
        try:
            yield beside
            self._cache.keep(key, self.put(key, beside), beside)
        finally:
            beside.unlink(missing_ok=True)

    @contextmanager
    def workspace(self, key: str) -> Iterator[Path]:
        with workspaces.opened(self, checked(key)) as folder:
            yield folder

    def publish(self, key: str) -> None:
        workspaces.publish(self, key)

    def growing(self, key: str) -> AbstractContextManager[Path]:
        return workspaces.growing(replace(self, patience_s=LOG_PATIENCE_S), key, self.working.path(key))

    def scratch(self, key: str) -> AbstractContextManager[Path]:
        return self.working.scratch(key)

    def hand_over(self, key: str, folder: Path) -> None:
        names = [name for name in workspaces.all_names(folder) if not name.rpartition("/")[2].startswith(".")]
        workspaces.upload(self, [(f"{checked(key)}/{name}", folder / name) for name in names])

    def exists(self, key: str) -> bool:
        with suppress(MissingFile):
            return bool(self._head(key))
        return any(self._below(key))

    def size(self, key: str) -> int:
        with suppress(MissingFile):
            return int(self._head(key)["size"])
        return sum(found["size"] for found in self._below(key))

    def modified(self, key: str) -> float:
        try:
            return float(self._head(key)["last_modified"].timestamp())
        except MissingFile:
            moments = [found["last_modified"].timestamp() for found in self._below(key)]
            if not moments:
                raise
            return float(max(moments))

    def version(self, key: str) -> str:
        kept = self._kept(key)
        if kept and is_written_once(key):
            return kept.tag
        return str(self._head(key)["e_tag"])

    def keys(self, folder: str) -> list[str]:
        paths = (found["path"] for found in self._below(checked(folder)))
        return sorted(path for path in paths if PART not in path and is_key(path))

    def listing(self, folder: str) -> Listing:
        with self._requesting():
            found = _obstore().list_with_delimiter(self._remote, checked(folder))
        names = ([entry["path"] for entry in found["objects"]], list(found["common_prefixes"]))
        return Listing(*(sorted(path.rpartition("/")[2] for path in paths) for paths in names))

    def unfinished(self, folder: str) -> list[str]:
        """Return those of this machine: nothing unfinished is ever in the object store."""
        return self.working.unfinished(folder)

    def delete(self, key: str) -> None:
        self.remove(checked(key))

    def delete_unfinished(self, folder: str, beginning: str = "", *, subfolders: bool = True) -> None:
        self.working.delete_unfinished(folder, beginning, subfolders=subfolders)

    def remove(self, path: str) -> None:
        self.working.remove(path)
        folder, _, name = path.rpartition("/")
        if folder and is_key(path):  # of a workspace whose process was killed
            self.working.delete_unfinished(folder, name, subfolders=False)
        with self._requesting(path), suppress(FileNotFoundError):
            below = [found["path"] for found in self._below(path)]
            _obstore().delete(self._remote, below or [path])
        self._cache.drop(path)

    def move(self, path: str, target: str) -> bool:
        below = [found["path"] for found in self._below(path)]
        moved = False
        for each in below or [path]:
            with suppress(MissingFile), self._requesting(path):
                _obstore().rename(self._remote, each, target + each[len(path) :])
                moved = True
        self._cache.drop(path)
        return moved

    def free_bytes(self) -> int:
        """Return the free space of this machine: all that is stored passes through its cache."""
        return LocalStore(self.root).free_bytes()

    @property
    def working(self) -> LocalStore:
        """What is being written on this machine, below the same keys."""
        return LocalStore(self.root / WORK)

    def put(self, path: str, content: bytes | Path) -> str:
        """Store an object whose path need not be a key, without the cache; return its ETag."""
        with self._requesting(path):
            return str(_obstore().put(self._remote, path, content)["e_tag"])

    def copy(self, path: str, target: str) -> bool:
        """Copy an object whose path need not be a key, without sending it. Always True."""
        with self._requesting(path):
            _obstore().copy(self._remote, path, target)
        return True

    def objects(self, path: str) -> dict[str, str]:
        """Return {path: ETag} of all objects below a path that need not be a key."""
        return {found["path"]: found["e_tag"] for found in self._below(path)}

    def download(self, path: str, target: Path) -> None:
        """Copy an object whose path need not be a key to a file, without the cache."""
        target.parent.mkdir(parents=True, exist_ok=True)
        with self._requesting(path), target.open("wb") as file:
            for piece in _obstore().get(self._remote, path):
                file.write(piece)

    def content(self, path: str) -> bytes:
        """Return an object whose path need not be a key, without the cache; empty if there is none."""
        with suppress(MissingFile), self._requesting(path):
            return bytes(_obstore().get(self._remote, path).bytes())
        return b""

    def _kept(self, key: str) -> Kept | None:
        kept = self._cache.newest(checked(key))
        return kept if self.trusts_cache else None

    def _head(self, key: str) -> Any:
        with self._requesting(checked(key)):
            return _obstore().head(self._remote, key)

    def _below(self, path: str) -> Iterator[Any]:
        with self._requesting():
            for found in _obstore().list(self._remote, path):
                yield from found

    def _requesting(self, key: str = "") -> Any:
        return named_failures(self.url, key)

    @property
    def _remote(self) -> Any:
        return _client(self.url, self.patience_s)

    @property
    def _cache(self) -> ObjectCache:
        return ObjectCache(self.root / CACHE, self.url, self.cache_bytes)


def _obstore() -> Any:
    with without_obstore():
        import obstore  # an optional package
    return obstore


def _exceptions() -> Any:
    return _obstore().exceptions


@lru_cache(maxsize=8)
def _client(url: str, patience_s: float) -> Any:
    _obstore()
    from obstore.store import from_url

    retries: Any = {"max_retries": 1000, "retry_timeout": timedelta(seconds=patience_s), "backoff": BACKOFF}
    with named_failures(url):
        # Without client options: they would replace those of the variables, such as AWS_ALLOW_HTTP
        return from_url(url, retry_config=retries)
