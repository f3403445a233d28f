"""Agreement of a mask or a probability with a reference mask. Imports only NumPy, so any process may use it.

An image where prediction and reference are both empty agrees fully: every overlap score is then 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

THRESHOLDS = np.arange(101) / 100
"""The thresholds 0.00, 0.01 … 1.00 for which `threshold_counts` keeps the overlap."""

SALIENT_BETA_SQUARED = 0.3
"""Precision counts more than recall, as in salient-object work since Achanta et al., CVPR 2009,
doi:10.1109/CVPR.2009.5206596."""


class ThresholdCounts(NamedTuple):
    """Pixel counts of one image at each of `THRESHOLDS`, from which Dice and IoU at any threshold follow.

    `true_positive` and `predicted` are int64 (101,); `reference` is the number of foreground pixels in the reference.
    For the shapes of many images, see `unpack_many`.
    """

    true_positive: np.ndarray
    predicted: np.ndarray
    reference: int | np.ndarray


def probability_to_u8(probability: np.ndarray) -> np.ndarray:
    """Return a probability in [0, 1] as 8 bit, uint8 of the same shape, rounded to the nearest 1/255.

    Values outside [0, 1] are clipped.

    Raises:
        ValueError: if a value is not a number.
    """
    values = np.asarray(probability, dtype=np.float32)
    if not np.isfinite(values).all():
        raise ValueError("A probability must be a number in [0, 1]. Got NaN or infinity.")
    scaled = np.clip(values, 0, 1)
    scaled *= 255  # in place: 50 megapixels are 200 MB a copy
    return np.rint(scaled, out=scaled).astype(np.uint8)


def u8_to_probability(values: np.ndarray) -> np.ndarray:
    """Return an 8-bit probability as float32 in [0, 1], of the same shape."""
    return np.asarray(values, dtype=np.uint8).astype(np.float32) / 255


def weighted_mean(label: np.ndarray, levels: np.ndarray, share: float) -> np.ndarray:
    """Return the mean of two 8-bit probabilities of one shape, uint8, in which `label` has a share in [0, 1].

    Halves are rounded down: at an equal share, where one is certain of foreground and the other of background, a pixel
    is background, as in the masks that were measured (docs/benchmarks.md).
    """
    return np.ceil(share * label + (1 - share) * levels - 0.5).astype(np.uint8)


def to_mask(probability: np.ndarray, threshold: float) -> np.ndarray:
    """Return the mask, bool of the same shape, of `probability` at `threshold` in [0, 1].

    All thresholds follow this rule: a pixel is foreground if its 8-bit probability is at least
    ceil(threshold * 255), which is 128 for a threshold of 0.5. A float probability is rounded to 8 bits first, so that
    it gives the same mask before and after it is stored.

    Raises:
        ValueError: if the threshold lies outside [0, 1].
    """
    values = probability if probability.dtype == np.uint8 else probability_to_u8(probability)
    return values >= _level(threshold)


def _level(threshold: float) -> int:
    if not 0 <= threshold <= 1:
        raise ValueError(f"The 'threshold' parameter must be in [0, 1]. Got {threshold}.")
    return math.ceil(threshold * 255 - 1e-6)  # 0.2 * 255 is 51 and a little more in floating point


def dice(a: np.ndarray, b: np.ndarray) -> float:
    """Return 2|A ∩ B| / (|A| + |B|) of two bool masks of one shape.

    Source: Dice, "Measures of the amount of ecologic association between species", Ecology 26(3), 1945,
    doi:10.2307/1932409.
    """
    a, b = _masks(a, b)
    return _ratio(2 * np.count_nonzero(a & b), np.count_nonzero(a) + np.count_nonzero(b))


def iou(a: np.ndarray, b: np.ndarray) -> float:
    """Return |A ∩ B| / |A ∪ B| (the Jaccard index) of two bool masks of one shape."""
    a, b = _masks(a, b)
    return _ratio(np.count_nonzero(a & b), np.count_nonzero(a | b))


def fbeta(prediction: np.ndarray, reference: np.ndarray, beta_squared: float = SALIENT_BETA_SQUARED) -> float:
    """Return (1 + β²) P R / (β² P + R) of two bool masks of one shape, P precision and R recall."""
    prediction, reference = _masks(prediction, reference)
    true_positive = np.count_nonzero(prediction & reference)
    # P and R written out, so that an empty mask needs no special case
    total = np.count_nonzero(prediction) + beta_squared * np.count_nonzero(reference)
    return _ratio((1 + beta_squared) * true_positive, total)


def mae(probability: np.ndarray, mask: np.ndarray) -> float:
    """Return the mean absolute difference between a probability in [0, 1] and a bool mask of one shape."""
    probability, mask = _probability_and_mask(probability, mask)
    return float(np.abs(probability - mask).mean())


def threshold_counts(probability_u8: np.ndarray, reference_mask: np.ndarray) -> ThresholdCounts:
    """Return the pixel counts at every one of `THRESHOLDS`, by the rule of `to_mask`.

    Takes an 8-bit probability, uint8 (H, W), and the reference, bool (H, W). One histogram serves all thresholds.
    """
    _same_shape(probability_u8, reference_mask)
    if probability_u8.dtype != np.uint8:
        raise ValueError(f"The probability must be uint8. Got {probability_u8.dtype}.")
    levels = [_level(threshold) for threshold in THRESHOLDS]
    in_reference = np.bincount(probability_u8[np.asarray(reference_mask, bool)], minlength=256)
    everywhere = np.bincount(probability_u8.ravel(), minlength=256)
    return ThresholdCounts(
        true_positive=_at_least(in_reference)[levels],
        predicted=_at_least(everywhere)[levels],
        reference=int(in_reference.sum()),
    )


def agreement_curve(first_u8: np.ndarray, second_u8: np.ndarray) -> np.ndarray:
    """Return Dice between two 8-bit probabilities, uint8 of one shape, at each of `THRESHOLDS`: float64 (101,).

    A pixel is in both masks where the lesser of its two values reaches the threshold, so three histograms serve all.
    """
    _same_shape(first_u8, second_u8)
    levels = [_level(threshold) for threshold in THRESHOLDS]
    both, first, second = (
        _at_least(np.bincount(values.ravel(), minlength=256))[levels]
        for values in (np.minimum(first_u8, second_u8), first_u8, second_u8)
    )
    return _ratios(2 * both, first + second)


def confusion(predicted: np.ndarray, reference: np.ndarray) -> list[list[int]]:
    """Return [class in the reference, predicted class, pixels] for each pair that occurs, of two class maps, uint8."""
    _same_shape(predicted, reference)
    pairs, counts = np.unique(reference.astype(np.uint16) * 256 + predicted, return_counts=True)
    return np.column_stack([pairs // 256, pairs % 256, counts]).tolist()


def confusion_matrix(rows: Iterable[Sequence[int]], classes: int) -> np.ndarray:
    """Return the sum of rows of `confusion`, int64 (classes + 1, classes + 1): by reference, then by prediction."""
    matrix = np.zeros((classes + 1, classes + 1), np.int64)
    for reference, predicted, pixels in rows:
        matrix[reference, predicted] += pixels
    return matrix


class ClassScores(NamedTuple):
    """Dice and IoU of each class, float64 (K,), from pixels summed over all images; 1 where both sides have none.

    `occurs`, bool (K,), says which classes the reference or the prediction has.
    """

    dice: np.ndarray
    iou: np.ndarray
    occurs: np.ndarray


def class_scores(matrix: np.ndarray) -> ClassScores:
    """Return the scores of classes 1 to K from a confusion matrix, (K + 1, K + 1)."""
    both = np.diag(matrix)[1:]
    either = matrix.sum(axis=0)[1:] + matrix.sum(axis=1)[1:]
    return ClassScores(_ratios(2 * both, either), _ratios(both, either - both), either > 0)


def mean_class_dice(matrix: np.ndarray) -> float:
    """Return the mean Dice of the classes that occur, from the confusion matrix of an image; 1 where none does."""
    dice, _, occurs = class_scores(matrix)
    return float(dice[occurs].mean()) if occurs.any() else 1.0


def _at_least(histogram: np.ndarray) -> np.ndarray:
    """Return, for each value, the number of pixels with that value or a higher one."""
    return np.cumsum(histogram[::-1])[::-1].astype(np.int64)


def pack_counts(counts: ThresholdCounts) -> bytes:
    """Return the counts as 203 little-endian uint32 (812 bytes): true positives, predicted, reference."""
    return np.concatenate([counts.true_positive, counts.predicted, [counts.reference]]).astype("<u4").tobytes()


def unpack_counts(packed: bytes) -> ThresholdCounts:
    """Return what `pack_counts` packed.

    Raises:
        ValueError: if the length is wrong.
    """
    positive, predicted, reference = (np.asarray(part)[0] for part in unpack_many([packed]))
    return ThresholdCounts(positive, predicted, int(reference[0]))


def unpack_many(packed: Sequence[bytes]) -> ThresholdCounts:
    """Return what `pack_counts` packed of N images: int64 (N, 101), (N, 101) and, for the reference, (N, 1).

    Raises:
        ValueError: if a length is wrong.
    """
    numbers = 2 * len(THRESHOLDS) + 1
    wrong = next((len(one) for one in packed if len(one) != 4 * numbers), None)
    if wrong is not None:
        raise ValueError(f"Packed threshold counts are {4 * numbers} bytes long. Got {wrong}.")
    values = np.frombuffer(b"".join(packed), "<u4").reshape(len(packed), numbers).astype(np.int64)
    return ThresholdCounts(values[:, :101], values[:, 101:202], values[:, 202:])


def dice_curve(counts: ThresholdCounts) -> np.ndarray:
    """Return Dice at each of `THRESHOLDS`, float64 (101,), or (N, 101) of N images."""
    return _ratios(2 * counts.true_positive, counts.predicted + counts.reference)


def iou_curve(counts: ThresholdCounts) -> np.ndarray:
    """Return IoU at each of `THRESHOLDS`, float64 (101,)."""
    return _ratios(counts.true_positive, counts.predicted + counts.reference - counts.true_positive)


def threshold_index(threshold: float) -> int:
    """Return the index in `THRESHOLDS` of the value nearest to `threshold` in [0, 1]."""
    _level(threshold)
    return round(threshold * 100)


def _ratio(part: float | np.integer, whole: float | np.integer) -> float:
    return float(part / whole) if whole else 1.0


def _ratios(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.ones(part.shape), where=whole > 0)


def _masks(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    _same_shape(a, b)
    for mask in (a, b):
        if mask.dtype != bool:
            raise ValueError(f"A mask must be bool. Got {mask.dtype}.")
    return a, b


def _probability_and_mask(probability: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the probability as float64 in [0, 1], and the mask as bool, after checking that their shapes agree."""
    _same_shape(probability, mask)
    if probability.dtype == np.uint8:
        probability = probability / 255
    return np.asarray(probability, dtype=np.float64), np.asarray(mask, dtype=bool)


def _same_shape(a: np.ndarray, b: np.ndarray) -> None:
    if a.shape != b.shape:
        raise ValueError(f"Both must have the same shape. Got {a.shape} and {b.shape}.")


def spearman(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Return the rank correlation of two sequences of the same length, in [-1, 1]; ties share their mean rank.

    None where it is undefined or meaningless: fewer than three pairs, or a constant sequence.

    Source: Spearman, "The proof and measurement of association between two things", Am. J. Psychol. 15(1), 1904,
    doi:10.2307/1412159.
    """
    a, b = (mean_ranks(np.asarray(values, np.float64)) for values in (first, second))
    if len(a) < 3 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return None
    return float(np.clip(np.corrcoef(a, b)[0, 1], -1, 1))


def mean_ranks(values: np.ndarray) -> np.ndarray:
    """Return the rank of each of N numbers, float64 (N,), from 1 for the lowest; ties share their mean rank."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(count) - (count - 1) / 2)[place]
