"""Masks of background, of most of the image or of nearly nothing are not praised."""

import pytest

from dashboard.facts.mask_doubts import cover_doubt, doubtful_mask, mask_verdict, verdict_words
from engine.labelling.mask_shapes import MaskShape
from engine.labelling.quality import Quality
from engine.labelling.verdict import EXPONENTS

GOOD = Quality(0.8, dict.fromkeys(EXPONENTS, 0.9), True, MaskShape(area=0.1, contact=0.0, grid=bytes(128)))
GROUND = Quality(0.8, dict.fromkeys(EXPONENTS, 0.9), True, MaskShape(area=0.8, contact=0.2, grid=bytes(128)))


def test_there_is_a_verdict_once_all_masks_are_judged():
    assert mask_verdict([GOOD, None, GOOD], None) is None
    assert mask_verdict([], None) is None
    assert mask_verdict([GOOD] * 3, None)["verdict"] == "trust"
    assert mask_verdict([GROUND] * 3, {"clusters": []})["verdict"] == "unclear"
    assert mask_verdict([GROUND] * 3, None, taught=True)["verdict"] == "look"


def test_the_verdict_of_a_choice_is_that_of_the_choice_and_not_of_a_draft():
    state = {"verdict": {"verdict": "look", "reason": "Why.", "trust": 0.5}}
    assert mask_verdict([GOOD, None], state) == state["verdict"]
    assert mask_verdict([GOOD] * 3, state | {"untried": 2}) is None
    assert verdict_words(state["verdict"]) == "**Look at the masks before you train on them.** Why."


def test_masks_of_most_or_nothing_of_each_image_are_named_with_their_share():
    words = "The masks cover 72% of the image on average. Check them before you train on them."
    assert cover_doubt(0.72, 3, "train on them") == words
    assert "less than 0.1% of the image" in cover_doubt(0.0002, 60, "use them")
    assert cover_doubt(0.07, 60, "use them") == ""
    assert cover_doubt(1.0, 2, "use them") == "", "two images say nothing of a method"


@pytest.mark.parametrize(("area", "words"), [(0.0, "empty mask"), (1.0, "full mask"), (0.3, "doubtful mask")])
def test_a_doubtful_mask_is_said_to_be_empty_or_full_if_that_is_why(area, words):
    assert doubtful_mask(area) == words
