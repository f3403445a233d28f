"""What people do to an installation at once, and two jobs, with a fault at an exact step: is all whole afterwards?

    operations = Operations(folder, seed=1)
    outcome = operations.run(number, "restore", "killed")

Each operation works on a copy of one small installation that has one of everything: to delete a dataset, a mask set, a
run, to store a correction, to back up, to restore, to upgrade an older installation, to repair, to import and to
export. Afterwards the database and all files that rows name must be whole, the doctor must find nothing but what it can
repair, and doing the same again, as a person would, must come to the same end as without a fault.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import re
import shutil
import sqlite3
import zipfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path

import numpy as np
from sqlalchemy.orm import Session

from dashboard.server import corrections as correction_routes
from db import corrections, datasets, jobs, recipes, runs, submissions
from db.columns import utc_now
from db.inventory import Inventory
from db.models import Dataset, Job, JobStatus, LabelSet, Run
from engine.care.belonging import open_together
from engine.care.checkup import check
from engine.core import settings as settings_module
from engine.datasets.corrections import Drawn, store
from engine.work.worker import work
from tests.faults import invariants, steps
from tests.faults.disk import Disk
from tests.faults.jobs_at_work import draw_pictures
from tests.faults.steps import Ended, Fault
from tests.support import old_schemas, small_installation
from tests.support.calling import call
from tests.support.installation import REPOSITORY
from tests.support.small_installation import IMAGES, first_dataset, opened

SMALL_MB = 24
PICTURES = 12
HARMLESS = ("half_written", "orphan", "lost_job")
OWN = ("logs", "restore.part", "installation.json", "app.db", "app.db-wal", "app.db-shm")
OLD = REPOSITORY / "tests" / "upgrade" / "installation-0.1.0.zip"
ROWS = ("datasets", "images", "labels", "label_sets", "runs", "predictions", "metrics", "jobs")


@dataclass
class Outcome:
    """What became of one fault."""

    number: int
    operation: str
    fault: Fault
    of_steps: int
    said: str = ""
    broken: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Operation:
    """What is done in a folder (data/ is DATA_ROOT), and a sentence for all that is not as it has to be in the end.

    `prepare` makes the folder from the stored one, `at` names the DATA_ROOT that has to be whole, and `damaged` says
    that it is not at first.
    """

    act: Callable[[Path], str]
    unfinished: Callable[[Path], list[str]]
    prepare: Callable[[Path, random.Random], None] = lambda folder, rng: None
    at: str = "data"
    damaged: bool = False


def _delete(of: str, folder: Path) -> str:
    from dashboard.server import resources

    with _installation(folder) as installation:
        with installation.database.writing() as session:
            gone: list[tuple[str, str]] = []
            if of == "dataset" and (row := session.query(Dataset).filter(Dataset.name == "discs").first()):
                gone = datasets.delete_dataset(session, row.id)
            if of == "run" and (run := session.query(Run).first()):
                gone = runs.delete_run(session, run.id)
            if of == "mask set" and (masks := session.query(LabelSet).filter(LabelSet.name == "spare").first()):
                gone = recipes.delete_label_set(session, masks.id)
        resources.remove_files(gone)
    return ""


def _not_deleted(table: str, rows_left: int, folder: Path) -> list[str]:
    left = _counts(folder / "data")[table]
    return [] if left == rows_left else [f"{left} rows of {table} in place of {rows_left}"]


def _correct(folder: Path) -> str:
    with _installation(folder) as installation:
        with installation.database.reading() as session:
            image = next(
                row for row in datasets.images(session, first_dataset(installation).id) if row.name == "disc 1.png"
            )
        drawn = Drawn(image, np.full((64, 64), 1, np.uint8), image.correction_revision, "drawn", finished=True)
        commit = corrections.committing(installation.database.writing)
        answer = correction_routes.answering(lambda: store(installation.files, commit, [drawn])[0])
        return json.loads(answer.body).get("error", "")


def _not_corrected(folder: Path) -> list[str]:
    with _installation(folder) as installation, installation.database.reading() as session:
        images = datasets.images(session, first_dataset(installation).id)
        newest = corrections.current(session, images[0].dataset_id, [image.id for image in images])
    return [] if len(newest) == 2 else [f"{len(newest)} images are corrected in place of 2"]


def _back_up(folder: Path) -> str:
    target = folder / "out" / "backup.zip"
    if target.exists():  # it was whole before the fault: see `_not_backed_up`
        return ""
    ended = call(_settings(folder / "data"), "backup", target)
    return ended.stderr if ended.returncode else ""


def _not_backed_up(folder: Path) -> list[str]:
    for path in (folder / "out").glob("*.part*"):
        os.utime(path, (0, 0))  # of a backup that was killed long ago: the next one removes it
    call(_settings(folder / "data"), "backup", folder / "out" / "next.zip")
    names = sorted(path.name for path in (folder / "out").iterdir())
    found = [] if names == ["backup.zip", "next.zip"] else [f"beside the backup: {names}"]
    ended = call(_settings(folder / "again"), "restore", folder / "out" / "backup.zip")
    return found + ([ended.stderr] if ended.returncode else _differences(folder / "data", folder / "again"))


def _restore(folder: Path) -> str:
    if (folder / "restored" / "app.db").exists():  # it was moved in last, so all was
        return ""
    ended = call(_settings(folder / "restored"), "restore", folder / "backup.zip")
    return ended.stderr if ended.returncode else ""


def _not_restored(folder: Path) -> list[str]:
    return _differences(folder / "data", folder / "restored")


def _upgrade(folder: Path) -> str:
    with _installation(folder) as installation:
        database = installation.database
        open_together(Inventory(database), installation.files, database.migrate, utc_now())
    return ""


def _age(folder: Path, rng: random.Random) -> None:
    """Put an older installation into the folder: version 0.1.0, or today's files with a database of an older schema."""
    revision = rng.choice(["", *old_schemas.LATER])
    if revision:
        today = folder / "today.db"
        (folder / "data" / "app.db").replace(today)
        old_schemas.make_database(folder / "data" / "app.db", revision, today)
    else:
        shutil.rmtree(folder / "data")
        with zipfile.ZipFile(OLD) as archive:
            archive.extractall(folder / "data")
    (folder / "rows.txt").write_text(repr(_counts(folder / "data")))


