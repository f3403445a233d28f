"""Folders of masks against folders of truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.prediction.score import CannotScore, score
from tests.assets.bad_files import disk, encoded


def folder(path: Path, files: dict[str, np.ndarray]) -> Path:
    path.mkdir()
    for name, pixels in files.items():
        kind = {"jpg": "JPEG", "bmp": "BMP"}.get(name.rpartition(".")[2], "PNG")
        (path / name).write_bytes(encoded(pixels, kind))
    return path


def left_half(value: int = 255) -> np.ndarray:
    half = np.zeros((40, 60), np.uint8)
    half[:, :30] = value
    return half


def test_known_scores_are_averaged_per_image(tmp_path):
    quarter = np.zeros((40, 60), np.uint8)
    quarter[:20, :30] = 255
    masks = folder(tmp_path / "m", {"a.png": left_half(), "b.png": quarter})
    truth = folder(tmp_path / "t", {"a.png": left_half(), "b.bmp": left_half()})
    result = score(masks, truth)
    assert result["images"] == 2
    assert result["dice"] == pytest.approx((1 + 2 / 3) / 2)
    assert result["iou"] == pytest.approx((1 + 1 / 2) / 2)
    assert result["fbeta"] == pytest.approx((1 + 1.3 * 0.5 / (0.3 + 0.5)) / 2)
    assert result["mae"] == pytest.approx((0 + 0.25) / 2)
    assert result["unmatched"] == []


def test_probabilities_are_cut_at_128(tmp_path):
    truth = folder(tmp_path / "t", {"a.png": left_half()})
    assert score(folder(tmp_path / "m", {"a.png": left_half(128)}), truth)["dice"] == 1
    below = score(folder(tmp_path / "n", {"a.png": left_half(127)}), truth)
    assert below["dice"] == 0
    assert below["mae"] == pytest.approx(0.5 * 128 / 255)


def test_both_empty_counts_as_one(tmp_path):
    nothing = np.zeros((40, 60), np.uint8)
    masks = folder(tmp_path / "m", {"a.png": nothing, "b.png": left_half()})
    truth = folder(tmp_path / "t", {"a.png": nothing, "b.png": left_half()})
    assert score(masks, truth)["iou"] == 1


@pytest.mark.parametrize("value", [1, 76, 255])
def test_any_two_values_are_understood_as_truth(tmp_path, value):
    truth = folder(tmp_path / "t", {"a.png": left_half(value)})
    assert score(folder(tmp_path / "m", {"a.png": left_half()}), truth)["dice"] == 1


def test_every_class_but_the_background_is_foreground_and_stray_greys_are_not(tmp_path):
    rng = np.random.default_rng(0)
    truth = left_half(255)
    truth[:20, :30] = 127
    truth[:, 40:] = rng.integers(0, 7, (40, 20))
    assert score(folder(tmp_path / "m", {"a.png": left_half()}), folder(tmp_path / "t", {"a.png": truth}))["dice"] == 1


def test_masks_of_another_size_are_brought_to_the_truth(tmp_path):
    truth = folder(tmp_path / "t", {"a.png": disk(200, 300)})
    assert score(folder(tmp_path / "m", {"a.png": disk(100, 150)}), truth)["dice"] > 0.97
    assert score(folder(tmp_path / "n", {"a.png": disk(400, 600)}), truth)["dice"] > 0.97


def test_files_without_partner_are_listed(tmp_path):
    masks = folder(tmp_path / "m", {"a.png": left_half(), "only mask.png": left_half()})
    truth = folder(tmp_path / "t", {"A.png": left_half(), "only truth.png": left_half()})
    result = score(masks, truth)
    assert result["images"] == 1
    assert result["unmatched"] == ["only mask.png", "only truth.png"]


def test_what_gives_no_score_is_a_sentence(tmp_path):
    masks = folder(tmp_path / "m", {"a.png": left_half()})
    other = folder(tmp_path / "o", {"b.png": left_half()})
    empty = folder(tmp_path / "e", {})
    twice = folder(tmp_path / "w", {"a.png": left_half(), "a.jpg": left_half()})
    bad = folder(tmp_path / "b", {"a.png": left_half()})
    (bad / "a.png").write_text("no picture")
    for second, sentence in [
        (tmp_path / "nowhere", "no folder"),
        (empty, "no images"),
        (other, "same name"),
        (twice, "share a name"),
        (bad, "a text file"),
    ]:
        with pytest.raises(CannotScore, match=sentence):
            score(masks, second)
