"""The search for better settings: few images first, the better half goes on, and chance gains are not taken."""

import cv2
import numpy as np
import pytest

from engine.labelling import recipe_search
from engine.labelling.base import shrink
from engine.labelling.mask_shapes import MaskShape
from engine.labelling.quality import Quality
from engine.labelling.recipe_search import LEAST_GAIN, LEAST_LEAD, STAGES, Candidate, judge, rank, tune
from engine.labelling.verdict import EXPONENTS

IMAGES = [np.full((8, 8, 3), level, np.uint8) for level in range(24)]


def quality(value: float) -> Quality:
    return Quality(value, dict.fromkeys(EXPONENTS, value), True, MaskShape(area=0.1, contact=0.0, grid=bytes(128)))


def recipe(method: str, value: float, **params: object):
    return rank(Candidate(method, params), [quality(value)] * len(IMAGES))


@pytest.fixture
def scores(monkeypatch):
    """Scores by {(parameter, value): score}, 0.1 for others; returns the list of (candidate, level of the image)."""
    found, asked = {}, []

    def judge(image, candidate, seed, state=None):
        asked.append((candidate, int(image[0, 0, 0])))
        return quality(next((score for each, score in found.items() if candidate.params.get(each[0]) == each[1]), 0.1))

    monkeypatch.setattr(recipe_search, "judge", judge)
    return found, asked


def test_a_clearly_better_setting_takes_the_place_of_its_recipe(scores):
    scores[0]["agreement", 0.2] = 0.7
    better, table = tune([recipe("surface", 0.6), recipe("threshold", 0.5)], IMAGES, 0)
    assert better[0].candidate.params == {"agreement": 0.2}
    assert better[0].entry["quality"] == pytest.approx(0.7)
    assert better[0].entry["title"].endswith(", agreement 0.2")
    assert better[1].candidate.params == {}
    assert [row["setting"] for row in table if row["taken"]] == ["agreement 0.2"]
    assert (table[0]["images"], table[0]["score"], table[0]["before"]) == (STAGES[-1], 0.7, 0.6)


def test_a_gain_by_chance_is_not_taken(scores):
    scores[0]["agreement", 0.2] = 0.6 + LEAST_GAIN - 0.01
    better, table = tune([recipe("surface", 0.6)], IMAGES, 0)
    assert better[0].candidate.params == {}
    assert not any(row["taken"] for row in table)


@pytest.mark.parametrize(("lead", "taken"), [(LEAST_LEAD - 0.01, False), (LEAST_LEAD + 0.01, True)])
def test_a_tuned_runner_up_must_lead_clearly(scores, lead, taken):
    scores[0]["offset", -6] = 0.6 + lead
    better, _ = tune([recipe("saliency", 0.6), recipe("threshold", 0.5)], IMAGES, 0)
    assert (better[1].candidate.params == {"offset": -6}) is taken


def test_half_of_the_settings_goes_on_to_more_images_and_no_image_is_judged_twice(scores):
    _, table = tune([recipe("lines", 0.6), recipe("threshold", 0.5), recipe("surface", 0.4)], IMAGES, 0)
    assert sorted(row["images"] for row in table) == [3] * 5 + [6] * 2 + [12] * 3
    asked = [(each.method, str(each.params), level) for each, level in scores[1]]
    assert len(asked) == len(set(asked)) == sum(row["images"] for row in table)
    assert "surface" not in {method for method, *_ in asked}


def test_a_recipe_that_learns_from_the_dataset_keeps_its_settings(scores):
    learner = rank(Candidate("dataset_clusters"), [quality(0.9)] * 8, state={"clusters": []})
    better, table = tune([learner], IMAGES, 0)
    assert (better, table) == ([learner], [])


def test_the_strength_of_lines_is_found():
    rng = np.random.default_rng(0)
    images = []
    for shift in range(4):
        drawn = np.zeros((160, 240), np.uint8)
        bends = [[10 + 20 * step, 40 + 15 * shift + round(12 * np.sin(step + shift))] for step in range(12)]
        cv2.polylines(drawn, [np.array(bends, np.int32)], False, 255, 4)
        grain = cv2.GaussianBlur(rng.normal(0, 20, drawn.shape).astype(np.float32), (0, 0), 0.8)
        grey = 130 - 35 * cv2.GaussianBlur(drawn / 255, (0, 0), 1) + grain
        images.append(np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, axis=2))
    base = Candidate("lines", {"strength": 20.0}, look_side_px=512)
    tried = rank(base, [judge(shrink(image, 512), base, 0) for image in images])
    [better], table = tune([tried], images, 0)
    assert better.candidate.params["strength"] < 10
    assert better.entry["quality"] > tried.entry["quality"] + 0.1
    assert any(row["taken"] for row in table)
