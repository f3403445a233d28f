"""Data of the bench of the Masks page: a dataset, its test images, and the scores of a recipe on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from dashboard.facts import urls
from dashboard.facts.labelling_time import MaskTime, labelling_seconds, seconds_per_image
from dashboard.facts.mask_doubts import estimated_score
from dashboard.server.previews import Preview, Source
from db import corrections, datasets
from db.models import Dataset, Image
from engine.imaging import metrics
from engine.imaging.class_colours import class_colours, with_present_colours
from engine.imaging.corrections import LEFT_OUT
from engine.imaging.left_out import LeftOut
from engine.labelling.base import LabelParams, find_method, fit_sample
from engine.labelling.feature_cache import FeatureCache
from engine.labelling.ticks import numbered_classes
from engine.store import keys as stored
from engine.store.base import Store, StoredFile

SEED = 0
"""Of all recipes of the bench."""

HOW_STROKES_WORK = "Draw a stroke on what is meant and one on the background: the masks of all test images follow."

PER_PAGE = 48
PROBE_RANGE = (6, 12)


@dataclass(frozen=True)
class ProbeImage:
    """A test image, or an image that a method is fitted to."""

    id: str
    name: str
    content_hash: str
    width_px: int
    height_px: int
    has_truth: bool
    correction: str = ""
    """Its correction's file, of an image that a method learns from by its correction."""


@dataclass(frozen=True)
class Workplace:
    """A dataset and its test images: the chosen ones, or an even spread. `fingerprint` changes with its images."""

    dataset_id: str
    name: str
    images: int
    truth: int
    lookup: tuple[int, ...]
    truth_version: int
    fingerprint: str
    probe: tuple[ProbeImage, ...]
    classes: tuple[dict[str, Any], ...] = ()
    left_out_id: str | None = None

    @property
    def aspect(self) -> float:
        """The median width over height of the test images."""
        return float(np.median([image.width_px / image.height_px for image in self.probe])) if self.probe else 4 / 3


@dataclass(frozen=True)
class MaskClasses:
    """The classes of some masks, background first, with their colours; none for foreground alone.

    `of_truth`: the dataset's truth has the same.
    """

    names: tuple[str, ...] = ()
    colours: tuple[str, ...] = ()
    of_truth: bool = False


@dataclass(frozen=True)
class Outcome:
    """The scores and the cost of a recipe on the test images.

    Dice and IoU are means against truth; None where no image has truth. Quality is computed without truth, in [0, 1];
    None until it is computed: `quality` is the estimated score of the recipe, `image_quality` the plausibility of each
    mask. `unclear` marks images in which no foreground stands out. `class_dice` is the Dice of each class against truth
    of all test images together; None for a class that neither has.
    """

    dice: float | None
    iou: float | None
    scored: int
    image_dice: tuple[float | None, ...]
    quality: float | None
    image_quality: tuple[float | None, ...]
    unclear: tuple[bool, ...]
    seconds_per_image: float | None
    whole_dataset_s: float | None
    errors: tuple[str, ...]
    class_dice: tuple[float | None, ...] = ()


def dataset_names(session: Session) -> dict[str, str]:
    """Return {id: name} of the datasets that have images, newest first."""
    return {dataset.id: dataset.name for dataset in datasets.listing(session) if dataset.image_count}


def workplace(session: Session, dataset_id: str) -> Workplace:
    """Return a dataset with its test images."""
    dataset = session.get_one(Dataset, dataset_id)
    return Workplace(
        dataset_id=dataset.id,
        name=dataset.name,
        images=dataset.image_count,
        truth=dataset.truth_count,
        lookup=tuple(dataset.lookup),
        truth_version=dataset.truth_version,
        fingerprint=dataset.fingerprint,
        probe=tuple(_probe_image(image) for image in datasets.probe_images(session, dataset_id)),
        classes=tuple(dataset.classes),
        left_out_id=dataset.left_out_id,
    )


def mask_classes(classes: Sequence[dict[str, Any]], known: Sequence[dict[str, Any]]) -> MaskClasses:
    """Return the classes of a mask set or recipe beside those of its dataset, `known`."""
    if not classes:
        return MaskClasses()
    names = tuple(str(entry["name"]) for entry in classes)
    colours = tuple(class_colours(with_present_colours(classes, known)))
    return MaskClasses(names, colours, names == tuple(entry["name"] for entry in known))


def recipe_classes(place: Workplace, params: LabelParams) -> MaskClasses:
    """Return the classes that a recipe's masks tell apart."""
    several = params.classes > 1
    return mask_classes(numbered_classes(place.classes, params.classes) if several else (), place.classes)


def truth_maps(
    place: Workplace, image_id: str, has_truth: bool, size: int | None, classes: MaskClasses
) -> tuple[str | None, str | None]:
    """Return the URLs of an image's truth as `Tile.reference` and `Tile.reference_classes`."""
    if not has_truth:
        return None, None
    version = place.truth_version
    if classes.of_truth:
        return None, urls.truth(place.dataset_id, image_id, size, classes=True, version=version)
    return urls.truth(place.dataset_id, image_id, size, version=version), None


def drawn_revisions(session: Session, dataset_id: str, method: str) -> int:
    """Return a number that changes with what people draw on a dataset, for a method that learns from it; else 0."""
    return corrections.revisions(session, dataset_id) if find_method(method).learns_from_corrections else 0


def has_strokes(session: Session, dataset_id: str) -> bool:
    """Return whether people say of any pixel of a dataset which class it has."""
    rows = corrections.teaching(session, dataset_id).values()
    return any(value < LEFT_OUT for row in rows for value, _ in row.pixels)


