"""How good masks are, estimated from images that were drawn at random, corrected wholly and never learned from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from engine.datasets.corrections import read
from engine.imaging import metrics
from engine.imaging.codec import decode_png
from engine.imaging.corrections import as_reference
from engine.imaging.left_out import NOTHING, LeftOut
from engine.store.base import MissingFile, Store

if TYPE_CHECKING:
    from db.models import Correction

RESAMPLES = 4000
CONFIDENCE = 0.95
PRIOR = {0.0: 0.5, 1.0: 0.5}


@dataclass(frozen=True)
class Estimate:
    """A mean over the audit's images, with the interval in which that of the whole dataset lies, 95 % certain."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Scores:
    """Dice and IoU of masks against the corrections of an audit, for so many images."""

    dice: Estimate
    iou: Estimate
    images: int


def score(corrections: Mapping[str, np.ndarray], level_of: Callable[[str], np.ndarray | None]) -> Scores | None:
    """Return the scores of soft masks, uint8 (H, W), at threshold 0.5; None unless every image has one.

    Args:
        corrections: what people drew, uint8 (H, W), by image id. Untouched and ignored pixels do not count.
        level_of: returns the foreground probability of an image's mask, uint8 (H, W), or None if there is none.
    """
    dice, iou = [], []
    for image_id, values in corrections.items():
        levels = level_of(image_id)
        if levels is None:
            return None
        mask, truth = as_reference(values).beside(metrics.to_mask(levels, 0.5))
        if not mask.size:  # wholly ignored
            continue
        dice.append(metrics.dice(mask, truth))
        iou.append(metrics.iou(mask, truth))
    return Scores(estimate(dice), estimate(iou), len(dice)) if dice else None


def score_stored(
    files: Store, corrections: Mapping[str, Correction], key_of: Callable[[str], str], left_out: LeftOut = NOTHING
) -> Scores | None:
    """Return what `score` does for stored masks; `key_of` returns the key of an image's mask.

    Raises:
        MissingFile: the file of a correction is gone.
    """

    def level_of(image_id: str) -> np.ndarray | None:
        try:
            return decode_png(files.read(key_of(image_id)))
        except MissingFile:
            return None

    return score({image_id: read(files, row, left_out) for image_id, row in corrections.items()}, level_of)


def estimate(scores: Iterable[float]) -> Estimate:
    """Return the mean of scores in [0, 1], with the interval of a Bayesian bootstrap, within [0, 1].

    A prior of half an image at 0 and half at 1, as Jeffreys' for a share, keeps it honest where the few images that
    were drawn happen to have none of the rare failures: intervals of these images alone cover too rarely then.
    Source: Rubin, "The Bayesian Bootstrap", Annals of Statistics 9, 1981, doi:10.1214/aos/1176345338.
    """
    values = np.asarray(list(scores), np.float64)
    weights = np.random.default_rng(0).dirichlet([*np.ones(len(values)), *PRIOR.values()], RESAMPLES)
    means = weights @ np.array([*values, *PRIOR])
    low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    mean = float(values.mean())
    return Estimate(mean, min(float(low), mean), max(float(high), mean))
