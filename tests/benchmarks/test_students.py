"""Other ways to train on pseudo-labels: which images teach which network, and how masks are combined."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import students
from benchmarks.students import Levels, Students
from engine.core.run_config import RunConfig
from engine.imaging import codec


def levels(**values: int) -> Levels:
    return {stem: np.full((2, 2), value, np.uint8) for stem, value in values.items()}


class Noted(Students):
    """Trains nothing: a network is what it would learn from, and predicts a level of its own."""

    def network(self, labels: Levels, seed: int = 0, learn: Sequence[str] | None = None, **training: Any) -> Any:
        self.trained = [*getattr(self, "trained", []), (seed, learn, {stem: labels[stem][0, 0] for stem in labels})]
        return len(self.trained)

    def masks(self, network: Any, stems: Sequence[str] | None = None, framings: Sequence[str] = ("pad",)) -> Levels:
        if stems is not None:
            assert not set(stems) & set(self.trained[network - 1][1])
        return levels(**dict.fromkeys(stems or self.images, 80 * network))


@pytest.fixture
def noted(tmp_path: Path) -> Noted:
    labels = levels(a=0, b=255, c=255, d=0, e=255)
    return Noted(
        RunConfig(), tmp_path, dict.fromkeys(labels, tmp_path), labels, [levels(a=255, b=255, c=0, d=0, e=255)]
    )


def test_cross_fitting_predicts_each_image_with_the_network_that_was_not_trained_on_it(noted: Noted) -> None:
    masks = noted.corrected
    assert {stem: masks[stem][0, 0] for stem in masks} == {"a": 160, "b": 160, "c": 80, "d": 80, "e": 160}
    assert [learn for _, learn, _ in noted.trained] == [["a", "b", "e"], ["c", "d"]]


def test_the_third_of_three_fresh_networks_learns_the_majority(noted: Noted) -> None:
    students.three_fresh(noted)
    assert [seed for seed, _, _ in noted.trained] == [0, 1, 2]
    # The first predicts 80, which is background; the second 160
    assert noted.trained[1][2] == {"a": 80, "b": 255, "c": 255, "d": 80, "e": 255}
    assert noted.trained[2][2] == {"a": 0, "b": 255, "c": 255, "d": 0, "e": 255}


def test_the_consensus_is_the_mean_of_all_labels(noted: Noted) -> None:
    students.consensus(noted)
    assert noted.trained[0][2] == {"a": 128, "b": 255, "c": 128, "d": 0, "e": 255}


def test_the_mean_of_seeds_has_three_networks(noted: Noted) -> None:
    assert students.WAYS["three_seeds"](noted)["a"][0, 0] == 160
    assert [seed for seed, _, _ in noted.trained] == [0, 1, 2]


def test_two_networks_teach_two_others_crosswise_by_superpixels(noted: Noted, tmp_path: Path) -> None:
    half = np.zeros((40, 40, 3), np.uint8)
    half[:, 20:] = 255
    image = tmp_path / "half.png"
    image.write_bytes(codec.encode_png(half))
    noted.images, noted.labels = {"a": image}, {"a": np.zeros((40, 40), np.uint8)}
    inside = np.zeros((40, 40), np.uint8)
    inside[4:36, 22:38] = 255
    (piece,) = Counter(noted.by_superpixel({"a": inside})["a"][:, 22:].ravel().tolist()).most_common(1)
    assert piece[0] == 255 and not noted.by_superpixel({"a": inside})["a"][:, :20].any()
    noted.masks = lambda network, *_, **__: {"a": np.full((40, 40), 50 * network, np.uint8)}  # type: ignore[method-assign]
    assert students.co_training(noted)["a"][0, 0] == 225
    assert [(seed, labels["a"]) for seed, _, labels in noted.trained[3:]] == [(4, 50), (3, 100)]


def test_consistency_learns_from_labels_and_both_scales_of_averaged_weights(noted: Noted) -> None:
    students.consistency(noted)
    assert noted.trained[1][0] == 1 and noted.trained[1][2] == {"a": 53, "b": 138, "c": 138, "d": 53, "e": 138}
