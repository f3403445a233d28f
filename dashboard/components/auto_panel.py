"""What the automatic method chose for a dataset, why, and the runners-up, each one click from the sliders."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from dashboard import wording
from dashboard.viewmodels import recipes
from dashboard.viewmodels.auto_choice import AutoChoice, Candidate
from dashboard.viewmodels.recipes import Recipe


def auto_panel(choice: AutoChoice, *, key: str, load: Callable[[Recipe], None]) -> None:
    """Draw the choice; `load` is the callback that puts a recipe into this slot's sliders."""
    st.markdown(f":material/auto_awesome: **{wording.escaped(choice.title)}**")
    st.markdown(wording.escaped(choice.sentence))
    st.caption(
        f"{wording.count(choice.images, 'image').capitalize()} looked at. No truth was read: quality is label-free."
    )
    for number, candidate in enumerate(choice.candidates):
        _candidate(candidate, f"{key}-{number}", load)


def _candidate(candidate: Candidate, key: str, load: Callable[[Recipe], None]) -> None:
    score = "–" if candidate.quality is None else f"{candidate.quality:.2f}"
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        mark = " :green-badge[chosen]" if candidate.chosen else ""
        st.markdown(f"{score} · {wording.escaped(candidate.title)}{mark}", width="stretch")
        if candidate.recipe is not None:
            st.button(
                "",
                icon=":material/tune:",
                key=key,
                help=f"Open in the sliders: {candidate.title} ({recipes.describe_changes(candidate.recipe.params)}). "
                f"{candidate.sentence}".strip(),
                on_click=load,
                args=(candidate.recipe,),
            )
