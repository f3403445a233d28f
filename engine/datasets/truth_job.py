"""Job: give images that a dataset has already the masks of a source as their truth, or replace the truth they have.

Payload: {"dataset": id, "source": as of an import}. Result: as that of an import, {"dataset", "images", "truth",
"taken", "skipped", "notes"}.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any

import numpy as np

from db import dataset_truth, datasets, left_out
from db.models import Dataset, Job, JobKind, Label, Prediction
from engine.datasets import truth
from engine.datasets.job import add_classes, opened_source
from engine.datasets.mask_plan import MaskPlan, plan_masks, read_mask
from engine.datasets.source import Entry, Source
from engine.datasets.truth_codes import TruthCodes
from engine.datasets.truth_file import sharpened
from engine.imaging import class_maps, codec, metrics
from engine.imaging.left_out import LeftOut
from engine.store import keys as stored
from engine.store.base import MissingFile
from engine.work.context import JobContext, JobFailed, JobStopped, JobType

BATCH = 20


def run(job: Job, context: JobContext) -> dict[str, Any]:
    """Store the masks as truth. A second attempt writes the same files and rows again.

    Classes are proposed where the dataset has none, and where no truth is left of what it had and the new one has
    classes of other values. What mask sets and runs predicted of these images is scored against the new truth.

    Raises:
        JobFailed: the source cannot be read, or none of its files is a mask of an image of the dataset.
        JobStopped: a person stopped it; what was taken so far is whole and stays.
    """
    with opened_source(job, context) as (opened, limits):
        return _Taking(job, context).take(opened, limits)


class _Taking:
    """One attempt to take the masks of a source."""

    def __init__(self, job: Job, context: JobContext) -> None:
        self._job, self._context = job, context
        self._dataset_id: str = job.payload["dataset"]
        with context.reading() as session:
            self._images = {image.id: image for image in datasets.images(session, self._dataset_id, excluded=True)}
            self._named = datasets.named_images(session, self._dataset_id)
            occupied = {row[0] for image in self._images.values() for row in image.truth_values or ()}
            self._codes = TruthCodes(datasets.truth_codes(session, self._dataset_id), occupied)
        self._values: dict[str, list[Any]] = {}
        self._used: set[int | str] = set()
        self._report: list[Entry] = []
        self._replaced = 0
        if job.attempt > 1:  # a killed attempt may have been writing
            context.artifacts.delete_unfinished(stored.dataset_folder(self._dataset_id))

    def take(self, source: Source, limits: codec.Limits) -> dict[str, Any]:
        planned = plan_masks(source, self._named, limits, self._job.payload["source"].get("belongs"))
        self._commit({}, planned.entries)
        self._add_classes(planned)
        rows: dict[str, list[Any]] = {}
        entries: list[Entry] = []
        for number, item in enumerate(planned.items, start=1):
            image = self._images[item.image_id]
            mask, lines = read_mask(source, item, (image.height, image.width), image.content_hash, limits)
            entries += lines
            if mask is not None:
                values = self._codes.encode(sharpened(mask))
                self._used |= set(mask.keys or ())
                self._replaced += image.has_truth
                key = stored.truth_key(self._dataset_id, image.id)
                self._context.artifacts.write(key, codec.encode_png(values))
                rows[image.id] = truth.value_rows(values)
            self._context.progress(
                number, len(planned.items), unit="files", phase="importing", subject=item.mask_names[0]
            )
            stopped = self._context.should_stop()
            if stopped or len(entries) >= BATCH or number == len(planned.items):
                self._commit(rows, entries)
                rows, entries = {}, []
            if stopped and number < len(planned.items):
                raise JobStopped(self._finish(planned, whole=False))
        if not self._values:
            raise JobFailed(_why_none(self._report, planned))
        result = self._finish(planned, whole=True)
        self._score(result)
        return result

    def _commit(self, rows: dict[str, list[Any]], entries: Sequence[Entry]) -> None:
        with self._context.writing() as session:
            lines = [asdict(entry) for entry in entries]
            dataset_truth.set_truth(session, self._dataset_id, self._job.id, rows, lines, self._codes.table)
        self._values |= rows
        self._report += entries

    def _add_classes(self, planned: MaskPlan) -> None:
        """Give the classes that annotation files name a code, and masks beside them."""
        added = self._codes.add_names(planned.outlines.classes)
        if self._codes.names and any(item.files for item in planned.items):
            added |= self._codes.add_names([self._codes.foreground])
        if added:
            add_classes(self._context, self._dataset_id, added)

    def _finish(self, planned: MaskPlan, whole: bool) -> dict[str, Any]:
        """Recount the dataset and propose classes where it has none for its truth; return the job's result."""
        kept = any(image.has_truth and image.id not in self._values for image in self._images.values())
        exchanged = whole and not kept and self._replaced > 0
        keys = dict(self._codes.table)
        if exchanged:
            keys = {code: key for code, key in keys.items() if key in self._used}
        with self._context.reading() as session:
            images = datasets.images(session, self._dataset_id, excluded=True)
            had = {entry.get("value") for entry in session.get_one(Dataset, self._dataset_id).classes}
        found = truth.facts(image.truth_values for image in images if image.has_truth)
        proposed = truth.propose_classes(found, keys) if found.counts.any() else None
        classes = [entry.model_dump() for entry in proposed.classes] if proposed else []
        with self._context.writing() as session:
            if exchanged and {entry["value"] for entry in classes} != had:
                dataset_truth.forget_classes(session, self._dataset_id, list(keys.items()))
            lookup = list(proposed.lookup) if proposed else None
            dataset = datasets.finish_import(session, self._dataset_id, classes or None, lookup)
        taken = sum(entry.taken for entry in self._report)
        return {
            "dataset": self._dataset_id,
            "images": dataset.image_count,
            "truth": dataset.truth_count,
            "taken": taken,
            "skipped": len(self._report) - taken,
            "notes": [*planned.sentences, *self._notes(dataset.lookup), *truth.concerns(found, dataset.lookup, keys)],
        }

    def _score(self, result: dict[str, Any]) -> None:
        """Compare the masks that mask sets and predictions have of these images with their new truth."""
        with self._context.reading() as session:
            lookup = session.get_one(Dataset, self._dataset_id).lookup
            masks = dataset_truth.masks_of(session, list(self._values)) if len(lookup) else []
            apart = dataset_truth.sets_of_same_classes(session, self._dataset_id)
            self._left_out_of = left_out.of_masks(session, self._dataset_id)
        scores: list[tuple[Any, ...]] = []
        for number, (table, set_id, image_id) in enumerate(masks, start=1):
            found = self._compared(table, set_id, image_id, lookup, set_id in apart)
            if found is not None:
                scores.append((table, set_id, image_id, found))
            self._context.progress(number, len(masks), unit="masks", phase="scoring")
            stopped = self._context.should_stop()
            if stopped or len(scores) >= BATCH or number == len(masks):
                with self._context.writing() as session:
                    for score in scores:
                        dataset_truth.set_scores(session, *score)
                scores = []
            if stopped and number < len(masks):
                raise JobStopped(result)

    def _compared(
        self, table: type[Label] | type[Prediction], set_id: str, image_id: str, lookup: Sequence[int], apart: bool
    ) -> dict[str, Any] | None:
        """Return the scores of a stored mask, None if it is gone or damaged; with `apart` those of its classes, too,
        unless its class map is."""
        files = self._context.artifacts
        values = codec.decode_png(files.read(stored.truth_key(self._dataset_id, image_id)))
        key_of = stored.label_key if table is Label else stored.prediction_key
        try:
            levels = codec.decode_png(files.read(key_of(set_id, image_id)))
        except (MissingFile, codec.UnreadableImage):
            return None
        region = stored.left_out_key(self._dataset_id, self._left_out_of.get(set_id))
        reference = LeftOut(files, region).reference(values, lookup)
        mask, foreground = reference.beside(metrics.to_mask(levels, 0.5))
        dice, iou = metrics.dice(mask, foreground), metrics.iou(mask, foreground)
        if table is Label:
            return {"dice": dice, "iou": iou}
        counts = metrics.pack_counts(metrics.threshold_counts(*reference.beside(levels)))
        scores: dict[str, Any] = {"truth_dice": dice, "truth_iou": iou, "truth_counts": counts}
        if apart:
            with suppress(MissingFile, codec.UnreadableImage):
                likely = codec.decode_png(files.read(stored.prediction_classes_key(set_id, image_id)))
                scores["truth_confusion"] = reference.confusion(class_maps.to_classes(levels, likely, 0.5))
        return scores

    def _notes(self, lookup: Sequence[int]) -> list[str]:
        notes = []
        if self._replaced:
            notes.append(f"The truth of {self._replaced:,} images was replaced; masks are scored against the new one.")
        dark = [rows for rows in self._values.values() if _without_foreground(rows, lookup)]
        if dark:
            values = sorted({value for rows in dark for value, *_ in rows} - {0})
            shown = ", ".join(map(str, values[:5])) + (", …" if len(values) > 5 else "")
            notes.append(
                f"By the classes of the dataset, {len(dark):,} of {len(self._values):,} masks have no foreground, "
                f"though they hold other values than 0 ({shown}). Check the classes."
            )
        return notes


def _without_foreground(rows: Sequence[Sequence[int]], lookup: Sequence[int]) -> bool:
    """Return whether a mask with values besides 0 has no foreground by the lookup."""
    values = [value for value, *_ in rows]
    classes = np.asarray(lookup, int)[values] if len(lookup) else np.zeros(len(values), int)
    return any(values) and bool(np.isin(classes, (0, class_maps.IGNORE)).all())


def _why_none(report: Sequence[Entry], planned: MaskPlan) -> str:
    if not report:
        return "There are no masks in it."
    if not planned.items:
        return f"No file is a mask of an image of the dataset by its name. {report[0].name}: {report[0].reason}"
    first = next((entry for entry in report if not entry.taken), report[0])
    return f"No mask could be taken. {first.name}: {first.reason}"


JOB = JobType(JobKind.TRUTH, run)
