"""The one door to all methods: what it checks, what it promises, what it shrinks."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import Field

from engine.core.parameters import ParameterError, markdown_table
from engine.labelling.base import (
    LabelParams,
    Method,
    draw,
    find_method,
    fit_sample,
    fit_state,
    look_at,
    methods,
    values_for,
)


class FakeParams(LabelParams):
    level: float = Field(0.5, ge=0, le=1, description="What every pixel gets.")


def method(label, look=None, fit=None) -> Method:
    return Method("fake", "Fake", FakeParams, label, look, fit, fit_images=4)


def random_label(image, params, rng) -> np.ndarray:
    return rng.random(image.shape[:2])


def image(height: int = 20, width: int = 30, value: int = 9) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


def test_methods_are_found_by_their_export() -> None:
    assert set(methods()) == {
        "auto",
        "dataset_clusters",
        "deep_features",
        "felzenszwalb",
        "gaussian_mixture",
        "kmeans",
        "lines",
        "normalised_cut",
        "saliency",
        "strokes",
        "surface",
        "threshold",
    }
    assert all(name == each.name for name, each in methods().items())


def test_an_unknown_method_is_answered_with_the_names_there_are() -> None:
    with pytest.raises(ParameterError, match=r"no label method 'magic'\. Known: .*felzenszwalb, .*threshold\."):
        find_method("magic")


def test_the_method_sees_the_image_shrunk_and_its_answer_comes_back_at_full_size() -> None:
    seen = []

    def label(image, params, rng):
        seen.append(image.shape)
        return np.full(image.shape[:2], params.level)

    probability = draw(method(label), image(300, 1000), FakeParams(longest_side_px=100, level=0.25), seed=0)
    assert seen == [(30, 100, 3)]
    assert probability.shape == (300, 1000)
    assert probability.dtype == np.float32
    assert (probability == 0.25).all()


def test_small_images_are_not_enlarged() -> None:
    assert draw(method(lambda i, p, r: np.zeros(i.shape[:2])), image(1, 3), FakeParams(), seed=0).shape == (1, 3)


def test_random_numbers_depend_on_seed_and_content_alone() -> None:
    fake = method(random_label)
    first = draw(fake, image(), FakeParams(), seed=0)
    other = draw(fake, image(value=10), FakeParams(), seed=0)
    np.testing.assert_array_equal(draw(fake, image(), FakeParams(), seed=0), first)
    assert not np.array_equal(other, first)
    assert not np.array_equal(draw(fake, image(), FakeParams(), seed=1), first)


@pytest.mark.parametrize(
    "wrong",
    [np.zeros((5, 5, 3)), np.zeros((5, 5), np.uint8), np.zeros((5, 5, 4), np.uint8), np.zeros((0, 5, 3), np.uint8)],
)
def test_what_is_no_image_is_refused_by_dtype_and_shape(wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"uint8 \(H, W, 3\)\. Got"):
        draw(method(random_label), wrong, FakeParams(), seed=0)


def test_another_methods_parameters_are_refused() -> None:
    with pytest.raises(ParameterError, match=r"'fake' takes FakeParams\. Got LabelParams"):
        draw(method(random_label), image(), LabelParams(), seed=0)


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (np.zeros((4, 4)), "shape"),
        (np.full((20, 30), 1.5), "to 1.5"),
        (np.full((20, 30), -0.1), "-0.1"),
        (np.full((20, 30), np.nan), "nan"),
    ],
)
def test_an_answer_that_is_no_probability_is_refused(answer: np.ndarray, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        draw(method(lambda i, p, r: answer), image(), FakeParams(), seed=0)


def test_a_method_that_needs_the_dataset_is_given_what_it_learned_from_it() -> None:
    def look(image, params, rng):
        return image.max(), image.shape

    def fit(looks, params, rng):
        return {"brightest": float(max(value for value, _ in looks)), "largest_px": max(looks[0][1])}

    def label(image, params, rng, state):
        return np.full(image.shape[:2], image[..., 0] / state["brightest"])

    fitted = method(label, look, fit)
    with pytest.raises(ValueError, match="'fake' must be fitted"):
        draw(fitted, image(), FakeParams(), seed=0)
    params = FakeParams(longest_side_px=90)
    looks = [look_at(fitted, each, params, seed=0) for each in (image(value=50, width=900), image(value=200))]
    state = fit_state(fitted, looks, params, seed=0)
    assert state == {"brightest": 200.0, "largest_px": 90}
    assert (draw(fitted, image(value=50), FakeParams(), seed=0, state=state) == 0.25).all()
    with pytest.raises(ValueError, match="at least one image"):
        fit_state(fitted, [], params, seed=0)


def test_the_images_looked_at_are_spread_over_the_dataset() -> None:
    fitted = method(random_label)
    assert fit_sample(range(100), fitted) == [0, 25, 50, 75]
    assert fit_sample("abc", fitted) == ["a", "b", "c"]
    assert fit_sample([], fitted) == []


def test_a_step_depends_on_the_parameters_of_its_stage_and_of_those_before() -> None:
    class Staged(LabelParams):
        pieces: int = Field(5, description="Pieces.", json_schema_extra={"stage": "look"})
        groups: int = Field(3, description="Groups.", json_schema_extra={"stage": "fit"})
        ticks: str = Field("", description="Ticks.")

    assert set(values_for(Staged(), "look")) == {"longest_side_px", "pieces"}
    assert set(values_for(Staged(), "fit")) == {"longest_side_px", "pieces", "groups"}
    assert set(values_for(Staged(), "label")) == {"longest_side_px", "pieces", "groups", "ticks"}


def test_a_parameter_table_names_default_limits_unit_and_help() -> None:
    table = markdown_table(FakeParams)
    assert "| `longest_side_px` | `400` | 64 to 1600 | px | Larger images are reduced" in table
    assert table.endswith("| `level` | `0.5` | 0 to 1 |  | What every pixel gets. |")
