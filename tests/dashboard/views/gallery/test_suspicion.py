"""Signals that need no truth, on tables with known answers, and how they compare with truth."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from dashboard.facts.scores import ScoreTable
from dashboard.views.gallery import suspicion

NONE = np.nan


def table(*, label=NONE, truth=NONE, area=0.2, uncertainty=NONE, mirror=NONE, teacher=NONE, count=6) -> ScoreTable:
    """Return a table of `count` images of 10 x 10 pixels; each score is one number or one for each image."""
    column = lambda values: np.broadcast_to(np.asarray(values, np.float32), (count,))  # noqa: E731
    curves = lambda values: np.repeat(column(values)[:, np.newaxis], 101, axis=1)  # noqa: E731
    names = tuple(f"{number}" for number in range(count))
    return ScoreTable(
        image_ids=names,
        names=names,
        content_hashes=names,
        sizes=((10, 10),) * count,
        splits=np.array(["train"] * count),
        dice={"truth": curves(truth), "label": curves(label)},
        areas=curves(area),
        uncertainty=column(uncertainty),
        flip_agreement=column(mirror),
        teacher_dice=column(teacher),
    )


def test_only_known_values_are_signals():
    assert list(suspicion.signals(table(), 0.5)) == ["area"]
    everything = suspicion.signals(table(label=0.9, uncertainty=0.1, mirror=0.75), 0.5)
    assert list(everything) == ["disagreement", "uncertainty", "mirror", "area"]
    assert everything["disagreement"] == pytest.approx([0.1] * 6)
    assert everything["mirror"] == pytest.approx([0.25] * 6)


def test_an_area_is_unusual_by_its_ratio_to_the_typical_one():
    usual = [0.10, 0.10, 0.11, 0.09, 0.10]
    apart = suspicion.area_outlier(table(area=[*usual, 0.40]), 0.5)
    assert np.argmax(np.abs(apart)) == 5 and apart[5] > 3.5  # Iglewicz and Hoaglin call that an outlier
    halved, doubled = suspicion.area_outlier(table(area=[0.10, 0.11, 0.09, 0.10, 0.05, 0.20]), 0.5)[4:]
    assert halved == pytest.approx(-doubled, rel=0.05)
    empty = suspicion.area_outlier(table(area=[*usual, 0.0]), 0.5)
    assert np.isfinite(empty).all() and np.argmin(empty) == 5


def test_equal_areas_are_not_suspicious():
    assert suspicion.area_outlier(table(area=0.2), 0.5).tolist() == [0] * 6
    mostly = suspicion.area_outlier(table(area=[0.2] * 5 + [0.3]), 0.5)  # the median deviation is 0
    assert mostly[:5] == pytest.approx(0) and 0 < mostly[5] < np.inf
    assert len(suspicion.area_outlier(table(count=0), 0.5)) == 0


def test_each_signal_has_the_same_weight_whatever_its_scale():
    found = {"uncertainty": np.array([0.001, 0.002, 0.003]), "mirror": np.array([0.9, 0.5, 0.1])}
    assert suspicion.suspicion(found) == pytest.approx([0.5, 0.5, 0.5])
    found["disagreement"] = np.array([0.0, 0.0, 1.0])
    assert np.argmax(suspicion.suspicion(found)) == 2


def test_an_image_is_ranked_by_its_own_signals():
    found = {"uncertainty": np.array([0.1, NONE, 0.3]), "mirror": np.array([NONE, NONE, 0.3])}
    combined = suspicion.suspicion(found)
    assert combined[0] == pytest.approx(0.25) and combined[2] == pytest.approx((0.75 + 0.5) / 2)
    assert np.isnan(combined[1])
    assert suspicion.strongest(found) == ["uncertainty", None, "uncertainty"]


def test_each_order_is_compared_with_truth_by_rank_and_by_failures_on_the_first_page(monkeypatch):
    monkeypatch.setattr(suspicion, "FIRST", 2)
    truth = [0.9, 0.8, 0.7, 0.6, 0.2, 0.1]
    unsure = [0.1, 0.2, 0.3, 0.5, 0.4, 0.6]
    found = {
        each.signal: each
        for each in suspicion.rank_trust(table(truth=truth, uncertainty=unsure, mirror=truth), 0.5, 0.5)
    }
    assert list(found) == ["combined", "uncertainty", "mirror", "area"]
    assert found["uncertainty"].trust.spearman == pytest.approx(-spearmanr(unsure, truth).statistic)
    assert found["mirror"].trust.spearman == pytest.approx(1)
    assert (found["mirror"].found, found["mirror"].looked, found["mirror"].expected) == (2, 2, pytest.approx(2 / 3))
    assert found["uncertainty"].found == 1
    assert found["area"].trust.spearman is None  # all equal


def test_without_truth_there_is_no_comparison():
    assert suspicion.rank_trust(table(uncertainty=0.3), 0.5, 0.8) == []