def _not_upgraded(folder: Path) -> list[str]:
    with _installation(folder) as installation:
        version, newest = Inventory(installation.database).schema()
    rows = repr(_counts(folder / "data"))
    found = [] if version == newest else [f"tables of {version} in place of {newest}"]
    return found + ([] if rows == (folder / "rows.txt").read_text() else [f"rows are now {rows}"])


def _repair(folder: Path) -> str:
    ended = call(_settings(folder / "data"), "doctor", "--repair")
    return "" if ended.returncode == 0 else ended.stderr or ended.stdout


def _damage(folder: Path, rng: random.Random) -> None:
    """Remove masks and thumbnails, and leave files that no row names."""
    root = folder / "data"
    for pattern in ("labels/*/*.png", "datasets/*/thumbs/*.webp", "predictions/*/*.png"):
        rng.choice(sorted(root.glob(pattern))).unlink()
    (root / "runs" / ("0" * 32)).mkdir()
    (root / "runs" / ("0" * 32) / "best.keras").write_bytes(b"x")


def _not_repaired(folder: Path) -> list[str]:
    kept = list((folder / "data" / "lost+found").rglob("best.keras"))
    return [] if len(kept) == 1 else [f"{len(kept)} files in lost+found that were to be set aside"]


def _job(submit: Callable[[Session, Path], object], folder: Path) -> str:
    """Submit a job unless that was done, put it back in the queue if it is lost or failed, and work it off."""
    with _installation(folder) as installation:
        database = installation.database
        with database.writing() as session:
            jobs.requeue_lost(session, utc_now() + timedelta(hours=1), 60.0)
            newest = session.query(Job).order_by(Job.created_at.desc()).first()
            if newest.payload.get("source") or newest.payload.get("what") == "yolo":
                jobs.requeue(session, newest.id)
            else:
                submit(session, folder)
        work(database, installation.settings)
        with database.reading() as session:
            newest = session.query(Job).order_by(Job.created_at.desc()).first()
        return (newest.error or newest.status.value) if newest.status != JobStatus.FINISHED else ""


