"""Strokes teach what is meant: stored features and models, masks, classes and doubt."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage import data

from engine.imaging import metrics
from engine.imaging.corrections import LEFT_OUT, UNTOUCHED, shrink_correction
from engine.labelling.base import draw, find_method, fit_state, look_at
from engine.labelling.cues.activations import BackboneError
from engine.labelling.strokes.features import Features, find_features
from engine.labelling.strokes.model import StrokeModel, are_thin, fit, predict
from tests.support.backbones import small_network
from tests.support.labelling import thin_line

METHOD = find_method("strokes")
COLOURS = {1: (200, 60, 60), 2: (60, 160, 60)}


def scene(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return an image with two red and two green discs on a grey ground with noise, and its class map."""
    rng = np.random.default_rng(seed)
    classes = np.zeros((120, 160), np.uint8)
    for index, corner in enumerate([(20, 30), (20, 100), (80, 30), (80, 100)]):
        row, column = (place + int(rng.integers(0, 15)) for place in corner)
        cv2.circle(classes, (column, row), 14, 1 + index % 2, -1)
    image = np.full((*classes.shape, 3), 120.0)
    for value, colour in COLOURS.items():
        image[classes == value] = colour
    return np.clip(image + rng.normal(0, 12, image.shape), 0, 255).astype(np.uint8), classes


