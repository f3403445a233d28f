"""A recipe as a JSON file, to carry from one machine to another: {"maskloom_recipe": 1, "name", "method", "params"}."""

from __future__ import annotations

import json
from typing import Any

from engine.core.parameters import ParameterError, parse
from engine.labelling.base import LabelParams, find_method

VERSION = 1


def to_json(name: str, method: str, params: LabelParams) -> str:
    """Return a method and all its parameters as the text of a recipe file."""
    recipe = {"maskloom_recipe": VERSION, "name": name, "method": method, "params": params.model_dump(mode="json")}
    return json.dumps(recipe, ensure_ascii=False, indent=2) + "\n"


def from_json(text: str) -> tuple[str, str, dict[str, Any]]:
    """Return (name, method, every parameter by name) of a recipe file; parameters that it leaves out get defaults.

    Raises:
        ParameterError: it is no recipe, its version, method or a parameter is not known here, or a value is wrong.
    """
    try:
        recipe = json.loads(text)
    # A number of more digits than Python takes is a ValueError, and brackets without end are a RecursionError.
    except (ValueError, RecursionError) as error:
        raise ParameterError(f"This is no recipe: it is not JSON ({error}).") from None
    if not isinstance(recipe, dict) or "maskloom_recipe" not in recipe:
        raise ParameterError('This is no recipe: a recipe file begins with {"maskloom_recipe": 1, ….')
    if recipe["maskloom_recipe"] is True or recipe["maskloom_recipe"] != VERSION:
        raise ParameterError(
            f"This version reads recipe files of version {VERSION}. Got {recipe['maskloom_recipe']!r}."
        )
    name, method, params = recipe.get("name", ""), recipe.get("method"), recipe.get("params", {})
    for key, value, kind, what in (
        ("name", name, str, "text"),
        ("method", method, str, "text"),
        ("params", params, dict, "an object"),
    ):
        if not isinstance(value, kind):
            raise ParameterError(f"The '{key}' of a recipe file is {what}. Got {value!r}.")
    name = name.encode("utf-8", "replace").decode()  # half a surrogate pair is JSON, but no text that can be stored
    return name, method, parse(find_method(method).params, params).model_dump(mode="json")
