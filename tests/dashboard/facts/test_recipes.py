"""Recipes as text for people and for the page's URL, and the slots."""

from __future__ import annotations

import pytest

from dashboard.facts import recipes
from db import submissions
from engine.core.parameters import ParameterError
from engine.labelling.base import DEFAULT_METHOD, find_method, methods
from tests.support.installation import Installation, add_discs


def kmeans(**values: object) -> recipes.Recipe:
    return recipes.Recipe("kmeans", find_method("kmeans").params(**values))


def test_a_recipe_is_read_back_from_the_url_which_has_only_changed_values():
    recipe = kmeans(clusters=6, position_weight=0.45, foreground="darker")
    text = recipes.recipe_to_text(recipe)
    assert text == "kmeans,foreground:darker,clusters:6,position_weight:0.45"
    assert recipes.recipe_from_text(text) == recipe
    assert recipes.recipe_to_text(kmeans()) == "kmeans"
    assert recipes.recipe_from_text("kmeans") == kmeans()


def test_ticks_are_part_of_the_url():
    ticked = recipes.recipe_from_values("dataset_clusters", {"ticked": "2 5 7"})
    assert recipes.recipe_to_text(ticked) == "dataset_clusters,ticked:2 5 7"
    assert recipes.recipe_from_text(recipes.recipe_to_text(ticked)) == ticked
    classes = recipes.recipe_from_values("dataset_clusters", {"ticked": "2=1 5 7=2"})
    assert recipes.recipe_to_text(classes) == "dataset_clusters,ticked:2 5 7=2"
    assert recipes.recipe_from_text(recipes.recipe_to_text(classes)) == classes


@pytest.mark.parametrize("text", ["", "magic", "kmeans,clusters:900", "kmeans,colour:red", "kmeans,clusters"])
def test_a_url_without_a_valid_recipe_is_rejected(text):
    with pytest.raises(ParameterError):
        recipes.recipe_from_text(text)


def test_a_stored_recipe_of_another_version_is_none():
    assert recipes.known_recipe("retired", {}) is None
    assert recipes.known_recipe("kmeans", {"clusters": 900}) is None
    assert recipes.known_recipe("kmeans", {"clusters": 6}) == kmeans(clusters=6)
    assert recipes.describe_stored("retired", {})[:2] == (None, "retired")
    six = kmeans(clusters=6)
    assert recipes.describe_stored("kmeans", {"clusters": 6}) == (six, six.title, "clusters 6")


def test_changes_are_described_in_words():
    assert recipes.describe_changes(kmeans(clusters=6, smoothing_px=0.5).params) == "clusters 6, smoothing 0.5"
    assert recipes.describe_changes(kmeans().params) == "defaults"
    assert recipes.short_name(kmeans()) == "kmeans"
    cases = {
        "2 5 7": "3 clusters ticked",
        "4": "1 cluster ticked",
        "none": "no clusters ticked",
        "1 4=2": "2 clusters ticked as 2 classes",
    }
    for ticked, words in cases.items():
        recipe = recipes.recipe_from_values("dataset_clusters", {"ticked": ticked})
        assert recipes.describe_changes(recipe.params) == words
    assert recipes.short_name(kmeans(clusters=6)) == "kmeans · clusters 6"


def test_the_default_method_is_listed_first():
    order = recipes.method_order()
    assert order[0] == DEFAULT_METHOD
    assert sorted(order) == sorted(methods())


@pytest.mark.parametrize(
    ("address", "slots"),
    [
        ([], ("a",)),
        (["a", "dataset"], ("a",)),
        (["b"], ("a",)),
        (["a", "b"], ("a", "b")),
        (["a", "b", "c"], ("a", "b", "c")),
    ],
)
def test_a_url_opens_its_slots(address, slots):
    assert recipes.slots_in(address) == slots


def test_the_proposed_name_describes_the_recipe_and_is_free(installation: Installation):
    dataset = add_discs(installation)
    with installation.database.writing() as session:
        assert recipes.proposed_name(session, "discs", kmeans()) == "discs · kmeans"
        submissions.submit_label(session, dataset.id, "discs · kmeans · clusters 6", "kmeans", {}, 0, "0.1.0")
        assert recipes.proposed_name(session, "discs", kmeans(clusters=6)) == "discs · kmeans · clusters 6 #2"
