"""All scores of a prediction set at every mask threshold, as arrays that galleries and comparisons sort and count.

They are read once from the stored counts and cached, so that moving a threshold reads neither database nor images.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
from sqlalchemy.orm import Session

from db import predictions
from engine.imaging import metrics

Reference = Literal["truth", "label"]
SCORE_TITLES: dict[Reference, str] = {"truth": "Dice vs truth", "label": "agreement with the pseudo-label"}
REFERENCE_TITLES: dict[Reference, str] = {"truth": "Truth", "label": "Pseudo-label"}


@dataclass(frozen=True)
class ScoreTable:
    """The predictions of one set: row i of every array is the same image, in the dataset's order.

    `dice[reference]` is float32 (N, 101), one column for each of `engine.imaging.metrics.THRESHOLDS`, NaN where an
    image lacks that reference. `areas` is the predicted foreground's share of the image, of the same shape.
    float32 (N,), NaN where unknown: `uncertainty`, the mean of an image's map; `flip_agreement`, Dice between the masks
    of the image and of the flipped image; `teacher_dice`, Dice of the run's pseudo-label against truth. The last two
    are at threshold 0.5.

    `classes` are the names of the classes that the run tells apart, background first, or empty. `class_dice` is float32
    (N, K + 1), Dice of each class against truth at threshold 0.5, NaN where neither truth nor mask has it; column 0
    is the mean over the classes that occur, 1 where none does.
    """

    image_ids: tuple[str, ...]
    names: tuple[str, ...]
    content_hashes: tuple[str, ...]
    sizes: tuple[tuple[int, int], ...]
    splits: np.ndarray
    dice: dict[Reference, np.ndarray]
    areas: np.ndarray
    uncertainty: np.ndarray
    flip_agreement: np.ndarray
    teacher_dice: np.ndarray
    classes: tuple[str, ...] = ()
    class_dice: np.ndarray = field(default_factory=lambda: np.empty((0, 0), np.float32))

    def __len__(self) -> int:
        return len(self.image_ids)

    def scores(self, reference: Reference, threshold: float) -> np.ndarray:
        """Return Dice against `reference` at a mask threshold in [0, 1], (N,), NaN where there is no reference."""
        return self.dice[reference][:, metrics.threshold_index(threshold)]

    def area(self, threshold: float) -> np.ndarray:
        """Return the predicted foreground's share at a mask threshold in [0, 1], (N,)."""
        return self.areas[:, metrics.threshold_index(threshold)]

    @cached_property
    def pixels(self) -> np.ndarray:
        """How many pixels each image has, int64 (N,)."""
        return np.array([width * height for width, height in self.sizes], np.int64)

    @cached_property
    def references(self) -> tuple[Reference, ...]:
        """The references that any image has, the one with the most images first, truth before label if equal."""
        count = {reference: int(np.isfinite(curve[:, 0]).sum()) for reference, curve in self.dice.items()}
        present: list[Reference] = [reference for reference in ("truth", "label") if count[reference]]
        return tuple(sorted(present, key=lambda reference: -count[reference]))

    @cached_property
    def has_uncertainty(self) -> bool:
        """Whether any image has an uncertainty map."""
        return bool(np.isfinite(self.uncertainty).any())

    @cached_property
    def has_class_scores(self) -> bool:
        """Whether any image has been compared with truth class by class."""
        return bool(np.isfinite(self.class_dice).any())

    @cached_property
    def has_mirror(self) -> bool:
        """Whether the network has predicted any flipped image."""
        return bool(np.isfinite(self.flip_agreement).any())

    @cached_property
    def has_rivalry(self) -> bool:
        """Whether network and pseudo-label can be compared with truth on any image."""
        return bool(np.isfinite(self.lead(0.5)).any())

    def lead(self, threshold: float) -> np.ndarray:
        """Return the Dice vs truth of the network minus that of its pseudo-label, (N,), NaN where one is missing.

        The mask is taken at a threshold in [0, 1], the label at 0.5, as in training.
        """
        return self.scores("truth", threshold) - self.teacher_dice

    @cached_property
    def index(self) -> dict[str, int]:
        """The row of each image id."""
        return {image_id: row for row, image_id in enumerate(self.image_ids)}

    @cached_property
    def folded_names(self) -> tuple[str, ...]:
        """The case-folded names, for searching."""
        return tuple(name.casefold() for name in self.names)

    @cached_property
    def name_ranks(self) -> np.ndarray:
        """The rank of each row in natural order of names, 2 before 10; int64 (N,)."""
        order = sorted(range(len(self)), key=lambda row: _natural(self.folded_names[row]))
        ranks = np.empty(len(self), np.int64)
        ranks[order] = np.arange(len(self))
        return ranks


