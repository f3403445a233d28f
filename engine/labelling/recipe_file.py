"""A recipe as a JSON file, for export and import: {"maskloom_recipe": 1, "name", "method", "params"}."""

from __future__ import annotations

import json
from typing import Any

from engine.core.parameters import ParameterError, parse, shown
from engine.labelling.base import LabelParams, find_method

VERSION = 1


def to_json(name: str, method: str, params: LabelParams) -> str:
    """Return a method and all its parameters as the text of a recipe file."""
    recipe = {"maskloom_recipe": VERSION, "name": name, "method": method, "params": params.model_dump(mode="json")}
    return json.dumps(recipe, ensure_ascii=False, indent=2) + "\n"


def from_json(text: str) -> tuple[str, str, dict[str, Any]]:
    """Return (name, method, all parameters by name) of a recipe file; missing parameters get their defaults.

    Raises:
        ParameterError: it is not a recipe, its version, method or a parameter is unknown, or a value is invalid.
    """
    try:
        recipe = json.loads(text)
    # Numbers with too many digits raise a ValueError, deeply nested brackets a RecursionError.
    except (ValueError, RecursionError) as error:
        raise ParameterError(f"This is not a recipe: it is not JSON ({error}).") from None
    if not isinstance(recipe, dict) or "maskloom_recipe" not in recipe:
        raise ParameterError('This is not a recipe: a recipe file starts with {"maskloom_recipe": 1, ….')
    if recipe["maskloom_recipe"] is True or recipe["maskloom_recipe"] != VERSION:
        raise ParameterError(
            f"This version reads recipe files of version {VERSION}. Got {shown(recipe['maskloom_recipe'])}."
        )
    recipe.setdefault("name", "")
    recipe.setdefault("params", {})
    for key, kind, description in (("name", str, "text"), ("method", str, "text"), ("params", dict, "an object")):
        if not isinstance(recipe.get(key), kind):
            raise ParameterError(f"The '{key}' of a recipe file is {description}. Got {shown(recipe.get(key))}.")
    name = recipe["name"].encode("utf-8", "replace").decode()  # JSON allows lone surrogates, which cannot be stored
    params = parse(find_method(recipe["method"]).params, recipe["params"])
    return name, recipe["method"], params.model_dump(mode="json")
