"""ONNX files of several forms describe an image place by place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.labelling.cues.activations import MEAN, SPREAD, BackboneError, activations
from tests.support.backbones import small_network, small_transformer

LEFT, RIGHT = (200, 40, 40), (20, 160, 220)


def halves(height: int, width: int) -> np.ndarray:
    """Return an image whose left and right half have different colours."""
    image = np.empty((height, width, 3), np.uint8)
    image[:, : width // 2], image[:, width // 2 :] = LEFT, RIGHT
    return image


def colour(rgb: tuple[int, int, int]) -> np.ndarray:
    return (np.array(rgb) / 255 - MEAN) / SPREAD


@pytest.mark.parametrize(("others", "patch"), [(1, 14), (5, 14), (0, 16), (1, 8)])
def test_tokens_of_a_transformer_lie_where_their_patches_are(tmp_path: Path, others: int, patch: int) -> None:
    file = small_transformer(tmp_path / "small.onnx", None, others, patch)
    (found,) = activations(halves(220, 340), file)
    assert found.shape == (224 // patch, 336 // patch, 3)
    np.testing.assert_allclose(found[0, 0], colour(LEFT), atol=1e-4)
    np.testing.assert_allclose(found[-1, -1], colour(RIGHT), atol=1e-4)


def test_a_network_of_a_fixed_size_sees_the_whole_image_at_that_size(tmp_path: Path) -> None:
    (found,) = activations(halves(100, 400), small_transformer(tmp_path / "fixed.onnx", 224))
    assert found.shape == (16, 16, 3)
    np.testing.assert_allclose(found[8, 0], colour(LEFT), atol=1e-4)
    np.testing.assert_allclose(found[8, 15], colour(RIGHT), atol=1e-4)


def test_a_network_with_channels_last_sees_the_image_as_it_is(tmp_path: Path) -> None:
    mean = np.full((1, 3, 4, 4), 1 / 48, np.float32)
    (found,) = activations(halves(40, 80), small_network(tmp_path / "mean.onnx", mean))
    assert found.shape == (10, 20, 1)
    np.testing.assert_allclose([found[0, 0, 0], found[0, -1, 0]], [np.mean(LEFT), np.mean(RIGHT)], rtol=1e-5)


def test_a_network_whose_tokens_are_no_grid_is_refused(tmp_path: Path) -> None:
    file = small_transformer(tmp_path / "odd.onnx", None, others=3)
    with pytest.raises(BackboneError, match=r"odd\.onnx' must be activations"):
        activations(halves(100, 100), file)
