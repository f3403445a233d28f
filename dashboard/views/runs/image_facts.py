"""Analyse a run's masks of its validation images: missed and added pixels, a better threshold, the weakest images.

Everything is computed from stored counts and columns; no image is opened. docs/how-to/read-a-run.md has the rules.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from dashboard.facts.run_metrics import Reference
from dashboard.facts.threshold import HALF, BetterThreshold, better_threshold
from db import runs
from db.models import Image, Label, Prediction, Run
from engine.imaging import metrics

WORST_SHOWN = 5
FEWEST_COMPARED, FEWEST_WORST = 15, 4
"""Fewest images to compare the weakest fifth with the rest, and fewest weak images that a shared group must contain."""
ALPHA = 0.05
Rank = Literal["worst", "typical", "best"]
RANKS: tuple[Rank, ...] = ("worst", "worst", "typical", "typical", "best", "best")
LEAST_SHOWN = 0.001
"""Scores are shown with three digits: a smaller difference would read as none."""


@dataclass(frozen=True)
class Masks:
    """The predicted validation images that have a reference; row i of everything is the same image.

    `true_positive` and `predicted` are int64 (N, 101), pixels at each of `engine.imaging.metrics.THRESHOLDS`; `marked`
    (N,) is the reference's foreground in pixels. `columns` holds float64 (N,) by name, NaN where unknown.
    """

    reference: Reference
    image_ids: tuple[str, ...]
    names: tuple[str, ...]
    true_positive: np.ndarray
    predicted: np.ndarray
    marked: np.ndarray
    columns: Mapping[str, np.ndarray]

    @property
    def dice(self) -> np.ndarray:
        """Dice of each image at each threshold, float64 (N, 101); 1 where both sides are empty."""
        whole = self.predicted + self.marked[:, None]
        return np.divide(2 * self.true_positive, whole, out=np.ones(whole.shape), where=whole > 0)


@dataclass(frozen=True)
class Overlap:
    """Means at threshold 0.5. `interval` is the 95 % confidence interval of the mean Dice, None if all are equal.

    `area` is the share of an image that its mask covers. `recall` and `precision` are over all pixels together, None
    where the reference or the masks mark nothing. In `empty` of the images the reference marks nothing.
    """

    images: int
    dice: float
    area: float
    interval: tuple[float, float] | None
    recall: float | None
    precision: float | None
    empty: int = 0


@dataclass(frozen=True)
class ScoredImage:
    """One of the images, with its Dice at threshold 0.5."""

    image_id: str
    name: str
    dice: float


@dataclass(frozen=True)
class Difference:
    """How the weakest fifth differs: medians of both groups, and in how many of 100 pairs they differ that way."""

    column: str
    weak: float
    rest: float
    of_100_pairs: int


@dataclass(frozen=True)
class SharedGroup:
    """A folder or name prefix that many of the weakest fifth share, and few of the rest."""

    group: str
    weak: int
    weak_of: int
    rest: int
    rest_of: int


@dataclass(frozen=True)
class ImageFacts:
    """`compared` is whether there were enough images to compare the weakest with the rest.

    `examples` are (what each is, the image): the worst, two typical ones and the best, without repetition.
    """

    reference: Reference
    overlap: Overlap
    better: BetterThreshold | None
    weakest: tuple[ScoredImage, ...]
    examples: tuple[tuple[Rank, ScoredImage], ...]
    mean_without: float | None
    compared: bool
    differences: tuple[Difference, ...]
    group: SharedGroup | None

    def less(self, column: str) -> Difference | None:
        """Return the difference in a column of which the weakest fifth has less, else None."""
        return next((each for each in self.differences if each.column == column and each.weak < each.rest), None)


def validation_masks(session: Session, run: Run) -> Masks | None:
    """Return a run's masks of its own validation images, None while none has a reference.

    Truth is the reference if at least 5 images have it, or as many as have a pseudo-label; else the pseudo-label.
    """
    own = runs.own_prediction_set(session, run)
    if own is None:
        return None
    chosen = select(
        Prediction.image_id,
        Image.name,
        Image.width,
        Image.height,
        Prediction.uncertainty,
        Prediction.truth_counts,
        Prediction.label_counts,
        Label.quality,
        Label.dice.label("label_dice"),
    )
    rows = session.execute(
        chosen.join(Image, Image.id == Prediction.image_id)
        .outerjoin(Label, (Label.image_id == Prediction.image_id) & (Label.label_set_id == run.label_set_id))
        .where(Prediction.prediction_set_id == own.id, Prediction.split == "validation")
        .order_by(Image.position, Image.id)
    ).all()
    with_truth = [row for row in rows if row.truth_counts is not None]
    with_label = [row for row in rows if row.label_counts is not None]
    if len(with_truth) >= min(5, max(len(with_label), 1)):
        return _masks("truth", with_truth, [row.truth_counts for row in with_truth])
    return _masks("pseudo-label", with_label, [row.label_counts for row in with_label]) if with_label else None


def _masks(reference: Reference, rows: Sequence, packed: Sequence[bytes]) -> Masks:
    counts = [metrics.unpack_counts(each) for each in packed]
    marked = np.array([each.reference for each in counts], np.int64)
    width, height = (np.array([getattr(row, side) for row in rows], float) for side in ("width", "height"))

    def column(name: str) -> np.ndarray:
        return np.array([getattr(row, name) for row in rows], float)  # None becomes NaN

    return Masks(
        reference=reference,
        image_ids=tuple(row.image_id for row in rows),
        names=tuple(row.name for row in rows),
        true_positive=np.stack([each.true_positive for each in counts]),
        predicted=np.stack([each.predicted for each in counts]),
        marked=marked,
        columns={
            "foreground": marked / (width * height),
            "pixels": width * height,
            "aspect": width / height,
            "uncertainty": column("uncertainty"),
            "label quality": column("quality"),
            # Where the label is the reference, its own score explains nothing.
            "label dice": column("label_dice") if reference == "truth" else np.full(len(rows), np.nan),
        },
    )


def image_facts(masks: Masks) -> ImageFacts:
    """Return the facts of at least one validation mask."""
    curves = masks.dice
    dice = curves[:, HALF]
    order = np.argsort(dice, kind="stable")
    shown = order[: min(WORST_SHOWN, max(len(order) // 5, 1))] if len(order) > 1 else order[:0]
    compared = len(dice) >= FEWEST_COMPARED
    weak = np.zeros(len(dice), bool)
    weak[order[: max(len(dice) // 5, FEWEST_WORST)]] = True
    without = float(np.delete(dice, shown).mean()) if len(shown) and len(shown) < len(dice) else 0.0

    def image(row: int) -> ScoredImage:
        return ScoredImage(masks.image_ids[row], masks.names[row], float(dice[row]))

    return ImageFacts(
        reference=masks.reference,
        overlap=_overlap(masks, dice),
        better=better_threshold(curves),
        weakest=tuple(map(image, shown)),
        examples=tuple((rank, image(order[place])) for place, rank in _places(len(order)).items()),
        mean_without=without if without - dice.mean() >= LEAST_SHOWN else None,
        compared=compared,
        differences=_differences(masks.columns, weak) if compared else (),
        group=_shared_group(masks.names, weak) if compared else None,
    )


def _places(count: int) -> dict[int, Rank]:
    """Return the places, in order of Dice, of the images that show a run at its worst, as usual, and at its best."""
    wanted = (0, 1, count // 2 - 1, count // 2, count - 2, count - 1)
    if count >= len(wanted):
        return dict(zip(wanted, RANKS, strict=True))
    return {place: "worst" if not place else "best" if place == count - 1 else "typical" for place in range(count)}


def _overlap(masks: Masks, dice: np.ndarray) -> Overlap:
    from scipy import special  # late: routes import this module when the app starts

    interval = None
    if len(dice) > 1 and dice.min() < dice.max():  # equal scores of a few images are no certainty
        error = float(special.stdtrit(len(dice) - 1, 0.975) * dice.std(ddof=1) / np.sqrt(len(dice)))
        interval = (max(float(dice.mean()) - error, 0.0), min(float(dice.mean()) + error, 1.0))
    found, marked, predicted = masks.true_positive[:, HALF].sum(), masks.marked.sum(), masks.predicted[:, HALF].sum()
    return Overlap(
        images=len(dice),
        dice=float(dice.mean()),
        area=float((masks.predicted[:, HALF] / masks.columns["pixels"]).mean()),
        interval=interval,
        recall=float(found / marked) if marked else None,
        precision=float(found / predicted) if predicted else None,
        empty=int((masks.marked == 0).sum()),
    )


def _differences(columns: Mapping[str, np.ndarray], weak: np.ndarray) -> tuple[Difference, ...]:
    """Return the columns in which the weakest differ from the rest, the most significant first.

    Two-sided Mann-Whitney test on each column, with Holm's correction for multiple testing.
    Sources: Mann, Whitney, Ann. Math. Stat. 18(1), 1947, doi:10.1214/aoms/1177730491; Holm, "A simple sequentially
    rejective multiple test procedure", Scand. J. Stat. 6(2), 1979.
    """
    from scipy import stats  # late: it takes half a second

    tested: list[tuple[float, Difference]] = []
    for name, values in columns.items():
        known = np.isfinite(values)
        here, there = values[weak & known], values[~weak & known]
        if len(here) < FEWEST_WORST or len(there) < FEWEST_WORST or values[known].min() == values[known].max():
            continue
        test = stats.mannwhitneyu(here, there)
        higher = float(test.statistic) / (len(here) * len(there))  # share of pairs in which the weak one is higher
        pairs = round(100 * max(higher, 1 - higher))
        tested.append((float(test.pvalue), Difference(name, float(np.median(here)), float(np.median(there)), pairs)))
    tested.sort(key=lambda pair: pair[0])
    kept = []
    for place, (p_value, difference) in enumerate(tested):
        if p_value * (len(tested) - place) > ALPHA:
            break
        kept.append(difference)
    return tuple(kept)


def _shared_group(names: Sequence[str], weak: np.ndarray) -> SharedGroup | None:
    """Return the most over-represented folder or name prefix, by Fisher's exact test with Holm's correction."""
    from scipy import stats  # late: it takes half a second

    groups = [name_group(name) for name in names]
    in_weak = Counter(group for group, worst in zip(groups, weak, strict=True) if worst and group)
    everywhere = Counter(groups)
    tested = [group for group, count in in_weak.items() if count >= FEWEST_WORST and everywhere[group] < len(names)]
    weak_of, rest_of = int(weak.sum()), int((~weak).sum())
    found: list[tuple[float, SharedGroup]] = []
    for group in tested:
        here, there = in_weak[group], everywhere[group] - in_weak[group]
        table = [[here, weak_of - here], [there, rest_of - there]]
        p_value = float(stats.fisher_exact(table, alternative="greater").pvalue)
        found.append((p_value, SharedGroup(group, here, weak_of, there, rest_of)))
    best = min(found, key=lambda pair: pair[0], default=None)
    return best[1] if best and best[0] * len(found) <= ALPHA else None


def name_group(name: str) -> str:
    """Return what similar images share in their names: the folder, else the words before the first number."""
    folder = str(PurePosixPath(name).parent)
    return folder if folder != "." else re.split(r"[0-9(]", name, maxsplit=1)[0].strip(" -_.")