def _submit_import(session: Session, folder: Path) -> None:
    submissions.submit_import(session, "imported", {"kind": "folder", "path": str(folder / "pictures")})


def _submit_export(session: Session, folder: Path) -> None:
    masks = session.query(LabelSet).filter(LabelSet.name == "recipe").one()
    submissions.submit_export(session, "label_set", masks.id, "yolo", 0.5)


def _not_imported(folder: Path) -> list[str]:
    with invariants.opened(folder / "data") as database:
        query = "SELECT count(*) FROM images JOIN datasets ON datasets.id = dataset_id WHERE datasets.name = 'imported'"
        found = database.execute(query).fetchone()[0]
    return [] if found == PICTURES else [f"{found} images were imported in place of {PICTURES}"]


def _not_exported(folder: Path) -> list[str]:
    found = list((folder / "data").glob("labels/*/exports/yolo/*.zip"))
    whole = len(found) == 1 and zipfile.ZipFile(found[0]).testzip() is None
    return [] if whole else [f"exported files: {found}"]


OPERATIONS: dict[str, Operation] = {
    "delete dataset": Operation(partial(_delete, "dataset"), partial(_not_deleted, "images", 2)),
    "delete run": Operation(partial(_delete, "run"), partial(_not_deleted, "runs", 0)),
    "delete mask set": Operation(partial(_delete, "mask set"), partial(_not_deleted, "labels", IMAGES)),
    "correct": Operation(_correct, _not_corrected),
    "back up": Operation(_back_up, _not_backed_up),
    "restore": Operation(_restore, _not_restored, at="restored"),
    "upgrade": Operation(_upgrade, _not_upgraded, _age),
    "repair": Operation(_repair, _not_repaired, _damage, damaged=True),
    "import": Operation(partial(_job, _submit_import), _not_imported),
    "export": Operation(partial(_job, _submit_export), _not_exported),
}
KINDS = ("killed", "disk full", "database busy")


