"""Stored files: the only module that opens them, and the only place that knows their keys.

A key is a relative path with forward slashes, made by the functions below from ids that are 32 hex digits. Names that
people give never enter a key.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import uuid
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What the system says when a disk is full, or a limit on disk use or on the size of a file is reached."""

PART = ".part"
"""In the name of every file or folder that is not finished."""

_ID = re.compile(r"[0-9a-f]{32}")
_SEGMENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,120}")


class BadKey(ValueError):
    """A key that the store did not make."""


def checked_id(value: str) -> str:
    """Return `value` if it is an id (32 lower-case hex digits).

    Raises:
        BadKey: it is not.
    """
    if not _ID.fullmatch(value):
        raise BadKey(f"An id is 32 hexadecimal digits. Got {value!r}.")
    return value


def dataset_folder(dataset_id: str) -> str:
    return f"datasets/{checked_id(dataset_id)}"


def image_key(dataset_id: str, image_id: str) -> str:
    """The decoded picture: RGB uint8 PNG."""
    return f"{dataset_folder(dataset_id)}/images/{checked_id(image_id)}.png"


def thumb_key(dataset_id: str, image_id: str) -> str:
    """The picture at 192 px on its longest side: WebP."""
    return f"{dataset_folder(dataset_id)}/thumbs/{checked_id(image_id)}.webp"


def truth_key(dataset_id: str, image_id: str) -> str:
    """The truth as imported: grey values, uint8 PNG. `dataset.lookup[values]` is the class map."""
    return f"{dataset_folder(dataset_id)}/truth/{checked_id(image_id)}.png"


def label_folder(label_set_id: str) -> str:
    return f"labels/{checked_id(label_set_id)}"


def label_key(label_set_id: str, image_id: str) -> str:
    """A pseudo-label: foreground probability, 8-bit PNG."""
    return f"{label_folder(label_set_id)}/{checked_id(image_id)}.png"


def run_folder(run_id: str) -> str:
    return f"runs/{checked_id(run_id)}"


def best_model_key(run_id: str) -> str:
    return f"{run_folder(run_id)}/best.keras"


def probe_key(run_id: str, epoch: int, image_id: str) -> str:
    """The probability of a probe image after an epoch (counted from 1): 8-bit PNG, longest side at most 256 px."""
    return f"{run_folder(run_id)}/probe/{int(epoch):04d}/{checked_id(image_id)}.png"


def round_folder(run_id: str, number: int) -> str:
    return f"{run_folder(run_id)}/rounds/{int(number)}"


def round_label_key(run_id: str, number: int, image_id: str) -> str:
    """A label that taught a round (counted from 1) of self-training: foreground probability, 8-bit PNG."""
    return f"{round_folder(run_id, number)}/labels/{checked_id(image_id)}.png"


def round_mask_key(run_id: str, number: int, image_id: str) -> str:
    """What the network of a round drew, refined: foreground probability, 8-bit PNG."""
    return f"{round_folder(run_id, number)}/masks/{checked_id(image_id)}.png"


def prediction_folder(prediction_set_id: str) -> str:
    return f"predictions/{checked_id(prediction_set_id)}"


def prediction_key(prediction_set_id: str, image_id: str) -> str:
    """A predicted foreground probability in the image's own size: 8-bit PNG."""
    return f"{prediction_folder(prediction_set_id)}/{checked_id(image_id)}.png"


def uncertainty_key(prediction_set_id: str, image_id: str) -> str:
    """How unsure a prediction is at each pixel, in the image's own size: 8-bit PNG, 255 is 1."""
    return f"{prediction_folder(prediction_set_id)}/uncertainty/{checked_id(image_id)}.png"


def export_folder(owner_folder: str, what: str) -> str:
    """Where a file that was made to be taken home lies: below what it was made of, so that it goes when that goes."""
    return f"{owner_folder}/exports/{what}"


def export_key(owner_folder: str, what: str, job_id: str, suffix: str) -> str:
    """A file that a job made to be taken home."""
    return f"{export_folder(owner_folder, what)}/{checked_id(job_id)}.{suffix}"


def upload_folder(token: str) -> str:
    """Where one upload from the browser lies until it is imported."""
    return f"uploads/{checked_id(token)}"


