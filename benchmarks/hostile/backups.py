"""Attempts with backups: changed ones, and places that none may be restored or written to."""

from __future__ import annotations

import hashlib
import io
import json
import random
import shutil
import sqlite3
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from benchmarks.hostile.rig import Outcome, Rig, files_of, tried
from engine.care.backup import DATABASE, MANIFEST
from tests.assets import bad_zips
from tests.assets.mutations import mutated
from tests.faults.disk import Disk


def backups(rig: Rig) -> Iterator[Outcome]:
    """Backups that were changed, and places that none may be restored to."""
    with zipfile.ZipFile(rig.backup) as archive:
        members = {name: archive.read(name) for name in archive.namelist() if name != MANIFEST}
        manifest = json.loads(archive.read(MANIFEST))
    for name, change in _CHANGES.items():
        place = rig.folder("restored")
        yield tried(name, _restored, rig, place, change(dict(members), json.loads(json.dumps(manifest)), rig.rng))
    for number in range(12):
        place = rig.folder("restored")
        data = mutated(rig.backup.read_bytes(), rig.backup.read_bytes(), rig.rng)
        yield tried(f"bytes changed {number}", _restored, rig, place, data, None)
    yield from _places(rig)


def _restored(rig: Rig, place: Path, data: bytes, refused: bool | None = True) -> list[str]:
    """Restore; of what is refused nothing may be left, and what is taken has to survive the doctor."""
    file, root = place / "b.zip", place / "data"
    file.write_bytes(data)
    before = files_of(place, root)
    said = rig.command("restore", file, root=root)
    broken = said.broken(fails=refused)
    left = [path.name for path in root.iterdir()] if root.exists() else []
    if said.code and left:
        broken.append(f"left behind: {left}")
    if files_of(place, root) != before:
        broken.append("a file outside of DATA_ROOT was changed")
    if said.code == 0:
        broken += rig.doctor(root, clean=False) + rig.command("runs", root=root).broken()
    shutil.rmtree(place)
    return broken


def _packed(
    members: dict[str, bytes],
    manifest: dict,
    *,
    method: int = zipfile.ZIP_DEFLATED,
    raw: bytes = b"",
    listed: bool = True,
    twice: str = "",
) -> bytes:
    if listed:
        manifest["files"] = {key: [len(value), hashlib.sha256(value).hexdigest()] for key, value in members.items()}
    written = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(written, "w", method) as archive:
        warnings.simplefilter("ignore")  # a name that is there twice
        for name, content in [*members.items(), *([(twice, b"x")] if twice else [])]:
            archive.writestr(zipfile.ZipInfo(name), content, method)
        archive.writestr(MANIFEST, raw or json.dumps(manifest))
    return written.getvalue()


def _some(members: dict[str, bytes], rng: random.Random) -> str:
    return rng.choice(sorted(name for name in members if name != DATABASE))


def _less(members: dict[str, bytes], name: str) -> dict[str, bytes]:
    return {key: data for key, data in members.items() if key != name}


def _with(name: str, content: bytes = b"x") -> Callable[[dict, dict, random.Random], bytes]:
    return lambda members, manifest, rng: _packed(members | {name: content}, manifest)


def _fact(**facts: object) -> Callable[[dict, dict, random.Random], bytes]:
    return lambda members, manifest, rng: _packed(members, manifest | facts)


def _entry(value: object) -> Callable[[dict, dict, random.Random], bytes]:
    def changed(members: dict, manifest: dict, rng: random.Random) -> bytes:
        manifest["files"][_some(members, rng)] = value
        return _packed(members, manifest, listed=False)

    return changed


def _database(change: Callable[[bytes, random.Random], bytes]) -> Callable[[dict, dict, random.Random], bytes]:
    return lambda members, manifest, rng: _packed(members | {DATABASE: change(members[DATABASE], rng)}, manifest)


