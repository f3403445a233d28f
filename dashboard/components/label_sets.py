"""The stored label sets of a dataset: what drew them, how good they are, their masks, and what to do with them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import streamlit as st

from dashboard import resources, urls, wording
from dashboard.components.confirm import deletion_buttons
from dashboard.components.job_panel import job_panel
from dashboard.components.mask_grid import Mode, Tile, mask_grid
from dashboard.components.status import badge_text
from dashboard.components.viewer import Pane, viewer
from dashboard.viewmodels import labels
from dashboard.viewmodels.jobs import JobView
from dashboard.viewmodels.labels import LabelSetCard, Mask, Order, Recipe, Workplace
from db import recipes
from db.models import utc_now

ORDERS: tuple[Order, ...] = ("dataset order", *labels.TRUTH_ORDERS, "largest area first")
ADDRESS = "labels"


def stored_label_sets(place: Workplace, load: Callable[[str, Recipe], None]) -> tuple[LabelSetCard, ...]:
    """Draw the list and return it; `load("a", recipe)` puts a recipe into the sliders."""
    cards = _read_cards(place.dataset_id)
    st.subheader(f"Label sets of {wording.escaped(place.name)}", divider="gray")
    if not cards:
        st.caption("None yet. *Label the dataset* above draws one; then a network can learn from it.")
    for card in cards:
        _draw_card(place, card, load)
    return cards


def _read_cards(dataset_id: str) -> tuple[LabelSetCard, ...]:
    with resources.database().reading() as session:
        return labels.label_set_cards(session, dataset_id, utc_now(), resources.settings().lost_after_s)


def _draw_card(place: Workplace, card: LabelSetCard, load: Callable[[str, Recipe], None]) -> None:
    opened = st.query_params.get(ADDRESS) == card.id
    with st.container(border=True, key=f"set-{card.id}"):
        words, buttons = st.columns([3, 2], vertical_alignment="center")
        with words:
            badge = "" if card.job is None or card.job.status == "finished" else badge_text(card.job.status)
            st.markdown(f"**{wording.escaped(card.name)}** {badge}")
            st.caption(_facts(place, card))
        with buttons, st.container(horizontal=True, horizontal_alignment="right", gap="small"):
            _buttons(place, card, opened, load)
        job_panel(
            partial(_read_job, card.id),
            key=f"label-job-{card.id}",
            what="Drawing masks",
            kept="The masks drawn so far are kept.",
        )


def _facts(place: Workplace, card: LabelSetCard) -> str:
    facts = [f"{card.method_title}: {card.changes}", f"{card.images:,} of {place.images:,} masks"]
    if card.dice is not None:
        facts.append(f"Dice vs truth **{card.dice:.3f}**, IoU vs truth **{card.iou:.3f}**")
    if card.area is not None:
        facts.append(f"foreground {card.area:.0%} of the area")
    if card.runs:
        facts.append("taught " + ", ".join(wording.escaped(name) for name in card.runs))
    return " · ".join([*facts, wording.ago(card.created_at, utc_now())])


def _buttons(place: Workplace, card: LabelSetCard, opened: bool, load: Callable[[str, Recipe], None]) -> None:
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
            "Load into sliders", icon=":material/tune:", key=f"load-{card.id}", on_click=load, args=("a", card.recipe)
        )
    at_work = card.job is not None and card.job.at_work
    if card.images and not at_work and st.button("Train on it", icon=":material/model_training:", key=f"to-{card.id}"):
        st.switch_page("views/train.py", query_params={"dataset": place.dataset_id, "labels": card.id})
    if st.button("", icon=":material/delete:", key=f"delete-{card.id}", help="Delete this label set."):
        _confirm_deletion(card)


def _read_job(label_set_id: str) -> JobView | None:
    with resources.database().reading() as session:
        return labels.job_of(session, label_set_id, utc_now(), resources.settings().lost_after_s)


@st.dialog("Delete this label set?", icon=":material/delete:")
def _confirm_deletion(card: LabelSetCard) -> None:
    st.markdown(f"**{wording.escaped(card.name)}** and its {wording.count(card.images, 'mask')} are removed for good.")
    deletion_buttons(lambda: _delete(card.id), "The label set is deleted.")


def _delete(label_set_id: str) -> None:
    with resources.database().writing() as session:
        gone = recipes.delete_label_set(session, label_set_id)
    resources.remove_files(gone)
    if st.query_params.get(ADDRESS) == label_set_id:
        del st.query_params[ADDRESS]


def browse_masks(
    place: Workplace, cards: tuple[LabelSetCard, ...], mode: Mode, threshold: float, opacity: float
) -> None:
    """Draw the masks of the label set that the address names, 48 a page."""
    card = next((card for card in cards if card.id == st.query_params.get(ADDRESS)), None)
    if card is None or not card.images:
        return
    st.subheader(f"Masks of {wording.escaped(card.name)}", divider="gray")
    orders = [order for order in ORDERS if card.dice is not None or order not in labels.TRUTH_ORDERS]
    with st.container(horizontal=True, vertical_alignment="bottom", horizontal_alignment="distribute"):
        order = st.selectbox("Order", orders, format_func=_capital, key="masks-order", width=280)
        pages = -(-card.images // labels.PER_PAGE)
        st.session_state["masks-page"] = min(st.session_state.get("masks-page", 1), pages)
        number = st.pagination(pages, key="masks-page") if pages > 1 else 1
    with resources.database().reading() as session:
        page = labels.mask_page(session, card.id, number, order)
    tiles = [_tile(place, card, mask) for mask in page.masks]
    chosen = mask_grid(
        tiles, mode=mode, threshold=threshold, opacity=opacity, aspect=place.aspect, key=f"masks-{card.id}"
    )
    st.caption("Scores of single masks are against truth at threshold 0.5." if card.dice is not None else "No truth.")
    if chosen:
        _look_closer(place, card, next(mask for mask in page.masks if mask.image_id == chosen), threshold, opacity)


def _tile(place: Workplace, card: LabelSetCard, mask: Mask) -> Tile:
    return Tile(
        id=mask.image_id,
        title=mask.name,
        image=urls.thumbnail(place.dataset_id, mask.image_id),
        mask=urls.label(card.id, mask.image_id, 192),
        reference=_truth(place, mask, 192),
        subtitle=f"area {mask.area:.0%}" if mask.dice is None else f"Dice vs truth {mask.dice:.2f}",
    )


def _truth(place: Workplace, mask: Mask, size: int | None) -> str | None:
    if not mask.has_truth:
        return None
    return urls.truth(place.dataset_id, mask.image_id, size, version=place.truth_version)


@st.dialog("Mask", width="large")
def _look_closer(place: Workplace, card: LabelSetCard, mask: Mask, threshold: float, opacity: float) -> None:
    score = "" if mask.dice is None else f" · Dice vs truth {mask.dice:.3f}"
    st.caption(f"{wording.escaped(mask.name)} · foreground {mask.area:.1%} of the area{score}")
    image, drawn = urls.image(place.dataset_id, mask.image_id), urls.label(card.id, mask.image_id)
    panes = [Pane("Image", image), Pane("Pseudo-label", image, mask=drawn)]
    truth = _truth(place, mask, None)
    if truth:
        panes += [Pane("Errors vs truth", image, mask=drawn, reference=truth, mode="errors")]
    viewer(panes, threshold=threshold, opacity=opacity, key=f"look-{card.id}-{mask.image_id}")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
