"""The check-up: does every row's file exist and decode, does every file have a row, and does the queue add up?"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from engine.care import leftovers
from engine.care.findings import Finding, Report, counted
from engine.care.inventory import Inventory
from engine.care.shelves import Compared, Shelf, compared, decodes, scanned, shelves
from engine.store import keys as stored
from engine.store.base import Store
from engine.store.disk import PART, zip_is_whole

Seen = Callable[[int], None]

KEPT = "Nothing can make it again: restore it from a back-up, or import the image again."
_PLURALS = {"image": "images", "thumbnail": "thumbnails", "truth": "truth masks", "label": "labels"}
_PLURALS |= {"prediction": "predictions", "uncertainty": "uncertainty maps"}
_MENDING = {
    "image": "",
    "truth": "",
    "thumbnail": "make them anew from the images.",
    "label": "forget these rows, so that Retry draws them again.",
    "prediction": "forget these rows, so that Retry draws them again.",
    "uncertainty": "forget these predictions, so that Retry draws them again.",
}


def check(
    inventory: Inventory,
    files: Store,
    now: datetime,
    lost_after_s: float,
    quick: bool = False,
    seen: Seen = lambda count: None,
) -> Report:
    """Compare the database with the files; nothing is changed.

    Args:
        quick: look only whether files exist, not whether they decode.
        seen: is told how many files more were looked at.
    """
    found = list(database_findings(inventory, quick))
    if any(finding.kind in ("database", "schema") for finding in found):
        # Rows that cannot be trusted say nothing about files.
        note = "The files were not compared: that needs a database in order."
        return Report({}, quick, tuple(found), (note,))
    busy = inventory.busy_datasets(now, lost_after_s)
    checked: dict[str, int] = {}
    found += lost_findings(inventory, now, lost_after_s)
    for shelf in shelves(inventory):
        result = compared(shelf, files, quick, seen)
        plural = _PLURALS[shelf.kind]
        checked[plural] = checked.get(plural, 0) + len(shelf.shapes)
        found += shelf_findings(shelf, result)
        if not shelf.datasets & busy:
            found += leftovers.on_shelf(shelf, result)
    runs = inventory.runs()
    checked["runs"] = len(runs)
    for run in runs:
        found += run_findings(run, files, quick)
    found += short_sets(inventory, busy)
    found += leftovers.elsewhere(inventory, files, now, busy)
    return Report(checked, quick, tuple(found), tuple(_notes(inventory, files, busy)))


def database_findings(inventory: Inventory, quick: bool) -> Iterable[Finding]:
    faults = inventory.faults(quick)
    if faults:
        advice = "Stop Maskloom, keep a copy of app.db, and restore a back-up."
        yield Finding("database", f"SQLite finds its file damaged. {advice}", tuple(faults))
        return
    version, needed = inventory.schema()
    if version == needed:
        return
    if version is not None and not inventory.knows_schema(version):
        yield Finding(
            "schema",
            f"The database was made by a newer Maskloom (tables {version}, this one knows {needed}). Update Maskloom.",
        )
        return
    yield Finding(
        "schema",
        f"The tables are of version {version or 'none'} and this Maskloom needs {needed}.",
        mending="bring them up to date, as the next start of Maskloom would.",
    )


def lost_findings(inventory: Inventory, now: datetime, lost_after_s: float) -> Iterable[Finding]:
    lost = inventory.lost_jobs(now, lost_after_s)
    if lost:
        yield Finding(
            "lost_job",
            f"{counted(len(lost), 'job runs', 'jobs run')} without a worker: it died, or the machine was restarted.",
            tuple(sorted(lost)),
            mending="end them as stopped, so that they can be resumed.",
        )


def shelf_findings(shelf: Shelf, result: Compared) -> Iterable[Finding]:
    for ids, kind, how in ((result.missing, "missing", "gone"), (result.damaged, "damaged", "damaged")):
        if ids:
            noun = f"{shelf.kind} file" if shelf.kind != "truth" else "truth mask"
            files = counted(len(ids), f"{noun} is", f"{noun}s are")
            mending = _MENDING[shelf.kind]
            advice = "" if mending else f" {KEPT}"
            yield Finding(
                f"{kind}_{shelf.kind}",
                f"{files} {how} in {shelf.owner}.{advice}",
                tuple(shelf.key(image_id) for image_id in ids),
                shelf.owner_id,
                shelf.datasets,
                mending,
            )


def run_findings(run: Any, files: Store, quick: bool) -> Iterable[Finding]:
    """Yield what is wrong with the models and pictures of one run."""
    folder = files.root / stored.run_folder(run.id)
    name, at_work = f"run {run.name!r}", frozenset({run.dataset_id})
    best = folder / Path(stored.best_model_key(run.id)).name
    if run.best_epoch is not None and not best.is_file():
        advice = "Its scores and masks stay; train it again to have a model."
        key = stored.best_model_key(run.id)
        yield Finding("missing_model", f"The model of {name} is gone. {advice}", (key,), run.id, at_work)
    if quick:
        return
    packed = [path for pattern in ("*.keras", "*.npz") for path in sorted(folder.rglob(pattern))]
    bad = [path for path in packed if PART not in path.name and not zip_is_whole(path)]
    if bad:
        advice = "A damaged best.keras cannot predict: train it again."
        items = tuple(path.relative_to(files.root).as_posix() for path in bad)
        yield Finding("damaged_model", f"Models of {name} are damaged. {advice}", items, run.id, at_work)
    pictures = [path for path in sorted(folder.rglob("*.png")) if PART not in path.name]
    bad = [path for path in pictures if not decodes(path)]
    if bad:
        items = tuple(path.relative_to(files.root).as_posix() for path in bad)
        advice = "The run's results do not need them."
        yield Finding("damaged_picture", f"Pictures of {name}'s progress are damaged. {advice}", items, run.id, at_work)
    empty = [n for n in range(1, (run.rounds or 0) + 1) if not scanned(folder / "rounds" / str(n) / "masks")]
    if empty:
        items = tuple(f"{stored.round_folder(run.id, number)}/masks" for number in empty)
        yield Finding("missing_round", f"The masks of rounds of {name} are gone.", items, run.id, at_work)


def short_sets(inventory: Inventory, busy: set[str]) -> Iterable[Finding]:
    """Yield the sets whose job has ended well and says that it made more masks than there are rows."""
    jobs = {job.id: job for job in inventory.jobs()}
    sets = [("labels", found, inventory.labels) for found in inventory.label_sets()]
    sets += [("predictions", found, inventory.predictions) for found in inventory.prediction_sets()]
    for kind, found, rows in sets:
        job = jobs.get(found.job_id)
        at_work = frozenset({found.dataset_id, getattr(found, "run_dataset_id", found.dataset_id)})
        if job is None or job.status not in ("finished", "stopped") or at_work & busy:
            continue
        said, there = (job.result or {}).get("images"), len(rows(found.id))
        if kind == "predictions" and (job.result or {}).get("prediction_set") != found.id:
            continue  # a later job of the same run has made another set
        if isinstance(said, int) and there < said:
            yield Finding(
                f"short_{kind}",
                f"The job that made {kind} of {found.name!r} finished {said:,}, and only {there:,} are there.",
                (found.id,),
                found.id,
                at_work,
                "offer Retry for its job, which draws those that are missing.",
            )


def _notes(inventory: Inventory, files: Store, busy: set[str]) -> Iterable[str]:
    if not inventory.is_sqlite:
        yield f"The database is {inventory.dialect}: its own files are for its own tools to check."
    jobs = inventory.jobs()
    waiting = sum(job.status == "queued" for job in jobs)
    if waiting:
        yield f"{counted(waiting, 'job waits', 'jobs wait')} in the queue; they start when Maskloom runs."
    if busy:
        yield f"A job works on {counted(len(busy), 'dataset')}: what it writes was not counted as left over."
    logs = leftovers.forgotten_logs(files, {job.id for job in jobs})
    if logs:
        yield f"{counted(len(logs), 'log is', 'logs are')} of jobs that are over and forgotten."
    aside = leftovers.size(files.root / leftovers.LOST_AND_FOUND)
    if aside:
        yield f"{aside / 1e6:,.1f} MB lie in {leftovers.LOST_AND_FOUND}. Delete them when you do not miss them."
