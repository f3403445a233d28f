"""The masks of a mask set: sorted and filtered, the images to drop, and how far their plausibility can be trusted."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import Session

from dashboard.facts.trust import Trust, trust
from db.models import Image, Label

PER_PAGE = 48

Order = Literal[
    "lowest plausibility first",
    "highest plausibility first",
    "dataset order",
    "lowest Dice vs truth first",
    "highest Dice vs truth first",
    "largest area first",
    "smallest area first",
]
QUALITY_ORDERS: tuple[Order, ...] = ("lowest plausibility first", "highest plausibility first")
TRUTH_ORDERS: tuple[Order, ...] = ("lowest Dice vs truth first", "highest Dice vs truth first")
OTHER_ORDERS: tuple[Order, ...] = ("dataset order", "largest area first", "smallest area first")

Show = Literal["all", "kept", "dropped", "doubtful"]

_COLUMNS: dict[Order, list[Any]] = {
    "lowest plausibility first": [Label.quality.is_(None), Label.quality],
    "highest plausibility first": [Label.quality.is_(None), Label.quality.desc()],
    "dataset order": [],
    "lowest Dice vs truth first": [Label.dice.is_(None), Label.dice],
    "highest Dice vs truth first": [Label.dice.is_(None), Label.dice.desc()],
    "largest area first": [Label.area.desc()],
    "smallest area first": [Label.area],
}
_FILTERS: dict[Show, list[ColumnElement[bool]]] = {
    "all": [],
    "kept": [Label.dropped.is_(False)],
    "dropped": [Label.dropped.is_(True)],
    "doubtful": [Label.unclear.is_(True)],
}
SHOWS: tuple[Show, ...] = tuple(_FILTERS)


@dataclass(frozen=True)
class Mask:
    """One mask. `dice` is against truth at threshold 0.5, None without truth; `quality` is the mask plausibility."""

    image_id: str
    name: str
    has_truth: bool
    area: float
    dice: float | None
    quality: float | None
    parts: dict[str, float]
    unclear: bool
    dropped: bool


@dataclass(frozen=True)
class MaskPage:
    """One page of a mask set's masks; `total` counts the masks of all pages."""

    masks: tuple[Mask, ...]
    total: int
    page: int
    pages: int


@dataclass(frozen=True)
class DropRule:
    """Masks to drop: a share `value` of the least plausible, those below plausibility `value`, or the doubtful ones."""

    kind: Literal["share", "below", "unclear"]
    value: float = 0.0


@dataclass(frozen=True)
class Drop:
    """The images that a rule would drop, without those dropped already, and how many would stay for training."""

    image_ids: tuple[str, ...]
    stay: int


def mask_page(
    session: Session, label_set_id: str, page: int, order: Order = "dataset order", show: Show = "all"
) -> MaskPage:
    """Return one page (counted from 1, clamped to the existing pages) of a mask set's masks."""
    wanted = _wanted(label_set_id, show)
    total = session.scalar(_of_labels(func.count()).where(*wanted)) or 0
    pages = max(1, -(-total // PER_PAGE))
    page = min(max(page, 1), pages)
    query = _masks().where(*wanted).order_by(*_COLUMNS[order], Image.position, Image.id)
    rows = session.execute(query.limit(PER_PAGE).offset((page - 1) * PER_PAGE))
    return MaskPage(tuple(_mask(row) for row in rows), total, page, pages)


def one_mask(session: Session, label_set_id: str, image_id: str) -> Mask | None:
    """Return the mask of one image, or None where the mask set has none."""
    row = session.execute(_masks().where(Label.label_set_id == label_set_id, Label.image_id == image_id)).one_or_none()
    return None if row is None else _mask(row)


def neighbours(
    session: Session, label_set_id: str, image_id: str, order: Order, show: Show
) -> tuple[str | None, str | None]:
    """Return the images before and after one in the order of the pages; None where there is none."""
    query = _of_labels(Image.id).where(*_wanted(label_set_id, show))
    ids = list(session.scalars(query.order_by(*_COLUMNS[order], Image.position, Image.id)))
    if image_id not in ids:  # no longer shown by the filter
        return None, None
    at = ids.index(image_id)
    return ids[at - 1] if at else None, ids[at + 1] if at + 1 < len(ids) else None


def orders(has_quality: bool, has_truth: bool) -> tuple[Order, ...]:
    """Return the orders that a mask set supports, the default first."""
    return (*(QUALITY_ORDERS if has_quality else ()), *(TRUTH_ORDERS if has_truth else ()), *OTHER_ORDERS)


def would_drop(session: Session, label_set_id: str, rule: DropRule) -> Drop:
    """Return the images that a rule would drop. A share is of the images that have a quality and are not dropped."""
    kept = _wanted(label_set_id, "kept")
    query = _of_labels(Label.image_id).where(*kept)
    if rule.kind == "unclear":
        query = query.where(Label.unclear.is_(True))
    else:
        query = query.where(Label.quality.is_not(None)).order_by(Label.quality, Label.image_id)
        if rule.kind == "below":
            query = query.where(Label.quality < rule.value)
    image_ids = session.scalars(query).all()
    if rule.kind == "share":
        image_ids = image_ids[: math.floor(rule.value * len(image_ids) + 1e-9)]
    there = session.scalar(_of_labels(func.count()).where(*kept)) or 0
    return Drop(tuple(image_ids), there - len(image_ids))


def quality_trust(session: Session, label_set_id: str) -> Trust:
    """Return plausibility and true Dice of each image that has both, and Spearman's rank correlation of the two."""
    rows = session.execute(
        _of_labels(Image.id, Image.name, Label.quality, Label.dice)
        .where(*_wanted(label_set_id), Label.quality.is_not(None), Label.dice.is_not(None))
        .order_by(Image.position, Image.id)
    ).all()
    ids, names, quality, dice = zip(*rows, strict=True) if rows else ((), (), (), ())
    return trust(ids, names, quality, dice)


def _masks() -> Select[Any]:
    label = (Label.area, Label.dice, Label.quality, Label.quality_parts, Label.unclear, Label.dropped)
    return _of_labels(Image.id, Image.name, Image.has_truth, *label)


def _of_labels(*columns: Any) -> Select[Any]:
    return select(*columns).select_from(Label).join(Image, Image.id == Label.image_id)


def _wanted(label_set_id: str, show: Show = "all") -> list[ColumnElement[bool]]:
    """Return the conditions of a mask set's masks that are shown; those of excluded images are not."""
    return [Label.label_set_id == label_set_id, Image.excluded.is_(False), *_FILTERS[show]]


def _mask(row: Any) -> Mask:
    image_id, name, has_truth, area, dice, quality, parts, unclear, dropped = row
    return Mask(image_id, name, has_truth, area, dice, quality, parts or {}, unclear, dropped)
