"""Saved recipes, and the JSON file format to share them."""

from __future__ import annotations

import re

from sqlalchemy.orm import Session

from dashboard.facts.recipes import Recipe, recipe_from_values, short_name
from db import names
from db.models import SavedRecipe
from engine.core.parameters import ParameterError
from engine.labelling import recipe_file


def free_name(session: Session, recipe: Recipe, wish: str = "") -> str:
    """Return `wish`, by default a description of the recipe, numbered where another saved recipe has that name."""
    return names.free_name(session, SavedRecipe, (wish or short_name(recipe))[:180])


def recipe_of(content: bytes) -> tuple[str, Recipe]:
    """Return (name, recipe) of a file's content.

    Raises:
        ParameterError: it is not a recipe, or a parameter is invalid; the message says which and why.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ParameterError("This is no recipe: the file is not text.") from None
    name, method, params = recipe_file.from_json(text)
    return name, recipe_from_values(method, params)


def file_name(name: str) -> str:
    """Return a file name for a recipe that is valid on every operating system."""
    return (re.sub(r"[^\w\-.]+", " ", name).strip(" .") or "recipe")[:80] + ".recipe.json"
