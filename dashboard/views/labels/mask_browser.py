"""The masks of a mask set: view them, and drop or keep them one by one or by a rule."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard.access import rights
from dashboard.facts import urls
from dashboard.facts.correction_queue import words as words_of_place
from dashboard.facts.corrections import drawn_classes
from dashboard.facts.mask_doubts import doubtful_mask
from dashboard.facts.wording import count, escaped
from dashboard.server import resources
from dashboard.ui.audit_line import audit_line
from dashboard.ui.correct_next import correct_next, place_of
from dashboard.ui.correct_switch import correct_switch
from dashboard.ui.mask_grid import Mode, Tile, mask_grid
from dashboard.ui.paging import PAGES_PX, page_range
from dashboard.ui.pictures import class_legend
from dashboard.ui.step_buttons import step_buttons
from dashboard.ui.trust_chart import trust_chart
from dashboard.ui.viewer import Brush, Pane, viewer
from dashboard.ui.viewer_dialog import toolbar, viewer_dialog
from dashboard.views.labels import mask_facts as facts
from dashboard.views.labels.facts import Workplace, truth_maps
from dashboard.views.labels.label_set_facts import LabelSetCard
from dashboard.views.labels.mask_facts import SHOWS, DropRule, Mask, MaskPage
from dashboard.views.labels.recipe_column import Settings
from db import recipes
from db.actors import Role
from db.correction_queue import Masks

OPENED, QUEUE = "mask-opened", "mask-queue"
ERRORS_HELP = "Shows beside the mask what it misses and what it adds, against truth."
RULES = ("The worst", "Below a plausibility", "Doubtful")


@st.fragment
def browse_masks(place: Workplace, card: LabelSetCard, settings: Settings) -> None:
    """Draw the masks of a mask set, 48 per page, and above them what sorts out and corrects bad ones."""
    opened = None
    drops = False
    bar = st.container(horizontal=True, vertical_alignment="bottom", gap="small")
    page = _choose_page(card, bar)
    with bar:
        if card.quality is not None and rights.may(Role.EDITOR):
            with st.popover("Drop bad masks", icon=":material/remove_selection:"):
                _drop_panel(card)
                drops = st.toggle("A click on a mask drops or keeps it", key="masks-click", persist_state="session")
        if card.quality is not None and card.dice is not None:
            with st.popover("Plausibility vs truth", icon=":material/scatter_plot:"):
                opened = _quality_trust(card.id)
        wanted = correct_next(place.dataset_id, Masks(card.id), f"correct-next-{card.id}")
    audit_line(place.dataset_id, card.id)
    if opened:
        _open(place, card, opened, settings)
    if wanted:
        st.session_state.update({OPENED: wanted, QUEUE: card.id, "mask-correct": True})
    if st.session_state.get(QUEUE) == card.id:  # whatever reruns the page, until the dialog is closed
        _mask_dialog(place, card, settings)
    if not page.masks:
        st.info("No mask matches.")
        return
    if card.classes.names and settings.mode in ("fill", "outline", "side by side"):
        class_legend(card.classes.names, colours=card.classes.colours)
    clicked = mask_grid(
        [_tile(place, card, mask, settings.mode) for mask in page.masks],
        mode=settings.mode,
        threshold=settings.threshold,
        opacity=settings.opacity,
        aspect=place.aspect,
        class_colours=card.classes.colours,
        mask_colour=settings.look.colour,
        dims=settings.look.dims,
        key=f"masks-{card.id}",
    )
    of = " of foreground" if card.classes.names else ""
    st.caption(
        "Plausibility is computed from image and mask alone."
        + (f" Dice{of} is against truth at threshold 0.5." if card.dice is not None else " There is no truth here.")
    )
    if clicked and not drops:
        _open(place, card, clicked, settings)
    elif clicked:
        mask = next(mask for mask in page.masks if mask.image_id == clicked)
        _set_dropped(card, [mask.image_id], not mask.dropped)


def _drop_panel(card: LabelSetCard) -> None:
    st.markdown(
        f"{card.images:,} of {count(card.masks, 'mask')} are kept. Dropped masks are not trained on, but stay here."
    )
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        rule = _choose_rule()
        with resources.database().reading() as session:
            drop = facts.would_drop(session, card.id, rule)
        label = f"Drop {count(len(drop.image_ids), 'mask')}"
        icon = ":material/remove_selection:"
        if st.button(label, icon=icon, key="drop-go", disabled=not drop.image_ids):
            st.session_state["drop-last"] = card.id, drop.image_ids
            _set_dropped(card, drop.image_ids, True)
    st.caption(f"That leaves {count(drop.stay, 'mask')} to train on.")
    if not card.dropped:
        return
    label_set_id, last = st.session_state.get("drop-last", ("", ()))
    can_undo = label_set_id == card.id and bool(last)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if can_undo and st.button("Undo the last drop", icon=":material/undo:", key="drop-undo"):
            del st.session_state["drop-last"]
            _set_dropped(card, last, False)
        if st.button(f"Keep all {card.masks:,} again", icon=":material/restore:", key="drop-restore"):
            st.session_state.pop("drop-last", None)
            _set_dropped(card, None, False)


def _choose_rule() -> DropRule:
    rule = st.segmented_control("Drop", RULES, default=RULES[0], required=True, key="drop-rule")
    if rule == "The worst":
        percent = st.slider(
            "Least plausible", 1, 50, 10, format="%d %%", key="drop-percent", width=200,
            help="Share of the kept masks, those of the lowest plausibility first.",
        )  # fmt: skip
        return DropRule("share", percent / 100)
    if rule == "Below a plausibility":
        return DropRule("below", st.slider("Plausibility below", 0.0, 1.0, 0.4, 0.01, key="drop-below", width=200))
    return DropRule("unclear")


def _quality_trust(label_set_id: str) -> str | None:
    with resources.database().reading() as session:
        trust = facts.quality_trust(session, label_set_id)
    st.caption(trust.sentence)
    if trust.spearman is None:
        return None
    return trust_chart(trust, key=f"trust-{label_set_id}", title="Mask plausibility")


def _choose_page(card: LabelSetCard, bar: DeltaGenerator) -> MaskPage:
    orders = facts.orders(card.quality is not None, card.dice is not None)
    key = f"masks-order-{card.id}"
    with bar:
        order = st.selectbox("Order", orders, format_func=_capital, key=key, width=250)
        show = st.segmented_control(
            "Show", SHOWS, default="all", required=True, format_func=_capital, key=f"masks-show-{card.id}"
        )
        pages_place = st.empty()
    with resources.database().reading() as session:
        wanted = st.session_state.get("masks-page", 1)
        page = facts.mask_page(session, card.id, wanted, order, show)
        if page.pages > 1:
            st.session_state["masks-page"] = page.page
            with pages_place.container(horizontal=True, vertical_alignment="center"):
                words = st.empty()  # before the numbers, although it follows from them
                number = st.pagination(page.pages, key="masks-page", width=PAGES_PX)
            if number != page.page:
                page = facts.mask_page(session, card.id, number, order, show)
            words.caption(page_range(page.page, page.total, "mask", facts.PER_PAGE), width="content")
    return page


def _tile(place: Workplace, card: LabelSetCard, mask: Mask, mode: Mode) -> Tile:
    scores = [] if mask.quality is None else [f"plausibility {mask.quality:.2f}"]
    scores.append(f"area {mask.area:.0%}" if mask.dice is None else f"Dice vs truth {mask.dice:.2f}")
    reference, numbers = truth_maps(place, mask.image_id, mask.has_truth, 192, card.classes)
    by_class = bool(card.classes.names) and (mode != "errors" or card.classes.of_truth)
    return Tile(
        id=mask.image_id,
        title=mask.name,
        image=urls.thumbnail(place.dataset_id, mask.image_id),
        mask=urls.label(card.id, mask.image_id, 192),
        reference=reference,
        subtitle=" · ".join(scores),
        badge="dropped" if mask.dropped else doubtful_mask(mask.area) if mask.unclear else "",
        left_out=mask.dropped,
        tone="bad" if mask.dropped else "neutral",
        classes=urls.label_classes(card.id, mask.image_id, 192) if by_class else None,
        reference_classes=numbers,
    )


def _open(place: Workplace, card: LabelSetCard, image_id: str, settings: Settings) -> None:
    st.session_state[OPENED] = image_id
    _mask_dialog(place, card, settings)


@viewer_dialog("Mask", on_dismiss=lambda: st.session_state.pop(QUEUE, None))
def _mask_dialog(place: Workplace, card: LabelSetCard, settings: Settings) -> None:
    order, show = (st.session_state[f"masks-{choice}-{card.id}"] for choice in ("order", "show"))
    with resources.database().reading() as session:
        mask = facts.one_mask(session, card.id, st.session_state[OPENED])
        before, after = facts.neighbours(session, card.id, st.session_state[OPENED], order, show)
        drawn = drawn_classes(session, place.dataset_id)
    if mask is None:  # deleted meanwhile
        st.rerun()
    words = [escaped(mask.name.rpartition("/")[2]), f"foreground {mask.area:.1%} of the area"]
    if mask.dice is not None:
        words.append(f"{'foreground ' if card.classes.names else ''}Dice vs truth {mask.dice:.3f}")
    if mask.quality is not None:
        words.append(f"mask plausibility {mask.quality:.3f}")
    if mask.unclear:
        words.append(doubtful_mask(mask.area))
    queued = place_of(place.dataset_id, Masks(card.id), mask.image_id) if QUEUE in st.session_state else None
    if queued is not None:
        before, after = queued.before, queued.after
        words.insert(1, words_of_place(queued))
    image, label = urls.image(place.dataset_id, mask.image_id), urls.label(card.id, mask.image_id)
    names = card.classes.names
    classes = urls.label_classes(card.id, mask.image_id) if names else None
    panes = [Pane("Mask", image, mask=label, classes=classes, class_names=names)]
    if mask.has_truth:
        truth, numbers = truth_maps(place, mask.image_id, True, None, card.classes)
        own = classes if card.classes.of_truth else None
        panes += [Pane("Errors vs truth", image, label, truth, "errors", None, "", own, numbers, names)]
    with toolbar():
        step_buttons(OPENED, before, after)
        correct = correct_switch("mask-correct", in_url=False)
        beside = len(panes) > 1 and st.toggle("Errors", key="mask-errors", persist_state="session", help=ERRORS_HELP)
        title, icon = ("Keep it", ":material/undo:") if mask.dropped else ("Drop it", ":material/remove_selection:")
        if rights.button(title, icon=icon, key="mask-drop", help="Dropped masks are not trained on."):
            _set_dropped(card, [mask.image_id], not mask.dropped)
        st.caption(" · ".join(words), width="content")
    if names and not correct:
        class_legend(names, colours=card.classes.colours)
    begin = queued.suggestion.place if queued and queued.suggestion else None
    brush = Brush(place.dataset_id, mask.image_id, drawn, card.id, place=begin)
    viewer(
        panes if beside and not correct else panes[:1],
        threshold=settings.threshold,
        opacity=settings.opacity,
        mask_colour=settings.look.colour,
        dims=settings.look.dims,
        height_px=None,
        moves_threshold=True,
        brush=brush if correct else None,
        class_colours=card.classes.colours,
        key=f"look-{card.id}",
    )
    if mask.parts:
        parts = " · ".join(f"{name.replace('_', ' ')} {value:.2f}" for name, value in mask.parts.items())
        st.caption(f"Components of the plausibility, each 0 to 1: {parts}.")


def _set_dropped(card: LabelSetCard, image_ids: Sequence[str] | None, dropped: bool) -> None:
    with resources.database().writing() as session:
        recipes.set_dropped(session, card.id, image_ids, dropped)
    st.rerun()  # the whole page: the mask set's card counts the dropped images


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
