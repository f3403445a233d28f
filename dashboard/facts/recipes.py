"""Recipes as text for people and for the page's URL, and the slots in which they are shown side by side."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from db import names
from db.models import LabelSet
from db.recipes import IMPORTED
from engine.core.parameters import ParameterError, parse
from engine.labelling.base import DEFAULT_METHOD, LabelParams, find_method, methods
from engine.labelling.ticks import read_ticks

SLOTS = ("a", "b", "c")
"""The recipes of the bench from left to right; each name is also a parameter of the page's URL."""

TICKED = "ticked"
"""The parameter that holds the clusters that the user ticked (see engine.labelling.ticks), empty for the proposal. The
numbers are valid only for the dataset on which they were ticked."""


MAIN = {
    "auto": (),
    "dataset_clusters": ("clusters",),
    "deep_features": ("first_masks", "reassignments"),
    "gaussian_mixture": ("foreground", "clusters"),
    "lines": ("lines", "strength"),
    "normalised_cut": ("foreground", "groups"),
    "saliency": ("strictness",),
    "strokes": (),
    "surface": ("agreement", "least_area_percent"),
    "threshold": ("foreground", "offset"),
}
"""The parameters of a method that decide most, shown first; of other methods the first two after the size."""


@dataclass(frozen=True)
class Recipe:
    """A method and its parameters: tuned on the Masks page, and saved with the masks of a mask set."""

    method: str
    params: LabelParams

    @property
    def title(self) -> str:
        """The method's title."""
        return find_method(self.method).title


def changed(params: LabelParams) -> dict[str, Any]:
    """Return {name: value} of the parameters that differ from the method's defaults."""
    defaults = type(params)().model_dump()
    return {name: value for name, value in params.model_dump().items() if value != defaults[name]}


def describe_changes(params: LabelParams) -> str:
    """Return the changed parameters as text: "clusters 6, foreground darker"; "defaults" for none."""
    return ", ".join(_change(name, value) for name, value in changed(params).items()) or "defaults"


def recipe_to_text(recipe: Recipe) -> str:
    """Return a recipe as text for the page's URL: "kmeans,clusters:6"; only what differs from the defaults."""
    pairs = [f"{name}:{_value(value)}" for name, value in changed(recipe.params).items()]
    return ",".join([recipe.method, *pairs])


def recipe_from_text(text: str) -> Recipe:
    """Return the recipe of `recipe_to_text`.

    Raises:
        ParameterError: there is no such method, or a parameter is invalid.
    """
    name, *pairs = text.split(",")
    return recipe_from_values(name, dict(pair.partition(":")[::2] for pair in pairs))


def recipe_from_values(method: str, values: dict[str, Any]) -> Recipe:
    """Return a method's recipe with these values, and defaults for the others.

    Raises:
        ParameterError: there is no such method, or a parameter is invalid.
    """
    return Recipe(method, parse(find_method(method).params, values))


def known_recipe(method: str, values: dict[str, Any]) -> Recipe | None:
    """Return a stored recipe, or None where this version no longer has its method or parameters."""
    try:
        return recipe_from_values(method, values)
    except ParameterError:
        return None


def describe_stored(method: str, values: dict[str, Any]) -> tuple[Recipe | None, str, str]:
    """Return a stored recipe as `known_recipe` does, the title of its method, and its changed parameters as text.

    Imported masks have no recipe; they are described by where they are from and how they were read.
    """
    if method == IMPORTED:
        read_as = f", read as {values['read_as']}" if "read_as" in values else ""
        return None, "Imported masks", f"from {values.get('source', 'an unknown source')}{read_as}"
    recipe = known_recipe(method, values)
    if recipe is None:
        return None, method, "this version does not have its method or parameters"
    return recipe, recipe.title, describe_changes(recipe.params)


def default_recipe() -> Recipe:
    """Return the default method with its defaults."""
    return Recipe(DEFAULT_METHOD, find_method(DEFAULT_METHOD).params())


def main_parameters(method: str) -> tuple[str, ...]:
    """Return the names of the parameters that are always shown; the others of the method are folded."""
    fields = find_method(method).params.model_fields
    usual = [name for name in fields if name not in (*LabelParams.model_fields, TICKED)][:2]
    return tuple(name for name in MAIN.get(method, usual) if name in fields)


def method_order() -> list[str]:
    """Return the methods' names in the order of the menu: the default first, then by title."""
    return sorted(methods(), key=lambda name: (name != DEFAULT_METHOD, methods()[name].title))


def slots_in(address: Container[str]) -> tuple[str, ...]:
    """Return the slots that a URL with these parameters opens: as many as it names, and at least the first."""
    return SLOTS[: max(1, sum(slot in address for slot in SLOTS))]


def proposed_name(session: Session, dataset_name: str, recipe: Recipe) -> str:
    """Return a free name for a mask set: dataset, method and, if they are few, changed parameters."""
    _, _, changes = short_name(recipe).partition(" · ")
    parts = (recipe.method, changes if len(changes) <= names.LONGEST_PART else "")
    return names.counted_name(session, LabelSet, names.default_name(dataset_name, *parts))


def short_name(recipe: Recipe) -> str:
    """Return "kmeans", or "kmeans · clusters 6"."""
    changes = describe_changes(recipe.params)
    return recipe.method + (f" · {changes}" if changes != "defaults" else "")


def _change(name: str, value: Any) -> str:
    if name == TICKED:
        ticks = read_ticks(value)
        classes = len(set(ticks.values()))
        as_classes = f" as {classes} classes" if classes > 1 else ""
        return f"{len(ticks) or 'no'} cluster{'' if len(ticks) == 1 else 's'} ticked{as_classes}"
    return f"{_words(name)} {_words(_value(value))}"


def _words(name: str) -> str:
    return name.removesuffix("_px").replace("_", " ")


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)