def settled_images(session: Session, dataset_id: str) -> set[str]:
    """Return the images on which no stroke helps: those that are finished or in the audit."""
    finished = {image_id for image_id, row in corrections.current(session, dataset_id).items() if row.finished}
    return finished | corrections.audit_images(session, dataset_id)


def fit_images(session: Session, dataset_id: str, method: str) -> tuple[ProbeImage, ...]:
    """Return the images of a dataset that a method is fitted to, the same as in its job; none for most methods."""
    chosen_method = find_method(method)
    if chosen_method.look is None:
        return ()
    included = Image.dataset_id == dataset_id, Image.excluded.is_(False)
    order = select(Image.id).where(*included).order_by(Image.position, Image.id)
    drawn = corrections.teaching(session, dataset_id) if chosen_method.learns_from_corrections else {}
    among = [*drawn] if chosen_method.learns_from_corrections else session.scalars(order).all()
    chosen = fit_sample(among, chosen_method)
    rows = {image.id: image for image in session.scalars(select(Image).where(Image.id.in_(chosen)))}
    files = {image_id: drawn[image_id].file_id if image_id in drawn else "" for image_id in chosen}
    return tuple(replace(_probe_image(rows[image_id]), correction=files[image_id]) for image_id in chosen)


def sources(files: Store, place: Workplace, images: Sequence[ProbeImage], truth: bool = True) -> list[Source]:
    """Return what label methods read of images of a dataset, with their `truth` where they have any."""

    def truth_of(image: ProbeImage) -> StoredFile | None:
        return StoredFile(files, stored.truth_key(place.dataset_id, image.id)) if truth and image.has_truth else None

    def correction_of(image: ProbeImage) -> StoredFile | None:
        key = stored.correction_key(place.dataset_id, image.correction) if image.correction else None
        return StoredFile(files, key) if key else None

    return [
        Source(
            content_hash=image.content_hash,
            longest_side_px=max(image.width_px, image.height_px),
            image=StoredFile(files, stored.image_key(place.dataset_id, image.id)),
            truth=truth_of(image),
            lookup=place.lookup if truth and image.has_truth else (),
            correction=correction_of(image),
            cache=FeatureCache(files, place.dataset_id),
            left_out=LeftOut(files, stored.left_out_key(place.dataset_id, place.left_out_id)),
            name=image.name,
        )
        for image in images
    ]


def _probe_image(image: Image) -> ProbeImage:
    return ProbeImage(image.id, image.name, image.content_hash, image.width, image.height, image.has_truth)


def outcome(
    place: Workplace,
    params: LabelParams,
    previews: Sequence[Preview],
    *,
    threshold: float,
    limit_px: int | None,
    cores: int,
    state: dict[str, Any] | None = None,
) -> Outcome:
    """Return the scores of a recipe on the test images, and its cost for the whole dataset.

    Args:
        previews: one for each test image.
        threshold: of the masks, in [0, 1].
        limit_px: the longest side of the previews; None is the recipe's own.
        cores: the number of images that the job labels at a time.
        state: what the method learned.
    """
    at = metrics.threshold_index(threshold)
    curves = [preview.counts for preview in previews]
    image_dice = tuple(None if counts is None else float(metrics.dice_curve(counts)[at]) for counts in curves)
    image_iou = [float(metrics.iou_curve(counts)[at]) for counts in curves if counts is not None]
    image_quality = tuple(None if preview.quality is None else preview.quality.score for preview in previews)
    times = [
        _time(image, preview, params, limit_px)
        for image, preview in zip(place.probe, previews, strict=True)
        if not preview.error
    ]
    failed = zip(place.probe, previews, strict=True)
    judged = [preview.quality for preview in previews if preview.quality is not None]
    return Outcome(
        dice=_mean([value for value in image_dice if value is not None]),
        iou=_mean(image_iou),
        scored=len(image_iou),
        image_dice=image_dice,
        quality=estimated_score(judged, state) if judged else None,
        image_quality=image_quality,
        unclear=tuple(preview.quality is not None and not preview.quality.clear for preview in previews),
        seconds_per_image=seconds_per_image(times),
        whole_dataset_s=labelling_seconds(times, place.images, cores),
        errors=tuple(f"{image.name}: {preview.error}" for image, preview in failed if preview.error),
        class_dice=_class_dice(previews, at) if recipe_classes(place, params).of_truth else (),
    )


def _class_dice(previews: Sequence[Preview], at: int) -> tuple[float | None, ...]:
    """Return the Dice of each class from pixels summed over the previews, at one of `metrics.THRESHOLDS`."""
    scores = []
    for each in zip(*(preview.class_counts for preview in previews if preview.class_counts), strict=True):
        shared, predicted, reference = (
            sum(int(np.broadcast_to(getattr(counts, name), 101)[at]) for counts in each)
            for name in metrics.ThresholdCounts._fields
        )
        scores.append(2 * shared / (predicted + reference) if predicted + reference else None)
    return tuple(scores)


def probe_problem(count: int, images: int) -> str:
    """Return why `count` images cannot be the test images of a dataset of `images`; empty if they can."""
    lowest, highest = min(PROBE_RANGE[0], images), PROBE_RANGE[1]
    if lowest <= count <= highest:
        return ""
    wanted = f"{lowest} to {highest}" if images > lowest else str(lowest)
    return f"Choose {wanted} test images. {count} {'is' if count == 1 else 'are'} ticked."


def _time(image: ProbeImage, preview: Preview, params: LabelParams, limit_px: int | None) -> MaskTime:
    full_px = min(params.longest_side_px, max(image.width_px, image.height_px))
    drawn_px = full_px if limit_px is None else min(full_px, limit_px)
    return MaskTime(preview.seconds, preview.judged_s, drawn_px, full_px, image.width_px * image.height_px)


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None
