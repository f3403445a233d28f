"""The slots of the bench: which are open, their recipes in the session state, and the page's URL."""

from __future__ import annotations

import streamlit as st

from dashboard.facts import recipes
from dashboard.facts.recipes import SLOTS, Recipe
from dashboard.ui.form import reset_form
from dashboard.views.labels import cluster_facts as clusters
from engine.core.parameters import ParameterError
from engine.labelling.base import find_method

WEIGHTS_SHOWN = "labels-weights-shown"
_COUNT, _NEXT, _CHANGED = "labels-slots", "labels-load-next", "labels-slots-changed"


def open_slots() -> tuple[str, ...]:
    """Return the open slots: at first those of the URL, later those of the session, because the URL may lag behind."""
    if _COUNT not in st.session_state:
        st.session_state[_COUNT] = len(recipes.slots_in(st.query_params.to_dict()))
    slots = SLOTS[: st.session_state[_COUNT]]
    if _NEXT in st.session_state:
        load_saved(*st.session_state.pop(_NEXT))
    for slot in slots:
        _first_recipe(slot)
    return slots


def without_weights(slots: tuple[str, ...]) -> str:
    """Return what the recipes of the slots lack without pretrained weights, a sentence; empty if they use none."""
    chosen = [find_method(st.session_state[f"labels-{slot}-method"]) for slot in slots]
    if any(method.needs_weights for method in chosen):
        return "Deep features need pretrained weights."
    if any(method.learns_from_corrections for method in chosen):
        return "Without pretrained weights strokes learn colour and texture only, and need more of them."
    return ""


def add_slot() -> None:
    """A callback: open one more slot with a copy of the last recipe."""
    slots = open_slots()
    if len(slots) < len(SLOTS):
        load_recipe(SLOTS[len(slots)], current_recipe(slots[-1]))
        st.session_state[_COUNT] = len(slots) + 1
        st.session_state[_CHANGED] = True


def open_beside(slot: str, recipe: Recipe) -> None:
    """A callback: put a recipe into the slot after this one, which opens if it was closed; of the last, before it."""
    slots, at = open_slots(), SLOTS.index(slot)
    beside = SLOTS[at + 1] if at + 1 < len(SLOTS) else SLOTS[at - 1]
    load_recipe(beside, recipe)
    if beside not in slots:
        st.session_state[_COUNT] = len(slots) + 1
    st.session_state[_CHANGED] = True


def remove_slot(slot: str) -> None:
    """A callback: close a slot; those to its right move left."""
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
    """Return True once after slots were added or removed, so that the rest of the page is redrawn."""
    return st.session_state.pop(_CHANGED, False)


def load_saved(slot: str, recipe: Recipe) -> None:
    """A callback: put a recipe, perhaps of another dataset, into the sliders of a slot."""
    load_recipe(slot, recipe)
    fitted = find_method(recipe.method).fit is not None
    if fitted and clusters.takes_ticks(recipe.method) and getattr(recipe.params, recipes.TICKED):
        _note(
            slot,
            recipe,
            "The clusters were ticked on the dataset where this recipe was saved. On another dataset their numbers "
            "stand for other surfaces: check the patches, or reset to the proposal.",
        )


def load_next(slot: str, recipe: Recipe) -> None:
    """Call `load_saved` at the next rerun: for code that is no callback."""
    st.session_state[_NEXT] = slot, recipe


def current_recipe(slot: str) -> Recipe:
    """Return the recipe that a slot showed last."""
    return st.session_state.get(f"labels-{slot}-recipe") or recipes.default_recipe()


def remember(slot: str, recipe: Recipe) -> None:
    """Store a slot's recipe in the URL.

    A URL without "a" means the defaults; writing them would only add one more press of Back to leave the page.
    """
    st.session_state[f"labels-{slot}-recipe"] = recipe
    text = recipes.recipe_to_text(recipe)
    default = recipes.recipe_to_text(recipes.default_recipe()) if slot == SLOTS[0] else None
    if st.query_params.get(slot, default) != text:
        st.query_params[slot] = text


def note_on(slot: str, recipe: Recipe) -> str:
    """Return the note on the recipe in a slot, usually empty."""
    noted, text = st.session_state.get(f"labels-{slot}-note", (None, ""))
    return text if noted == recipe else ""


def with_ticks(slot: str, recipe: Recipe, dataset_id: str) -> Recipe:
    """Return a recipe with the ticks of its slot.

    The number of a cluster is valid only as long as the clusters stay the same: when they are recomputed, with other
    parameters or on another dataset, the proposal is ticked again.
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
        clusters_changed = "The clusters were recomputed, so the proposal is ticked again."
        regions_changed = "The regions changed, so the rule chooses again among them."
        _note(slot, ticked, clusters_changed if find_method(recipe.method).fit is not None else regions_changed)
    return ticked


def set_ticks(slot: str, text: str) -> None:
    """Tick clusters in a slot; empty text resets to the proposal."""
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
            _note(slot, recipe, f"The URL has no valid recipe, so the defaults are used. {error}")
    load_recipe(slot, recipe)


def _note(slot: str, recipe: Recipe, text: str) -> None:
    """Show a text with a recipe as long as the slot has it, however often the page is redrawn."""
    st.session_state[f"labels-{slot}-note"] = recipe, text
