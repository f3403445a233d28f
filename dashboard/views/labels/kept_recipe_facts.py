"""Recipes that were kept under a name, and the JSON file in which one travels."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sqlalchemy.orm import Session

from dashboard.facts.recipes import Recipe, describe_changes, known_recipe, recipe_from_values, short_name
from db import names, recipes
from db.models import KeptRecipe
from engine.core.parameters import ParameterError
from engine.labelling import recipe_file


@dataclass(frozen=True)
class KeptCard:
    """A kept recipe; `recipe` is None where this version no longer has its method or parameters."""

    id: str
    name: str
    recipe: Recipe | None
    method_title: str
    changes: str


def kept_cards(session: Session) -> tuple[KeptCard, ...]:
    """Return the kept recipes, newest first."""
    return tuple(_card(row) for row in recipes.kept_recipes(session))


def _card(row: KeptRecipe) -> KeptCard:
    recipe = known_recipe(row.method, row.params)
    changes = describe_changes(recipe.params) if recipe else "this version does not have its method or parameters"
    return KeptCard(row.id, row.name, recipe, recipe.title if recipe else row.method, changes)


def proposed_name(session: Session, recipe: Recipe) -> str:
    """Return a free name for a recipe that is to be kept."""
    return free_name(session, short_name(recipe))


def free_name(session: Session, wish: str) -> str:
    """Return `wish`, with a number behind it where another kept recipe has that name."""
    return names.free_name(session, KeptRecipe, wish[:180])


def recipe_json(name: str, recipe: Recipe) -> str:
    """Return a recipe as the text of its file."""
    return recipe_file.to_json(name, recipe.method, recipe.params)


def recipe_of(content: bytes) -> tuple[str, Recipe]:
    """Return (name, recipe) of a file's content.

    Raises:
        ParameterError: it is no recipe, or a parameter breaks its rule; the sentence says which and why.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ParameterError("This is no recipe: the file is not text.") from None
    name, method, params = recipe_file.from_json(text)
    return name, recipe_from_values(method, params)


def file_name(name: str) -> str:
    """Return a name for a recipe's file that every operating system takes."""
    return (re.sub(r"[^\w\-.]+", " ", name).strip(" .") or "recipe")[:80] + ".recipe.json"
