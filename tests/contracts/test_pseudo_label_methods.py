"""What every pseudo-label method keeps, whatever image it is given. A new method is tested here without an edit."""

from __future__ import annotations

import json
import pickle

import cv2
import numpy as np
import pytest
from skimage import data

from engine.labelling.base import DEFAULT_METHOD, Method, draw, fit_state, methods, values_for
from tests.support.labelling import DISCS, MIXED, ODD, SEED, disc, drawn, fitted, looked, thin_line

ALL = list(methods().values())
FITTED = [method for method in ALL if method.fit is not None]

pytestmark = pytest.mark.usefixtures("lent_backbone")


def assert_probability(probability: np.ndarray, image: np.ndarray) -> None:
    assert probability.shape == image.shape[:2]
    assert probability.dtype == np.float32
    assert np.isfinite(probability).all()
    assert probability.min() >= 0
    assert probability.max() <= 1


@pytest.mark.parametrize("method", ALL, ids=lambda method: method.name)
@pytest.mark.parametrize("name", ODD)
def test_any_image_gets_a_probability_of_its_own_size(method: Method, name: str) -> None:
    assert_probability(drawn(method, ODD[name], method.params()), ODD[name])


@pytest.mark.parametrize("method", ALL, ids=lambda method: method.name)
def test_an_image_of_one_colour_has_no_foreground(method: Method) -> None:
    for name in ("1 x 1", "black", "white"):
        assert not (drawn(method, ODD[name], method.params()) >= 0.5).any()


@pytest.mark.parametrize("method", ALL, ids=lambda method: method.name)
def test_a_plain_object_on_a_plain_ground_is_found(method: Method) -> None:
    scores = []
    for image, mask in (disc(), thin_line()):
        found = drawn(method, image, method.params(), DISCS) >= 0.5
        scores.append((found & mask).sum() / (found | mask).sum())
    assert max(scores) > 0.8, "neither a thick object nor a thin one"


@pytest.mark.parametrize("method", ALL, ids=lambda method: method.name)
def test_the_same_image_gets_the_same_mask_in_any_order_and_on_any_number_of_threads(method: Method) -> None:
    image, other = data.astronaut(), data.coffee()
    params = method.params(longest_side_px=160)
    threads = cv2.getNumThreads()
    state = fitted(method, params)
    alone = draw(method, image, params, 3, state)
    draw(method, other, params, 4, state)
    cv2.setRNGSeed(99)
    cv2.setNumThreads(1)
    try:
        again = draw(method, image, params, 3, state)
    finally:
        cv2.setNumThreads(threads)
    np.testing.assert_array_equal(alone, again)


@pytest.mark.parametrize("method", ALL, ids=lambda method: method.name)
def test_the_image_is_left_as_it_was(method: Method) -> None:
    image, _ = disc()
    before = image.copy()
    drawn(method, image, method.params(longest_side_px=64))
    np.testing.assert_array_equal(image, before)


def limits(method: Method) -> list[tuple[str, object]]:
    """Return every end of every slider and every choice of a method."""
    ends = []
    for name, schema in method.params.model_json_schema()["properties"].items():
        if name == "longest_side_px":
            continue
        if schema["type"] == "boolean":
            ends += [(name, not schema["default"])]
        elif schema["type"] == "string" and "enum" not in schema:
            continue  # free text: its method's own tests know what it means
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
        assert_probability(drawn(method, each, method.params(**{"longest_side_px": 96, name: value}), MIXED[1:3]), each)


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


@pytest.mark.parametrize("method", FITTED, ids=lambda method: method.name)
@pytest.mark.parametrize("dataset", [(ODD["black"],), (ODD["1 x 1"], ODD["one row"]), (ODD["noise"],)], ids=len)
def test_a_dataset_that_shows_nothing_is_fitted_all_the_same(method: Method, dataset: tuple[np.ndarray, ...]) -> None:
    params = method.params(longest_side_px=96)
    for image in (*dataset, ODD["white"]):
        assert_probability(drawn(method, image, params, dataset), image)
    assert not (drawn(method, ODD["black"], params, dataset) >= 0.5).any()


@pytest.mark.parametrize("method", FITTED, ids=lambda method: method.name)
def test_looks_travel_between_processes_and_the_state_through_json(method: Method) -> None:
    params = method.params(longest_side_px=96)
    looks = [looked(method, image, params) for image in (DISCS[0], ODD["noise"])]
    state = fit_state(method, looks, params, SEED)
    again = [looked(method, image, params) for image in (ODD["noise"], DISCS[0])][::-1]
    assert fit_state(method, pickle.loads(pickle.dumps(again)), params, SEED) == state
    assert json.loads(json.dumps(state)) == state
    assert len(pickle.dumps(looks[0])) < 1_000_000  # hundreds are kept, and sent from process to process


@pytest.mark.parametrize("method", FITTED, ids=lambda method: method.name)
def test_only_what_is_said_to_matter_to_looking_and_fitting_does(method: Method) -> None:
    changed = method.params(**{**dict(limits(method)), "longest_side_px": 96})
    same_for = {
        stage: method.params(**{**changed.model_dump(), **values_for(method.params(longest_side_px=96), stage)})
        for stage in ("look", "fit")
    }
    plain = method.params(longest_side_px=96)
    look = looked(method, DISCS[0], plain)
    assert pickle.dumps(looked(method, DISCS[0], same_for["look"])) == pickle.dumps(look)
    assert fit_state(method, [look], same_for["fit"], SEED) == fit_state(method, [look], plain, SEED)
