"""The contract of a store of files. `tests/contracts/test_stores.py` checks every implementation of it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol


class MissingFile(FileNotFoundError):
    """A stored file does not exist any more. The message is a sentence that names it."""

    @classmethod
    def of(cls, key: str) -> MissingFile:
        return cls(f"The stored file {key} is gone: it was deleted or moved outside of Maskloom.")


class StoreFailed(OSError):
    """The store cannot be used or does not respond. The message is a sentence without secrets."""


class Listing(NamedTuple):
    """Names directly inside a folder, each sorted. They may be names that no key has."""

    files: list[str]
    folders: list[str]


class Store(Protocol):
    """Files by key (see `engine.store.keys`). A store can be pickled and sent to another process.

    A file is stored whole or not at all: `read`, `local` and `keys` never show one that is still being written.

    Raises:
        BadKey: from every method, for a key that `engine.store.keys` cannot have built.
        MissingFile: from `read`, `tail`, `local`, `modified` and `version`, for a file that does not exist.
        StoreFailed: from every method of an object store that cannot be reached or refuses.
    """

    @property
    def root(self) -> Path:
        """The folder of this machine that files lie in or pass through."""

    @property
    def place(self) -> str:
        """The setting that says where the files are: DATA_ROOT or STORE_URL."""

    def read(self, key: str) -> bytes:
        """Return the content of a file."""

    def tail(self, key: str, limit_bytes: int) -> str:
        """Return the last whole lines of a text file, at most `limit_bytes`; a log may be far larger."""

    def local(self, key: str) -> AbstractContextManager[Path]:
        """Yield a path of this machine where a file can be read while the block runs.

        A response that is sent after the block may still read from it.
        """

    def write(self, key: str, data: bytes) -> None:
        """Store a file."""

    def writing(self, key: str) -> AbstractContextManager[Path]:
        """Yield a path to write to. The file is stored as `key` when the block ends without an exception."""

    def workspace(self, key: str) -> AbstractContextManager[Path]:
        """Yield the path of a folder that is changed in place, and stored at the latest when the block ends.

        For what needs a file system: training state, the sample cache, an upload, whose names need not be keys.
        Neither the path nor its parent need exist yet.
        """

    def publish(self, key: str) -> None:
        """Store now what has changed in a workspace that this process has open, for others to read."""

    def growing(self, key: str) -> AbstractContextManager[Path]:
        """Yield the path of a log to append to. It is stored while it grows; a store that fails is no error."""

    def scratch(self, key: str) -> AbstractContextManager[Path]:
        """Yield an empty folder of this machine, unfinished in name, that is deleted when the block ends."""

    def hand_over(self, key: str, folder: Path) -> None:
        """Store all files of a folder of this machine, whose names need not be keys, as the folder `key`."""

    def exists(self, key: str) -> bool:
        """Whether there is such a file, or any file below such a folder."""

    def size(self, key: str) -> int:
        """Return the bytes of a file, or of all files below a folder; 0 if there is none."""

    def modified(self, key: str) -> float:
        """Return when a file, or anything below a folder, was last written, in seconds since the epoch."""

    def version(self, key: str) -> str:
        """Return a short text that changes whenever a file does."""

    def keys(self, folder: str) -> list[str]:
        """Return the keys of all files below a folder, sorted; files with names that no key has are left out."""

    def listing(self, folder: str) -> Listing:
        """Return the names of files and folders directly inside a folder, unfinished ones included."""

    def unfinished(self, folder: str) -> list[str]:
        """Return the paths of all files below a folder that are still being written, or whose writer died, sorted."""

    def delete(self, key: str) -> None:
        """Delete a file or a whole folder; it need not exist."""

    def remove(self, path: str) -> None:
        """Delete a file or folder by its path in `listing` or `unfinished`, which need not be a key."""

    def move(self, path: str, target: str) -> bool:
        """Move a file or folder by its path in `listing`, which need not be a key. False if there is none."""

    def delete_unfinished(self, folder: str, beginning: str = "", *, subfolders: bool = True) -> None:
        """Delete the unfinished files and folders of a killed writer whose names start with `beginning`.

        They are searched in `folder` and, unless `subfolders` is False, below it. Only for what no other job writes.
        """

    def free_bytes(self) -> int:
        """Return how many bytes this machine has room for."""


@dataclass(frozen=True)
class StoredFile:
    """One file of a store, to be read elsewhere: it has the two attributes of a `Path` that readers need."""

    store: Store
    key: str

    @property
    def name(self) -> str:
        return self.key.rpartition("/")[2]

    def read_bytes(self) -> bytes:
        return self.store.read(self.key)
