"""Job: draw the masks of a label set with its frozen recipe.

Payload: {"dataset": id, "label_set": id}. Result: {"images", "dice", "iou", "seconds"}; scores against truth or None.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engine import artifacts as stored
from engine import imaging, metrics
from engine.artifacts import Artifacts
from engine.jobs.base import Job, JobContext, JobFailed, JobStopped
from engine.parameters import parse
from engine.pseudo_labels.base import draw, find_method

BATCH = 16


@dataclass(frozen=True)
class Task:
    """One image to label, as plain values that travel to a worker process."""

    root: Path
    dataset_id: str
    label_set_id: str
    image_id: str
    method: str
    params: dict[str, Any]
    seed: int
    lookup: list[int] | None


def run(job: Job, context: JobContext) -> dict[str, Any]:
    """Label every image that has no mask yet, on all cores. Stopping keeps what is drawn; running again goes on."""
    label_set = context.records.label_set(job.payload["label_set"])
    dataset = context.records.dataset(label_set.dataset_id)
    images = context.records.images(dataset.id)
    if not images:
        raise JobFailed(f"The dataset {dataset.name!r} has no images. Import some first.")
    done = context.records.labelled_images(label_set.id)
    tasks = [
        Task(
            root=context.artifacts.root,
            dataset_id=dataset.id,
            label_set_id=label_set.id,
            image_id=image.id,
            method=label_set.method,
            params=label_set.params,
            seed=label_set.seed,
            lookup=dataset.lookup if image.has_truth else None,
        )
        for image in images
        if image.id not in done
    ]
    started = time.monotonic()
    context.progress(len(done), len(images), "Drawing masks")
    rows: list[dict[str, Any]] = []
    for count, row in enumerate(_labelled(tasks), start=1):
        rows.append(row)
        context.progress(len(done) + count, len(images), "Drawing masks")
        if len(rows) >= BATCH or count == len(tasks) or context.should_stop():
            context.records.add_labels(label_set.id, rows)
            rows = []
        if context.should_stop() and count < len(tasks):
            raise JobStopped({"images": len(done) + count})
    return {"images": len(images), "seconds": round(time.monotonic() - started, 2)}


def _labelled(tasks: list[Task]) -> Iterator[dict[str, Any]]:
    """Yield the row of each task as it is done. A generator that is closed early drops what has not begun."""
    cores = min(len(tasks), os.cpu_count() or 1)
    if cores <= 1:
        yield from map(label_image, tasks)
        return
    # Spawned, not forked: forking a process that has threads (the heartbeat) can deadlock.
    pool = ProcessPoolExecutor(cores, mp_context=multiprocessing.get_context("spawn"), initializer=_one_thread)
    try:
        yield from pool.map(label_image, tasks)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _one_thread() -> None:
    """One process per core needs no threads within: they would only get in each other's way."""
    import cv2

    cv2.setNumThreads(1)


def label_image(task: Task) -> dict[str, Any]:
    """Draw and store one mask; return its row {image_id, area, dice, iou}."""
    files = Artifacts(task.root)
    method = find_method(task.method)
    image = imaging.decode_png(files.read(stored.image_key(task.dataset_id, task.image_id)))
    probability = draw(method, image, parse(method.params, task.params), task.seed)
    levels = metrics.probability_to_u8(probability)
    files.write(stored.label_key(task.label_set_id, task.image_id), imaging.encode_png(levels))
    mask = metrics.to_mask(levels, 0.5)
    row = {"image_id": task.image_id, "area": float(mask.mean()), "dice": None, "iou": None}
    if task.lookup is not None:
        values = imaging.decode_png(files.read(stored.truth_key(task.dataset_id, task.image_id)))
        truth = np.asarray(task.lookup, np.uint8)[values] > 0
        row |= {"dice": metrics.dice(mask, truth), "iou": metrics.iou(mask, truth)}
    return row
