"""Dropping images of a label set in bulk: what would go is counted first, and the last drop can be undone."""

from __future__ import annotations

from typing import Literal

import streamlit as st

from dashboard.access import rights
from dashboard.facts import wording
from dashboard.server import resources
from dashboard.views.labels import mask_facts as label_masks
from dashboard.views.labels.label_set_facts import LabelSetCard
from dashboard.views.labels.mask_facts import Drop, DropRule
from db import recipes

Rule = Literal["The worst", "Below a quality", "No clear foreground"]
RULES: tuple[Rule, ...] = ("The worst", "Below a quality", "No clear foreground")


def drop_panel(card: LabelSetCard) -> None:
    """Draw the rules, what each would drop, and the way back."""
    st.markdown(
        f"**Drop what should not be learned from.** {card.images - card.dropped:,} of "
        f"{wording.count(card.images, 'image')} are kept. Dropped images are not trained on; their masks stay here."
    )
    if rights.only_looking("Dropping"):
        return
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        rule = _choose_rule(card)
        with resources.database().reading() as session:
            drop = label_masks.would_drop(session, card.id, rule)
        count = len(drop.image_ids)
        if st.button(
            f"Drop {wording.count(count, 'image')}",
            icon=":material/remove_selection:",
            type="primary",
            key="drop-go",
            disabled=not count,
        ):
            _drop(card, drop)
    st.caption(f"That leaves {wording.count(drop.stay, 'image')} to train on.")
    _way_back(card)


def _choose_rule(card: LabelSetCard) -> DropRule:
    rule = st.segmented_control("Drop", RULES, default=RULES[0], required=True, key="drop-rule")
    if rule == "The worst":
        percent = st.slider(
            "Worst by quality", 1, 50, 10, format="%d %%", key="drop-percent", width=200,
            help="Share of the kept images, those of the lowest quality first.",
        )  # fmt: skip
        return DropRule("share", percent / 100)
    if rule == "Below a quality":
        least = st.slider("Quality below", 0.0, 1.0, 0.4, 0.01, key="drop-below", width=200)
        return DropRule("below", least)
    return DropRule("unclear")


def _drop(card: LabelSetCard, drop: Drop) -> None:
    with resources.database().writing() as session:
        recipes.set_dropped(session, card.id, drop.image_ids, True)
    st.session_state["drop-last"] = card.id, drop.image_ids
    st.rerun()


def _way_back(card: LabelSetCard) -> None:
    if not card.dropped:
        return
    label_set_id, last = st.session_state.get("drop-last", ("", ()))
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if (
            label_set_id == card.id
            and last
            and st.button("Undo the last drop", icon=":material/undo:", key="drop-undo")
        ):
            _restore(card, last)
        if st.button(f"Keep all {card.images:,} again", icon=":material/restore:", key="drop-restore"):
            _restore(card, None)


def _restore(card: LabelSetCard, image_ids: tuple[str, ...] | None) -> None:
    with resources.database().writing() as session:
        recipes.set_dropped(session, card.id, image_ids, False)
    st.session_state.pop("drop-last", None)
    st.rerun()
