"""The mask sets of a dataset: recipe, scores, masks, and actions."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import streamlit as st

from dashboard.access import rights
from dashboard.facts.jobs import JobView
from dashboard.facts.recipes import Recipe
from dashboard.facts.wording import ago, count, escaped
from dashboard.server import resources
from dashboard.ui.confirm import deletion_buttons
from dashboard.ui.downloads import downloads
from dashboard.ui.job_panel import job_panel
from dashboard.ui.status import badge_text
from dashboard.views.labels import label_set_facts as facts
from dashboard.views.labels.facts import Workplace
from dashboard.views.labels.label_set_facts import LabelSetCard
from db import recipes
from db.columns import utc_now

ADDRESS = "labels"


def stored_label_sets(
    place: Workplace, load: Callable[[str, Recipe], None], threshold: float
) -> tuple[LabelSetCard, ...]:
    """Draw the list and return it.

    Args:
        load: the callback `load("a", recipe)` that puts a recipe into the sliders.
        threshold: the mask threshold of downloads.
    """
    cards = _read_cards(place.dataset_id)
    st.header(f"Mask sets of {escaped(place.name)}", divider="gray")
    if not cards:
        st.caption("None yet. *Make masks for all images* above computes one; then a network can be trained on it.")
    for card in cards:
        _draw_card(place, card, load, threshold)
    return cards


def _read_cards(dataset_id: str) -> tuple[LabelSetCard, ...]:
    with resources.database().reading() as session:
        return facts.label_set_cards(session, dataset_id, utc_now(), resources.settings().lost_after_s)


def _draw_card(place: Workplace, card: LabelSetCard, load: Callable[[str, Recipe], None], threshold: float) -> None:
    opened = st.query_params.get(ADDRESS) == card.id
    with st.container(border=True, key=f"set-{card.id}"):
        words, buttons = st.columns([3, 2], vertical_alignment="center")
        with words:
            badge = "" if card.job is None or card.job.status == "finished" else badge_text(card.job.status)
            st.markdown(f"**{escaped(card.name)}** {badge}")
            st.caption(_facts(place, card))
            if card.choice is not None:
                chosen = f"Chosen automatically: **{escaped(card.choice.title)}**."
                st.caption(f":material/auto_awesome: {chosen} {escaped(card.choice.sentence)}")
        with buttons, st.container(horizontal=True, horizontal_alignment="right", gap="small"):
            _buttons(place, card, opened, load, threshold)
        job_panel(
            partial(_read_job, card.id),
            key=f"label-job-{card.id}",
            what="Importing masks" if card.imported else "Computing masks",
            kept="The masks stored so far are kept.",
        )


def _facts(place: Workplace, card: LabelSetCard) -> str:
    words = [
        f"{escaped(card.method_title)}: {escaped(card.changes)}",
        f"{card.images:,} of {place.images:,} masks",
    ]
    if card.classes.names:
        words.append("classes " + ", ".join(map(escaped, card.classes.names[1:])))
    if card.quality is not None:
        words.append(f"mask plausibility **{card.quality:.3f}**")
    if card.dice is not None:
        of = "Foreground " if card.classes.names else ""
        words.append(f"{of}Dice vs truth **{card.dice:.3f}**, IoU vs truth **{card.iou:.3f}**")
    if card.area is not None:
        words.append(f"foreground {card.area:.0%} of the area")
    if card.unclear:
        words.append(f"{card.unclear:,} without clear foreground")
    if card.dropped:
        words.append(f"**{card.dropped:,} dropped**: not trained on")
    if card.runs:
        words.append("used by " + ", ".join(escaped(name) for name in card.runs))
    return " · ".join([*words, ago(card.created_at, utc_now())])


def _buttons(
    place: Workplace, card: LabelSetCard, opened: bool, load: Callable[[str, Recipe], None], threshold: float
) -> None:
    if st.button(
        "Close" if opened else "Browse", icon=":material/grid_view:", key=f"browse-{card.id}", disabled=not card.images
    ):
        if opened:
            del st.query_params[ADDRESS]
        else:
            st.query_params[ADDRESS] = card.id
        st.session_state["masks-page"] = 1
        st.rerun()
    if card.recipe is not None:
        st.button(
            "Edit this recipe", icon=":material/tune:", key=f"load-{card.id}", on_click=load, args=("a", card.recipe)
        )
    at_work = card.job is not None and card.job.at_work
    if card.images and not at_work and st.button("Train on it", icon=":material/model_training:", key=f"to-{card.id}"):
        st.switch_page("views/train/page.py", query_params={"dataset": place.dataset_id, "labels": card.id})
    if card.images and not at_work:
        downloads(label_set_id=card.id, masks=card.images, threshold=threshold)
    if rights.button("", icon=":material/delete:", key=f"delete-{card.id}", help="Delete this mask set."):
        _confirm_deletion(card)


def _read_job(label_set_id: str) -> JobView | None:
    with resources.database().reading() as session:
        return facts.job_of(session, label_set_id, utc_now(), resources.settings().lost_after_s)


@st.dialog("Delete this mask set?", icon=":material/delete:")
def _confirm_deletion(card: LabelSetCard) -> None:
    st.markdown(f"**{escaped(card.name)}** and its {count(card.images, 'mask')} are deleted permanently.")
    deletion_buttons(lambda: _delete(card.id), "The mask set is deleted.")


def _delete(label_set_id: str) -> None:
    with resources.database().writing() as session:
        gone = recipes.delete_label_set(session, label_set_id)
    resources.remove_files(gone)
    if st.query_params.get(ADDRESS) == label_set_id:
        del st.query_params[ADDRESS]
