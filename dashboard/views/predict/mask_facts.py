"""The masks of one set of predictions, alone or beside a second network's, in an order and at a threshold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from dashboard.facts.scores import Reference, ScoreTable, iou_from_dice, mean
from engine.imaging import metrics

PER_PAGE = 48

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


@dataclass(frozen=True)
class Masks:
    """The scores of one set and, where two networks are compared, of the second on the same images.

    `alike` is float32 (N, 101) for the N rows of `table`: Dice between the masks of both at each of
    `engine.imaging.metrics.THRESHOLDS`, not a number where they have not been compared.
    """

    table: ScoreTable
    rival: ScoreTable | None = None
    alike: np.ndarray | None = None

    @property
    def scored(self) -> bool:
        """Whether any image has truth."""
        return "truth" in self.table.references


@dataclass(frozen=True)
class Shown:
    """One image. Scores are against truth at the threshold, None where there is none; `alike` is between networks.

    `area` is the foreground's share at the threshold, None where only the picture can tell it. `uncertainty` in [0, 1]
    is the mean of its map; None for a mask that was drawn before there were any.
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

    @property
    def has_truth(self) -> bool:
        return self.dice is not None


@dataclass(frozen=True)
class Place:
    """Where an image stands in an order: its position from 0, its page from 1, and the ids of its neighbours."""

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
class BestThreshold:
    """The threshold at which a run's masks of its own validation images score best against `reference` on average.

    `score` is the mean Dice there, `score_at_half` the one at 0.5, both over `images`.
    """

    threshold: float
    reference: Reference
    score: float
    score_at_half: float
    images: int


def orders(masks: Masks) -> tuple[Order, ...]:
    """Return the orders that mean something for these masks."""
    hidden: set[Order] = set()
    if not masks.scored:
        hidden |= {"Worst vs truth", "Best vs truth"}
    if not masks.table.has_uncertainty:
        hidden.add("Least sure first")
    if masks.rival is None:
        hidden.add("Networks differ most")
    return tuple(order for order in ORDERS if order not in hidden)


def arrange(masks: Masks, order: Order, threshold: float) -> np.ndarray:
    """Return the rows of the table in an order at a threshold in [0, 1], int64 (N,); what is unknown comes last.

    Where an image has no truth, its area counts as at threshold 0.5.
    """
    table = masks.table
    keys = {
        "File order": lambda: np.arange(len(table)),
        "Name": lambda: table.name_ranks,
        "Largest area": lambda: -table.area(threshold),
        "Smallest area": lambda: table.area(threshold),
        "Least sure first": lambda: -table.uncertainty,
        "Networks differ most": lambda: _alike(masks, threshold),
        "Worst vs truth": lambda: table.scores("truth", threshold),
        "Best vs truth": lambda: -table.scores("truth", threshold),
    }
    return np.argsort(keys[order](), kind="stable")


def place(table: ScoreTable, rows: np.ndarray, image_id: str) -> Place:
    """Return where an image of the table stands in an order of its rows."""
    position = int(np.flatnonzero(rows == table.index[image_id])[0])

    def at(index: int) -> str | None:
        return table.image_ids[rows[index]] if 0 <= index < len(rows) else None

    return Place(position, len(rows), position // PER_PAGE + 1, at(position - 1), at(position + 1))


def page_rows(rows: np.ndarray, page: int) -> np.ndarray:
    """Return the rows of one page (from 1); a page too far gives the last one."""
    last = max(1, -(-len(rows) // PER_PAGE))
    return rows[(min(max(page, 1), last) - 1) * PER_PAGE :][:PER_PAGE]


def shown(masks: Masks, row: int, threshold: float) -> Shown:
    """Return one image by its row, at a threshold in [0, 1]."""
    table = masks.table
    image_id = table.image_ids[row]
    rival_row = masks.rival.index.get(image_id) if masks.rival is not None else None
    dice = _known(table.scores("truth", threshold)[row])
    return Shown(
        id=image_id,
        name=table.names[row],
        width_px=table.sizes[row][0],
        height_px=table.sizes[row][1],
        area=None if dice is None else float(table.area(threshold)[row]),
        uncertainty=_known(table.uncertainty[row]),
        dice=dice,
        rival_dice=None if rival_row is None else _known(masks.rival.scores("truth", threshold)[rival_row]),
        rival_has_mask=rival_row is not None,
        alike=None if masks.alike is None else _known(_alike(masks, threshold)[row]),
    )


def summary(masks: Masks, threshold: float) -> Summary:
    """Return the means at a threshold in [0, 1], from counts that were stored with the masks."""
    dice = masks.table.scores("truth", threshold)
    known = dice[np.isfinite(dice)]
    alike = _alike(masks, threshold) if masks.alike is not None else np.empty(0)
    return Summary(
        scored=len(known),
        dice=mean(dice),
        iou=mean(iou_from_dice(known)),
        rival_dice=None if masks.rival is None else mean(masks.rival.scores("truth", threshold)),
        compared=int(np.isfinite(alike).sum()),
        alike=mean(alike),
    )


def best_thresholds(own: ScoreTable) -> tuple[BestThreshold, ...]:
    """Return the best threshold for each reference that a run's validation images have; `own` is its own dataset's.

    Every score counts the same, whatever the image's size; of equally good thresholds the one nearest to 0.5 is taken.
    """
    found = []
    for reference in own.references:
        curves = own.dice[reference][own.splits == "validation"]
        curves = curves[np.isfinite(curves[:, 0])]
        if not len(curves):
            continue
        means = curves.mean(axis=0, dtype=np.float64)
        best = np.flatnonzero(means >= means.max() - 1e-6)
        index = int(best[np.argmin(np.abs(metrics.THRESHOLDS[best] - 0.5))])
        half = metrics.threshold_index(0.5)
        found.append(
            BestThreshold(
                float(metrics.THRESHOLDS[index]), reference, float(means[index]), float(means[half]), len(curves)
            )
        )
    return tuple(found)


def _alike(masks: Masks, threshold: float) -> np.ndarray:
    return masks.alike[:, metrics.threshold_index(threshold)]


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
