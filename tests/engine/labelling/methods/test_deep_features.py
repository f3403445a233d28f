"""Deep features: what a network describes as alike in all images becomes the masks."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.harness import ECSSD, pairs
from engine.imaging import metrics
from engine.labelling.base import LabelParams, draw, find_method, fit_state, look_at
from engine.labelling.cues.activations import BackboneError
from engine.labelling.strokes.backbones import weights_of
from tests.support.backbones import small_network, small_transformer
from tests.support.shared_data import SHARED_WEIGHTS

METHOD = find_method("deep_features")
WEIGHTS = SHARED_WEIGHTS / "mobilenet_v2_imagenet_notop.weights.h5"


def scene(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return an image with a red disc, at a place of its own, on a green ground with noise, and the disc's mask."""
    rng = np.random.default_rng(seed)
    mask = np.zeros((240, 320), np.uint8)
    cv2.circle(mask, (int(rng.integers(90, 230)), int(rng.integers(90, 150))), 50, 1, -1)
    image = np.where(mask[..., None] > 0, (190, 60, 60), (70, 130, 70)) + rng.normal(0, 20, (*mask.shape, 3))
    return np.clip(image, 0, 255).astype(np.uint8), mask > 0


def fitted(params: LabelParams, images: list[np.ndarray]) -> dict:
    return fit_state(METHOD, [look_at(METHOD, image, params, 0) for image in images], params, 0)


@pytest.fixture
def network(tmp_path: Path) -> Path:
    kernel = np.random.default_rng(0).normal(size=(6, 3, 4, 4)).astype(np.float32)
    return small_network(tmp_path / "small.onnx", kernel)


@pytest.mark.parametrize("first_masks", ["saliency", "token_cut"])
@pytest.mark.parametrize("form", ["convolutions", "transformer"])
def test_an_image_that_taught_nothing_gets_the_mask_of_its_object(
    network: Path, tmp_path: Path, form: str, first_masks: str
) -> None:
    file = network if form == "convolutions" else small_transformer(tmp_path / "tokens.onnx", None)
    similarity = 0.2 if form == "transformer" else 0.9  # random convolutions say much the same of all colours
    params = METHOD.params(backbone=str(file), first_masks=first_masks, similarity=similarity)
    state = fitted(params, [scene(seed)[0] for seed in range(4)])
    image, mask = scene(9)
    assert metrics.iou(draw(METHOD, image, params, 0, state) > 0.5, mask) > 0.9


def test_masks_name_the_weights_that_helped_them(network: Path) -> None:
    params = METHOD.params(backbone=str(network))
    state = fitted(params, [scene(0)[0]])
    assert weights_of(params.model_dump(), state) == "small.onnx"
    delegated = {"method": METHOD.name, "params": params.model_dump(), "state": state}
    assert weights_of({"longest_side_px": 800}, delegated) == "small.onnx"
    assert weights_of({}, {"method": "saliency", "params": {}, "state": None}) == ""


def test_without_weights_it_says_how_to_get_some() -> None:
    with pytest.raises(BackboneError, match="needs pretrained weights"):
        look_at(METHOD, scene(0)[0], METHOD.params(backbone="none"), 0)
    assert METHOD.look_depends_on(METHOD.params(backbone="none")) == ""


def test_what_one_network_taught_is_not_used_with_another(network: Path) -> None:
    params = METHOD.params(backbone=str(network))
    image = scene(0)[0]
    state = fitted(params, [image])
    small_network(network, np.ones((6, 3, 4, 4), np.float32))
    with pytest.raises(BackboneError, match="have changed"):
        draw(METHOD, image, params, 0, state)


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.skipif(not WEIGHTS.is_file(), reason="the weights lie beside the checkout of this project")
def test_features_of_imagenet_improve_on_the_first_masks_of_photographs(tmp_path: Path) -> None:
    from engine.network.backbone import save_backbone

    save_backbone(str(WEIGHTS), tmp_path / "mobilenet.onnx")
    saliency = find_method("saliency")
    params = METHOD.params(backbone=str(tmp_path / "mobilenet.onnx"))
    photographs = list(pairs(ECSSD, "even"))[::4]
    state = fitted(params, [image for image, _ in photographs])

    def score(method, chosen, learned) -> float:
        found = [metrics.iou(draw(method, image, chosen, 0, learned) > 0.5, truth) for image, truth in photographs]
        return float(np.mean(found))

    assert score(METHOD, params, state) > score(saliency, saliency.params(), None) + 0.02
