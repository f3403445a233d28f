"""The drawn kinds: the same pixels on every run, with a truth worth finding, in folders the benchmark reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.harness import pairs
from benchmarks.labels import kinds
from tests.support.drawn_kinds import KINDS, SHAPE, drawn, write


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_depends_on_its_index_alone(kind: str) -> None:
    (first, truth), (second, _) = drawn(kind, 2)
    again, truth_again = KINDS[kind](0)
    np.testing.assert_array_equal(again, first)
    np.testing.assert_array_equal(truth_again, truth)
    assert (first != second).any()
    assert first.shape == (*SHAPE, 3)
    assert first.dtype == np.uint8
    assert truth.dtype == bool


@pytest.mark.parametrize("kind", KINDS)
def test_each_image_has_an_object_and_background_around_it(kind: str) -> None:
    for _, truth in drawn(kind, 4):
        assert 0.0005 < truth.mean() < 0.5


def test_written_folders_are_pairs_for_the_benchmark(tmp_path: Path) -> None:
    write(tmp_path, 1)
    for kind in KINDS:
        [(image, truth)] = pairs(tmp_path / kind, "all", 1)
        expected_image, expected_truth = KINDS[kind](0)
        np.testing.assert_array_equal(image, expected_image)
        np.testing.assert_array_equal(truth, expected_truth)


def test_a_method_is_scored_on_every_kind_and_fitted_to_it_where_it_learns_from_a_dataset() -> None:
    scores = {row["kind"]: row["dice"] for row in kinds("threshold", count=2)}
    assert list(scores) == list(KINDS)
    assert scores["lesions"] > 0.7
    assert all(0 <= row["dice"] <= 1 for row in kinds("dataset_clusters", ["longest_side_px=96"], count=2))