def _other_schema(data: bytes, rng: random.Random) -> bytes:
    with closing(sqlite3.connect(":memory:")) as database:
        database.deserialize(data[:18] + b"\1\1" + data[20:])  # no journal beside it, which memory has none of
        database.execute("UPDATE alembic_version SET version_num = ?", (f"{rng.randrange(2000, 9999)}",))
        database.commit()
        return database.serialize()


def _foreign(data: bytes, rng: random.Random) -> bytes:
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute("CREATE TABLE notes (id INTEGER, text TEXT)")
        return database.serialize()


_CHANGES: dict[str, Callable[[dict, dict, random.Random], bytes]] = {
    "a name above": _with("../up.txt"),
    "an absolute name": _with("/tmp/maskloom-absolute.txt"),
    "a name that climbs back": _with("datasets/../../up.txt"),
    "a name of Windows": _with("C:\\up.txt"),
    "a hidden name": _with("datasets/.hidden"),
    "a name of the stage": _with("restore.part/datasets/x"),
    "the list of moves": _with(".moving.json", b'["datasets", "../up"]'),
    "a name of 5,000 signs": _with("datasets/" + "a" * 5000),
    "a name with NUL": _with("jobs/a\0b.log"),
    "a name with a line break": _with("jobs/a\nb.log"),
    "an empty name": _with(""),
    "a file below the database": _with("app.db/x"),
    "a file that is a folder too": _with("datasets"),
    "a member that is not listed": lambda m, f, r: _packed(m | {"jobs/extra.log": b"x"}, f, listed=False),
    "a listed member that is not there": lambda m, f, r: _packed(_less(m, _some(m, r)), f, listed=False),
    "other content": lambda m, f, r: _packed(m | {(k := _some(m, r)): r.randbytes(len(m[k]))}, f, listed=False),
    "longer content": lambda m, f, r: _packed(m | {(k := _some(m, r)): m[k] + b"x" * 10**6}, f, listed=False),
    "empty content": lambda m, f, r: _packed(m | {_some(m, r): b""}, f, listed=False),
    "a member twice": lambda m, f, r: _packed(m, f, twice=_some(m, r)),
    "packed by bzip2": lambda m, f, r: _packed(m, f, method=zipfile.ZIP_BZIP2),
    "packed by LZMA": lambda m, f, r: _packed(m, f, method=zipfile.ZIP_LZMA),
    "no list": lambda m, f, r: _packed(m, f, raw=b"null"),
    "a list that is no JSON": lambda m, f, r: _packed(m, f, raw=b"{" + r.randbytes(200)),
    "a deep list": lambda m, f, r: _packed(m, f, raw=b"[" * 200_000),
    "a list of 150 MB": lambda m, f, r: _packed(m, f, raw=b'{"format": 1, "x": "' + b"a" * 150_000_000 + b'"}'),
    "a list in UTF-16": lambda m, f, r: _packed(m, f, raw=json.dumps(f).encode("utf-16") + b"\0"),
    "no format": _fact(format=None),
    "a newer format": _fact(format=2),
    "a format of NaN": _fact(format=float("nan")),
    "made at a number": _fact(made_at=5),
    "made at nothing": _fact(made_at=None),
    "gone is a word": _fact(gone="x"),
    "a size of 10^400": _entry([10**400, "0" * 64]),
    "a size below 0": _entry([-1, "0" * 64]),
    "a size that is text": _entry(["5", "0" * 64]),
    "a size of NaN": _entry([float("nan"), "0" * 64]),
    "a size that is true": _entry([True, "0" * 64]),
    "an entry of three": _entry([5, "0" * 64, 1]),
    "an entry of none": _entry(None),
    "a hash that is a number": _entry([5, 5]),
    "no database": lambda m, f, r: _packed(_less(m, DATABASE), f),
    "an empty database": _database(lambda data, rng: b""),
    "a database that is text": _database(lambda data, rng: b"PK" + rng.randbytes(5000)),
    "half a database": _database(lambda data, rng: data[: len(data) // 8192 * 4096]),
    "a foreign database": _database(_foreign),
    "a newer database": _database(_other_schema),
    "a database with a page of noise": _database(lambda data, rng: data[:4096] + rng.randbytes(4096) + data[8192:]),
    "nothing": lambda m, f, r: b"",
    "cut short": lambda m, f, r: _packed(m, f)[: -r.randrange(10, 2000)],
    "a tar": lambda m, f, r: bad_zips.tar(),
    "zlib noise": lambda m, f, r: zlib.compress(r.randbytes(1000)),
}
"""What has to be refused."""


def _places(rig: Rig) -> Iterator[Outcome]:
    def restored_to(prepare: Callable[[Path], Path], **environment: str) -> list[str]:
        place = rig.folder("place")
        root = prepare(place)
        before = files_of(place, place / "none")
        broken = rig.command("restore", rig.backup, root=root, **environment).broken(fails=True)
        return broken + (["what was there has changed"] if files_of(place, place / "none") != before else [])

    def filled(place: Path) -> Path:
        shutil.copytree(rig.good, place / "data")
        return place / "data"

    def one_file(place: Path) -> Path:
        (place / "data").mkdir()
        (place / "data" / "notes.txt").write_text("mine")
        return place / "data"

    def is_file(place: Path) -> Path:
        (place / "data").write_text("mine")
        return place / "data"

    def is_link(place: Path) -> Path:
        (place / "data").symlink_to(place / "nowhere" / "deep")
        (place / "nowhere").write_text("mine")
        return place / "data"

    yield tried("onto an installation", restored_to, filled)
    yield tried("onto a file of somebody", restored_to, one_file)
    yield tried("onto a file", restored_to, is_file)
    yield tried("onto a link into a file", restored_to, is_link)
    yield tried("below /dev/null", lambda: restored_to(lambda place: Path("/dev/null/data")))
    yield tried("into /proc", lambda: restored_to(lambda place: Path("/proc/data")))
    yield tried(
        "with another database",
        lambda: restored_to(lambda place: place / "d", DATABASE_URL="postgresql://x@127.0.0.1:1/x"),
    )
    for name, target in {
        "into DATA_ROOT": lambda root: root / "b.zip",
        "into a folder of it": lambda root: root / "datasets" / "b.zip",
        "onto a file": lambda root: root.parent / "canary.txt",
        "onto a folder": lambda root: root.parent,
        "into no folder": lambda root: root.parent / "no" / "b.zip",
        "onto /dev/full": lambda root: Path("/dev/full"),
        "into /proc": lambda root: Path("/proc/b.zip"),
        "a name of 300 signs": lambda root: root.parent / ("b" * 300),
    }.items():

        def written(target: Callable[[Path], Path] = target) -> list[str]:
            root = rig.copy("backup")
            before = files_of(root.parent, root)
            broken = rig.command("backup", target(root), root=root).broken(fails=True)
            broken += [] if files_of(root.parent, root) == before else ["something was left behind"]
            return broken + rig.doctor(root)

        yield tried(f"a backup {name}", written)
    yield tried("a restore with a full disk", _full_disk, rig)


def _full_disk(rig: Rig) -> list[str]:
    small = Disk(rig.folder("disk") / "data", size_mb=1)
    try:
        if not small.mounted:
            return []
        (small.folder / "ballast").write_bytes(rig.rng.randbytes(900_000))
        (small.folder / "ballast").unlink()
        with zipfile.ZipFile(rig.backup) as archive:
            needed = sum(info.file_size for info in archive.infolist())
        said = rig.command("restore", rig.backup, root=small.folder)
        broken = said.broken(fails=needed > 1_000_000)
        return broken + ([f"left: {left}"] if said.code and (left := list(small.folder.iterdir())) else [])
    finally:
        small.close()
