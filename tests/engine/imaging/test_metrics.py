"""Scores on small drawn masks with known answers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.stats import spearmanr

from engine.imaging import metrics

EMPTY = np.zeros((4, 5), bool)
LEFT = EMPTY.copy()
LEFT[:, :2] = True  # 8 pixels
MIDDLE = EMPTY.copy()
MIDDLE[:, 1:4] = True  # 12 pixels, 4 of them shared with LEFT


def test_overlap_of_known_masks():
    assert metrics.dice(LEFT, MIDDLE) == pytest.approx(2 * 4 / 20)
    assert metrics.iou(LEFT, MIDDLE) == pytest.approx(4 / 16)
    precision, recall = 4 / 8, 4 / 12
    expected = 1.3 * precision * recall / (0.3 * precision + recall)
    assert metrics.fbeta(LEFT, MIDDLE) == pytest.approx(expected)


@pytest.mark.parametrize("score", [metrics.dice, metrics.iou, metrics.fbeta])
def test_both_empty_counts_as_one_and_one_empty_as_zero(score):
    assert score(EMPTY, EMPTY) == 1.0
    assert score(LEFT, EMPTY) == 0.0
    assert score(EMPTY, LEFT) == 0.0
    assert score(LEFT, LEFT) == 1.0


def test_mean_absolute_error_takes_float_and_8_bit_probability():
    half = np.full((4, 5), 0.5, np.float32)
    assert metrics.mae(half, LEFT) == pytest.approx(0.5)
    assert metrics.mae(np.where(LEFT, np.uint8(255), np.uint8(0)), LEFT) == 0.0


def test_a_threshold_of_one_half_is_128():
    values = np.arange(256, dtype=np.uint8)
    assert np.flatnonzero(metrics.to_mask(values, 0.5))[0] == 128
    assert metrics.to_mask(values, 0.0).all()
    assert np.flatnonzero(metrics.to_mask(values, 0.2))[0] == 51
    assert np.flatnonzero(metrics.to_mask(values, 1.0)).tolist() == [255]
    with pytest.raises(ValueError, match=r"'threshold'.*\[0, 1\].*1\.5"):
        metrics.to_mask(values, 1.5)


@pytest.mark.parametrize("share", [0.05, 0.3, 0.5, 0.95, 1.0])
def test_a_weighted_mean_needs_more_than_one_certain_half(share):
    full, none = np.full((1, 1), 255, np.uint8), np.zeros((1, 1), np.uint8)
    mean = metrics.weighted_mean(full, none, share)
    assert mean.dtype == np.uint8 and abs(int(mean[0, 0]) - 255 * share) <= 0.5
    assert metrics.to_mask(mean, 0.5)[0, 0] == (share > 0.5)
    assert metrics.weighted_mean(full, full, share)[0, 0] == 255


def test_storing_a_probability_does_not_change_its_mask():
    probability = np.linspace(0, 1, 5001, dtype=np.float32)
    stored = metrics.probability_to_u8(probability)
    for threshold in metrics.THRESHOLDS:
        np.testing.assert_array_equal(metrics.to_mask(probability, threshold), metrics.to_mask(stored, threshold))
        np.testing.assert_array_equal(
            metrics.to_mask(metrics.u8_to_probability(stored), threshold), metrics.to_mask(stored, threshold)
        )


def test_a_probability_that_is_no_number_is_refused():
    with pytest.raises(ValueError, match="NaN"):
        metrics.probability_to_u8(np.array([[0.5, np.nan]]))


@settings(max_examples=40)
@given(arrays.arrays(np.uint8, (6, 7)), arrays.arrays(bool, (6, 7)), st.integers(0, 100))
def test_counts_give_the_same_scores_as_the_masks(probability, reference, index):
    counts = metrics.unpack_counts(metrics.pack_counts(metrics.threshold_counts(probability, reference)))
    mask = metrics.to_mask(probability, metrics.THRESHOLDS[index])
    assert counts.reference == reference.sum()
    assert counts.predicted[index] == mask.sum()
    assert metrics.dice_curve(counts)[index] == pytest.approx(metrics.dice(mask, reference))
    assert metrics.iou_curve(counts)[index] == pytest.approx(metrics.iou(mask, reference))


def test_the_index_of_a_threshold():
    assert [metrics.threshold_index(t) for t in (0, 0.29, 0.5, 1)] == [0, 29, 50, 100]


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match=r"\(4, 5\) and \(5, 4\)"):
        metrics.dice(LEFT, LEFT.T)
    with pytest.raises(ValueError, match="bool"):
        metrics.iou(LEFT, LEFT.astype(np.uint8))
    with pytest.raises(ValueError, match="812"):
        metrics.unpack_counts(b"123")


@given(
    arrays.arrays(np.int64, st.integers(3, 20), elements=st.integers(0, 5)),
    arrays.arrays(np.int64, 20, elements=st.integers(0, 5)),
)
def test_the_rank_correlation_is_scipys(first, second):
    second = second[: len(first)]
    found = metrics.spearman(first, second)
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        assert found is None
    else:
        assert found == pytest.approx(spearmanr(first, second).statistic, abs=1e-9)


def test_too_few_pairs_have_no_rank_correlation():
    assert metrics.spearman([], []) is None
    assert metrics.spearman([0.1, 0.2], [0.3, 0.4]) is None
    assert metrics.spearman([0.1, 0.2, 0.3], [0.3, 0.4, 9.0]) == 1.0


def test_agreement_of_two_probabilities_is_dice_at_every_threshold():
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 256, (2, 40, 30), dtype=np.uint8)
    curve = metrics.agreement_curve(first, second)
    for index, threshold in enumerate(metrics.THRESHOLDS):
        masks = [metrics.to_mask(values, threshold) for values in (first, second)]
        assert curve[index] == pytest.approx(metrics.dice(*masks))


def test_agreement_needs_pictures_of_one_shape():
    with pytest.raises(ValueError, match="same shape"):
        metrics.agreement_curve(np.zeros((2, 3), np.uint8), np.zeros((3, 2), np.uint8))
