"""What the labels page shows: recipes as people read them, the probe's scores, stored label sets and their masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import numpy as np
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from dashboard.previews import Preview
from dashboard.viewmodels.jobs import JobView, job_view
from db import datasets, jobs, names, recipes
from db.models import Dataset, Image, Label, LabelSet, Run
from engine import metrics
from engine.parameters import ParameterError, parse
from engine.pseudo_labels.base import DEFAULT_METHOD, LabelParams, find_method, methods

PER_PAGE = 48
PROBE_RANGE = (6, 12)
PER_IMAGE_OVERHEAD_S = 0.02
"""Reading a 400 px image, writing its mask and its row, beside the drawing itself."""
SIZE_EXPONENT = 1.2
"""How time grows with the side of a picture. From 256 to 400 px our methods take 1.2 to 2.3 times as long, this 1.7."""

Order = Literal["dataset order", "lowest Dice vs truth first", "highest Dice vs truth first", "largest area first"]
TRUTH_ORDERS: tuple[Order, ...] = ("lowest Dice vs truth first", "highest Dice vs truth first")


@dataclass(frozen=True)
class Recipe:
    """A method and its parameters: what is tuned on the page and frozen by "Label the dataset"."""

    method: str
    params: LabelParams


@dataclass(frozen=True)
class ProbeImage:
    """One image that shows what a recipe does."""

    id: str
    name: str
    content_hash: str
    width_px: int
    height_px: int
    has_truth: bool


@dataclass(frozen=True)
class Workplace:
    """A dataset and its probe images: those chosen, or an even spread."""

    dataset_id: str
    name: str
    images: int
    truth: int
    lookup: tuple[int, ...]
    truth_version: int
    probe: tuple[ProbeImage, ...]

    @property
    def aspect(self) -> float:
        """The median width over height of the probe images."""
        return float(np.median([image.width_px / image.height_px for image in self.probe])) if self.probe else 4 / 3


@dataclass(frozen=True)
class Outcome:
    """What a recipe achieves on the probe. Dice and IoU are means against truth; None where no image has truth."""

    dice: float | None
    iou: float | None
    scored: int
    image_dice: tuple[float | None, ...]
    seconds_per_image: float | None
    whole_dataset_s: float | None
    errors: tuple[str, ...]


@dataclass(frozen=True)
class LabelSetCard:
    """A stored label set. Dice and IoU are means against truth at threshold 0.5; `runs` learned from it."""

    id: str
    name: str
    recipe: Recipe | None
    method_title: str
    changes: str
    images: int
    area: float | None
    dice: float | None
    iou: float | None
    created_at: datetime
    runs: tuple[str, ...]
    job: JobView | None


@dataclass(frozen=True)
class Mask:
    """One stored mask; `dice` is against truth at threshold 0.5, None without truth."""

    image_id: str
    name: str
    has_truth: bool
    area: float
    dice: float | None


@dataclass(frozen=True)
class MaskPage:
    """One page of a label set's masks; `found` counts those on all pages."""

    masks: tuple[Mask, ...]
    found: int
    page: int
    pages: int


def dataset_names(session: Session) -> dict[str, str]:
    """Return {id: name} of the datasets that have images, newest first."""
    return {dataset.id: dataset.name for dataset in datasets.listing(session) if dataset.image_count}


def workplace(session: Session, dataset_id: str) -> Workplace:
    """Return a dataset with its probe images."""
    dataset = session.get_one(Dataset, dataset_id)
    probe = datasets.probe_images(session, dataset_id)
    return Workplace(
        dataset_id=dataset.id,
        name=dataset.name,
        images=dataset.image_count,
        truth=dataset.truth_count,
        lookup=tuple(dataset.lookup),
        truth_version=dataset.truth_version,
        probe=tuple(
            ProbeImage(image.id, image.name, image.content_hash, image.width, image.height, image.has_truth)
            for image in probe
        ),
    )


def changed(params: LabelParams) -> dict[str, Any]:
    """Return {name: value} of the parameters that differ from the method's defaults."""
    defaults = type(params)().model_dump()
    return {name: value for name, value in params.model_dump().items() if value != defaults[name]}


def describe_changes(params: LabelParams) -> str:
    """Return the changed parameters as people read them: "clusters 6, foreground darker"; "defaults" for none."""
    return ", ".join(f"{_words(name)} {_words(_value(value))}" for name, value in changed(params).items()) or "defaults"


def recipe_to_text(recipe: Recipe) -> str:
    """Return a recipe as it stands in the page's address: "kmeans,clusters:6"; only what differs from the defaults."""
    pairs = [f"{name}:{_value(value)}" for name, value in changed(recipe.params).items()]
    return ",".join([recipe.method, *pairs])


def recipe_from_text(text: str) -> Recipe:
    """Return the recipe that an address names.

    Raises:
        ParameterError: it names no method, or a parameter breaks its rule.
    """
    name, *pairs = text.split(",")
    params = find_method(name).params
    return Recipe(name, parse(params, dict(pair.partition(":")[::2] for pair in pairs)))


def default_recipe(method: str | None = None) -> Recipe:
    """Return a method with its defaults; the house's first choice where None is named."""
    known = methods()
    name = method or (DEFAULT_METHOD if DEFAULT_METHOD in known else next(iter(known)))
    return Recipe(name, find_method(name).params())


