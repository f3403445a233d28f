"""Repairing what a check-up found, as far as nothing can be lost by it.

No original image, no truth mask and no model is ever deleted. Files that no row names, and damaged masks that can be
computed again, are moved to DATA_ROOT/lost+found. What a job works on is left alone: each step checks for jobs in its
own transaction, and with SQLite no job can be claimed before that has ended.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from engine.care.findings import Finding, Report, counted
from engine.care.leftovers import LOST_AND_FOUND
from engine.imaging import codec
from engine.store import keys as stored
from engine.store.base import Store

if TYPE_CHECKING:
    from db.repair import RepairTransaction

NOTE = f"""What `python -m engine doctor --repair` has set aside: files that no row of the database names, and damaged
masks that can be computed again. Each keeps its path below DATA_ROOT, in a folder named after the time of the repair.
Maskloom does not read {LOST_AND_FOUND}: delete it when you do not miss anything.
"""

LOST = "Its worker was gone when the installation was checked. Resume it: what was finished is kept."
AGAIN_MEASURED = "Files of it were gone or damaged when the installation was checked. Retry measures again."
AGAIN = "Masks of it were gone when the installation was checked. Retry computes those that are missing."


def repair(
    report: Report,
    files: Store,
    transaction: Callable[[], AbstractContextManager[RepairTransaction]],
    migrate: Callable[[], None],
    moment: str,
) -> Iterator[str]:
    """Repair what can be repaired, and yield a sentence for everything that was done or left alone.

    Args:
        transaction: opens a transaction that writes (`db.repair.repairing`).
        migrate: brings the tables up to date.
        moment: names the folder in lost+found, such as "2026-11-27T1504".
    """
    aside = PurePosixPath(LOST_AND_FOUND) / moment
    steps: dict[str, Callable[[Finding, RepairTransaction], str]] = {
        "lost_job": lambda finding, rows: f"Ended {counted(rows.end_lost(LOST), 'lost job')} as stopped.",
        "orphan": lambda finding, rows: _set_aside(files, finding.items, aside),
        "half_written": lambda finding, rows: _delete(files, finding),
        "stale_upload": lambda finding, rows: _delete(files, finding),
        "short_labels": lambda finding, rows: _ask(rows, "labels", finding),
        "damaged_measurement": lambda finding, rows: _measure_again(files, finding, rows, aside),
        "short_predictions": lambda finding, rows: _ask(rows, "predictions", finding),
    }
    for kind in ("label", "label_class", "prediction", "prediction_class", "uncertainty"):
        steps[f"missing_{kind}"] = steps[f"damaged_{kind}"] = lambda finding, rows: _remove(files, finding, rows, aside)
    for finding in report.findings:
        if finding.kind == "schema" and finding.repair:
            migrate()
            yield "Brought the tables up to date. Run the check again: it could not look at the files before."
        elif finding.kind in ("missing_thumbnail", "damaged_thumbnail"):
            # The same image gives the same thumbnail, so no job is disturbed, and this may take long: no transaction.
            yield _thumbnails(files, finding)
        elif finding.kind in steps:
            with transaction() as rows:
                if finding.datasets & rows.busy():
                    yield f"Left alone, because a job works on it: {finding.sentence}"
                else:
                    yield steps[finding.kind](finding, rows)


def _thumbnails(files: Store, finding: Finding) -> str:
    count = 0
    for image_id in _ids(finding):
        key = stored.image_key(finding.owner_id, image_id)
        try:
            image = codec.decode_png(files.read(key))
        except (FileNotFoundError, codec.UnreadableImage):
            continue  # the image itself is a finding of its own
        files.write(stored.thumb_key(finding.owner_id, image_id), codec.thumbnail(image))
        count += 1
    return f"Created {counted(count, 'thumbnail')} again."


def _remove(files: Store, finding: Finding, rows: RepairTransaction, aside: PurePosixPath) -> str:
    """Delete the rows, and move away what is left of their files: damaged ones, and the other maps of a mask."""
    set_id, ids = finding.owner_id, _ids(finding)
    maps: list[Callable[[str, str], str]]
    if finding.kind.endswith(("_label", "_label_class")):
        kind, noun, count = "labels", "label", rows.delete_labels(set_id, ids)
        maps = [stored.label_key, stored.label_classes_key]
    else:
        kind, noun, count = "predictions", "prediction", rows.delete_predictions(set_id, ids)
        maps = [stored.prediction_key, stored.uncertainty_key, stored.prediction_classes_key]
    _set_aside(files, [key(set_id, image_id) for image_id in ids for key in maps], aside)
    again = "Retry computes them again" if rows.offer_retry(kind, set_id, AGAIN) else "compute them again"
    return f"Removed {counted(count, noun)} whose files were gone or damaged; {again}."


def _measure_again(files: Store, finding: Finding, rows: RepairTransaction, aside: PurePosixPath) -> str:
    """Move away what is damaged, and offer to measure again. Nothing is kept: parts were deleted when it ended."""
    if not rows.offer_retry("objects", finding.owner_id, AGAIN_MEASURED):
        return f"Left alone, because there is no job to retry: {finding.sentence}"
    _set_aside(files, finding.items, aside)
    return f"Retry is offered now. {finding.sentence}"


def _ask(rows: RepairTransaction, kind: str, finding: Finding) -> str:
    if rows.offer_retry(kind, finding.owner_id, AGAIN):
        return f"Retry is offered now. {finding.sentence}"
    return f"Left alone, because there is no job to retry: {finding.sentence}"


def _set_aside(files: Store, items: Collection[str], aside: PurePosixPath) -> str:
    """Move files or folders below DATA_ROOT to `aside`, where each keeps its path."""
    moved = 0
    for item in items:
        moved += files.move(item, f"{aside}/{item}")
    if moved:
        files.write(f"{LOST_AND_FOUND}/README.txt", NOTE.encode())
    return f"Moved {counted(moved, 'file or folder', 'files or folders')} to {aside}."


def _delete(files: Store, finding: Finding) -> str:
    for item in finding.items:
        files.remove(item)
    what = ("upload", "uploads") if finding.kind == "stale_upload" else ("half-written file", "half-written files")
    return f"Deleted {counted(len(finding.items), *what)}."


def _ids(finding: Finding) -> list[str]:
    return [Path(item).stem for item in finding.items]
