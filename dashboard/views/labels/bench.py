"""The bench: up to three recipes side by side, each with its sliders, scores and masks of the same images."""

from __future__ import annotations

import time
from dataclasses import dataclass

import streamlit as st
from streamlit.delta_generator import DeltaGenerator
from streamlit.errors import StreamlitAPIException

from dashboard.access import rights
from dashboard.facts import recipes
from dashboard.facts.auto_choice import auto_choice
from dashboard.facts.mask_doubts import mask_doubt
from dashboard.facts.recipes import SLOTS, Recipe
from dashboard.facts.wording import count, duration, escaped
from dashboard.server import resources
from dashboard.views.labels import recipe_column as column
from dashboard.views.labels.facts import HOW_STROKES_WORK, SEED, Workplace
from dashboard.views.labels.recipe_column import Settings, State
from dashboard.views.labels.recipe_slots import (
    STROKES_SHOWN,
    add_slot,
    open_slots,
    remove_slot,
    slots_changed,
    uses_strokes,
)
from dashboard.views.labels.saved_recipes import save_recipe
from dashboard.views.labels.stroke_dialog import open_test_image
from db import submissions
from db.datasets import InUse
from db.names import NameTaken
from db.submissions import NotReady
from engine import VERSION
from engine.labelling.base import find_method

PAUSE_S = 0.3
SLIDERS_PX = 330
TILE_PX = {1: 200, 2: 150, 3: 130}


@dataclass(frozen=True)
class Places:
    """The containers of a slot. `panel` is for the result of a fit, below the method among the controls."""

    panel: DeltaGenerator
    scores: DeltaGenerator
    masks: DeltaGenerator


@st.fragment
def bench(place: Workplace, settings: Settings) -> None:
    """Draw the open slots. A fragment: moving a slider redraws this part of the page and nothing below it."""
    if slots_changed():
        st.rerun()  # the whole page: saved recipes can be loaded into each open slot
    slots = open_slots()
    chosen: dict[str, tuple[Recipe, Places]] = {}
    for slot, (controls, scores, masks) in zip(slots, _columns(len(slots)), strict=True):
        with controls:
            _heading(slot, slots)
            method = column.choose_method(slot)
            # The same height in all slots: many sliders in one must not push the masks of all out of sight.
            box = st.container() if len(slots) == 1 else st.container(height=SLIDERS_PX)
            with box:
                st.caption(find_method(method).summary)
                places = Places(st.container(), scores, masks)
                recipe = column.recipe_sliders(slot, method, place, columns=1 if len(slots) == 1 else "wrap")
            if recipe is not None:
                chosen[slot] = recipe, places
    if uses_strokes(slots) != st.session_state.get(STROKES_SHOWN):
        st.rerun()  # the whole page: what describes images to strokes is shown above, or no longer
    unjudged: list[tuple[Recipe, State]] = []
    unfinished: list[tuple[Recipe, DeltaGenerator]] = []
    asked = False
    # Methods that are fitted to the dataset take longest; the masks of the others need not wait for them.
    for slot in sorted(chosen, key=lambda slot: find_method(chosen[slot][0].method).fit is not None):
        asked |= _draw(place, slot, *chosen[slot], settings, TILE_PX[len(slots)], unjudged, unfinished)
    if asked:  # a dialog stays only until the next rerun
        return
    if unfinished:  # better masks first: to judge those of a draft would be in vain
        _fit_further(place, unfinished)
    else:
        _judge(place, unjudged, settings)


def _fit_further(place: Workplace, unfinished: list[tuple[Recipe, DeltaGenerator]]) -> None:
    """Look for better choices than the drafts that are displayed, then redraw the page with them."""
    for recipe, message in unfinished:
        try:
            column.fit_further(place, recipe, message)
        except ValueError as error:
            message.error(escaped(str(error)), icon=":material/error:")
            return
    _redraw()


def _judge(place: Workplace, unjudged: list[tuple[Recipe, State]], settings: Settings) -> None:
    """Compute the quality of the masks that are already displayed, then redraw the page with it.

    Scoring a mask takes longer than computing it; while sliders are moved, masks are shown first.
    """
    waiting = st.empty()
    if not unjudged:
        return
    # While a slider is dragged or one cluster after another is ticked, nothing in between is scored.
    settled = time.monotonic() + PAUSE_S
    while time.monotonic() < settled:
        waiting.empty()  # a newer rerun ends this one here
        time.sleep(PAUSE_S / 10)
    for recipe, state in unjudged:
        column.draw_previews(place, recipe, state, settings, waiting, judged=True)
    now = [(recipe, settings.limit_px, place) for recipe, _ in unjudged]
    if st.session_state.get("labels-judged") == now:
        return  # the cache did not keep them; redrawing the page again would not end
    st.session_state["labels-judged"] = now
    _redraw()


def _redraw() -> None:
    try:
        st.rerun(scope="fragment")
    except StreamlitAPIException:  # this is a run of the whole page
        st.rerun()


