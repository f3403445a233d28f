"""The bench: up to three recipes side by side, each with its sliders, scores and masks of the same images."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import streamlit as st
from streamlit.delta_generator import DeltaGenerator
from streamlit.errors import StreamlitAPIException

from dashboard.access import rights
from dashboard.facts import recipes
from dashboard.facts.auto_choice import auto_choice
from dashboard.facts.mask_doubts import mask_verdict
from dashboard.facts.recipes import SLOTS, Recipe
from dashboard.facts.wording import count, duration, escaped
from dashboard.server import resources
from dashboard.server.previews import PREVIEW_PX
from dashboard.views.labels import recipe_column as column
from dashboard.views.labels.facts import HOW_STROKES_WORK, SEED, Workplace
from dashboard.views.labels.label_set_facts import LabelSetCard
from dashboard.views.labels.label_sets import to_train
from dashboard.views.labels.recipe_column import Settings, State
from dashboard.views.labels.recipe_slots import (
    WEIGHTS_SHOWN,
    add_slot,
    load_recipe,
    open_slots,
    remove_slot,
    slots_changed,
    without_weights,
)
from dashboard.views.labels.saved_recipes import save_recipe
from dashboard.views.labels.stroke_dialog import open_test_image
from dashboard.views.labels.verdict_line import show_verdict
from db import submissions
from db.datasets import InUse
from db.names import NameTaken
from db.submissions import NotReady
from db.waiting import label_set_at_work
from engine import VERSION
from engine.labelling.base import find_method

PAUSE_S = 0.3
WITHOUT_WEIGHTS = "This method needs pretrained weights. Get them above, or name an ONNX file in *More settings*."
SLIDERS_PX = 250
TILE_PX = {1: 200, 2: 150, 3: 130}
# The masks stay in sight however long the controls beside them are; what Automatic tried is a list.
STICKY = """<style>@media (min-width: 900px) and (min-height: 700px) {
  [data-testid="stColumn"]:has(.st-key-labels-sight) > div { height: 100%; }
  [data-testid="stLayoutWrapper"]:has(> .st-key-labels-sight) { position: sticky; top: 4.5rem; }
}
[class*="st-key-labels-"][class*="-auto-"] button > div { text-align: left; }</style>"""
JUDGED = "labels-judged"


@dataclass(frozen=True)
class Places:
    """The containers of a slot, `head` with its buttons and what its masks wait for.

    `panel` is for the result of a fit, below the method among the controls.
    """

    panel: DeltaGenerator
    head: DeltaGenerator
    masks: DeltaGenerator
    scores: DeltaGenerator


@dataclass
class Drawn:
    """What the slots show, and what was asked for. Masks that are quick previews or without a score are `unjudged`.

    `unfinished` are recipes whose choice is a draft, each with a place for the progress.
    """

    shown: dict[str, column.Shown] = field(default_factory=dict)
    unfinished: list[tuple[Recipe, DeltaGenerator]] = field(default_factory=list)
    unjudged: list[tuple[str, Recipe, State]] = field(default_factory=list)
    clicked: tuple[str, str] | None = None  # slot and image
    asked: bool = False


@st.fragment
def bench(place: Workplace, settings: Settings, newest: LabelSetCard | None) -> None:
    """Draw the open slots. A fragment: moving a slider redraws this part of the page and nothing below it.

    `newest` is the mask set to go on with, if there is one.
    """
    if slots_changed():
        st.rerun()  # the whole page: saved recipes can be loaded into each open slot
    slots = open_slots()
    chosen: dict[str, tuple[Recipe, Places]] = {}
    for slot, (controls, head, masks, scores) in zip(slots, _columns(len(slots)), strict=True):
        with controls:
            _heading(slot, slots)
            method = column.choose_method(slot)
            # The same height in all slots: many sliders in one must not push the masks of all out of sight.
            box = st.container() if len(slots) == 1 else st.container(height=SLIDERS_PX)
            with box:
                st.caption(find_method(method).summary)
                places = Places(st.container(), head, masks, scores)
                recipe = column.recipe_sliders(slot, method, place, columns=1 if len(slots) == 1 else "wrap")
            if recipe is not None:
                chosen[slot] = recipe, places
            if slot == slots[-1] and len(slots) < len(SLOTS):
                label = "Compare with another recipe" if len(slots) == 1 else "Compare with a third"
                st.button(
                    label, icon=":material/add_column_right:", key="labels-add", type="tertiary", on_click=add_slot
                )
    if without_weights(slots) != st.session_state.get(WEIGHTS_SHOWN):
        st.rerun()  # the whole page: which pretrained weights there are is shown above, or no longer
    drawn = Drawn()
    # Methods that are fitted to the dataset take longest; the masks of the others need not wait for them.
    for slot in sorted(chosen, key=lambda slot: find_method(chosen[slot][0].method).fit is not None):
        _draw(place, slot, *chosen[slot], settings, len(slots), newest if slot == slots[0] else None, drawn)
    if drawn.clicked:
        slot, image_id = drawn.clicked
        open_test_image(
            place, image_id, slot, {each: drawn.shown[each] for each in slots if each in drawn.shown}, settings
        )
    elif drawn.asked:
        return  # a dialog stays only until the next rerun
    elif drawn.unfinished:  # better choices first: to judge the masks of drafts would be in vain
        _fit_further(place, drawn.unfinished)
    else:
        _judge(place, drawn.unjudged)


def _fit_further(place: Workplace, unfinished: list[tuple[Recipe, DeltaGenerator]]) -> None:
    """Look for better choices than the drafts that are displayed, then redraw the page with them."""
    for recipe, message in unfinished:
        try:
            column.fit_further(place, recipe, message)
        except ValueError as error:
            message.error(escaped(str(error)), icon=":material/error:")
            return
    _redraw()


def _judge(place: Workplace, unjudged: list[tuple[str, Recipe, State]]) -> None:
    """Compute the masks that are already displayed at full size, with their scores, then redraw the page with them.

    This takes longer than quick previews; while sliders are moved, those are shown first.
    """
    waiting = st.empty()
    if not unjudged:
        return
    # While a slider is dragged or one cluster after another is ticked, nothing in between is scored.
    settled = time.monotonic() + PAUSE_S
    while time.monotonic() < settled:
        waiting.empty()  # a newer rerun ends this one here
        time.sleep(PAUSE_S / 10)
    for _, recipe, state in unjudged:
        column.draw_previews(place, recipe, state, waiting, limit_px=None, judged=True)
    if all(_judged(place, slot, recipe, state) for slot, recipe, state in unjudged):
        return  # the cache did not keep them; redrawing the page again would not end
    for slot, recipe, state in unjudged:
        st.session_state[f"{JUDGED}-{slot}"] = place, recipe, state
    _redraw()


def _redraw() -> None:
    try:
        st.rerun(scope="fragment")
    except StreamlitAPIException:  # this is a run of the whole page
        st.rerun()


def _judged(place: Workplace, slot: str, recipe: Recipe, state: State) -> bool:
    """Return whether the masks of a slot were computed at full size."""
    return st.session_state.get(f"{JUDGED}-{slot}") == (place, recipe, state)


def _columns(slots: int) -> list[tuple[DeltaGenerator, DeltaGenerator, DeltaGenerator, DeltaGenerator]]:
    """Return the containers of each slot for its sliders, buttons, masks and scores.

    Several slots use rows of columns, so that the same image has the same height in all of them.
    """
    if slots == 1:
        left, right = st.columns([2, 5], gap="medium")
        st.html(STICKY)
        with right, st.container(key="labels-sight"):
            return [(left, st.container(), st.container(), st.container())]
    rows = [st.columns(slots, gap="medium") for _ in range(4)]
    return list(zip(*rows, strict=True))


def _heading(slot: str, slots: tuple[str, ...]) -> None:
    if len(slots) == 1:
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f"**Recipe {slot.upper()}**", width="stretch")
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
    slots: int,
    newest: LabelSetCard | None,
    drawn: Drawn,
) -> None:
    """Draw buttons, masks and scores of a slot."""
    with places.head:
        buttons = st.container(horizontal=True, vertical_alignment="center", gap="small")
        try:
            fitted = column.fit(place, slot, recipe, places.masks)
        except ValueError as error:
            _explain(place, slot, recipe, places, str(error), drawn)
            return
    state = fitted.state
    with places.panel:
        column.fit_panel(place, slot, recipe, state)
    full = _judged(place, slot, recipe, state) or find_method(recipe.method).caches_features
    limit_px = None if full else PREVIEW_PX
    with places.head:
        choice = auto_choice(state)
        if choice is not None:
            st.markdown(f":material/auto_awesome: {escaped(choice.sentence)}", help=escaped(choice.details))
        if not fitted.final:
            drawn.unfinished.append((recipe, st.empty()))
        previews = column.draw_previews(place, recipe, state, st.empty(), limit_px=limit_px, judged=False)
        show_verdict(
            mask_verdict(
                [preview.quality for preview in previews if not preview.error],
                state,
                taught=find_method(recipe.method).learns_from_corrections,
            ),
            key=f"labels-{slot}-verdict",
            show_strokes=partial(load_recipe, slot),
        )
    outcome = column.outcome_of(place, recipe, state, previews, settings, limit_px)
    with places.masks:
        clicked, drawn.shown[slot] = column.show_masks(
            place, slot, recipe, state, previews, outcome, settings, TILE_PX[slots]
        )
    if clicked:
        drawn.clicked = slot, clicked
    with places.scores:
        column.show_outcome(place, recipe, outcome, limit_px)
    with buttons:
        label = f"Make masks for all {count(place.images, 'image')}"
        kind: Literal["primary", "secondary"] = "primary" if slots == 1 else "secondary"
        start = rights.button(label, type=kind, icon=":material/auto_fix_high:", key=f"labels-{slot}-start")
        if (takes_s := outcome.whole_dataset_s) and takes_s >= 1:
            st.caption(f"about {duration(takes_s)}", width="content")
        if newest is not None:
            to_train(place, newest, "secondary", "Train on the newest masks")
        save = rights.button(
            "Save this recipe" if slots == 1 else "",
            type="tertiary",
            icon=":material/bookmark_add:",
            key=f"labels-{slot}-keep",
            help="Save this recipe under a name, for this and other datasets.",
        )
    if start:
        with places.head:  # where the button is: what is said below all masks is out of sight
            _start(place, recipe, state)
    if save:
        save_recipe(recipe)
    drawn.asked |= start or save
    if not full or any(preview.quality is None and not preview.error for preview in previews):
        drawn.unjudged.append((slot, recipe, state))


def _explain(place: Workplace, slot: str, recipe: Recipe, places: Places, error: str, drawn: Drawn) -> None:
    """Say why a slot has no masks; strokes can be drawn on its images."""
    method = find_method(recipe.method)
    if not method.learns_from_corrections:
        if method.needs_weights and method.look_depends_on and not method.look_depends_on(recipe.params):
            st.info(WITHOUT_WEIGHTS, icon=":material/download:")
        else:
            st.error(escaped(error), icon=":material/error:")
        return
    st.info(f"{escaped(error)} Click on a test image below. {HOW_STROKES_WORK}", icon=":material/draw:")
    with places.masks:
        clicked = column.show_images(place, slot)
    drawn.shown[slot] = column.Shown(recipe)
    if clicked:
        drawn.clicked = slot, clicked


def _start(place: Workplace, recipe: Recipe, state: State) -> None:
    """Save the recipe with its fitted state, start the job, and open the mask set; it can be renamed there."""
    try:
        with resources.database().writing() as session:
            settings = recipe.method, recipe.params.model_dump(), SEED
            label_set = label_set_at_work(session, place.dataset_id, *settings, state)
            job = None
            if label_set is None:
                name = recipes.proposed_name(session, place.name, recipe)
                label_set, job = submissions.submit_label(
                    session, place.dataset_id, name, *settings, VERSION, state=state
                )
    except (NameTaken, NotReady, InUse) as error:
        st.error(escaped(str(error)), icon=":material/error:")
        return
    if job is not None:
        resources.launcher().submit(job.id)
    st.query_params["labels"] = label_set.id
    st.rerun()
