"""Attempts with databases that are damaged, and with commands that are killed."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from benchmarks.hostile.rig import Outcome, Rig, tried
from db.schema import known_revisions
from tests.assets.bad_files import encoded, picture
from tests.support.installation import REPOSITORY
from tests.support.running_app import end_workers


def databases(rig: Rig) -> Iterator[Outcome]:
    """A database with nonsense in a column of each table, or that is none; then what a person would try."""
    with closing(sqlite3.connect(f"{(rig.good / 'app.db').as_uri()}?mode=ro", uri=True)) as database:
        query = "SELECT m.name, p.name FROM sqlite_master m, pragma_table_info(m.name) p WHERE m.type = 'table'"
        columns = database.execute(query).fetchall()
        tables = {table for table, _ in columns if database.execute(f'SELECT 1 FROM "{table}"').fetchone()}
    filled = [each for each in columns if each[0] in tables and each[0] not in ("alembic_version", "sqlite_sequence")]
    drawn = rig.rng.sample(filled, 60)
    for table in sorted({table for table, _ in filled} - {table for table, _ in drawn}):
        drawn.append(rig.rng.choice([each for each in filled if each[0] == table]))
    for table, column in drawn:
        value = rig.rng.choice(_NONSENSE)
        yield tried(f"{table}.{column} = {value!r:.40}", _nonsense, rig, table, column, value)
    for name, change in (_FILES | _LACKING).items():
        yield tried(name, _file, rig, change, name in _FILES)


_NONSENSE = (
    *(None, "", "no such word", "{broken", "[" * 2000, "null", "[]", "{}", '{"x": NaN}', "[1, [2, {}]]", '"text"', "7"),
    *(
        -1,
        0,
        10**18,
        1e308,
        float("inf"),
        b"\xff\xfe\x00",
        "0" * 32,
        "../../up",
        "\x1b[31mred",
        "=1+1",
        "9999-99-99",
        "é" * 9000,
    ),
)
_READERS = (
    *(("runs",), ("images", "discs"), ("classes", "discs"), ("queue", "discs"), ("sweeps",), ("people",)),
    *(("corrections", "discs"), ("audit", "discs"), ("leave-out", "discs"), ("export", "run", "--format", "report")),
    *(("export", "recipe", "--labels", "--format", "yolo"), ("runs", "--json"), ("doctor", "--quick")),
    *(("import", "{place}/canary.txt", "--name", "x"), ("doctor", "--json"), ("corrections", "discs", "--json")),
)


def _nonsense(rig: Rig, table: str, column: str, value: object) -> list[str]:
    root = rig.copy("database")
    with closing(sqlite3.connect(root / "app.db")) as database:
        database.execute("PRAGMA foreign_keys = OFF")
        try:
            database.execute(
                f'UPDATE "{table}" SET "{column}" = ? WHERE rowid = (SELECT min(rowid) FROM "{table}")', (value,)
            )
        except sqlite3.IntegrityError:
            database.execute(
                f'UPDATE "{table}" SET "{column}" = ? WHERE rowid = (SELECT min(rowid) FROM "{table}")', ("odd",)
            )
        database.commit()
    return _survived(rig, root)


def _survived(rig: Rig, root: Path) -> list[str]:
    """Return what the doctor, a backup and some readers break on."""
    commands = [("doctor",), ("backup", root.parent / "b.zip"), *rig.rng.sample(_READERS, 3)]
    broken = []
    for words in commands:
        chosen = [str(word).format(place=root.parent) for word in words]
        if words[0] == "export":
            chosen += ["--out", str(root.parent / "out")]
        broken += [f"{' '.join(map(str, words[:2]))}: {fault}" for fault in rig.command(*chosen, root=root).broken()]
    shutil.rmtree(root.parent)
    return broken


def _file(rig: Rig, change: Callable[[Path, random.Random], object], refused: bool) -> list[str]:
    root = rig.copy("database")
    file = root / "app.db"
    for path in (root / "app.db-wal", root / "app.db-shm"):
        path.unlink(missing_ok=True)
    made = change(file, rig.rng)
    before = file.read_bytes() if isinstance(made, bool) else None
    broken = [f"runs: {fault}" for fault in rig.command("runs", root=root).broken(fails=refused or None)]
    if before is not None and file.read_bytes() != before:
        broken.append("the file has changed")
    return broken + _survived(rig, root)


def _sql(*statements: str) -> Callable[[Path, random.Random], object]:
    def changed(file: Path, rng: random.Random) -> None:
        with closing(sqlite3.connect(file)) as database:
            for each in statements:
                database.execute(each)
            database.commit()

    return changed


_FILES: dict[str, Callable[[Path, random.Random], object]] = {
    "no bytes": lambda file, rng: file.write_bytes(b"") == 0,
    "one byte": lambda file, rng: file.write_bytes(b"S"),  # to SQLite it is empty
    "text": lambda file, rng: bool(file.write_text("This is my shopping list.\n" * rng.randrange(1, 400))),
    "noise": lambda file, rng: bool(file.write_bytes(rng.randbytes(20_000))),
    "the head alone": lambda file, rng: bool(file.write_bytes(file.read_bytes()[:100])),
    "half": lambda file, rng: bool(file.write_bytes(file.read_bytes()[: file.stat().st_size // 8192 * 4096])),
    "a first page of zeros": lambda file, rng: bool(file.write_bytes(bytes(4096) + file.read_bytes()[4096:])),
    "a folder": lambda file, rng: (file.unlink(), file.mkdir(), None)[2],
    "a link to itself": lambda file, rng: (file.unlink(), file.symlink_to(file), None)[2],
    "gone": lambda file, rng: file.unlink(),
    "another program's": lambda file, rng: (file.unlink(), _sql("CREATE TABLE notes (id INTEGER)")(file, rng), None)[2],
    "a newer schema": _sql(f"UPDATE alembic_version SET version_num = '{int(known_revisions()[-1]) + 7:04d}'"),
    "a schema that is a word": _sql("UPDATE alembic_version SET version_num = 'head'"),
}
"""Databases that `runs` has to refuse."""
_LACKING: dict[str, Callable[[Path, random.Random], object]] = {
    "no table of jobs": _sql("DROP TABLE jobs"),
    "no column": _sql("ALTER TABLE runs DROP COLUMN preset"),
    "no line of the audit": _sql("DELETE FROM audit"),
}
"""Databases without something that not every command needs."""


def kills(rig: Rig) -> Iterator[Outcome]:
    """Commands that are killed at a random moment, then the doctor, and the same command again."""
    for number in range(10):
        root = rig.copy("killed")
        pictures = rig.place / f"pictures-{number}" / "images"
        pictures.mkdir(parents=True)
        for seed in range(40):
            (pictures / f"{seed}.png").write_bytes(encoded(picture(300, 400, seed=seed + 1000 * number)))
        words = [
            ["backup", str(root.parent / "b.zip")],
            ["import", str(pictures.parent), "--name", "killed"],
            ["export", "run", "--format", "report", "--out", str(root.parent / "r.html")],
            ["restore", str(rig.backup)],
        ][number % 4]
        if words[0] == "restore":
            root = root.parent / "restored"
        yield tried(f"{words[0]} killed {number}", _killed, rig, root, words)


def _killed(rig: Rig, root: Path, words: list[str]) -> list[str]:
    environment = {**os.environ, "DATA_ROOT": str(root), "DATABASE_URL": "", "FREE_DISK_FLOOR_MB": "0"}
    environment |= {"LOST_AFTER_S": "1"}
    command = [sys.executable, "-m", "engine", *words]
    begun = subprocess.Popen(
        command,
        cwd=REPOSITORY,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    time.sleep(rig.rng.uniform(0.5, 4.0))
    os.killpg(begun.pid, signal.SIGKILL)
    begun.wait()
    end_workers(root)
    time.sleep(1.2)  # until its job counts as lost
    broken = []
    if words[0] != "restore":
        said = rig.command("doctor", "--repair", root=root, LOST_AFTER_S="1")
        broken += [f"doctor --repair: {fault}" for fault in said.broken(fails=False)]
    again = rig.command(*words, root=root, LOST_AFTER_S="1")
    finished = (
        "is there already" in again.err
        or "is not empty" in again.err
        or "taken" in again.err
        or "already a database" in again.err
    )
    broken += again.broken() + ([] if again.code == 0 or finished else [f"again: {again.err[-200:]}"])
    return broken + rig.doctor(root)
