"""The masks of a prediction set, alone or compared with a second network's, in an order and at a threshold."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from dashboard.facts.scores import Reference, ScoreTable, known, mean
from dashboard.facts.threshold import HALF, BetterThreshold, better_threshold
from engine.imaging import codec, metrics
from engine.store import keys as stored
from engine.store.base import MissingFile, Store

PER_PAGE = 48
MOST_PIXELS = 250_000
"""Of a larger image every second, third … pixel is compared: the third decimal of a Dice needs no more."""

Order = Literal[
    "File order",
    "Name",
    "Largest area",
    "Smallest area",
    "Least sure first",
    "Networks differ most",
    "Worst vs truth",
    "Best vs truth",
]
ORDERS: tuple[Order, ...] = get_args(Order)


class MaskPair:
    """Dice between the masks of two prediction sets, for the images of the first in its table's order.

    Computed on request from the stored masks. `curves` is float32 (N, 101), one column for each of
    `engine.imaging.metrics.THRESHOLDS`; NaN before a row is filled, and where one of the two masks is missing.
    """

    def __init__(self, files: Store, first_id: str, second_id: str, image_ids: tuple[str, ...]) -> None:
        self._files, self._sets, self._image_ids = files, (first_id, second_id), image_ids
        self._filled = np.zeros(len(image_ids), bool)
        self.curves = np.full((len(image_ids), len(metrics.THRESHOLDS)), np.nan, np.float32)

    @property
    def filled(self) -> int:
        """How many images have been compared."""
        return int(self._filled.sum())

    @property
    def complete(self) -> bool:
        return bool(self._filled.all())

    def fill(self, rows: Iterable[int] | None = None, budget_s: float = math.inf) -> None:
        """Compare the images of these rows (all if None), as many as possible in `budget_s` seconds."""
        deadline = time.monotonic() + budget_s
        for row in np.flatnonzero(~self._filled) if rows is None else rows:
            if time.monotonic() > deadline:
                return
            if not self._filled[row]:
                self.curves[row] = self._curve(self._image_ids[row])
                self._filled[row] = True

    def _curve(self, image_id: str) -> np.ndarray | float:
        try:
            first, second = (
                codec.decode_png(self._files.read(stored.prediction_key(set_id, image_id))) for set_id in self._sets
            )
        except (MissingFile, codec.UnreadableImage):
            return math.nan
        step = max(1, math.isqrt(first.size // MOST_PIXELS))
        return metrics.agreement_curve(first[::step, ::step], second[::step, ::step])


@dataclass(frozen=True)
class Masks:
    """The scores of one set; to compare two networks also those of the second set, and the comparison of both."""

    table: ScoreTable
    rival: ScoreTable | None = None
    pair: MaskPair | None = None

    @property
    def scored(self) -> bool:
        """Whether any image has truth."""
        return "truth" in self.table.references

    def alike(self, threshold: float) -> np.ndarray:
        """Return Dice between the masks of both networks at a threshold in [0, 1], (N,), NaN if not compared."""
        if self.pair is None:
            return np.full(len(self.table), np.nan)
        return self.pair.curves[:, metrics.threshold_index(threshold)]


@dataclass(frozen=True)
class Shown:
    """One image. Scores are against truth at the threshold, None without truth; `alike` is between the networks.

    `area` is the foreground's share at the threshold, None if only the mask itself can tell, and `class_areas` that of
    each class from 1, empty for foreground alone. `uncertainty` in [0, 1] is the mean of its map, or None without one.
    """

    id: str
    name: str
    width_px: int
    height_px: int
    area: float | None
    uncertainty: float | None
    dice: float | None
    rival_dice: float | None
    rival_has_mask: bool
    alike: float | None
    class_areas: tuple[float, ...] = ()

    @property
    def has_truth(self) -> bool:
        return self.dice is not None


def areas_in_words(image: Shown, classes: Sequence[str], most: int = 4) -> str:
    """Return the area of each class that the mask has, the largest first, like "egg 3.0%, pan 1.2%"."""
    areas = [(area, name) for name, area in zip(classes[1:], image.class_areas, strict=False) if area]
    areas.sort(key=lambda pair: -pair[0])
    words = [f"{name} {area:.1%}" for area, name in areas[:most]]
    return ", ".join([*words, *([f"{len(areas) - most} more"] if len(areas) > most else [])])


@dataclass(frozen=True)
class Place:
    """The position of an image in an order, from 0, its page, from 1, and the ids of its neighbours."""

    position: int
    total: int
    page: int
    previous_id: str | None
    next_id: str | None


@dataclass(frozen=True)
class Summary:
    """A set at one threshold: means over the `scored` images with truth, and over the `compared` of both networks."""

    scored: int
    dice: float | None
    iou: float | None
    rival_dice: float | None
    compared: int
    alike: float | None


@dataclass(frozen=True)
class Verdict:
    """Whether another mask threshold suits a run's own validation images `better`; `at_half` is mean Dice at 0.5."""

    reference: Reference
    at_half: float
    better: BetterThreshold | None


