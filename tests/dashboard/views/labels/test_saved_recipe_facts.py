"""Saved recipes and their files."""

from __future__ import annotations

import json

import pytest

from dashboard.facts.recipes import recipe_from_values
from dashboard.views.labels import saved_recipe_facts as saved_recipes
from db import recipes
from engine.core.parameters import ParameterError
from engine.labelling import recipe_file
from tests.support.installation import Installation

SIX = recipe_from_values("kmeans", {"clusters": 6})


def test_the_proposed_name_is_free(installation: Installation):
    with installation.database.writing() as session:
        assert saved_recipes.free_name(session, SIX) == "kmeans · clusters 6"
        recipes.save_recipe(session, "kmeans · clusters 6", "kmeans", {})
        assert saved_recipes.free_name(session, SIX) == "kmeans · clusters 6 2"


def test_a_recipe_is_written_to_and_read_from_a_file():
    content = recipe_file.to_json("six", SIX.method, SIX.params).encode()
    assert json.loads(content)["maskloom_recipe"] == 1
    assert saved_recipes.recipe_of(content) == ("six", SIX)
    assert saved_recipes.recipe_of(b"\xef\xbb\xbf" + content) == ("six", SIX)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\xff\xfe\x00", "not text"),
        (b"{}", "not a recipe"),
        (b'{"maskloom_recipe": 1, "method": "kmeans", "params": {"clusters": 900}}', "clusters"),
        (b'{"maskloom_recipe": 1, "method": "magic", "params": {}}', "magic"),
    ],
)
def test_an_invalid_recipe_file_is_rejected_with_the_reason(content, words):
    with pytest.raises(ParameterError, match=words):
        saved_recipes.recipe_of(content)


@pytest.mark.parametrize(
    ("name", "file"),
    [("six", "six.recipe.json"), ("a/b: c?", "a b c.recipe.json"), ("...", "recipe.recipe.json")],
)
def test_a_file_name_is_valid_on_every_system(name, file):
    assert saved_recipes.file_name(name) == file