def read_scores(session: Session, prediction_set_id: str) -> ScoreTable:
    """Return the scores of a prediction set. They are valid until `db.predictions.stamp` changes."""
    columns: list[tuple[Any, ...]] = []
    curves: dict[str, list[np.ndarray]] = {"truth": [], "label": [], "areas": []}
    classes = predictions.class_names(session, prediction_set_id)
    class_dice = [np.empty((0, len(classes)), np.float32)]
    for rows in predictions.rows(session, prediction_set_id):
        columns += [_columns(row) for row in rows]
        class_dice.append(_class_dice(rows, len(classes)))
        for name, part in _curves(rows).items():
            curves[name].append(part)
    ids, names, hashes, sizes, splits, *numbers = zip(*columns, strict=True) if columns else [()] * 8
    empty = np.empty((0, len(metrics.THRESHOLDS)), np.float32)
    truth, label, areas = (np.concatenate([empty, *parts]) for parts in curves.values())
    uncertainty, flip_agreement, teacher_dice = (np.array(column, np.float32) for column in numbers)
    return ScoreTable(
        image_ids=ids,
        names=names,
        content_hashes=hashes,
        sizes=sizes,
        splits=np.array(splits, dtype="U16"),
        dice={"truth": truth, "label": label},
        areas=areas,
        uncertainty=uncertainty,
        flip_agreement=flip_agreement,
        teacher_dice=teacher_dice,
        classes=classes,
        class_dice=np.concatenate(class_dice),
    )


def _columns(row: Any) -> tuple[Any, ...]:
    size = (row.width, row.height)
    numbers = (row.uncertainty, row.flip_agreement, row.teacher_dice)
    return (row.image_id, row.name, row.content_hash, size, row.split, *numbers)


def _curves(rows: Sequence[Any]) -> dict[str, np.ndarray]:
    """Return {"truth", "label", "areas": float32 (N, 101)} of N rows of `db.predictions.rows`."""
    shape = (len(rows), len(metrics.THRESHOLDS))
    curves = {name: np.full(shape, np.nan, np.float32) for name in ("truth", "label")}
    # Without counts only the share at threshold 0.5 is known.
    areas = np.repeat(np.array([row.area for row in rows], np.float32)[:, np.newaxis], shape[1], axis=1)
    for name in ("label", "truth"):
        packed = [getattr(row, f"{name}_counts") for row in rows]
        there = np.flatnonzero([counts is not None for counts in packed])
        counts = metrics.unpack_many([packed[row] for row in there])
        curves[name][there] = metrics.dice_curve(counts)
        areas[there] = counts.predicted / counts.predicted[:, :1]  # at threshold 0: all pixels that are compared
    return {**curves, "areas": areas}


def _class_dice(rows: Sequence[Any], classes: int) -> np.ndarray:
    """Return `ScoreTable.class_dice` of N rows of `db.predictions.rows`; `classes` is K + 1, or 0 without classes."""
    found = np.full((len(rows), classes), np.nan, np.float32)
    for place, row in enumerate(rows if classes else ()):
        if row.truth_confusion is not None:
            matrix = metrics.confusion_matrix(row.truth_confusion, classes - 1)
            dice, _, occurs = metrics.class_scores(matrix)
            found[place, 0] = metrics.mean_class_dice(matrix)
            found[place, 1:][occurs] = dice[occurs]
    return found


def upper_first(words: str) -> str:
    """Return words with an upper-case first letter."""
    return words[:1].upper() + words[1:]


def iou_from_dice(dice: float) -> float:
    """Return the IoU equivalent to a Dice score: IoU = Dice / (2 - Dice)."""
    return dice / (2 - dice)


def known(value: float) -> float | None:
    """Return a number of an array as float, or None for NaN."""
    return float(value) if np.isfinite(value) else None


def mean(scores: np.ndarray) -> float | None:
    """Return the mean of the scores that are not NaN, or None if there are none."""
    finite = scores[np.isfinite(scores)]
    return float(finite.mean()) if len(finite) else None


def shared_rows(tables: Sequence[ScoreTable], by_content: bool) -> np.ndarray:
    """Return int64 (images, tables): the rows of the images that every table holds, in the first table's order.

    Args:
        by_content: match images of different datasets by their content; else by id.
    """
    keys = [table.content_hashes if by_content else table.image_ids for table in tables]
    rows: list[dict[str, int]] = [{key: row for row, key in enumerate(held)} for held in keys]
    shared = [key for key in keys[0] if all(key in held for held in rows)]
    return np.array([[held[key] for held in rows] for key in shared], np.int64).reshape(len(shared), len(tables))


def _natural(name: str) -> list[Any]:
    # Every second piece is a run of digits, so pieces of the same place are always of the same type.
    return [int(piece) if position % 2 else piece for position, piece in enumerate(re.split(r"([0-9]+)", name))]