def orders(masks: Masks) -> tuple[Order, ...]:
    """Return the orders that these masks have the numbers for."""
    hidden: set[Order] = set()
    if not masks.scored:
        hidden |= {"Worst vs truth", "Best vs truth"}
    if not masks.table.has_uncertainty:
        hidden.add("Least sure first")
    if masks.rival is None:
        hidden.add("Networks differ most")
    return tuple(order for order in ORDERS if order not in hidden)


def arrange(masks: Masks, order: Order, threshold: float) -> np.ndarray:
    """Return the rows of the table in an order at a threshold in [0, 1], int64 (N,); unknown values come last.

    The area of an image without truth is that at threshold 0.5.
    """
    table = masks.table
    keys: dict[Order, Callable[[], np.ndarray]] = {
        "File order": lambda: np.arange(len(table)),
        "Name": lambda: table.name_ranks,
        "Largest area": lambda: -table.area(threshold),
        "Smallest area": lambda: table.area(threshold),
        "Least sure first": lambda: -table.uncertainty,
        "Networks differ most": lambda: masks.alike(threshold),
        "Worst vs truth": lambda: table.scores("truth", threshold),
        "Best vs truth": lambda: -table.scores("truth", threshold),
    }
    return np.argsort(keys[order](), kind="stable")


def place(table: ScoreTable, rows: np.ndarray, image_id: str) -> Place:
    """Return the place of an image of the table in an order of its rows."""
    position = int(np.flatnonzero(rows == table.index[image_id])[0])

    def at(index: int) -> str | None:
        return table.image_ids[rows[index]] if 0 <= index < len(rows) else None

    return Place(position, len(rows), position // PER_PAGE + 1, at(position - 1), at(position + 1))


def page_rows(rows: np.ndarray, page: int) -> np.ndarray:
    """Return the rows of one page (from 1); a page after the last gives the last one."""
    last = max(1, -(-len(rows) // PER_PAGE))
    return rows[(min(max(page, 1), last) - 1) * PER_PAGE :][:PER_PAGE]


def shown(masks: Masks, row: int, threshold: float) -> Shown:
    """Return one image by its row, at a threshold in [0, 1]."""
    table = masks.table
    image_id = table.image_ids[row]
    rival_dice, rival_has_mask = None, masks.rival is not None and image_id in masks.rival.index
    if masks.rival is not None and rival_has_mask:
        rival_dice = known(masks.rival.scores("truth", threshold)[masks.rival.index[image_id]])
    dice = known(table.scores("truth", threshold)[row])
    return Shown(
        id=image_id,
        name=table.names[row],
        width_px=table.sizes[row][0],
        height_px=table.sizes[row][1],
        area=None if dice is None else float(table.area(threshold)[row]),
        uncertainty=known(table.uncertainty[row]),
        dice=dice,
        rival_dice=rival_dice,
        rival_has_mask=rival_has_mask,
        alike=known(masks.alike(threshold)[row]),
    )


def summary(masks: Masks, threshold: float) -> Summary:
    """Return the means at a threshold in [0, 1], from the counts that are stored with the masks."""
    dice = masks.table.scores("truth", threshold)
    alike = masks.alike(threshold)
    return Summary(
        scored=int(np.isfinite(dice).sum()),
        dice=mean(dice),
        iou=mean(dice / (2 - dice)),
        rival_dice=None if masks.rival is None else mean(masks.rival.scores("truth", threshold)),
        compared=int(np.isfinite(alike).sum()),
        alike=mean(alike),
    )


def threshold_verdicts(own: ScoreTable) -> tuple[Verdict, ...]:
    """Return the verdict by each reference of a run's validation images; `own` is its own set."""
    found = []
    for reference in own.references:
        curves = own.dice[reference][own.splits == "validation"]
        curves = curves[np.isfinite(curves[:, 0])]
        if len(curves):
            at_half = float(curves[:, HALF].mean(dtype=np.float64))
            found.append(Verdict(reference, at_half, better_threshold(curves)))
    return tuple(found)
