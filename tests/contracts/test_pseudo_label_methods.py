"""What every pseudo-label method keeps, whatever image it is given. A new method is tested here without an edit."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from skimage import data

from engine.pseudo_labels.base import DEFAULT_METHOD, Method, draw, methods

ALL = list(methods().values())


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(7).integers(0, 256, (*shape, 3), np.uint8)


def checkerboard(height: int, width: int) -> np.ndarray:
    squares = np.indices((height, width)).sum(0) % 2
    return np.repeat((squares * 255).astype(np.uint8)[..., None], 3, axis=2)


ODD = {
    "1 x 1": noise(1, 1),
    "2 x 2": noise(2, 2),
    "3 x 3": noise(3, 3),
    "one row": noise(1, 70),
    "one column": noise(70, 1),
    "very long": noise(2, 9000),
    "black": np.zeros((40, 60, 3), np.uint8),
    "white": np.full((60, 40, 3), 255, np.uint8),
    "noise": noise(90, 120),
    "checkerboard": checkerboard(64, 64),
    "two halves": np.repeat(np.repeat([[[0, 0, 0]], [[255, 255, 255]]], 24, 0), 48, 1).astype(np.uint8),
    "one bright pixel": cv2.circle(np.zeros((50, 50, 3), np.uint8), (25, 25), 0, (255, 255, 255)),
    "not contiguous": noise(60, 80)[::-1, ::2],
}


def disc() -> tuple[np.ndarray, np.ndarray]:
    """Return an orange disc on a shaded blue-grey ground with fine noise, and its mask."""
    rows, columns = np.mgrid[:120, :160]
    mask = (rows - 62) ** 2 + (columns - 84) ** 2 < 30**2
    ground = np.stack([60 + columns * 0.2, 80 + rows * 0.2, 110 + columns * 0.1], axis=-1)
    image = np.where(mask[..., None], (235, 150, 40), ground)
    image = image + np.random.default_rng(0).normal(0, 4, image.shape)
    return np.clip(image, 0, 255).astype(np.uint8), mask


@pytest.fixture(scope="module")
def fifty_megapixels() -> np.ndarray:
    return cv2.resize(disc()[0], (8160, 6120), interpolation=cv2.INTER_NEAREST)


def assert_probability(probability: np.ndarray, image: np.ndarray) -> None:
    assert probability.shape == image.shape[:2]
    assert probability.dtype == np.float32
    assert np.isfinite(probability).all()
    assert probability.min() >= 0
    assert probability.max() <= 1


@pytest.mark.parametrize("method", ALL, ids=lambda method: method.name)
@pytest.mark.parametrize("name", ODD)
def test_any_image_gets_a_probability_of_its_own_size(method: Method, name: str) -> None:
    assert_probability(draw(method, ODD[name], method.params(), seed=1), ODD[name])


@pytest.mark.parametrize("method", ALL, ids=lambda method: method.name)
def test_an_image_of_one_colour_has_no_foreground(method: Method) -> None:
    for name in ("1 x 1", "black", "white"):
        assert not (draw(method, ODD[name], method.params(), seed=1) >= 0.5).any()


@pytest.mark.parametrize("method", ALL, ids=lambda method: method.name)
def test_fifty_megapixels_are_worked_on_small(method: Method, fifty_megapixels: np.ndarray) -> None:
    _, mask = disc()
    probability = draw(method, fifty_megapixels, method.params(longest_side_px=128), seed=1)
    assert probability.shape == (6120, 8160)
    assert probability.dtype == np.float32
    found = cv2.resize(probability, (160, 120), interpolation=cv2.INTER_AREA) >= 0.5
    assert (found & mask).sum() / (found | mask).sum() > 0.7


@pytest.mark.parametrize("method", ALL, ids=lambda method: method.name)
def test_a_plain_object_on_a_plain_ground_is_found(method: Method) -> None:
    image, mask = disc()
    found = draw(method, image, method.params(), seed=1) >= 0.5
    assert (found & mask).sum() / (found | mask).sum() > 0.8


@pytest.mark.parametrize("method", ALL, ids=lambda method: method.name)
def test_the_same_image_gets_the_same_mask_in_any_order_and_on_any_number_of_threads(method: Method) -> None:
    image, other = data.astronaut(), data.coffee()
    params = method.params(longest_side_px=160)
    threads = cv2.getNumThreads()
    alone = draw(method, image, params, seed=3)
    draw(method, other, params, seed=4)
    cv2.setRNGSeed(99)
    cv2.setNumThreads(1)
    try:
        again = draw(method, image, params, seed=3)
    finally:
        cv2.setNumThreads(threads)
    np.testing.assert_array_equal(alone, again)


@pytest.mark.parametrize("method", ALL, ids=lambda method: method.name)
def test_the_image_is_left_as_it_was(method: Method) -> None:
    image, _ = disc()
    before = image.copy()
    draw(method, image, method.params(longest_side_px=64), seed=1)
    np.testing.assert_array_equal(image, before)


def limits(method: Method) -> list[tuple[str, object]]:
    """Return every end of every slider and every choice of a method."""
    ends = []
    for name, schema in method.params.model_json_schema()["properties"].items():
        if name == "longest_side_px":
            continue
        if schema["type"] == "boolean":
            ends += [(name, not schema["default"])]
        elif "pattern" not in schema:
            ends += [(name, value) for value in schema.get("enum", [schema.get("minimum"), schema.get("maximum")])]
    return ends


@pytest.mark.parametrize(
    ("method", "name", "value"),
    [(method, *end) for method in ALL for end in limits(method)],
    ids=lambda value: value.name if isinstance(value, Method) else str(value),
)
def test_every_end_of_every_slider_works(method: Method, name: str, value: object) -> None:
    image, _ = disc()
    for each in (image, ODD["2 x 2"], ODD["black"]):
        assert_probability(draw(method, each, method.params(**{"longest_side_px": 96, name: value}), seed=1), each)


@pytest.mark.parametrize("method", ALL, ids=lambda method: method.name)
def test_a_person_can_move_every_field(method: Method) -> None:
    assert method.title
    assert method.summary.endswith(".")
    for name, schema in method.params.model_json_schema()["properties"].items():
        assert schema["description"].endswith("."), name
        assert "default" in schema, name
        if schema["type"] in ("integer", "number"):
            assert schema["minimum"] <= schema["default"] <= schema["maximum"], name
        else:
            choice = "enum" in schema or schema["type"] == "boolean"
            assert choice or {"pattern", "maxLength"} <= set(schema), name  # a text must say what it may be


def test_the_default_method_exists() -> None:
    assert DEFAULT_METHOD in methods()
