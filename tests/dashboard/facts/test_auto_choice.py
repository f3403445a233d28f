"""The choice of the automatic method."""

from __future__ import annotations

from dashboard.facts.auto_choice import auto_choice
from dashboard.facts.recipes import recipe_from_values

STATE = {
    "method": "kmeans",
    "params": {"clusters": 6},
    "state": None,
    "sentence": "K-means is the best guess.",
    "images": 24,
    "ranking": [
        {"method": "kmeans", "params": {"clusters": 6}, "title": "K-means", "quality": 0.7, "sentence": "Good."},
        {"method": "kmeans", "params": {}, "title": "K-means", "quality": 0.6},
        {"method": "retired", "params": {}, "quality": 0.5},
    ],
}


def test_the_choice_has_its_figures_and_each_candidate_that_this_version_knows():
    choice = auto_choice(STATE)
    assert (choice.title, choice.details, choice.images) == ("K-means", "K-means is the best guess.", 24)
    assert [candidate.chosen for candidate in choice.candidates] == [True, False, False]
    assert choice.candidates[0].recipe == recipe_from_values("kmeans", {"clusters": 6})
    assert choice.candidates[1].sentence == ""
    assert (choice.candidates[2].title, choice.candidates[2].recipe) == ("retired", None)


def test_the_sentence_counts_what_the_list_shows():
    choice = auto_choice(STATE)
    assert choice.sentence == "K-means: best guess of 3 recipes, tried on 24 of your images."
    draft = auto_choice(STATE | {"images": 6, "untried": 1})
    assert "best so far of 3 recipes, tried on 6 images" in draft.sentence
    assert "1 more recipe are being tried" in draft.sentence
    assert choice.final and not draft.final


def test_the_sentence_says_that_a_mask_set_learns_from_more_and_what_could_not_be_tried():
    own = STATE | {"state": {"images": 24}}
    assert "A mask set learns from more images" in auto_choice(own).sentence
    assert "A mask set learns from more images" not in auto_choice(own | {"images": 20}).sentence
    assert auto_choice(STATE | {"note": "The weights are damaged."}).sentence.endswith(" The weights are damaged.")


def test_another_state_is_no_choice():
    assert auto_choice(None) is None
    assert auto_choice({"clusters": []}) is None