class Operations:
    """Faults of one seed. `folder` is emptied before each of them; as root it is a small disk of its own."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._seed = seed
        self._stored = folder / "stored"
        self._stored.mkdir(parents=True)
        small_installation.make(self._stored / "data").database.close()
        draw_pictures(self._stored / "pictures", PICTURES)
        ended = call(_settings(self._stored / "data"), "backup", self._stored / "backup.zip")
        assert ended.returncode == 0, ended.stderr
        self._disk = Disk(folder / "disk", SMALL_MB)
        self._place = folder / "disk" / "place"

    def close(self) -> None:
        self._disk.close()

    def run(self, number: int, name: str, kind: str) -> Outcome:
        """Do an operation with a fault of a kind, once more without one, and look at both ends."""
        rng = random.Random(f"{self._seed}-{number}")
        operation, drawn = OPERATIONS[name], rng.random()
        outcome = Outcome(number, name, Fault(kind), 0)
        try:
            self._prepare(operation, random.Random(drawn))
            outcome.of_steps = steps.run(operation.act, self._place).steps
            outcome.fault = Fault(kind, rng.randint(1, max(outcome.of_steps, 1)), rng.choice([0, 0, 4096, 65536]))
            self._prepare(operation, random.Random(drawn))
            self._episode(outcome, operation)
        except Exception as error:  # the faults after it are tried all the same
            outcome.broken.append(f"{type(error).__name__}: {error}")
        return outcome

    def each_of_the_last(self, name: str, count: int) -> list[Outcome]:
        """Kill an operation at each of its last steps in turn."""
        operation = OPERATIONS[name]
        self._prepare(operation, random.Random(self._seed))
        of_steps = steps.run(operation.act, self._place).steps
        outcomes = []
        for step in range(of_steps - count + 1, of_steps + 1):
            outcomes.append(Outcome(step, name, Fault("killed", step), of_steps))
            self._prepare(operation, random.Random(self._seed))
            self._episode(outcomes[-1], operation)
        return outcomes

    def _prepare(self, operation: Operation, rng: random.Random) -> None:
        shutil.rmtree(self._place, ignore_errors=True)
        shutil.copytree(self._stored, self._place)
        (self._place / "out").mkdir()
        operation.prepare(self._place, rng)

    def _episode(self, outcome: Outcome, operation: Operation) -> None:
        root = self._place / operation.at
        ended = steps.run(operation.act, self._place, self._disk, outcome.fault)
        self._disk.free(lambda: ())
        outcome.said = ended.sentence
        outcome.broken += _as_expected(ended, outcome.fault)
        if (root / "app.db").exists() and not operation.damaged:
            outcome.broken += [f"after the fault: {each}" for each in broken(root, upgraded=operation.at == "restored")]
        again = steps.run(operation.act, self._place)
        outcome.broken += [f"once more: {each}" for each in (again.sentence, again.unforeseen) if each]
        outcome.broken += operation.unfinished(self._place)
        ended_repair = call(_settings(root), "doctor", "--repair")
        if ended_repair.returncode:
            outcome.broken.append(f"after --repair the doctor says: {ended_repair.stdout}{ended_repair.stderr}")
        outcome.broken += invariants.half_written(root)


def _as_expected(ended: Ended, fault: Fault) -> list[str]:
    if ended.unforeseen:
        return [ended.unforeseen]
    if ended.sentence and fault.kind != "disk full":
        return [f"it failed: {ended.sentence}"]
    if ended.sentence and not re.fullmatch(r"(?!.*(Unexpected|Errno))[A-Z].*\.", ended.sentence.strip(), re.DOTALL):
        return [f"that is no sentence: {ended.sentence}"]
    return []


def broken(root: Path, upgraded: bool = True) -> list[str]:
    """Return a sentence for everything about an installation that no fault may leave behind."""
    found = invariants.broken_database(root)
    with contextlib.suppress(sqlite3.OperationalError):  # an older schema has other columns
        found += invariants.doubled_rows(root) + invariants.broken_files(root)
    installation = opened(root)
    try:
        report = check(Inventory(installation.database), installation.files, utc_now(), 60.0)
    finally:
        installation.database.close()
    harmless = HARMLESS if upgraded else (*HARMLESS, "schema")
    return found + [f"doctor: {each.sentence}" for each in report.findings if each.kind not in harmless]


@contextlib.contextmanager
def _installation(folder: Path):
    installation = opened(folder / "data")
    os.environ.update(installation.settings.as_environment())
    settings_module.settings.cache_clear()
    try:
        yield installation
    finally:
        installation.database.close()


def _settings(root: Path):
    installation = opened(root)
    installation.database.close()
    return installation.settings


def _counts(root: Path) -> dict[str, int]:
    with closing(sqlite3.connect(root / "app.db")) as database:
        return {table: database.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ROWS}


def _differences(one: Path, other: Path) -> list[str]:
    """Return which files that a backup holds are not the same in two folders, and whether the rows are as many."""
    contents = [_hashes(one), _hashes(other)]
    differ = sorted(set(contents[0].items()) ^ set(contents[1].items()))
    found = [f"{path} differs" for path, _ in differ]
    rows = [_counts(one), _counts(other)]
    return found + ([] if rows[0] == rows[1] else [f"rows: {rows[0]} and {rows[1]}"])


def _hashes(root: Path) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.relative_to(root).parts[0] not in OWN
    }
