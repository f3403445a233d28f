"""The label bench: up to three recipes side by side, each with its sliders, scores and masks of the same images."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator
from streamlit.errors import StreamlitAPIException

from dashboard.access import rights
from dashboard.facts import recipes, wording
from dashboard.facts.auto_choice import auto_choice
from dashboard.facts.recipes import SLOTS, Recipe
from dashboard.server import resources
from dashboard.views.labels import recipe_column as column
from dashboard.views.labels.auto_panel import auto_sentence
from dashboard.views.labels.facts import Workplace
from dashboard.views.labels.kept_recipes import keep_recipe
from dashboard.views.labels.recipe_column import SEED, Settings
from dashboard.views.labels.recipe_slots import add_slot, open_slots, remove_slot, slots_changed
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
    """Where the parts of a slot go."""

    controls: DeltaGenerator
    scores: DeltaGenerator
    masks: DeltaGenerator


@dataclass(frozen=True)
class Drawn:
    """A slot whose masks are on the page. `unjudged` ones lack their quality; `asked` has opened a dialog."""

    recipe: Recipe
    state: dict[str, Any] | None
    unjudged: bool
    asked: bool


@st.fragment
def bench(place: Workplace, settings: Settings) -> None:
    """Draw the open slots. A fragment: moving a slider draws this part of the page and nothing below it."""
    if slots_changed():
        st.rerun()  # the whole page: kept recipes are loaded into the slots that are open
    slots = open_slots()
    places = _places(slots)
    chosen: dict[str, Recipe] = {}
    panels: dict[str, DeltaGenerator] = {}
    for slot in slots:
        with places[slot].controls:
            _heading(slot, slots)
            method = column.choose_method(slot)
            # Of the same height in all slots, or one with many sliders would push everyone's masks out of sight.
            box = st.container() if len(slots) == 1 else st.container(height=SLIDERS_PX)
            with box:
                st.caption(find_method(method).summary)
                panels[slot] = st.container()
                recipe = column.recipe_sliders(slot, method, place, columns=1 if len(slots) == 1 else "wrap")
            if recipe is not None:
                chosen[slot] = recipe
    drawn: dict[str, Drawn] = {}
    # Methods that look at the whole dataset first take longest; the others' masks need not wait for them.
    for slot in sorted(chosen, key=lambda slot: find_method(chosen[slot].method).fit is not None):
        shown = _draw(place, slot, chosen[slot], settings, panels[slot], places[slot], TILE_PX[len(slots)])
        if shown is not None:
            drawn[slot] = shown
    if not any(shown.asked for shown in drawn.values()):  # a dialog stays only until the next rerun
        _judge(place, list(drawn.values()), settings)


def _judge(place: Workplace, drawn: list[Drawn], settings: Settings) -> None:
    """Judge the masks that are already on the page, then draw it once more, now with their quality.

    To judge a mask takes longer than to draw it; a person who moves a slider sees masks first.
    """
    waiting = st.empty()
    unjudged = [shown for shown in drawn if shown.unjudged]
    if not unjudged:
        return
    # A person who drags a slider or ticks one cluster after another is not kept waiting by what is judged in between.
    settled = time.monotonic() + PAUSE_S
    while time.monotonic() < settled:
        waiting.empty()  # a newer rerun ends this one here
        time.sleep(PAUSE_S / 10)
    for shown in unjudged:
        column.draw_previews(place, shown.recipe, shown.state, settings, waiting, judged=True)
    now = [(shown.recipe, settings.limit_px, place) for shown in unjudged]
    if st.session_state.get("labels-judged") == now:
        return  # they could not be remembered; drawing the page again would not end
    st.session_state["labels-judged"] = now
    try:
        st.rerun(scope="fragment")
    except StreamlitAPIException:  # this is a run of the whole page
        st.rerun()


def _places(slots: tuple[str, ...]) -> dict[str, Places]:
    """Return where each slot's sliders, scores and masks go.

    Several slots take rows of columns, so that the same image stands at the same height in all of them.
    """
    if len(slots) == 1:
        left, right = st.columns([2, 5], gap="medium")
        return {slots[0]: Places(left, right, right)}
    rows = [st.columns(len(slots), gap="medium") for _ in range(3)]
    return {slot: Places(*cells) for slot, cells in zip(slots, zip(*rows, strict=True), strict=True)}


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
                help=f"Take recipe {slot.upper()} off the bench.",
                on_click=remove_slot,
                args=(slot,),
            )


def _draw(
    place: Workplace,
    slot: str,
    recipe: Recipe,
    settings: Settings,
    panel: DeltaGenerator,
    places: Places,
    tile_px: int,
) -> Drawn | None:
    with places.scores:
        try:
            state = column.learn(place, slot, recipe, places.masks)
        except ValueError as error:
            st.error(wording.escaped(str(error)), icon=":material/error:")
            return None
    if state is not None:
        with panel:
            column.learned_panel(place, slot, recipe, state)
    with places.scores:
        choice = auto_choice(state)
        if choice is not None:
            auto_sentence(choice)
        previews = column.draw_previews(place, recipe, state, settings, st.empty(), judged=False)
        outcome = column.measure(place, recipe, previews, settings)
        column.show_outcome(place, outcome)
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            start = rights.button(
                "Label the dataset", type="primary", icon=":material/auto_fix_high:", key=f"labels-{slot}-start"
            )
            keep = rights.button("Keep this recipe", icon=":material/bookmark_add:", key=f"labels-{slot}-keep")
    with places.masks:
        column.show_masks(place, slot, previews, outcome, settings, tile_px)
    if start:
        label_dataset(place, recipe, state, outcome.whole_dataset_s)
    if keep:
        keep_recipe(recipe)
    unjudged = any(preview.quality is None and not preview.error for preview in previews)
    return Drawn(recipe, state, unjudged, asked=start or keep)


@st.dialog("Label the dataset", icon=":material/auto_fix_high:")
def label_dataset(place: Workplace, recipe: Recipe, state: dict[str, Any] | None, expected_s: float | None) -> None:
    """Ask for a name, freeze the recipe with what it learned of the dataset, and start the job."""
    with resources.database().reading() as session:
        wish = recipes.proposed_name(session, place.name, recipe)
    st.markdown(f"**{recipe.title}** · {wording.escaped(recipes.describe_changes(recipe.params))}")
    about = "" if expected_s is None or expected_s < 1 else f", in about {wording.duration(expected_s)}"
    st.markdown(f"Draws a mask for each of {wording.count(place.images, 'image')}{about}. The recipe is then frozen.")
    name = st.text_input("Name of the label set", wish, max_chars=200, key="labels-name")
    if not st.button("Start", type="primary", icon=":material/play_arrow:", key="labels-submit"):
        return
    try:
        with resources.database().writing() as session:
            label_set, job = submissions.submit_label(
                session, place.dataset_id, name, recipe.method, recipe.params.model_dump(), SEED, VERSION, state=state
            )
    except (NameTaken, NotReady, InUse) as error:
        st.error(wording.escaped(str(error)), icon=":material/error:")
        return
    resources.launcher().submit(job.id)
    st.query_params["labels"] = label_set.id
    st.rerun()
