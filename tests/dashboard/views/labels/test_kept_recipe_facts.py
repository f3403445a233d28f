"""Recipes that were kept under a name, and their files."""

from __future__ import annotations

import json

import pytest

from dashboard.facts.recipes import recipe_from_values
from dashboard.views.labels import kept_recipe_facts as kept_recipes
from db import recipes
from engine.core.parameters import ParameterError
from tests.support.installation import Installation

SIX = recipe_from_values("kmeans", {"clusters": 6})


def test_kept_recipes_tell_what_they_are_even_of_another_version(installation: Installation):
    with installation.database.writing() as session:
        recipes.keep_recipe(session, "six", "kmeans", SIX.params.model_dump())
        recipes.keep_recipe(session, "old", "retired", {})
    with installation.database.reading() as session:
        cards = {card.name: card for card in kept_recipes.kept_cards(session)}
    assert (cards["six"].recipe, cards["six"].changes) == (SIX, "clusters 6")
    assert (cards["old"].recipe, cards["old"].method_title) == (None, "retired")


def test_a_name_is_proposed_that_is_free(installation: Installation):
    with installation.database.writing() as session:
        assert kept_recipes.proposed_name(session, SIX) == "kmeans · clusters 6"
        recipes.keep_recipe(session, "kmeans · clusters 6", "kmeans", {})
        assert kept_recipes.proposed_name(session, SIX) == "kmeans · clusters 6 2"


def test_a_recipe_travels_as_a_file():
    content = kept_recipes.recipe_json("six", SIX).encode()
    assert json.loads(content)["maskloom_recipe"] == 1
    assert kept_recipes.recipe_of(content) == ("six", SIX)
    assert kept_recipes.recipe_of(b"\xef\xbb\xbf" + content) == ("six", SIX)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\xff\xfe\x00", "not text"),
        (b"{}", "no recipe"),
        (b'{"maskloom_recipe": 1, "method": "kmeans", "params": {"clusters": 900}}', "clusters"),
        (b'{"maskloom_recipe": 1, "method": "magic", "params": {}}', "magic"),
    ],
)
def test_a_file_that_is_no_recipe_is_refused_with_what_is_wrong(content, words):
    with pytest.raises(ParameterError, match=words):
        kept_recipes.recipe_of(content)


@pytest.mark.parametrize(
    ("name", "file"),
    [("six", "six.recipe.json"), ("a/b: c?", "a b c.recipe.json"), ("...", "recipe.recipe.json")],
)
def test_a_file_gets_a_name_that_every_system_takes(name, file):
    assert kept_recipes.file_name(name) == file
