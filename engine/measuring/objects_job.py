"""Job: measure the objects of a set of masks.

Payload: {"measurement": id, "dataset": id, and the ids of what is measured}. Result: {"images", "objects"}.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import pandas as pd

from db import masks, measurements, measuring
from db.models import Job, JobKind, Measurement
from engine.core.parameters import parse
from engine.imaging.codec import UnreadableImage
from engine.measuring.intervals import with_intervals
from engine.measuring.objects import ObjectParams
from engine.measuring.stored_masks import stored_masks
from engine.measuring.table import CannotMeasure, MaskSource, MeasuredImage, joined, measured, parse_scale
from engine.store import keys as stored
from engine.store.base import MissingFile, Store
from engine.work.context import JobContext, JobFailed, JobStopped, JobType
from engine.work.pace import Pace

BATCH = 32
PHASE = "measuring_objects"


def run(job: Job, context: JobContext) -> dict[str, Any]:
    """Measure every image on all cores. What was measured is stored in parts, and a later attempt resumes after them.

    The tables are written when all images are measured, so they are complete or not there. If the masks have changed
    since the parts were stored, everything is measured again.

    Raises:
        JobFailed: there is no mask, a stored file is gone or damaged, or an image has too many objects.
        JobStopped: a person stopped it; the parts stay.
    """
    with context.reading() as session:
        measurement = session.get_one(Measurement, job.payload["measurement"])
        owner, owner_id = measuring.measured(measurement)
        rows = masks.mask_rows(session, owner, owner_id)
        stamp = measuring.stamp_of(session, owner, owner_id)
    params = parse(ObjectParams, measurement.params)
    set_of_masks = stored_masks(context.artifacts, rows)
    names = set_of_masks.class_names
    parts = _Parts(context.artifacts, measurement.id)
    try:
        scale = parse_scale(measurement.pixel_size) if measurement.pixel_size else None
        sources = set_of_masks.sources(params.threshold, scale)
        if not sources:
            raise CannotMeasure(f"There are no masks to measure in the dataset {rows.dataset.name!r}.")
        done = parts.resume(stamp)
        _measure_rest(context, parts, sources, done, params, names)
        objects, images = parts.joined()
    except (CannotMeasure, MissingFile, UnreadableImage) as error:
        raise JobFailed(str(error)) from None
    _write(context.artifacts, stored.objects_key(measurement.id), objects)
    _write(context.artifacts, stored.measured_images_key(measurement.id), with_intervals(images))
    with context.writing() as session:
        measurements.finish(session, measurement.id, len(images), len(objects), names, stamp)
    parts.delete()
    return {"images": len(images), "objects": len(objects)}


def _measure_rest(
    context: JobContext,
    parts: _Parts,
    sources: Sequence[MaskSource],
    done: set[str],
    params: ObjectParams,
    names: Sequence[str],
) -> None:
    left = [source for source in sources if source.image_id not in done]
    total, pace, batch = len(sources), Pace(), list[MeasuredImage]()
    context.progress(len(done), total, phase=PHASE)
    for number, found in enumerate(measured(left, params, names, number_maps=True), start=1):
        batch.append(found)
        stop = context.should_stop()
        if len(batch) == BATCH or number == len(left) or stop:
            parts.add(batch)
            batch = []
        context.progress(len(done) + number, total, phase=PHASE, rate=pace.rate(number))
        if stop:
            raise JobStopped({"images": len(done) + number})


class _Parts:
    """What one measurement has measured so far: in each part the objects of some images, and these images."""

    def __init__(self, files: Store, measurement_id: str) -> None:
        self._files, self._id, self._count = files, measurement_id, 0

    def resume(self, stamp: str) -> set[str]:
        """Return the ids of the images that were measured already; those of other masks are deleted first."""
        key, folder = stored.parts_stamp_key(self._id), stored.measurement_folder(self._id)
        for place in (folder, stored.number_maps_folder(self._id), stored.parts_folder(self._id)):
            self._files.delete_unfinished(place, subfolders=False)  # exports below are written by other jobs
        if not self._files.exists(key) or self._files.read(key).decode() != stamp:
            for old in (stored.parts_folder(self._id), stored.number_maps_folder(self._id)):
                self._files.delete(old)
            self._files.write(key, stamp.encode())
        ids: set[str] = set()
        while self._files.exists(stored.part_key(self._id, self._count, "images")):
            ids.update(self._read(self._count, "images")["image_id"])
            self._count += 1
        return ids

    def add(self, batch: Sequence[MeasuredImage]) -> None:
        for found in batch:
            self._files.write(stored.number_map_key(self._id, found.source.image_id), found.number_map)
        tables = {"objects": joined([found.objects for found in batch])}
        tables["images"] = pd.DataFrame([found.facts for found in batch])
        for what in ("objects", "images"):
            _write(self._files, stored.part_key(self._id, self._count, what), tables[what])
        self._count += 1

    def joined(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return all objects and all images, in the order of the dataset."""
        objects, images = (
            joined([self._read(number, what) for number in range(self._count)]) for what in ("objects", "images")
        )
        return objects, images

    def delete(self) -> None:
        self._files.delete(stored.parts_folder(self._id))

    def _read(self, number: int, what: stored.Part) -> pd.DataFrame:
        content = self._files.read(stored.part_key(self._id, number, what))
        try:
            return pd.read_parquet(io.BytesIO(content))
        except (OSError, ValueError):
            self.delete()
            raise CannotMeasure("What was measured so far is damaged. Try again to measure all images anew.") from None


def _write(files: Store, key: str, table: pd.DataFrame) -> None:
    with files.writing(key) as path:
        table.to_parquet(path, index=False)


JOB = JobType(JobKind.OBJECTS, run)
