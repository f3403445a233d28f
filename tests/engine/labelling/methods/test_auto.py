"""The automatic choice: what it picks for which images, how it says so, and what it passes on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage import data

from engine.core.settings import Settings
from engine.imaging import codec
from engine.labelling.base import draw, find_method, fit_sample, fit_state, look_at
from engine.labelling.cues.activations import BackboneError
from engine.labelling.mask_shapes import MaskShape
from engine.labelling.methods import auto
from engine.labelling.quality import Quality
from engine.labelling.recipe_key import fit_key
from engine.labelling.strokes.backbones import weights_of
from engine.store import keys as stored
from tests.support.backbones import small_network
from tests.support.shared_data import SHARED_DATA

METHOD = find_method("auto")
SHAPE = MaskShape(area=0.1, contact=0.0, grid=bytes(128))
PARTS = dict.fromkeys(("edges", "border", "colour", "stability", "shape"), 0.5)


def rgb(grey: np.ndarray) -> np.ndarray:
    return np.repeat(grey[..., None], 3, axis=2)


def chosen_for(images: list[np.ndarray]) -> dict:
    params = METHOD.params()
    return fit_state(METHOD, [look_at(METHOD, image, params, 0) for image in images], params, 0)


def look(**parts_by_method: dict[str, float]) -> auto.Look:
    """Return what was seen of one image where each named method's masks have these parts, others none."""
    qualities = []
    for candidate in auto.CANDIDATES:
        parts = parts_by_method.get(candidate.method)
        qualities.append(Quality(0.5, PARTS | (parts or {}), clear=parts is not None, shape=SHAPE))
    return auto.Look(np.zeros((1, 1, 3), np.uint8), tuple(qualities), (None,) * len(qualities))


@pytest.mark.slow
def test_photographs_get_saliency_and_a_printed_page_a_threshold() -> None:
    assert chosen_for([data.astronaut(), data.coffee(), data.chelsea()])["method"] == "saliency"
    page = rgb(data.page())
    assert chosen_for([page[:95, :192], page[95:, :192], page[:95, 192:]])["method"] == "threshold"


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "expected", "every"), [("nuclei", "threshold", 3), ("ecssd", "saliency", 3), ("cracks", "lines", 1)]
)
def test_on_the_odd_half_of_real_images(name: str, expected: str, every: int) -> None:
    if not (SHARED_DATA / name).exists():
        pytest.skip(f"needs the shared {name} images")
    paths = sorted((SHARED_DATA / name / "images").iterdir())[1::2]
    images = [codec.decode_image(path.read_bytes()) for path in fit_sample(paths, METHOD)[::every]]
    assert chosen_for(images)["method"] == expected


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small random network in the place of the pretrained weights of the installation."""
    monkeypatch.setattr("engine.store.opening.settings", lambda: Settings(data_root=tmp_path))
    monkeypatch.setattr(auto, "tune", lambda tried, images, seed: (list(tried), []))
    path = tmp_path / stored.backbone_key()
    path.parent.mkdir()
    return small_network(path, np.random.default_rng(0).normal(size=(6, 3, 4, 4)).astype(np.float32))


def discs(count: int) -> list[np.ndarray]:
    """Return images of a red disc, at a place of its own, on a green ground with noise."""
    images = []
    for seed in range(count):
        rng = np.random.default_rng(seed)
        mask = np.zeros((120, 160), np.uint8)
        cv2.circle(mask, (int(rng.integers(45, 115)), int(rng.integers(45, 75))), 25, 1, -1)
        image = np.where(mask[..., None] > 0, (190, 60, 60), (70, 130, 70)) + rng.normal(0, 20, (*mask.shape, 3))
        images.append(np.clip(image, 0, 255).astype(np.uint8))
    return images


def with_weights(**parts_by_method: dict[str, float]) -> dict:
    """Return the choice for three discs where each named method's masks have these parts."""
    looks = [
        replace(look(**parts_by_method), image=image, deep=look_at(METHOD, image, METHOD.params(), 0).deep)
        for image in discs(3)
    ]
    return fit_state(METHOD, looks, METHOD.params(), 0)


