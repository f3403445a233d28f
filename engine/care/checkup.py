"""The check-up: does every row's file exist and decode, does every file have a row, and does the queue add up?"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from engine.care import belonging, leftovers
from engine.care.findings import Finding, Report, counted
from engine.care.image_folders import Compared, ImageFolder, compared, decodes, image_folders
from engine.store import keys as stored
from engine.store.base import Store
from engine.store.disk import zip_is_whole

if TYPE_CHECKING:
    from db.inventory import Inventory

log = logging.getLogger("maskloom.care")

Seen = Callable[[int], None]

KEPT = "Nothing can make it again: restore it from a backup, or import the image again."
DRAWN = "Nothing can make it again: restore it from a backup, or withdraw it and correct the image again."
REGION = "Nothing can make it again: restore it from a backup, or find or draw the region again."
NOT_COMPARED = "The files were not compared: that needs a database in order."
ROWS = "Stop Maskloom, keep a copy of app.db, and restore a backup; or correct the rows."
UNEXPECTED = (LookupError, ValueError, TypeError, AttributeError, OverflowError)
"""What code raises that reads a row with other content than ours."""

PARQUET = b"PAR1"
"""The last bytes of a whole Parquet file."""

_PLURALS = {"image": "images", "thumbnail": "thumbnails", "truth": "truth masks", "label": "labels"}
_PLURALS |= {"prediction": "predictions", "uncertainty": "uncertainty maps", "correction": "corrections"}
_PLURALS |= {"region": "left-out regions"}
_PLURALS |= {"label_class": "class maps", "prediction_class": "class maps"}
_ADVICE = {"correction": DRAWN, "region": REGION}
_NOUNS = {
    "truth": "truth mask",
    "region": "left-out region",
    "label_class": "class map",
    "prediction_class": "class map",
}
_REPAIRS = {
    "image": "",
    "truth": "",
    "correction": "",
    "region": "",
    "thumbnail": "create them again from the images.",
    "label": "delete these rows, so that Retry computes them again.",
    "label_class": "delete these labels, so that Retry computes them again.",
    "prediction": "delete these rows, so that Retry computes them again.",
    "prediction_class": "delete these predictions, so that Retry computes them again.",
    "uncertainty": "delete these predictions, so that Retry computes them again.",
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
        seen: called with the number of files checked since the last call.
    """
    found = list(database_findings(inventory, files, quick))
    if found:  # rows that cannot be trusted say nothing about files
        return Report({}, quick, tuple(found), (NOT_COMPARED,))
    try:
        return _compared_with_files(inventory, files, now, lost_after_s, quick, seen)
    except UNEXPECTED as error:  # whatever else rows may hold
        log.info("The check-up could not read the rows.", exc_info=error)
        return Report({}, quick, (_odd_rows([f"{type(error).__name__}: {error}"[:300]]),), (NOT_COMPARED,))


def _compared_with_files(
    inventory: Inventory, files: Store, now: datetime, lost_after_s: float, quick: bool, seen: Seen
) -> Report:
    found: list[Finding] = []
    busy = inventory.busy_datasets(now, lost_after_s)
    checked: dict[str, int] = {}
    found += lost_findings(inventory, now, lost_after_s)
    for folder in image_folders(inventory):
        result = compared(folder, files, quick, seen)
        plural = _PLURALS[folder.kind]
        checked[plural] = checked.get(plural, 0) + len(folder.shapes)
        found += folder_findings(folder, result)
        if not folder.datasets & busy:
            found += leftovers.in_folder(folder, result)
    runs = inventory.runs()
    checked["runs"] = len(runs)
    for run in runs:
        found += run_findings(run, files, quick)
    measurements = inventory.measurements()
    checked["measurements"] = len(measurements)
    for measurement in measurements:
        if measurement.dataset_id not in busy:
            found += measurement_findings(measurement, files, quick)
    found += short_sets(inventory, busy)
    found += leftovers.elsewhere(inventory, files, now, busy)
    return Report(checked, quick, tuple(found), tuple(_notes(inventory, files, busy)))


def database_findings(inventory: Inventory, files: Store, quick: bool) -> Iterable[Finding]:
    """Yield why the rows cannot be trusted: a damaged file, tables of another version, other files'
    database, or what no version writes."""
    faults = inventory.faults(quick)
    if faults:
        advice = "Stop Maskloom, keep a copy of app.db, and restore a backup."
        yield Finding("database", f"SQLite finds its file damaged. {advice}", tuple(faults))
        return
    version, needed = inventory.schema()
    if version is not None and not inventory.knows_schema(version):
        yield Finding(
            "schema",
            f"The database was made by a newer Maskloom (tables {version}, this one knows {needed}). Update Maskloom.",
        )
        return
    if sentence := belonging.fault(inventory, files):
        yield Finding("foreign", sentence)
        return
    if version == needed:
        if rows := inventory.unreadable():
            yield _odd_rows(rows)
        return
    yield Finding(
        "schema",
        f"The tables are of version {version or 'none'} and this Maskloom needs {needed}.",
        repair="bring them up to date, as the next start of Maskloom would.",
    )