def _columns(slots: int) -> list[tuple[DeltaGenerator, DeltaGenerator, DeltaGenerator]]:
    """Return the containers of each slot for its sliders, scores and masks.

    Several slots use rows of columns, so that the same image has the same height in all of them.
    """
    if slots == 1:
        left, right = st.columns([2, 5], gap="medium")
        return [(left, right, right)]
    rows = [st.columns(slots, gap="medium") for _ in range(3)]
    return list(zip(*rows, strict=True))


def _heading(slot: str, slots: tuple[str, ...]) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f"**Recipe {slot.upper()}**", width="stretch")
        if slot == slots[-1] and len(slots) < len(SLOTS):
            st.button(
                "Add a recipe beside it" if len(slots) == 1 else "Add a third",
                icon=":material/add_column_right:",
                key="labels-add",
                on_click=add_slot,
            )
        if len(slots) > 1:
            st.button(
                "",
                icon=":material/close:",
                key=f"labels-{slot}-remove",
                help=f"Remove recipe {slot.upper()}.",
                on_click=remove_slot,
                args=(slot,),
            )


def _draw(
    place: Workplace,
    slot: str,
    recipe: Recipe,
    places: Places,
    settings: Settings,
    tile_px: int,
    unjudged: list[tuple[Recipe, State]],
    unfinished: list[tuple[Recipe, DeltaGenerator]],
) -> bool:
    """Draw scores and masks of a slot; return whether a dialog was opened.

    Masks without quality go to `unjudged`, and recipes that are drafts to `unfinished`, with a place for the progress.
    """
    with places.scores:
        try:
            fitted = column.fit(place, slot, recipe, places.masks)
        except ValueError as error:
            if not find_method(recipe.method).learns_from_corrections:
                st.error(escaped(str(error)), icon=":material/error:")
                return False
            st.info(f"{escaped(str(error))} Click on a test image below. {HOW_STROKES_WORK}", icon=":material/draw:")
            with places.masks:
                clicked = column.show_images(place, slot)
            if clicked:
                open_test_image(place, clicked, recipe, {}, settings)
            return bool(clicked)
    state = fitted.state
    with places.panel:
        column.fit_panel(place, slot, recipe, state)
    with places.scores:
        choice = auto_choice(state)
        if choice is not None:
            st.markdown(f":material/auto_awesome: {escaped(choice.sentence)}", help=escaped(choice.details))
        if not fitted.final:
            unfinished.append((recipe, st.empty()))
        previews = column.draw_previews(place, recipe, state, settings, st.empty(), judged=False)
        if doubt := mask_doubt(preview.shape for preview in previews):
            st.warning(doubt, icon=":material/visibility:")
        outcome = column.show_outcome(place, recipe, previews, settings)
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            label = f"Make masks for all {count(place.images, 'image')}"
            start = rights.button(label, type="primary", icon=":material/auto_fix_high:", key=f"labels-{slot}-start")
            save = rights.button("Save this recipe", icon=":material/bookmark_add:", key=f"labels-{slot}-keep")
    with places.masks:
        clicked, shown = column.show_masks(place, slot, recipe, previews, outcome, settings, tile_px)
    if clicked:
        open_test_image(place, clicked, recipe, shown, settings)
    if start:
        label_dataset(place, recipe, state, outcome.whole_dataset_s)
    if save:
        save_recipe(recipe)
    if any(preview.quality is None and not preview.error for preview in previews):
        unjudged.append((recipe, state))
    return start or save or bool(clicked)


@st.dialog("Make masks for all images", icon=":material/auto_fix_high:", on_dismiss="rerun")
def label_dataset(place: Workplace, recipe: Recipe, state: State, expected_s: float | None) -> None:
    """Ask for a name, save the recipe with its fitted state, and start the job."""
    with resources.database().reading() as session:
        wish = recipes.proposed_name(session, place.name, recipe)
    st.markdown(f"**{recipe.title}** · {escaped(recipes.describe_changes(recipe.params))}")
    about = "" if expected_s is None or expected_s < 1 else f", in about {duration(expected_s)}"
    st.markdown(
        f"Computes a mask for each of {count(place.images, 'image')}{about}. The recipe is saved with the masks."
    )
    name = st.text_input("Name of the mask set", wish, max_chars=200, key="labels-name")
    if not st.button("Start", type="primary", icon=":material/play_arrow:", key="labels-submit"):
        return
    try:
        with resources.database().writing() as session:
            label_set, job = submissions.submit_label(
                session, place.dataset_id, name, recipe.method, recipe.params.model_dump(), SEED, VERSION, state=state
            )
    except (NameTaken, NotReady, InUse) as error:
        st.error(escaped(str(error)), icon=":material/error:")
        return
    resources.launcher().submit(job.id)
    st.query_params["labels"] = label_set.id
    st.rerun()