def test_with_weights_deep_features_are_tried_where_main_objects_are_seen_and_named(weights: Path) -> None:
    state = with_weights(saliency={"edges": 0.8, "border": 0.8, "colour": 0.8})
    assert len(state["ranking"]) == len(auto.CANDIDATES) + 1
    assert state["method"] == "deep_features"
    assert f"search score {state['ranking'][0]['quality']:.2f} with a margin of 0.15 added" in state["sentence"]
    named = "MobileNetV2 with ImageNet weights"
    assert named in state["sentence"] and named in state["ranking"][0]["title"]
    assert weights_of(METHOD.params().model_dump(), state) == named
    [image] = discs(1)
    assert draw(METHOD, image, METHOD.params(), 0, state).max() > 0.5
    small_network(weights, np.zeros((6, 3, 4, 4), np.float32))
    with pytest.raises(BackboneError, match="have changed"):
        draw(METHOD, image, METHOD.params(), 0, state)
    weights.unlink()
    with pytest.raises(BackboneError, match="are gone"):
        draw(METHOD, image, METHOD.params(), 0, state)


@pytest.mark.parametrize("rest", [0, 0.5])
def test_with_a_damaged_file_of_weights_the_choice_is_made_without_and_says_so(weights: Path, rest: float) -> None:
    whole = weights.read_bytes()
    weights.write_bytes(whole[: round(rest * len(whole))])
    state = chosen_for(discs(3))
    assert len(state["ranking"]) == len(auto.CANDIDATES)
    assert state["note"] == auto.DAMAGED and state["sentence"].endswith(auto.DAMAGED)


def test_deep_features_are_not_tried_for_other_things_nor_where_it_is_unclear_what_is_meant(weights: Path) -> None:
    state = with_weights(threshold={"edges": 0.9}, saliency={})
    assert state["method"] == "threshold"
    doubted = with_weights(saliency={"edges": 0.2})
    assert doubted["verdict"]["verdict"] == "unclear"
    for choice in (state, doubted):
        assert "deep_features" not in [entry["method"] for entry in choice["ranking"]]


def test_a_user_can_leave_the_weights_out(weights: Path) -> None:
    images = discs(3)
    without = METHOD.params(pretrained=False)
    assert METHOD.look_depends_on(METHOD.params()) and METHOD.look_depends_on(without) == ""
    states = [fit_state(METHOD, [look_at(METHOD, each, without, 0) for each in images], without, 0)]
    key = fit_key("auto", METHOD.params(), 0, ["a"])
    assert key != fit_key("auto", without, 0, ["a"])
    weights.unlink()
    assert key != fit_key("auto", METHOD.params(), 0, ["a"])
    states.append(chosen_for(images))
    assert states[0] == states[1]
    assert "deep_features" not in [entry["method"] for entry in states[0]["ranking"]]


def test_faint_lines_are_tried_too() -> None:
    rng = np.random.default_rng(0)
    drawn = np.zeros((320, 480), np.uint8)
    bends = [[20 + 20 * step, 100 + round(15 * np.sin(step / 2))] for step in range(22)]
    cv2.polylines(drawn, [np.array(bends, np.int32)], False, 255, 4)
    grain = cv2.GaussianBlur(rng.normal(0, 20, drawn.shape).astype(np.float32), (0, 0), 0.8)
    grey = 130 - 35 * cv2.GaussianBlur(drawn / 255, (0, 0), 1) + grain
    ranking = chosen_for([rgb(np.clip(grey, 0, 255).astype(np.uint8))])["ranking"]
    quality = {tuple(entry["params"]): entry["quality"] for entry in ranking if entry["method"] == "lines"}
    assert quality[("strength",)] > quality[()] + 0.3


def test_the_state_tells_what_was_chosen_why_and_what_else_there_is() -> None:
    state = chosen_for([data.coffee()])
    assert json.loads(json.dumps(state)) == state
    assert len(state["ranking"]) == len(auto.CANDIDATES)
    qualities = [entry["quality"] for entry in state["ranking"]]
    assert qualities == sorted(qualities, reverse=True)
    best = state["ranking"][0]
    assert (best["method"], best["params"]) == (state["method"], state["params"])
    assert state["images"] == 1
    assert state["sentence"].startswith(best["title"])
    assert state["sentence"].endswith(".")
    for entry in state["ranking"]:
        find_method(entry["method"]).params(**entry["params"])
        assert entry["title"]
        margin = {0: "", -0.1: " with a margin of 0.10 subtracted", -0.15: " with a margin of 0.15 subtracted"}
        assert entry["sentence"].startswith(f"Search score {entry['quality']:.2f}{margin[entry['margin']]};")


def test_a_mask_that_fails_in_one_thing_loses_to_one_that_is_fair_in_all() -> None:
    looks = [look(threshold={"edges": 0.05, "colour": 1, "stability": 1}, saliency={"edges": 0.6, "colour": 0.6})]
    assert fit_state(METHOD, looks, METHOD.params(), 0)["method"] == "saliency"


