"""Reading a backup into an empty folder. Nothing in the zip is trusted: names, sizes and hashes are checked."""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.care.backup import DATABASE, FORMAT, MANIFEST, PIECE_BYTES, BackupFailed, Progress
from engine.store import keys as stored
from engine.store.base import Store, StoreFailed
from engine.store.disk import CACHE, PART, WORK
from engine.store.keys import BadKey, is_key
from engine.store.local import LocalStore

STAGE = "restore.part"
MOVING = ".moving.json"
"""In the stage: the names that are moved out of it, so that a restore that is killed meanwhile can be repeated. No file
of a backup can have this name: keys have no hidden parts."""
LARGEST_MANIFEST_BYTES, MANIFEST_BYTES_OF_A_FILE = 100_000_000, 400
"""The list of files may be as long as the first, or have the second for each file in the zip."""
LARGEST_FILE_BYTES = 1 << 50
DAMAGED = "The backup is damaged or cut short, or is no backup of Maskloom"


def restore_files(
    source: Path,
    files: Store,
    database: Path | None,
    prepare: Callable[[Path], object],
    progress: Progress = lambda done, total: None,
) -> dict[str, Any]:
    """Restore a backup into an empty DATA_ROOT or STORE_URL, completely or not at all; return its manifest.

    Everything is unpacked and checked in a temporary folder in DATA_ROOT; only a complete backup is moved out of it,
    the database last. If an object store fails meanwhile, the restore can be repeated.

    Args:
        database: the path of the SQLite file; None for another database, where only files are restored.
        prepare: is called with the unpacked database before it is moved: checks it and ends its unfinished jobs.

    Raises:
        BackupFailed: the folder is not empty, or the backup is damaged or of another kind. Nothing was restored.
    """
    stage = files.root / STAGE
    _refuse_unless_empty(files, stage, database)
    try:
        with zipfile.ZipFile(source) as archive:
            manifest = _manifest(archive)
            _check_kind(manifest, database)
            _refuse_stored(files, manifest)
            _refuse_full_disk(files.root, sum(size for size, _ in manifest["files"].values()))
            _unpack(archive, manifest["files"], LocalStore(stage), progress)
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError, ValueError) as error:
        shutil.rmtree(stage, ignore_errors=True)
        if isinstance(error, StoreFailed):
            raise
        if isinstance(error, OSError) and not isinstance(error, FileNotFoundError):
            raise BackupFailed(f"The backup could not be unpacked: {error.strerror or error}.") from None
        missing = isinstance(error, FileNotFoundError)
        raise BackupFailed(f"There is no backup {str(source)!r}." if missing else f"{DAMAGED}.") from None
    except BaseException:
        shutil.rmtree(stage, ignore_errors=True)
        raise
    try:
        if database is not None:
            prepare(stage / DATABASE)
        _upload(stage, files)
        _move(stage, files.root, database)
    finally:
        shutil.rmtree(stage, ignore_errors=True)
    return manifest


def _refuse_stored(files: Store, manifest: dict[str, Any]) -> None:
    """Refuse an object store that holds anything but files of this backup, which a restore that failed has left."""
    for place in (*stored.OWNERS, stored.MODELS, stored.JOBS, stored.UPLOADS):
        if not manifest["files"].keys() >= set(files.keys(place)):
            raise BackupFailed(f"{files.place} is not empty. Set it to an unused prefix.")


def _upload(stage: Path, files: Store) -> None:
    """Store what was unpacked, if that is not done by moving it."""
    if files.place == "DATA_ROOT":
        return
    for folder in sorted(entry for entry in stage.iterdir() if entry.is_dir()):
        files.hand_over(folder.name, folder)
        shutil.rmtree(folder)


def _refuse_unless_empty(files: Store, stage: Path, database: Path | None) -> None:
    root = files.root
    if database is not None and database.exists():
        raise BackupFailed(f"There is already a database {str(database)!r}. Move it away before a restore.")
    moved = _moved(stage)
    known = {stage.name, *moved, *((CACHE, WORK) if files.place == "STORE_URL" else ())}
    if root.exists() and any(entry.name not in known for entry in root.iterdir()):
        raise BackupFailed(
            f"{str(root)!r} is not empty, and a backup is restored into an empty folder only. Set DATA_ROOT to a new "
            "folder, or move away what is there."
        )
    for path in (*(root / name for name in moved), stage):  # of a restore that was killed
        _delete(path)
    stage.mkdir(parents=True)