def job_log_key(job_id: str) -> str:
    return f"jobs/{checked_id(job_id)}.log"


class MissingFile(LookupError):
    """A stored file is not there any more."""

    def __str__(self) -> str:
        return str(self.args[0])


class Artifacts:
    """The stored files under one root folder."""

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def path(self, key: str) -> Path:
        """Return where `key` lies on disk, whether it exists or not.

        Raises:
            BadKey: the key has an empty, hidden, absolute or climbing part.
        """
        parts = key.split("/")
        if not parts or not all(_SEGMENT.fullmatch(part) for part in parts):
            raise BadKey(f"Not a key of the store: {key!r}.")
        return self.root.joinpath(*parts)

    def exists(self, key: str) -> bool:
        return self.path(key).exists()

    def read(self, key: str) -> bytes:
        """Return a file's content.

        Raises:
            MissingFile: it is not there; the sentence names it.
        """
        try:
            return self.path(key).read_bytes()
        except FileNotFoundError:
            raise _missing(key) from None

    def tail(self, key: str, limit_bytes: int) -> str:
        """Return the last whole lines of a text file, at most `limit_bytes`; a log may be far larger.

        Raises:
            MissingFile: it is not there; the sentence names it.
        """
        try:
            with self.path(key).open("rb") as file:
                start = max(file.seek(0, os.SEEK_END) - limit_bytes, 0)
                file.seek(start)
                data = file.read(limit_bytes)
        except FileNotFoundError:
            raise _missing(key) from None
        return (data.partition(b"\n")[2] if start else data).decode("utf-8", "replace")

    def size(self, key: str) -> int:
        """Return the bytes of one file, or of all files below a folder. 0 if there is none."""
        path = self.path(key)
        if path.is_dir():
            return sum(entry.stat().st_size for entry in path.rglob("*") if entry.is_file())
        return path.stat().st_size if path.exists() else 0

    def write(self, key: str, data: bytes) -> None:
        """Write a file whole or not at all: beside it first, then renamed over it."""
        with self.writing(key) as beside:
            beside.write_bytes(data)

    @contextmanager
    def writing(self, key: str) -> Iterator[Path]:
        """Yield a path to write to; when the block ends well it is flushed to disk and becomes `key`."""
        target = self.path(key)
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target) as beside:
            yield beside

    def keys(self, folder: str) -> list[str]:
        """Return the keys of all finished files below `folder`, sorted."""
        base = self.path(folder)
        if not base.is_dir():
            return []
        found = (entry.relative_to(self.root).as_posix() for entry in base.rglob("*") if entry.is_file())
        return sorted(key for key in found if PART not in key)

    def delete(self, key: str) -> None:
        """Remove a file or a whole folder; removing what is gone is no error."""
        path = self.path(key)
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)

    def delete_half_written(self, folder: str, beginning: str = "", *, subfolders: bool = True) -> None:
        """Remove the partial files and folders of a killed writer whose names start with `beginning`.

        They are searched in `folder` and, unless `subfolders` is False, below it. Only for what no other job writes.
        """
        base = self.path(folder)
        pattern = f"{beginning}*{PART}*"
        for path in sorted(base.rglob(pattern) if subfolders else base.glob(pattern)):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    def free_bytes(self) -> int:
        """Return the free space of the disk that holds the store."""
        self.root.mkdir(parents=True, exist_ok=True)
        return shutil.disk_usage(self.root).free


def zip_is_whole(path: Path) -> bool:
    """Whether a model or a state is there and undamaged: both are zips, in which every byte is under a checksum."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except Exception:  # damaged zips raise anything from BadZipFile to zlib.error and NotImplementedError
        return False


def _missing(key: str) -> MissingFile:
    return MissingFile(f"The stored file {key} is gone: it was deleted or moved outside of Maskloom.")


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Yield a path beside `target` to write to; when the block ends well it is flushed to disk and takes its place."""
    beside = target.with_name(f"{target.stem}.{uuid.uuid4().hex[:8]}{PART}{target.suffix}")
    try:
        yield beside
        with beside.open("rb") as written:
            os.fsync(written.fileno())
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)
