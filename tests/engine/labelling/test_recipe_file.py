"""Recipes as files: what is written is read back, and every fault has its sentence."""

import json

import pytest

from engine.core.parameters import ParameterError
from engine.labelling.base import find_method, methods
from engine.labelling.recipe_file import from_json, to_json


@pytest.mark.parametrize("name", methods())
def test_a_recipe_is_read_as_it_was_written(name):
    params = find_method(name).params()
    text = to_json("Zellen, dunkel · ü", name, params)
    assert json.loads(text)["maskloom_recipe"] == 1
    assert from_json(text) == ("Zellen, dunkel · ü", name, params.model_dump(mode="json"))


def test_parameters_that_are_left_out_get_defaults():
    text = '{"maskloom_recipe": 1, "name": "n", "method": "kmeans", "params": {"clusters": 6}}'
    assert from_json(text)[2] == find_method("kmeans").params(clusters=6).model_dump(mode="json")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "it is not JSON"),
        ("[" * 100_000, "it is not JSON"),
        ("[1]", "a recipe file starts with"),
        ('{"method": "kmeans"}', "a recipe file starts with"),
        ('{"maskloom_recipe": 2, "method": "kmeans"}', r"files of version 1\. Got 2"),
        ('{"maskloom_recipe": true, "method": "kmeans"}', r"files of version 1\. Got True"),
        ('{"maskloom_recipe": 1}', r"The 'method' of a recipe file is text\. Got None"),
        ('{"maskloom_recipe": 1, "name": 3, "method": "kmeans"}', r"The 'name' of a recipe file is text\. Got 3"),
        ('{"maskloom_recipe": 1, "method": "kmeans", "params": []}', r"The 'params' .* is an object\. Got \[\]"),
        ('{"maskloom_recipe": 1, "method": "magic"}', "There is no label method 'magic'"),
        ('{"maskloom_recipe": 1, "method": "kmeans", "params": {"clusters": 1}}', "The 'clusters' parameter is wrong"),
        ('{"maskloom_recipe": 1, "method": "kmeans", "params": {"magic": 1}}', "There is no parameter 'magic'"),
    ],
)
def test_what_is_no_recipe_is_told_in_a_sentence(text, sentence):
    with pytest.raises(ParameterError, match=sentence):
        from_json(text)


def test_a_name_that_no_database_could_store_is_made_storable():
    name, _, _ = from_json('{"maskloom_recipe": 1, "name": "a\\ud800", "method": "threshold"}')
    assert name == "a?"


@pytest.mark.parametrize(
    "changes", [{"maskloom_recipe": "9" * 100_000}, {"method": "x" * 100_000}, {"params": ["x"] * 100_000}]
)
def test_a_recipe_of_any_content_is_refused_with_a_short_sentence(changes):
    with pytest.raises(ParameterError) as caught:
        from_json(json.dumps({"maskloom_recipe": 1, "method": "kmeans", **changes}))
    assert len(str(caught.value)) < 1000
