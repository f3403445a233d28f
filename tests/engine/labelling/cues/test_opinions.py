"""The opinions that saliency fuses, each on a drawing whose answer can be told by hand; and how they are fused."""

from __future__ import annotations

import numpy as np
import pytest

from engine.labelling.cues.features import to_lab
from engine.labelling.cues.fusion import fuse, smooth
from engine.labelling.cues.minimum_barrier import barrier_distance
from engine.labelling.cues.region_tree import cut, merge_order, region_votes
from engine.labelling.cues.superpixels import Superpixels, describe, find_superpixels


def grid(values: list[list[float]]) -> Superpixels:
    """Return one superpixel of 4 x 4 px for each value, grey of that lightness."""
    values = np.asarray(values, np.float32)
    labels = np.kron(np.arange(values.size).reshape(values.shape), np.ones((4, 4), int)).astype(np.int32)
    lab = np.zeros((*labels.shape, 3), np.float32)
    lab[..., 0] = values.ravel()[labels]
    return describe(labels, lab)


def disc() -> tuple[np.ndarray, np.ndarray]:
    rows, columns = np.mgrid[:90, :120]
    mask = (rows - 45) ** 2 + (columns - 60) ** 2 < 22**2
    image = np.where(mask[..., None], (220, 60, 40), (60, 120, 90)).astype(np.uint8)
    return image, mask


def test_the_barrier_is_the_range_of_the_best_path_to_the_border() -> None:
    # From the middle (90) every way out crosses the ring; its lowest place is 40, and the border there is 10.
    found = barrier_distance(
        grid(
            [
                [10, 10, 10, 10, 10],
                [10, 70, 70, 70, 10],
                [10, 70, 90, 40, 10],
                [10, 70, 70, 70, 10],
                [10, 10, 10, 10, 10],
            ]
        )
    ).reshape(5, 5)
    assert not found[[0, -1]].any()
    assert found[2, 3] == 30
    assert found[1, 1] == 60
    assert found[2, 2] == 80


def test_a_slope_is_no_dearer_than_its_ends() -> None:
    slope = barrier_distance(grid([[0] * 5, [0, 10, 20, 10, 0], [0] * 5])).reshape(3, 5)
    assert slope[1].tolist() == [0, 10, 20, 10, 0]


def test_regions_merge_the_most_alike_first_and_larger_ones_later() -> None:
    superpixels = grid([[0, 1, 50, 52, 90]])
    merges = merge_order(superpixels)
    assert merges[0] == (0, 1)
    assert len(merges) == 4
    a, b, c, d, e = cut(merges, 5, 3)
    assert (a, c) == (b, d)
    assert len({a, c, e}) == 3
    assert len(set(cut(merges, 5, 5).tolist())) == 5
    assert len(set(cut(merges, 5, 1).tolist())) == 1
    assert len(set(cut(merges, 5, 99).tolist())) == 5


def test_ward_s_cost_counts_areas() -> None:
    # 10 apart, but the left pair is large: joining the two small ones raises the variance less.
    labels = np.repeat([0, 1, 2, 3], [40, 40, 2, 2])[None].repeat(4, 0).astype(np.int32)
    lab = np.zeros((*labels.shape, 3), np.float32)
    lab[..., 0] = np.array([0, 10, 40, 50])[labels]
    assert merge_order(describe(labels, lab))[0] == (2, 3)


def test_regions_vote_for_the_disc() -> None:
    image, mask = disc()
    superpixels = find_superpixels(image, 150)
    votes = region_votes(superpixels)
    share = np.bincount(superpixels.labels[mask], minlength=len(votes)) / superpixels.areas
    assert votes[share > 0.9].min() > 0.7
    assert votes[share < 0.1].mean() < 0.3


def test_an_opinion_that_nobody_shares_counts_almost_nothing() -> None:
    rng = np.random.default_rng(0)
    truth = (np.arange(200) < 60).astype(float)
    good = [truth + rng.normal(0, 0.2, 200) for _ in range(3)]
    fused = fuse(np.stack([*good, rng.random(200)]), np.full(4, 0.25))
    alone = fuse(np.stack(good), np.full(3, 1 / 3))
    assert np.corrcoef(fused, truth)[0, 1] > np.corrcoef(alone, truth)[0, 1] - 0.01
    assert fused.min() >= 0
    assert fused.max() <= 1


@pytest.mark.parametrize("cues", [np.zeros((2, 5)), np.ones((1, 5)), np.eye(1, 5)])
def test_flat_and_single_opinions_pass(cues: np.ndarray) -> None:
    fused = fuse(cues, np.ones(len(cues)))
    assert np.isfinite(fused).all()
    assert (fused == (cues[0] if np.ptp(cues) else 0)).all()


def test_smoothing_evens_out_one_side_and_keeps_the_edge() -> None:
    image, mask = disc()
    superpixels = find_superpixels(image, 150)
    inside = np.bincount(superpixels.labels[mask], minlength=len(superpixels.areas)) / superpixels.areas
    noisy = np.clip(0.2 + 0.6 * (inside > 0.5) + np.random.default_rng(0).normal(0, 0.15, len(inside)), 0, 1)
    smoothed = smooth(superpixels, noisy)
    assert smoothed[inside > 0.9].std() < 0.5 * noisy[inside > 0.9].std()
    assert smoothed[inside > 0.9].mean() - smoothed[inside < 0.1].mean() > 0.5


def test_more_channels_than_colour_can_be_described() -> None:
    image, _ = disc()
    labels = find_superpixels(image, 50).labels
    channels = np.concatenate([to_lab(image), np.full((90, 120, 1), 7, np.float32)], axis=2)
    assert describe(labels, channels).colours.shape[1] == 4
    assert (describe(labels, channels).colours[:, 3] == 7).all()