def test_the_sentence_names_what_speaks_for_the_choice_and_the_next_method() -> None:
    looks = [look(threshold={"edges": 0.99, "border": 0.5}, saliency={"edges": 0.5, "border": 1})] * 3 + [look()]
    state = fit_state(METHOD, looks, METHOD.params(), 0)
    sentence, ranking = state["sentence"], state["ranking"]
    assert "4 images" in sentence
    assert "its outlines follow edges of the image" in sentence
    assert "keep away from the image border" not in sentence
    assert f"{ranking[1]['title']} comes next with {ranking[1]['quality']:.2f}" in sentence
    assert "doubtful masks: 1 of 4" in sentence


def test_where_nothing_stands_out_it_says_so() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    state = chosen_for([noise, np.zeros((40, 50, 3), np.uint8)])
    assert state["sentence"].startswith("Every mask is doubtful in the 2 images")
    assert state["ranking"][0]["quality"] == 0
    assert state["clear"] == 0


def test_the_mask_is_that_of_the_chosen_recipe_at_its_own_size() -> None:
    image = data.coffee()
    recipe = {"method": "threshold", "params": {"ground": "uneven"}, "state": None}
    params = METHOD.params()
    threshold = find_method("threshold")
    small = cv2.resize(image, (400, 267), interpolation=cv2.INTER_AREA)
    mask = draw(METHOD, image, params, 0, recipe) >= 0.5
    expected = draw(threshold, image, threshold.params(ground="uneven"), 0) >= 0.5
    assert (mask == expected).mean() > 0.97
    assert (
        draw(METHOD, small, params, 0, recipe) == draw(threshold, small, threshold.params(ground="uneven"), 0)
    ).all()
    tiny = METHOD.params(longest_side_px=64)
    assert draw(METHOD, image, tiny, 0, recipe).shape == image.shape[:2]


def test_a_recipe_that_learns_from_the_dataset_is_given_what_it_learned() -> None:
    clusters = find_method("dataset_clusters")
    params = clusters.params()
    image = data.coffee()[::4, ::4].copy()
    learned = fit_state(clusters, [look_at(clusters, image, params, 0)], params, 0)
    recipe = {"method": "dataset_clusters", "params": {}, "state": learned}
    probability = draw(METHOD, image, METHOD.params(), 0, recipe)
    np.testing.assert_array_equal(probability, draw(clusters, image, params, 0, learned))


def test_a_recipe_judged_on_fewer_images_gains_nothing_where_these_are_easier() -> None:
    candidate = auto.Candidate("dataset_clusters")
    quality = Quality(0.9, dict.fromkeys(PARTS, 0.9), clear=True, shape=SHAPE)
    plain, easy = (auto.rank(candidate, [quality], ease).entry for ease in (0.0, 0.1))
    assert plain["quality"] == pytest.approx(0.9)
    assert easy["quality"] == pytest.approx(0.8)


def test_a_recipe_for_main_objects_is_doubted_where_the_others_find_something_else() -> None:
    one, other, third = (bytes([0] * start + [255] * 20 + [0] * (108 - start)) for start in (0, 40, 80))

    def judged(method: str, grid: bytes) -> auto.Judged:
        shape = MaskShape(area=0.1, contact=0.0, grid=grid)
        return auto.Judged(auto.Candidate(method), {0: Quality(0.5, PARTS, clear=True, shape=shape)}, 0.0, None)

    saliency, same, different = judged("saliency", one), judged("felzenszwalb", one), judged("felzenszwalb", other)
    cut, lines = judged("normalised_cut", third), judged("lines", other)
    assert auto.agreed(saliency, [saliency, same, cut]) == 1
    assert auto.agreed(saliency, [saliency, different, cut]) == 0
    assert auto.agreed(lines, [saliency, different, lines]) == 1, "lines find other things anyway"


def test_masks_that_cover_most_stay_the_choice_and_the_verdict_doubts_them() -> None:
    covering = replace(SHAPE, area=0.58)
    looks = []
    for _ in range(4):
        one = look(saliency={"edges": 0.9, "border": 0.9, "colour": 0.9}, threshold={"edges": 0.8})
        saliency = replace(one.qualities[0], shape=covering)
        looks.append(replace(one, qualities=(saliency, *one.qualities[1:])))
    state = fit_state(METHOD, looks, METHOD.params(), 0)
    assert (state["method"], state["verdict"]["verdict"]) == ("saliency", "unclear")
    assert state["ranking"][0]["quality"] == pytest.approx(state["verdict"]["trust"], abs=0.001)


def test_a_poor_best_is_not_sold_as_a_good_one() -> None:
    poor = dict.fromkeys(PARTS, 0.3)
    sentence = fit_state(METHOD, [look(threshold=poor)], METHOD.params(), 0)["sentence"]
    assert "for the image tried, but none suits them well" in sentence