def strokes(classes: np.ndarray, width_px: int = 9) -> np.ndarray:
    """Return a correction with one stroke in the middle of a part of each class."""
    correction = np.full(classes.shape, UNTOUCHED, np.uint8)
    for value in np.unique(classes):
        inside = np.pad((classes == value).astype(np.uint8), 1)
        depth = cv2.distanceTransform(inside, cv2.DIST_L2, 5)[1:-1, 1:-1]
        row, column = np.unravel_index(int(depth.argmax()), depth.shape)
        brush = cv2.circle(np.zeros(classes.shape, np.uint8), (int(column), int(row)), width_px // 2, 1, -1)
        correction[(brush > 0) & (classes == value)] = value
    return correction


def described(image: np.ndarray, backbone: Path | None = None) -> Features:
    return find_features(image, 300, backbone)


def taught(classes: int = 2) -> StrokeModel:
    image, truth = scene(0)
    return fit([(described(image), strokes(np.minimum(truth, classes)))], np.random.default_rng(0))


@pytest.fixture
def backbone(tmp_path: Path) -> Path:
    return small_network(tmp_path / "small.onnx", np.random.default_rng(0).normal(size=(5, 3, 4, 4)).astype(np.float32))


def test_three_strokes_on_one_image_separate_two_classes_on_another() -> None:
    image, truth = scene(5)
    mask = predict(taught(), described(image))
    assert metrics.dice(mask.probability >= 0.5, truth > 0) > 0.9
    inside = truth > 0
    assert (mask.classes[inside] == truth[inside]).mean() > 0.9
    assert mask.probability.dtype == mask.doubt.dtype == np.float32 and mask.classes.dtype == np.uint8
    assert 0 <= mask.doubt.min() <= mask.doubt.max() <= 1


def test_few_strokes_make_masks_that_are_certain_enough_to_teach_a_network() -> None:
    image, truth = scene(1)
    found = predict(taught(), described(image))
    assert np.median(found.probability[truth == 0]) < 0.05
    assert np.median(found.probability[truth > 0]) > 0.9
    assert found.doubt.max() > 0.5


def test_ten_thousand_strokes_are_strokes_too() -> None:
    correction = np.full((800, 800), UNTOUCHED, np.uint8)
    correction[::8, ::8] = 1
    assert are_thin([correction])


def test_the_same_strokes_mean_one_class_where_the_dataset_has_one() -> None:
    image, truth = scene(5)
    mask = predict(taught(classes=1), described(image))
    assert metrics.dice(mask.probability >= 0.5, truth > 0) > 0.9
    assert set(np.unique(mask.classes)) == {1}


def test_a_model_is_the_same_after_json_and_for_the_same_strokes() -> None:
    features = described(scene(3)[0])
    again = StrokeModel.from_state(json.loads(json.dumps(taught().to_state())))
    for other in (again, taught()):
        np.testing.assert_array_equal(predict(other, features).probability, predict(taught(), features).probability)


def test_a_model_of_another_version_is_refused() -> None:
    old = {name: value for name, value in taught().to_state().items() if name != "version"}
    with pytest.raises(ValueError, match="Learn from them again"):
        StrokeModel.from_state(old)


def test_features_are_the_same_after_they_were_stored(backbone: Path) -> None:
    features = described(scene(0)[0], backbone)
    again = Features.from_bytes(features.to_bytes())
    assert again.backbone == features.backbone != ""
    assert again.starts.keys() == features.starts.keys()
    for name in ("image", "labels", "rows"):
        np.testing.assert_array_equal(getattr(again, name), getattr(features, name))
    with pytest.raises(ValueError, match="damaged"):
        Features.from_bytes(features.to_bytes()[:200])


def test_an_onnx_file_adds_its_activations_and_a_model_is_used_with_its_own_file_alone(backbone: Path) -> None:
    image, truth = scene(0)
    plain, richer = described(image), described(image, backbone)
    assert richer.rows.shape[1] == plain.rows.shape[1] + 5
    np.testing.assert_array_equal(richer.rows[:, :-5], plain.rows)
    model = fit([(richer, strokes(truth))], np.random.default_rng(0))
    assert metrics.dice(predict(model, richer).probability >= 0.5, truth > 0) > 0.9
    with pytest.raises(ValueError, match="another ONNX file"):
        predict(model, plain)


def test_an_activation_is_averaged_over_the_superpixels_it_belongs_to(tmp_path: Path) -> None:
    image = np.zeros((64, 64, 3), np.uint8)
    image[:, 32:] = 200
    mean = np.zeros((1, 3, 4, 4), np.float32)
    mean[0, 0] = 1 / 16  # the mean of red in each 4 x 4 pixels
    features = find_features(image, 60, small_network(tmp_path / "mean.onnx", mean), starts=())
    columns = np.array([np.nonzero(features.labels == each)[1].mean() for each in range(len(features.rows))])
    found = features.rows[:, -1].astype(np.float32)
    np.testing.assert_allclose(found[columns < 24], 0, atol=1)
    np.testing.assert_allclose(found[columns > 40], 200, atol=1)


def test_a_file_that_describes_no_images_is_refused_by_name(tmp_path: Path, backbone: Path) -> None:
    image = scene(0)[0]
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no network")
    with pytest.raises(BackboneError, match=r"broken\.onnx"):
        described(image, broken)
    with pytest.raises(BackboneError, match=r"missing\.onnx.*cannot be read"):
        described(image, tmp_path / "missing.onnx")
    flat = small_network(tmp_path / "flat.onnx", np.full((1, 3, 4, 4), np.nan, np.float32))
    with pytest.raises(BackboneError, match="must be activations"):
        described(image, flat)


def test_one_class_alone_is_told_from_what_the_automatic_masks_show() -> None:
    image, truth = scene(0)
    features = described(image)
    only_background = np.where(strokes(truth) == 0, 0, UNTOUCHED).astype(np.uint8)
    features = replace(features, starts={"saliency": ((truth > 0) * 255).astype(np.uint8)})
    mask = predict(fit([(features, only_background)], np.random.default_rng(0)), features)
    assert metrics.dice(mask.probability >= 0.5, truth > 0) > 0.8


def test_one_class_alone_without_automatic_masks_is_everywhere() -> None:
    image, truth = scene(0)
    features = find_features(image, 300, starts=())
    only_background = np.where(strokes(truth) == 0, 0, UNTOUCHED).astype(np.uint8)
    mask = predict(fit([(features, only_background)], np.random.default_rng(0)), features)
    assert not (mask.probability >= 0.5).any()


def test_without_strokes_a_sentence_says_so() -> None:
    image, truth = scene(0)
    for value in (UNTOUCHED, LEFT_OUT):
        with pytest.raises(ValueError, match="no strokes yet"):
            fit([(described(image), np.full(truth.shape, value, np.uint8))], np.random.default_rng(0))
    with pytest.raises(ValueError, match="no image has one"):
        fit_state(METHOD, [], METHOD.params(), 0)


def test_a_good_automatic_mask_is_kept_where_strokes_say_nothing() -> None:
    """The strokes leave out a kind of object, which the automatic mask has."""
    image, truth = scene(0)
    features = replace(described(image), starts={"threshold": ((truth > 0) * 255).astype(np.uint8)})
    model = fit([(features, strokes(truth))], np.random.default_rng(0))
    assert model.start == "threshold" and model.trust == 1
    other, other_truth = scene(4)
    seen = replace(described(other), starts={"threshold": ((other_truth > 0) * 255).astype(np.uint8)})
    assert metrics.dice(predict(model, seen).probability >= 0.5, other_truth > 0) > 0.95


def test_an_automatic_mask_that_the_strokes_contradict_does_not_count() -> None:
    image, truth = scene(0)
    features = replace(described(image), starts={"threshold": ((truth == 0) * 255).astype(np.uint8)})
    model = fit([(features, strokes(truth))], np.random.default_rng(0))
    assert model.trust == 0
    assert metrics.dice(predict(model, features).probability >= 0.5, truth > 0) > 0.9


def test_strokes_of_one_class_start_from_the_automatic_mask_that_contradicts_them_least() -> None:
    """Otherwise a bad mask would be corrected for ever, as nobody sees where the foreground is missing."""
    image, truth = scene(0)
    right = ((truth > 0) * 255).astype(np.uint8)
    features = replace(described(image), starts={"saliency": 255 - right, "lines": right})
    for value in (0, 1):
        drawn = strokes((truth > 0).astype(np.uint8))
        model = fit([(features, np.where(drawn == value, value, UNTOUCHED).astype(np.uint8))], np.random.default_rng(0))
        assert (model.start, model.trust) == ("lines", 1)


def test_thin_strokes_are_learned_by_pixels() -> None:
    image, mask = thin_line()
    correction = np.full(mask.shape, UNTOUCHED, np.uint8)
    middle = cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    correction[:, 20:40][middle[:, 20:40]] = 1
    correction[5:15, 140:150] = 0
    assert are_thin([correction])
    only_background = np.where(correction == 0, 0, UNTOUCHED).astype(np.uint8)
    assert are_thin([only_background, correction]) and not are_thin([only_background])
    assert not are_thin([strokes(scene(0)[1])])
    features = find_features(image, 300)
    model = fit([(features, correction)], np.random.default_rng(0))
    assert model.pixels
    assert metrics.dice(predict(model, features).probability >= 0.5, mask) > 0.9


def test_a_reduced_correction_keeps_thin_strokes_and_prefers_what_covers_most() -> None:
    correction = np.full((400, 600), UNTOUCHED, np.uint8)
    correction[:, 300:303] = 1
    correction[:, 303:320] = 0
    small = shrink_correction(correction, (100, 150))
    assert set(np.unique(small)) == {0, 1, UNTOUCHED}
    assert (small[:, 75] == 1).all() and (small[:, 76:80] == 0).all() and (small[:, 80:] == UNTOUCHED).all()


def test_the_method_learns_from_corrections_of_any_size_and_draws_at_the_size_of_the_image() -> None:
    image, truth = scene(0)
    picture, large_truth = (each.repeat(4, axis=0).repeat(4, axis=1) for each in (image, truth))
    params = METHOD.params()
    state = fit_state(METHOD, [look_at(METHOD, picture, params, 0, strokes(large_truth, 36))], params, 0)
    probability = draw(METHOD, picture, params, 0, state)
    assert probability.shape == large_truth.shape
    assert metrics.dice(probability >= 0.5, large_truth > 0) > 0.9
    with pytest.raises(ValueError, match="only from images with a correction"):
        look_at(METHOD, picture, params, 0)


def test_a_photograph_is_divided_as_two_strokes_say() -> None:
    coffee = cv2.resize(data.coffee(), (300, 200), interpolation=cv2.INTER_AREA)
    correction = np.full(coffee.shape[:2], UNTOUCHED, np.uint8)
    correction[60:70, 150:160] = 1  # in the cup
    correction[10:20, 10:20] = correction[180:190, 20:30] = 0  # on the table
    features = find_features(coffee, 700)
    probability = predict(fit([(features, correction)], np.random.default_rng(0)), features).probability
    assert probability[correction == 1].mean() > 0.8 and probability[correction == 0].mean() < 0.2