def _moved(stage: Path) -> list[str]:
    """Return the names that a restore that was killed had begun to move out of its stage."""
    try:
        return [name for name in json.loads((stage / MOVING).read_bytes()) if is_key(name) and "/" not in name]
    except (OSError, ValueError, TypeError):
        return []


def _manifest(archive: zipfile.ZipFile) -> dict[str, Any]:
    infos = archive.infolist()
    if any(info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for info in infos):
        raise BackupFailed(f"{DAMAGED}: it is packed as no backup is.")  # and might unpack into memory at once
    try:
        longest = max(LARGEST_MANIFEST_BYTES, MANIFEST_BYTES_OF_A_FILE * len(infos))
        with archive.open(MANIFEST) as member:
            data = member.read(longest + 1)
        if len(data) > longest:
            raise BackupFailed(f"{DAMAGED}: its list of files is too long.")
        manifest = json.loads(data)
        version, listed, gone = manifest["format"], manifest["files"], manifest.get("gone", [])
        sizes_fit = (
            isinstance(manifest["made_at"], str)
            and isinstance(gone, list)
            and all(
                isinstance(size, int) and 0 <= size < LARGEST_FILE_BYTES and isinstance(sha, str)
                for size, sha in listed.values()
            )
        )
    except (KeyError, ValueError, TypeError, AttributeError):
        raise BackupFailed(f"{DAMAGED}: it has no list of files.") from None
    if version != FORMAT:
        shown = repr(version)[:20]  # it may be anything of any length
        raise BackupFailed(f"The backup has format {shown}, and this Maskloom reads {FORMAT}. Update Maskloom.")
    names = [info.filename for info in infos]
    if not sizes_fit or len(names) != len(set(names)) or set(names) != {*listed, MANIFEST}:
        raise BackupFailed(f"{DAMAGED}: its list of files does not fit what is in it.")
    return manifest


def _check_kind(manifest: dict[str, Any], database: Path | None) -> None:
    if database is not None and DATABASE not in manifest["files"]:
        raise BackupFailed("This backup holds files only. Its database was another: set DATABASE_URL to it first.")
    if database is None and DATABASE in manifest["files"]:
        raise BackupFailed("This backup holds a SQLite database. Leave DATABASE_URL empty to restore it.")


def _refuse_full_disk(root: Path, needed: int) -> None:
    free = shutil.disk_usage(root).free
    if free < needed:
        raise BackupFailed(
            f"The backup unpacks to {needed / 1e6:,.0f} MB, and the disk of {str(root)!r} has {free / 1e6:,.0f} MB "
            "free."
        )


def _unpack(
    archive: zipfile.ZipFile, listed: dict[str, tuple[int, str]], stage: LocalStore, progress: Progress
) -> None:
    done, total = 0, sum(size for size, _ in listed.values())
    for key, (size, sha256) in listed.items():
        try:
            target = stage.path(key)  # refuses whatever is absolute or climbs
        except BadKey:
            target = None
        if target is None or PART in key:
            raise BackupFailed(f"{DAMAGED}: {key[:80]!r} is no name of a file of ours.") from None
        target.parent.mkdir(parents=True, exist_ok=True)
        digest, left = hashlib.sha256(), size
        with archive.open(key) as member, target.open("xb") as file:
            while left >= 0 and (piece := member.read(PIECE_BYTES)):
                left -= len(piece)
                file.write(piece)
                digest.update(piece)
                done += len(piece)
                progress(min(done, total), total)
        if left or digest.hexdigest() != sha256:
            raise BackupFailed(f"{DAMAGED}: {key!r} is not what was backed up.")


def _move(stage: Path, root: Path, database: Path | None) -> None:
    """Move everything out of `stage`, or nothing: `root` was empty before."""
    entries = sorted(entry.name for entry in stage.iterdir() if entry.name != DATABASE)
    try:
        (stage / MOVING).write_text(json.dumps(entries))
        for name in entries:
            (stage / name).replace(root / name)
        if database is not None:
            database.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(stage / DATABASE, database)  # it may belong on another disk
    except OSError as error:
        if database is not None:
            database.unlink(missing_ok=True)
        for name in entries:
            _delete(root / name)
        raise BackupFailed(f"The backup could not be moved into place: {error.strerror or error}.") from None


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
