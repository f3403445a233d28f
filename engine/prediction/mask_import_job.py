"""Job: fill a mask set with masks that another tool, a person or an earlier run made.

Masks keep the classes that they tell apart: those of the dataset's truth where they hold its values or class numbers,
else their own.

Payload: {"dataset": id, "label_set": id, "source": as of an import}. Result: {"images", "taken", "skipped", "notes"}:
how many images have a mask, files taken and left out, and sentences on how the masks were paired and read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from sqlalchemy.orm import Session

from db import datasets, recipes
from db.dataset_truth import add_entries
from db.models import Dataset, Image, Job, JobKind, LabelSet
from engine.datasets import truth
from engine.datasets.job import opened_source
from engine.datasets.mask_plan import MaskItem, plan_masks, read_mask
from engine.datasets.mask_values import MaskValues, mask_values
from engine.datasets.source import Entry, Source
from engine.datasets.truth_codes import TruthCodes
from engine.datasets.truth_file import TruthFile
from engine.imaging import codec, metrics
from engine.imaging.left_out import LeftOut
from engine.labelling.quality import appearance
from engine.prediction.mask_classes import MaskClasses, MasksSeen, NoClasses
from engine.store import keys as stored
from engine.work.context import JobContext, JobFailed, JobStopped, JobType

BATCH = 16


def run(job: Job, context: JobContext) -> dict[str, Any]:
    """Read all masks once to learn what their values mean, then store each as a probability and score it.

    A second attempt writes the same files and rows again.

    Raises:
        JobFailed: the source cannot be read, or none of its files is a mask of an image of the dataset.
        JobStopped: a person stopped it; what was taken so far is whole and stays.
    """
    with opened_source(job, context) as (opened, limits):
        return _Taking(job, context, opened, limits).take()


class _Taking:
    """One attempt to take the masks of a source."""

    def __init__(self, job: Job, context: JobContext, source: Source, limits: codec.Limits) -> None:
        self._job, self._context, self._source, self._limits = job, context, source, limits
        self._label_set_id: str = job.payload["label_set"]
        with context.reading() as session:
            self._dataset = session.get_one(Dataset, job.payload["dataset"])
            self._images = {image.id: image for image in datasets.images(session, self._dataset.id, excluded=True)}
            named = datasets.named_images(session, self._dataset.id)
            self._seen = MasksSeen(_truth_side(session, self._dataset, self._images.values()))
            region_id = session.get_one(LabelSet, self._label_set_id).left_out_id
        self._left_out = LeftOut(context.artifacts, stored.left_out_key(self._dataset.id, region_id))
        if job.attempt > 1:  # exports below the folder are written by other jobs
            for folder in (stored.label_folder, stored.label_classes_folder):
                context.artifacts.delete_unfinished(folder(self._label_set_id), subfolders=False)
        self._planned = plan_masks(source, named, limits, job.payload["source"].get("belongs"))
        self._report: dict[str, Entry] = {entry.name: entry for entry in self._planned.entries}
        self._done = self._readable = 0

    def take(self) -> dict[str, Any]:
        means = mask_values(self._first_look(), soft=True)
        if not self._readable:
            self._add_entries()
            raise JobFailed(self._why_none())
        means, classes = self._with_classes(means)
        several = [entry.model_dump() for entry in classes.classes] if classes else []
        rows: list[dict[str, Any]] = []
        for number, (item, mask) in enumerate(self._masks(), start=1):
            image = self._images[item.image_id]
            if classes is None:
                levels = means.probability(mask)
            else:
                found = classes.class_map(mask)
                key = stored.label_classes_key(self._label_set_id, image.id)
                self._context.artifacts.write(key, codec.encode_png(found))
                levels = (found > 0).astype(np.uint8) * 255
            rows.append(self._stored(image, levels))
            stopped = self._context.should_stop()
            if stopped or len(rows) >= BATCH or number == self._readable:
                with self._context.writing() as session:
                    recipes.add_labels(session, self._label_set_id, rows)
                    recipes.set_read_as(session, self._label_set_id, means.read_as)
                    recipes.set_classes(session, self._label_set_id, several)
                rows = []
            if stopped and number < self._readable:
                self._add_entries()
                raise JobStopped(self._result(number, means))
        self._add_entries()
        return self._result(self._readable, means)

    def _first_look(self) -> Iterator[TruthFile]:
        for _, mask in self._masks():
            self._readable += 1
            self._seen.add(mask)
            yield mask
            if self._context.should_stop():
                raise JobStopped({"images": 0})

    def _with_classes(self, means: MaskValues) -> tuple[MaskValues, MaskClasses | None]:
        """Return how the masks are read, and their classes where there are several."""
        try:
            classes = self._seen.classes(means)
        except NoClasses:
            classes = None
        if classes is None and len(means.classes) > 2:
            classes = MaskClasses(means.classes, (), means.codes, np.asarray(means.lookup), means.read_as, True)
        return (replace(means, read_as=classes.read_as), classes) if classes else (means, None)

    def _masks(self) -> Iterator[tuple[MaskItem, TruthFile]]:
        """Yield every mask that can be read. Half of the whole job is to do so once."""
        for item in self._planned.items:
            image = self._images[item.image_id]
            shape = (image.height, image.width)
            mask, entries = read_mask(self._source, item, shape, image.content_hash, self._limits)
            self._report |= {entry.name: entry for entry in entries}
            self._done += 1
            total = 2 * len(self._planned.items)
            self._context.progress(self._done, total, unit="files", phase="importing", subject=item.mask_names[0])
            if mask is not None:
                yield item, mask

    def _stored(self, image: Image, levels: np.ndarray) -> dict[str, Any]:
        """Store a mask, uint8 (H, W); return its row with its quality, and its scores where there is truth."""
        files, dataset = self._context.artifacts, self._dataset
        levels = self._left_out.cleared(levels)
        files.write(stored.label_key(self._label_set_id, image.id), codec.encode_png(levels))
        mask = metrics.to_mask(levels, 0.5)
        pixels = codec.decode_png(files.read(stored.image_key(dataset.id, image.id)))
        quality = round(appearance(pixels, metrics.u8_to_probability(levels)), 4)
        row = {"image_id": image.id, "area": float(mask.mean()), "dice": None, "iou": None, "quality": quality}
        if image.has_truth and len(dataset.lookup):
            values = codec.decode_png(files.read(stored.truth_key(dataset.id, image.id)))
            compared, foreground = self._left_out.reference(values, dataset.lookup).beside(mask)
            row |= {"dice": metrics.dice(compared, foreground), "iou": metrics.iou(compared, foreground)}
        return row

    def _add_entries(self) -> None:
        with self._context.writing() as session:
            lines = [asdict(entry) for entry in self._report.values()]
            add_entries(session, self._dataset.id, self._job.id, lines)

    def _result(self, images: int, means: MaskValues) -> dict[str, Any]:
        taken = sum(entry.taken for entry in self._report.values())
        return {
            "images": images,
            "taken": taken,
            "skipped": len(self._report) - taken,
            "notes": [*self._planned.sentences, f"The masks are read as {means.read_as}."],
        }

    def _why_none(self) -> str:
        if not self._report:
            return "There are no masks in it."
        first = next(entry for entry in self._report.values() if not entry.taken)
        return f"No file could be taken as a mask of an image of the dataset. {first.name}: {first.reason}"


def _truth_side(session: Session, dataset: Dataset, images: Iterable[Image]) -> MaskValues:
    """Return what the values of the dataset's truth mean; without classes where it has none."""
    found = truth.facts(image.truth_values for image in images if image.has_truth)
    codes = TruthCodes(datasets.truth_codes(session, dataset.id), np.flatnonzero(found.counts).tolist())
    if datasets.class_count(dataset) < 2:
        return MaskValues(codes, found.counts, (), "")
    known = truth.TruthClasses.model_validate({"classes": dataset.classes, "lookup": dataset.lookup})
    return MaskValues(codes, found.counts, known.lookup, "", known.classes)


JOB = JobType(JobKind.MASKS, run)
