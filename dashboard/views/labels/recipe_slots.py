"""Up to three recipes side by side: which slots are open, what is loaded into them, and the page's address."""

from __future__ import annotations

import streamlit as st

from dashboard.facts import recipes
from dashboard.facts.recipes import SLOTS, Recipe
from dashboard.ui.form import reset_form
from dashboard.views.labels import cluster_facts as clusters
from engine.core.parameters import ParameterError

_COUNT, _NEXT, _CHANGED = "labels-slots", "labels-load-next", "labels-slots-changed"


def open_slots() -> tuple[str, ...]:
    """Return the slots on the bench. They start as the address says; later the bench rules, for the address may lag."""
    if _COUNT not in st.session_state:
        st.session_state[_COUNT] = len(recipes.slots_in(st.query_params))
    slots = SLOTS[: st.session_state[_COUNT]]
    if _NEXT in st.session_state:
        load_kept(*st.session_state.pop(_NEXT))
    for slot in slots:
        _first_recipe(slot)
    return slots


def add_slot() -> None:
    """A callback: open one more slot, with a copy of the last one's recipe."""
    slots = open_slots()
    if len(slots) < len(SLOTS):
        load_recipe(SLOTS[len(slots)], current_recipe(slots[-1]))
        st.session_state[_COUNT] = len(slots) + 1
        st.session_state[_CHANGED] = True


def remove_slot(slot: str) -> None:
    """A callback: close a slot; those to its right move up."""
    slots = open_slots()
    after = slots[slots.index(slot) + 1 :]
    for left, right in zip((slot, *after), after, strict=False):
        load_recipe(left, current_recipe(right))
    st.session_state[_COUNT] = len(slots) - 1
    st.session_state[_CHANGED] = True
    st.session_state.pop(f"labels-{slots[-1]}-method", None)
    st.query_params.pop(slots[-1], None)


def load_recipe(slot: str, recipe: Recipe) -> None:
    """A callback: put a recipe into the sliders of a slot."""
    st.session_state[f"labels-{slot}-method"] = recipe.method
    st.session_state[f"labels-{slot}-{recipe.method}-start"] = recipe.params
    st.session_state[f"labels-{slot}-recipe"] = recipe
    reset_form(f"labels-{slot}-{recipe.method}")
    if clusters.takes_ticks(recipe.method):
        st.session_state[_ticks(slot)] = getattr(recipe.params, recipes.TICKED)
        st.session_state.pop(f"{_ticks(slot)}-mean", None)


def slots_changed() -> bool:
    """Return once, after slots were added or removed, that the rest of the page must follow."""
    return st.session_state.pop(_CHANGED, False)


def load_kept(slot: str, recipe: Recipe) -> None:
    """A callback: put a recipe into the sliders of a slot that may have been made on another dataset."""
    load_recipe(slot, recipe)
    if clusters.takes_ticks(recipe.method) and getattr(recipe.params, recipes.TICKED):
        _note(
            slot,
            recipe,
            "The clusters were ticked where this recipe was kept. On another dataset their numbers mean other "
            "surfaces: look at the patches, or go back to the proposal.",
        )


def load_next(slot: str, recipe: Recipe) -> None:
    """Do what `load_kept` does at the next rerun: for code that is no callback."""
    st.session_state[_NEXT] = slot, recipe


def current_recipe(slot: str) -> Recipe:
    """Return the recipe that was last drawn in a slot."""
    return st.session_state.get(f"labels-{slot}-recipe") or recipes.default_recipe()


def remember(slot: str, recipe: Recipe) -> None:
    """Keep a slot's recipe in the address.

    An address without "a" means the defaults; writing them would only cost one more press of Back to leave the page.
    """
    st.session_state[f"labels-{slot}-recipe"] = recipe
    text = recipes.recipe_to_text(recipe)
    default = recipes.recipe_to_text(recipes.default_recipe()) if slot == SLOTS[0] else None
    if st.query_params.get(slot, default) != text:
        st.query_params[slot] = text


def note_on(slot: str, recipe: Recipe) -> str:
    """Return what there is to say about the recipe in a slot; mostly nothing."""
    noted, text = st.session_state.get(f"labels-{slot}-note", (None, ""))
    return text if noted == recipe else ""


def with_ticks(slot: str, recipe: Recipe, dataset_id: str) -> Recipe:
    """Return a recipe with the ticks of its slot.

    The number of a cluster means something only while the clusters stay: when they are found anew, with other
    parameters or in another dataset, the proposal is ticked again.
    """
    meaning = clusters.clustering_key(recipe, dataset_id)
    known = st.session_state.setdefault(f"{_ticks(slot)}-mean", meaning)
    forgotten = known != meaning and st.session_state.get(_ticks(slot), "") != ""
    if known != meaning:
        st.session_state[_ticks(slot)] = ""
        st.session_state[f"{_ticks(slot)}-mean"] = meaning
    params = recipe.params.model_copy(update={recipes.TICKED: st.session_state.get(_ticks(slot), "")})
    ticked = Recipe(recipe.method, params)
    if forgotten:
        _note(slot, ticked, "The clusters were found anew, so the proposal is ticked again.")
    return ticked


def set_ticks(slot: str, text: str) -> None:
    """Tick clusters in a slot; empty takes the proposal."""
    st.session_state[_ticks(slot)] = text


def _ticks(slot: str) -> str:
    return f"labels-{slot}-ticks"


def _first_recipe(slot: str) -> None:
    if f"labels-{slot}-method" in st.session_state:
        return
    recipe = recipes.default_recipe()
    if slot in st.query_params:
        try:
            recipe = recipes.recipe_from_text(st.query_params[slot])
        except ParameterError as error:
            _note(slot, recipe, f"The address names no recipe that can be drawn, so the defaults stand. {error}")
    load_recipe(slot, recipe)


def _note(slot: str, recipe: Recipe, text: str) -> None:
    """Say something about a recipe for as long as it stands in the slot, however often the page is drawn."""
    st.session_state[f"labels-{slot}-note"] = recipe, text