def _odd_rows(rows: list[str]) -> Finding:
    return Finding("row", f"Rows of the database hold what Maskloom does not write. {ROWS}", tuple(rows))


def lost_findings(inventory: Inventory, now: datetime, lost_after_s: float) -> Iterable[Finding]:
    lost = inventory.lost_jobs(now, lost_after_s)
    if lost:
        yield Finding(
            "lost_job",
            f"{counted(len(lost), 'job runs', 'jobs run')} without a worker: it died, or the machine was restarted.",
            tuple(sorted(lost)),
            repair="end them as stopped, so that they can be resumed.",
        )


def folder_findings(folder: ImageFolder, result: Compared) -> Iterable[Finding]:
    for ids, kind, how in ((result.missing, "missing", "gone"), (result.damaged, "damaged", "damaged")):
        if ids:
            noun = _NOUNS.get(folder.kind, f"{folder.kind} file")
            files = counted(len(ids), f"{noun} is", f"{noun}s are")
            repair = _REPAIRS[folder.kind]
            advice = "" if repair else f" {_ADVICE.get(folder.kind, KEPT)}"
            yield Finding(
                f"{kind}_{folder.kind}",
                f"{files} {how} in {folder.owner}.{advice}",
                tuple(folder.key(image_id) for image_id in ids),
                folder.owner_id,
                folder.datasets,
                repair,
            )


def run_findings(run: Any, files: Store, quick: bool) -> Iterable[Finding]:
    """Yield what is wrong with the models and pictures of one run."""
    keys = [] if quick else files.keys(stored.run_folder(run.id))
    name, at_work = f"run {run.name!r}", frozenset({run.dataset_id})
    if run.best_epoch is not None and not files.exists(stored.best_model_key(run.id)):
        advice = "Its scores and masks stay; train it again to have a model."
        key = stored.best_model_key(run.id)
        yield Finding("missing_model", f"The model of {name} is gone. {advice}", (key,), run.id, at_work)
    if quick:
        return
    bad = [key for suffix in (".keras", ".npz") for key in keys if key.endswith(suffix) and not _is_whole(files, key)]
    if bad:
        advice = "A damaged best.keras cannot predict: train it again."
        yield Finding("damaged_model", f"Models of {name} are damaged. {advice}", tuple(bad), run.id, at_work)
    bad = [key for key in keys if key.endswith(".png") and not decodes(files, key)]
    if bad:
        sentence = f"Pictures of {name}'s progress are damaged. The run's results do not need them."
        yield Finding("damaged_picture", sentence, tuple(bad), run.id, at_work)
    masks = [stored.round_masks_folder(run.id, number) for number in range(1, (run.rounds or 0) + 1)]
    items = tuple(folder for folder in masks if not any(files.listing(folder)))
    if items:
        yield Finding("missing_round", f"The masks of rounds of {name} are gone.", items, run.id, at_work)


def measurement_findings(measurement: Any, files: Store, quick: bool) -> Iterable[Finding]:
    """Yield what a measurement that has ended lacks: its tables and the number map of each image."""
    if not measurement.stamp:
        return
    maps = files.keys(stored.number_maps_folder(measurement.id))
    bad = [
        key
        for key in (stored.objects_key(measurement.id), stored.measured_images_key(measurement.id))
        if not files.exists(key) or not files.read(key).endswith(PARQUET)
    ]
    bad += [] if quick else [key for key in maps if not decodes(files, key)]
    if len(maps) < measurement.images:
        bad.append(stored.number_maps_folder(measurement.id))
    if bad:
        yield Finding(
            "damaged_measurement",
            f"Files of a measurement of objects in dataset {measurement.name!r} are gone or damaged.",
            tuple(bad),
            measurement.id,
            frozenset({measurement.dataset_id}),
            "offer Retry for its job, which measures again.",
        )


def _is_whole(files: Store, key: str) -> bool:
    with files.local(key) as path:
        return zip_is_whole(path)


def short_sets(inventory: Inventory, busy: set[str]) -> Iterable[Finding]:
    """Yield the sets whose job has ended well and says that it made more masks than there are rows."""
    jobs = {job.id: job for job in inventory.jobs()}
    sets: list[tuple[str, Any, Callable[[str], Sequence[Any]]]]
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
                "offer Retry for its job, which computes those that are missing.",
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
    aside = files.size(leftovers.LOST_AND_FOUND)
    if aside:
        yield f"{aside / 1e6:,.1f} MB lie in {leftovers.LOST_AND_FOUND}. Delete them when you do not miss them."
