"""Job: draw the masks of a mask set with its frozen recipe, and judge each.

Payload: {"dataset": id, "label_set": id}. Result: {"images", "looked_at", "copied", "seconds"}, and of the verdict
{"verdict", "reason", "trust"}.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np

from db import corrections, datasets, recipes
from db.models import Dataset, Job, JobKind, LabelSet
from engine.core import fan_out
from engine.core.fan_out import Pool, ProcessKilled
from engine.core.parameters import parse
from engine.core.system_errors import NO_SPACE
from engine.imaging import codec, metrics
from engine.imaging.left_out import NOTHING, LeftOut
from engine.labelling.base import (
    LabelParams,
    Method,
    class_count,
    draw,
    draw_mask,
    drawing,
    find_method,
    fit_sample,
    fit_state,
    look_at,
)
from engine.labelling.feature_cache import FeatureCache
from engine.labelling.mask_shapes import mask_shape
from engine.labelling.quality import Quality, assess
from engine.labelling.recipe_key import fit_key, recipe_key
from engine.labelling.ticks import numbered_classes
from engine.labelling.verdict import standing, verdict
from engine.store import keys as stored
from engine.store.base import MissingFile, Store
from engine.work.context import JobContext, JobFailed, JobStopped, JobType

BATCH = 16
VERDICT_MASKS = 24
"""On so many masks, evenly spread, the verdict on a mask set rests."""
LOOKING = "analysing_images"
DRAWING = "computing_masks"


class ImageFailed(Exception):
    """One image cannot be looked at or labelled. The sentence names it."""


@dataclass(frozen=True)
class Drawn:
    """A mask that the same recipe drew of the same picture before, and what was found out about it."""

    label_set_id: str
    image_id: str
    quality: float | None
    quality_parts: dict[str, float] | None
    unclear: bool


@dataclass(frozen=True)
class Task:
    """One image to look at or to label, as plain values that travel to a worker process."""

    files: Store
    dataset_id: str
    label_set_id: str
    image_id: str
    name: str
    method: str
    params: LabelParams
    seed: int
    lookup: list[int] | None
    state: dict[str, Any] | None = None
    drawn: Drawn | None = None
    correction: str | None = None
    """The key of the file with what people drew on the image, for a method that learns from it."""
    left_out: LeftOut = NOTHING
    several: bool = False
    """Whether the mask set is to tell several classes apart, even if only one was drawn by now."""

    @property
    def cache(self) -> FeatureCache:
        return FeatureCache(self.files, self.dataset_id)

    def image(self) -> np.ndarray:
        """Return the picture, uint8 RGB (H, W, 3), without what is left out."""
        return self.left_out.filled(codec.decode_png(self.files.read(stored.image_key(self.dataset_id, self.image_id))))


def run(job: Job, context: JobContext) -> dict[str, Any]:
    """Label every image that has no mask yet, on all cores. Stopping keeps what is drawn; running again goes on.

    A method that learns from the dataset looks at it first, unless the mask set came with what was learned. What was
    learned is stored before the first mask is drawn, so that all masks of a set are drawn with the same.

    Raises:
        JobFailed: there are no images, or nothing can be learned from them, one cannot be drawn, or memory ran out.
        JobStopped: a person stopped it.
    """
    started = time.monotonic()
    with context.reading() as session:
        label_set = session.get_one(LabelSet, job.payload["label_set"])
        dataset = session.get_one(Dataset, label_set.dataset_id)
        images = datasets.images(session, dataset.id)
        done = recipes.labelled_images(session, label_set.id) & {image.id for image in images}
        teaching = corrections.teaching(session, dataset.id)
    if job.attempt > 1:  # a killed attempt may have been writing; exports below the folder are written by other jobs
        for folder in (stored.label_folder, stored.label_classes_folder):
            context.artifacts.delete_unfinished(folder(label_set.id), subfolders=False)
    if not images:
        raise JobFailed(f"The dataset {dataset.name!r} has no images. Import some first.")
    tasks = [
        Task(
            files=context.artifacts,
            dataset_id=dataset.id,
            label_set_id=label_set.id,
            image_id=image.id,
            name=image.name,
            method=label_set.method,
            params=parse(find_method(label_set.method).params, label_set.params),
            seed=label_set.seed,
            lookup=dataset.lookup if image.has_truth else None,
            state=label_set.state,
            correction=stored.correction_key(dataset.id, teaching[image.id].file_id) if image.id in teaching else None,
            left_out=LeftOut(context.artifacts, stored.left_out_key(dataset.id, label_set.left_out_id)),
            several=bool(label_set.classes),
        )
        for image in images
    ]
    with _as_failure(), fan_out.pool() as processes:
        contents = {image.id: image.content_hash for image in images}
        looked_at = _learn(context, processes, label_set, tasks, contents, len(done))
        # What has been learned is read back as it was stored: a resumed job draws with the very same numbers.
        with context.reading() as session:
            state = session.get_one(LabelSet, label_set.id).state
        hashes = {image_id: content for image_id, content in contents.items() if image_id not in done}
        tasks = [replace(task, state=state) for task in tasks if task.image_id in hashes]
        _name_classes(context, label_set, dataset, state)
        tasks = _with_drawn(context, tasks, hashes)
        _draw(context, processes, tasks, len(done), looked_at)
    return {
        "images": len(images),
        "looked_at": looked_at,
        "copied": sum(task.drawn is not None for task in tasks),
        "seconds": round(time.monotonic() - started, 2),
    } | _verdict(context, label_set.id)


def _learn(
    context: JobContext,
    processes: Pool,
    label_set: LabelSet,
    tasks: Sequence[Task],
    contents: dict[str, str],
    done: int,
) -> int:
    """Store what the method learns from the dataset, and the recipe's key. Returns how many images were looked at.

    A state that takes long to find is taken from the dataset's cache, where the page has found it before. A method that
    another one has chosen on a few images then learns from its own sample of the dataset.
    """
    method, params, state = find_method(label_set.method), tasks[0].params, label_set.state
    learns = method.fit is not None and state is None
    shown = [task for task in tasks if task.correction] if method.learns_from_corrections else tasks
    sample = fit_sample(shown, method) if learns else []
    looks: list[Any] = []
    slow = ""
    if learns and method.draft is not None:
        hashes = [contents[task.image_id] for task in sample]
        slow = fit_key(method.name, params, label_set.seed, hashes, tasks[0].left_out.key)
        state = tasks[0].cache.fitted(slow)
    if learns and state is None:
        looks = _look(context, processes, sample, done, 0, len(sample) + len(tasks))
        state = _fitted(method, looks, params, label_set.seed)
        if slow:
            tasks[0].cache.keep_fitted(slow, state)
    if state is not None and method.chosen is not None and not done:
        delegate, values, own = drawing(method, params, state)
        more = fit_sample(tasks, delegate)
        if own is not None and own.get("images", len(more)) < len(more):
            # What was chosen on a few images learns from as many as if it had been asked for
            others = [replace(task, method=delegate.name, params=values) for task in more]
            again = _look(context, processes, others, done, len(looks), len(looks) + len(others) + len(tasks))
            state = state | {"state": _fitted(delegate, again, values, label_set.seed)}
            looks, learns = looks + again, True
    # A set that was begun without a key may hold masks of older code: others must not copy from it.
    if learns or (label_set.recipe_key is None and not done):
        with context.writing() as session:
            key = recipe_key(method.name, params, label_set.seed, state, tasks[0].left_out.key)
            recipes.set_state(session, label_set.id, state, key)
    return len(looks)


def _look(
    context: JobContext, processes: Pool, sample: Sequence[Task], done: int, before: int, total: int
) -> list[Any]:
    """Return the looks at images, after `before` others of `total` steps; stopped, the job has `done` masks."""
    looks: list[Any] = []
    context.progress(before, total, phase=LOOKING)
    for look in processes.map(look_at_image, sample, len(sample)):
        looks.append(look)
        context.progress(before + len(looks), total, phase=LOOKING)
        if context.should_stop():
            raise JobStopped({"images": done})
    return looks


def _fitted(method: Method, looks: Sequence[Any], params: LabelParams, seed: int) -> dict[str, Any]:
    try:
        return fit_state(method, looks, params, seed)
    except ValueError as error:
        raise JobFailed(f"'{method.title}' cannot learn from these images. {error}") from error


def _name_classes(context: JobContext, label_set: LabelSet, dataset: Dataset, state: dict[str, Any] | None) -> None:
    """Store which classes the masks will tell apart, if several: those of the dataset, and more if the recipe has."""
    method = find_method(label_set.method)
    count = class_count(method, parse(method.params, label_set.params), state)
    if count > 1 and not label_set.classes:
        with context.writing() as session:
            recipes.set_classes(session, label_set.id, numbered_classes(dataset.classes, count))


def _with_drawn(context: JobContext, tasks: Sequence[Task], hashes: dict[str, str]) -> list[Task]:
    """Return the tasks with what the same recipe drew of the same picture before, in whatever mask set."""
    if not tasks:
        return []
    first = tasks[0]
    key = recipe_key(first.method, first.params, first.seed, first.state, first.left_out.key)
    with context.reading() as session:
        found = recipes.existing_labels(session, key, list(hashes.values()))
    drawn = {
        content_hash: Drawn(label.label_set_id, label.image_id, label.quality, label.quality_parts, label.unclear)
        for content_hash, label in found.items()
    }
    return [replace(task, drawn=drawn.get(hashes[task.image_id])) for task in tasks]


def _draw(context: JobContext, processes: Pool, tasks: Sequence[Task], done: int, looked_at: int) -> None:
    """Draw and store the mask of each task."""
    total = looked_at + done + len(tasks)
    context.progress(looked_at + done, total, phase=DRAWING)
    copies = [task for task in tasks if task.drawn is not None]
    others = [task for task in tasks if task.drawn is None]
    rows: list[dict[str, Any]] = []
    for count, row in enumerate(
        chain(map(copy_mask, copies), processes.map(label_image, others, len(others))), start=1
    ):
        rows.append(row)
        context.progress(looked_at + done + count, total, phase=DRAWING)
        stop = context.should_stop()
        if len(rows) >= BATCH or count == len(tasks) or stop:
            with context.writing() as session:
                recipes.add_labels(session, tasks[0].label_set_id, rows)
            rows = []
        if stop and count < len(tasks):
            raise JobStopped({"images": done + count})


def _verdict(context: JobContext, label_set_id: str) -> dict[str, Any]:
    """Return the verdict that the method reached when it chose a recipe, or else that on some of the masks."""
    with context.reading() as session:
        label_set = session.get_one(LabelSet, label_set_id)
        rows = sorted(recipes.labels(session, label_set_id), key=lambda row: row.image_id)
    reached = (label_set.state or {}).get("verdict")
    if reached is None:
        qualities = []
        for row in rows[:: -(-len(rows) // VERDICT_MASKS) or 1]:
            levels = codec.decode_png(context.artifacts.read(stored.label_key(label_set_id, row.image_id)))
            shape = mask_shape(metrics.to_mask(levels, 0.5))
            if row.quality is not None and row.quality_parts is not None:
                qualities.append(Quality(row.quality, row.quality_parts, not row.unclear, shape))
        taught = find_method(label_set.method).learns_from_corrections
        reached = verdict(standing(qualities), taught=taught).to_json() if qualities else {}
    return {name: reached[name] for name in ("verdict", "reason", "trust") if name in reached}


@contextmanager
def _as_failure() -> Iterator[None]:
    try:
        yield
    except ImageFailed as error:
        raise JobFailed(str(error)) from error
    except ProcessKilled:
        raise JobFailed(
            "A process that draws was killed, most likely because memory ran out. Lower 'longest_side_px' or end "
            "other programs, then go on: what is drawn is kept."
        ) from None


def look_at_image(task: Task) -> Any:
    """Return what the task's method wants to know of its image.

    Raises:
        ImageFailed: it cannot be read, or the method stumbles over it.
    """
    with _naming(task):
        drawn = task.left_out.marked(codec.decode_png(task.files.read(task.correction))) if task.correction else None
        return look_at(find_method(task.method), task.image(), task.params, task.seed, drawn, task.cache)


def label_image(task: Task) -> dict[str, Any]:
    """Draw, judge and store one mask; return its row (see `db.models.Label`).

    Raises:
        ImageFailed: the image cannot be read, the method stumbles over it, or its mask cannot be stored.
    """
    with _naming(task):
        return _label(task)


@contextmanager
def _naming(task: Task) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if isinstance(error, OSError) and error.errno in NO_SPACE:
            raise  # that is no fault of the image
        reason = str(error) or type(error).__name__
        raise ImageFailed(f"The image {task.name!r} cannot be labelled with '{task.method}'. {reason}") from error


def _label(task: Task) -> dict[str, Any]:
    method, image = find_method(task.method), task.image()

    def probability(view: np.ndarray) -> np.ndarray:
        return draw(method, view, task.params, task.seed, task.state)

    drawn = draw_mask(method, image, task.params, task.seed, task.state, task.cache)
    soft = task.left_out.cleared(drawn.probability)
    quality = assess(image, soft, probability)
    levels = metrics.probability_to_u8(soft)
    judged = {"quality": quality.score, "quality_parts": quality.parts, "unclear": not quality.clear}
    classes = None if drawn.classes is None else codec.encode_png(drawn.classes)
    return _store(task, codec.encode_png(levels), levels, classes) | judged


def copy_mask(task: Task) -> dict[str, Any]:
    """Store the mask that was drawn before as this image's, or draw it where it is gone; return its row."""
    drawn = task.drawn
    if drawn is None:
        return label_image(task)
    try:
        png = task.files.read(stored.label_key(drawn.label_set_id, drawn.image_id))
        several = class_count(find_method(task.method), task.params, task.state) > 1
        classes = task.files.read(stored.label_classes_key(drawn.label_set_id, drawn.image_id)) if several else None
    except MissingFile:  # its mask set has just been deleted
        return label_image(task)
    judged = {"quality": drawn.quality, "quality_parts": drawn.quality_parts, "unclear": drawn.unclear}
    return _store(task, png, codec.decode_png(png), classes) | judged


def _store(task: Task, png: bytes, levels: np.ndarray, classes: bytes | None) -> dict[str, Any]:
    """Store a mask uint8 (H, W) as `png`, and the PNG of its classes where there are several.

    Returns {image_id, area, dice, iou}, scores of foreground against truth or None.
    """
    if classes is None and task.several:
        classes = codec.encode_png(np.ones_like(levels))
    if classes is not None:
        task.files.write(stored.label_classes_key(task.label_set_id, task.image_id), classes)
    task.files.write(stored.label_key(task.label_set_id, task.image_id), png)
    mask = metrics.to_mask(levels, 0.5)
    row = {"image_id": task.image_id, "area": float(mask.mean()), "dice": None, "iou": None}
    if task.lookup is not None:
        values = codec.decode_png(task.files.read(stored.truth_key(task.dataset_id, task.image_id)))
        mask, truth = task.left_out.reference(values, task.lookup).beside(mask)
        row |= {"dice": metrics.dice(mask, truth), "iou": metrics.iou(mask, truth)}
    return row


JOB = JobType(JobKind.LABEL, run)
