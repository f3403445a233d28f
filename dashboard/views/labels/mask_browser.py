"""The masks of a label set, worst first: look closer, and keep or drop them one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import streamlit as st

from dashboard.access import rights
from dashboard.facts import urls, wording
from dashboard.server import resources
from dashboard.ui.mask_grid import Mode, Tile, mask_grid
from dashboard.ui.viewer import Pane, viewer
from dashboard.views.labels import mask_facts as label_masks
from dashboard.views.labels.drop_panel import drop_panel
from dashboard.views.labels.facts import Workplace
from dashboard.views.labels.label_set_facts import LabelSetCard
from dashboard.views.labels.label_sets import ADDRESS
from dashboard.views.labels.mask_facts import SHOWS, Mask, MaskPage
from dashboard.views.labels.quality_trust import quality_trust
from db import recipes

Click = Literal["opens the mask", "drops or keeps it"]
CLICKS: tuple[Click, ...] = ("opens the mask", "drops or keeps it")


def browse_masks(place: Workplace, cards: Sequence[LabelSetCard], mode: Mode, threshold: float, opacity: float) -> None:
    """Draw the masks of the label set that the address names, 48 a page."""
    card = next((card for card in cards if card.id == st.query_params.get(ADDRESS)), None)
    if card is not None and card.images:
        _browser(place, card, mode, threshold, opacity)


@st.fragment
def _browser(place: Workplace, card: LabelSetCard, mode: Mode, threshold: float, opacity: float) -> None:
    st.subheader(f"Masks of {wording.escaped(card.name)}", divider="gray")
    if card.quality is not None:
        left, right = st.columns([3, 2], gap="large") if card.dice is not None else (st.container(), None)
        with left:
            drop_panel(card)
        if right is not None:
            with right:
                opened = quality_trust(card.id)
            if opened:
                _open(place, card, opened, threshold, opacity)
    page, click = _choose_page(card)
    if not page.masks:
        st.info("No mask is of this kind.")
        return
    clicked = mask_grid(
        [_tile(place, card, mask) for mask in page.masks],
        mode=mode,
        threshold=threshold,
        opacity=opacity,
        aspect=place.aspect,
        key=f"masks-{card.id}",
    )
    st.caption(
        "Quality is label-free: told from image and mask alone."
        + (" Dice is against truth at threshold 0.5." if card.dice is not None else " There is no truth here.")
    )
    if clicked and click == "opens the mask":
        _open(place, card, clicked, threshold, opacity)
    elif clicked:
        mask = next(mask for mask in page.masks if mask.image_id == clicked)
        _set_dropped(card, mask, not mask.dropped)


def _choose_page(card: LabelSetCard) -> tuple[MaskPage, Click]:
    orders = label_masks.orders(card.quality is not None, card.dice is not None)
    key = f"masks-order-{card.id}"
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        order = st.selectbox("Order", orders, format_func=_capital, key=key, width=250)
        show = st.segmented_control(
            "Show", SHOWS, default="all", required=True, format_func=_capital, key=f"masks-show-{card.id}"
        )
        click = st.segmented_control(
            "A click", CLICKS, default=CLICKS[0], required=True, key="masks-click", persist_state="session"
        )
        pages_place = st.container(width="content")
    with resources.database().reading() as session:
        wanted = st.session_state.get("masks-page", 1)
        page = label_masks.mask_page(session, card.id, wanted, order, show)
    if page.pages > 1:
        st.session_state["masks-page"] = page.page
        with pages_place:
            number = st.pagination(page.pages, key="masks-page")
        if number != page.page:
            with resources.database().reading() as session:
                page = label_masks.mask_page(session, card.id, number, order, show)
    return page, click


def _tile(place: Workplace, card: LabelSetCard, mask: Mask) -> Tile:
    scores = [] if mask.quality is None else [f"quality {mask.quality:.2f}"]
    scores.append(f"area {mask.area:.0%}" if mask.dice is None else f"Dice vs truth {mask.dice:.2f}")
    return Tile(
        id=mask.image_id,
        title=mask.name,
        image=urls.thumbnail(place.dataset_id, mask.image_id),
        mask=urls.label(card.id, mask.image_id, 192),
        reference=_truth(place, mask, 192),
        subtitle=" · ".join(scores),
        badge="dropped" if mask.dropped else "no clear foreground" if mask.unclear else "",
        tone="bad" if mask.dropped else "neutral",
    )


def _truth(place: Workplace, mask: Mask, size: int | None) -> str | None:
    if not mask.has_truth:
        return None
    return urls.truth(place.dataset_id, mask.image_id, size, version=place.truth_version)


def _open(place: Workplace, card: LabelSetCard, image_id: str, threshold: float, opacity: float) -> None:
    with resources.database().reading() as session:
        mask = label_masks.one_mask(session, card.id, image_id)
    if mask is not None:
        _look_closer(place, card, mask, threshold, opacity)


@st.dialog("Mask", width="large")
def _look_closer(place: Workplace, card: LabelSetCard, mask: Mask, threshold: float, opacity: float) -> None:
    facts = [wording.escaped(mask.name), f"foreground {mask.area:.1%} of the area"]
    if mask.dice is not None:
        facts.append(f"Dice vs truth {mask.dice:.3f}")
    if mask.quality is not None:
        facts.append(f"quality (label-free) {mask.quality:.3f}")
    if mask.unclear:
        facts.append("no clear foreground")
    image, drawn = urls.image(place.dataset_id, mask.image_id), urls.label(card.id, mask.image_id)
    panes = [Pane("Image", image), Pane("Pseudo-label", image, mask=drawn)]
    truth = _truth(place, mask, None)
    if truth:
        panes += [Pane("Errors vs truth", image, mask=drawn, reference=truth, mode="errors")]
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.caption(" · ".join(facts), width="stretch")
        words, icon = ("Keep it", ":material/undo:") if mask.dropped else ("Drop it", ":material/remove_selection:")
        if rights.button(words, icon=icon, key="mask-drop", help="Dropped images are not trained on."):
            _set_dropped(card, mask, not mask.dropped)
    viewer(panes, threshold=threshold, opacity=opacity, key=f"look-{card.id}-{mask.image_id}")
    if mask.parts:
        parts = " · ".join(f"{_words(name)} {value:.2f}" for name, value in mask.parts.items())
        st.caption(f"What the quality is made of, each 0 to 1: {parts}.")


def _set_dropped(card: LabelSetCard, mask: Mask, dropped: bool) -> None:
    with resources.database().writing() as session:
        recipes.set_dropped(session, card.id, [mask.image_id], dropped)
    st.rerun()  # the whole page: the label set's card counts what is dropped


def _words(name: str) -> str:
    return name.replace("_", " ")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