def proposed_name(session: Session, dataset_name: str, recipe: Recipe) -> str:
    """Return a free name for a label set: dataset, method and what was changed."""
    changes = describe_changes(recipe.params)
    wish = f"{dataset_name} · {recipe.method}" + (f" · {changes}" if changes != "defaults" else "")
    return names.free_name(session, LabelSet, wish[:180])


def outcome(
    place: Workplace,
    params: LabelParams,
    previews: Sequence[Preview],
    *,
    threshold: float,
    limit_px: int | None,
    cores: int,
) -> Outcome:
    """Return what a recipe achieves on the probe, and what it would cost on the whole dataset.

    Args:
        previews: one for each of the probe's images.
        threshold: of the masks, in [0, 1].
        limit_px: the longest side the previews were drawn at; None is the recipe's own.
        cores: how many images the job labels at a time.
    """
    at = metrics.threshold_index(threshold)
    curves = [None if preview.counts is None else preview.counts for preview in previews]
    image_dice = tuple(None if counts is None else float(metrics.dice_curve(counts)[at]) for counts in curves)
    image_iou = [float(metrics.iou_curve(counts)[at]) for counts in curves if counts is not None]
    seconds = [
        preview.seconds * _slowdown(image, params, limit_px)
        for image, preview in zip(place.probe, previews, strict=True)
        if not preview.error
    ]
    per_image_s = _mean(seconds)
    failed = zip(place.probe, previews, strict=True)
    return Outcome(
        dice=_mean([value for value in image_dice if value is not None]),
        iou=_mean(image_iou),
        scored=len(image_iou),
        image_dice=image_dice,
        seconds_per_image=per_image_s,
        whole_dataset_s=None if per_image_s is None else (per_image_s + PER_IMAGE_OVERHEAD_S) * place.images / cores,
        errors=tuple(f"{image.name}: {preview.error}" for image, preview in failed if preview.error),
    )


def label_set_cards(session: Session, dataset_id: str, now: datetime, lost_after_s: float) -> tuple[LabelSetCard, ...]:
    """Return the label sets of a dataset, newest first."""
    return tuple(_card(session, label_set, now, lost_after_s) for label_set in recipes.listing(session, dataset_id))


def _card(session: Session, label_set: LabelSet, now: datetime, lost_after_s: float) -> LabelSetCard:
    summary = recipes.summary(session, label_set.id)
    runs = session.scalars(select(Run.name).where(Run.label_set_id == label_set.id).order_by(Run.created_at)).all()
    recipe = stored_recipe(label_set)
    return LabelSetCard(
        id=label_set.id,
        name=label_set.name,
        recipe=recipe,
        method_title=methods()[recipe.method].title if recipe else label_set.method,
        changes=describe_changes(recipe.params) if recipe else "drawn by a method that this version does not have",
        images=summary.images,
        area=summary.area,
        dice=summary.dice,
        iou=summary.iou,
        created_at=label_set.created_at,
        runs=tuple(runs),
        job=job_view(jobs.find(session, label_set.job_id), now, lost_after_s),
    )


def job_of(session: Session, label_set_id: str, now: datetime, lost_after_s: float) -> JobView | None:
    """Return the job that draws a label set, or None where the set is gone."""
    label_set = session.get(LabelSet, label_set_id)
    return None if label_set is None else job_view(jobs.find(session, label_set.job_id), now, lost_after_s)


def stored_recipe(label_set: LabelSet) -> Recipe | None:
    """Return the recipe of a label set, or None where this version no longer has its method or parameters."""
    try:
        return Recipe(label_set.method, parse(find_method(label_set.method).params, label_set.params))
    except ParameterError:
        return None


def mask_page(session: Session, label_set_id: str, page: int, order: Order = "dataset order") -> MaskPage:
    """Return one page (counted from 1, held within what there is) of a label set's masks."""
    found = session.scalar(select(func.count()).where(Label.label_set_id == label_set_id)) or 0
    pages = max(1, -(-found // PER_PAGE))
    page = min(max(page, 1), pages)
    columns = {
        "dataset order": [],
        "lowest Dice vs truth first": [Label.dice.is_(None), Label.dice],
        "highest Dice vs truth first": [Label.dice.is_(None), Label.dice.desc()],
        "largest area first": [Label.area.desc()],
    }[order]
    query = (
        select(Image.id, Image.name, Image.has_truth, Label.area, Label.dice)
        .join(Label, Label.image_id == Image.id)
        .where(Label.label_set_id == label_set_id)
        .order_by(*columns, Image.position, Image.id)
        .limit(PER_PAGE)
        .offset((page - 1) * PER_PAGE)
    )
    masks = tuple(Mask(*row) for row in session.execute(query))
    return MaskPage(masks, found, page, pages)


def probe_problem(count: int, images: int) -> str:
    """Return why `count` images cannot be the probe of a dataset of `images`, as a sentence; empty if they can."""
    lowest, highest = min(PROBE_RANGE[0], images), PROBE_RANGE[1]
    if lowest <= count <= highest:
        return ""
    wanted = f"{lowest} to {highest}" if images > lowest else str(lowest)
    return f"The probe takes {wanted} images. {count} {'is' if count == 1 else 'are'} ticked."


def _slowdown(image: ProbeImage, params: LabelParams, limit_px: int | None) -> float:
    """Return how many times longer the recipe's own size takes than the preview's."""
    full_px = min(params.longest_side_px, max(image.width_px, image.height_px))
    return 1.0 if limit_px is None or full_px <= limit_px else (full_px / limit_px) ** SIZE_EXPONENT


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _words(name: str) -> str:
    return name.removesuffix("_px").replace("_", " ")


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)
