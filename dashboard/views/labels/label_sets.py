"""The mask sets of a dataset: recipe, scores, masks, and actions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

import streamlit as st

from dashboard.access import rights
from dashboard.facts.jobs import JobView
from dashboard.facts.mask_doubts import cover_doubt
from dashboard.facts.recipes import Recipe
from dashboard.facts.wording import ago, count, escaped
from dashboard.server import resources
from dashboard.ui.confirm import deletion_buttons
from dashboard.ui.downloads import downloads
from dashboard.ui.job_panel import job_panel
from dashboard.ui.measure_button import measure_button
from dashboard.ui.status import badge_text, doubt
from dashboard.views.labels import label_set_facts as facts
from dashboard.views.labels.facts import Workplace
from dashboard.views.labels.label_set_facts import LabelSetCard
from dashboard.views.labels.verdict_line import show_verdict
from db import recipes
from db.columns import utc_now
from db.names import NameTaken

ADDRESS = "labels"


def label_sets(place: Workplace) -> tuple[LabelSetCard, ...]:
    """Return the mask sets of a dataset, newest first."""
    with resources.database().reading() as session:
        return facts.label_set_cards(session, place.dataset_id, utc_now(), resources.settings().lost_after_s)


def opened_label_set(place: Workplace) -> LabelSetCard | None:
    """Return the mask set that the URL names, if it is one of this dataset."""
    opened = st.query_params.get(ADDRESS)
    return next((card for card in label_sets(place) if card.id == opened), None) if opened else None


def list_label_sets(
    place: Workplace, cards: Sequence[LabelSetCard], load: Callable[[str, Recipe], None], threshold: float
) -> None:
    """Draw the mask sets of a dataset.

    Args:
        load: the callback `load("a", recipe)` that puts a recipe into the sliders.
        threshold: the mask threshold of downloads.
    """
    st.header(f"Mask sets of {escaped(place.name)}", divider="gray")
    if not cards:
        st.caption("None yet. *Make masks for all images* above computes one; then a network can be trained on it.")
    for card in cards:
        draw_card(place, card, load, threshold)


def draw_card(place: Workplace, card: LabelSetCard, load: Callable[[str, Recipe], None], threshold: float) -> None:
    """Draw a mask set with its actions, and the progress of its job."""
    opened = st.query_params.get(ADDRESS) == card.id
    with st.container(border=not opened, key=f"set-{card.id}"):
        job = card.job  # one that is at work is shown below
        badge = badge_text(job.status) if job and not job.at_work and job.status != "finished" else ""
        if opened:
            st.header(f"Masks of {escaped(card.name)} {badge}")
        else:
            st.markdown(f"**{escaped(card.name)}** {badge}")
        with st.container(horizontal=True, gap="small"):
            _buttons(place, card, opened, load, threshold)
        st.caption(_facts(place, card))
        if card.choice is not None:
            chosen = f"Chosen automatically: **{escaped(card.choice.title)}**."
            st.caption(f":material/auto_awesome: {chosen}", help=escaped(card.choice.details) or None)
        if card.can_train:
            if card.verdict is not None:
                show_verdict(card.verdict, key=f"verdict-{card.id}", show_strokes=partial(_edit, load))
            else:
                doubt(cover_doubt(card.area or 0.0, card.images, "train on them"))
        job_panel(
            partial(_read_job, card.id),
            key=f"label-job-{card.id}",
            what="Importing masks" if card.imported else "Computing masks",
            kept="The masks stored so far are kept.",
        )


def _facts(place: Workplace, card: LabelSetCard) -> str:
    words = [
        f"{escaped(card.method_title)}: {escaped(card.changes)}",
        "" if card.job is not None and card.job.at_work else f"{card.images:,} of {place.images:,} masks",
    ]
    if card.classes.names:
        words.append("classes " + ", ".join(map(escaped, card.classes.names[1:])))
    if card.verdict is not None:
        words.append(f"estimated score **{card.verdict['trust']:.2f}**")
    elif card.quality is not None:
        words.append(f"mask plausibility **{card.quality:.3f}**")
    if card.dice is not None:
        of = "Foreground " if card.classes.names else ""
        words.append(f"{of}Dice vs truth **{card.dice:.3f}**, IoU vs truth **{card.iou:.3f}**")
    if card.area is not None:
        words.append(f"foreground {card.area:.0%} of the area")
    if card.unclear:
        words.append(count(card.unclear, "doubtful mask"))
    if card.dropped:
        words.append(f"**{card.dropped:,} dropped**: not trained on")
    if card.runs:
        words.append("used by " + ", ".join(escaped(name) for name in card.runs))
    return " · ".join([*filter(None, words), ago(card.created_at, utc_now())])


def _buttons(
    place: Workplace, card: LabelSetCard, opened: bool, load: Callable[[str, Recipe], None], threshold: float
) -> None:
    st.button(
        "Back to recipes" if opened else "View",
        icon=":material/arrow_back:" if opened else ":material/grid_view:",
        key=f"browse-{card.id}",
        on_click=_open,
        args=(None if opened else card.id,),
    )
    if card.can_train:
        to_train(place, card, "primary" if opened else "secondary")
    if card.recipe is not None:
        st.button(
            "Edit this recipe",
            icon=":material/tune:",
            key=f"load-{card.id}",
            on_click=_edit,
            args=(load, card.recipe),
        )
    if card.can_train:
        downloads(label_set_id=card.id, masks=card.masks, threshold=threshold)
        measure_button(labels=card.id)
    if rights.button("", icon=":material/edit:", key=f"rename-{card.id}", help="Rename this mask set."):
        _rename(card)
    if rights.button("", icon=":material/delete:", key=f"delete-{card.id}", help="Delete this mask set."):
        _confirm_deletion(card)


def to_train(
    place: Workplace, card: LabelSetCard, kind: Literal["primary", "secondary"], label: str = "Train on these masks"
) -> None:
    """Draw a button to the page Train with a mask set."""
    words = f"Train a network on the mask set {escaped(card.name)}."
    if st.button(label, icon=":material/model_training:", type=kind, key=f"{label}-{card.id}", help=words):
        st.switch_page("views/train/page.py", query_params={"dataset": place.dataset_id, "labels": card.id})


def _open(label_set_id: str | None) -> None:
    if label_set_id is None:
        st.query_params.pop(ADDRESS, None)
    else:
        st.query_params[ADDRESS] = label_set_id
    st.session_state["masks-page"] = 1


def _edit(load: Callable[[str, Recipe], None], recipe: Recipe) -> None:
    _open(None)
    load("a", recipe)


def _read_job(label_set_id: str) -> JobView | None:
    with resources.database().reading() as session:
        return facts.job_of(session, label_set_id, utc_now(), resources.settings().lost_after_s)


@st.dialog("Rename this mask set", icon=":material/edit:")
def _rename(card: LabelSetCard) -> None:
    name = st.text_input("Name of the mask set", card.name, max_chars=200, key="labels-new-name")
    if not st.button("Rename", type="primary", key="labels-rename"):
        return
    try:
        with resources.database().writing() as session:
            recipes.rename(session, card.id, name)
    except NameTaken as error:
        st.error(escaped(str(error)), icon=":material/error:")
        return
    st.rerun()


@st.dialog("Delete this mask set?", icon=":material/delete:")
def _confirm_deletion(card: LabelSetCard) -> None:
    st.markdown(f"**{escaped(card.name)}** and its {count(card.masks, 'mask')} are deleted permanently.")
    deletion_buttons(lambda: _delete(card.id), "The mask set is deleted.")


def _delete(label_set_id: str) -> None:
    with resources.database().writing() as session:
        gone = recipes.delete_label_set(session, label_set_id)
    resources.remove_files(gone)
    if st.query_params.get(ADDRESS) == label_set_id:
        del st.query_params[ADDRESS]
