"""What the automatic method chose for a dataset, why, and the runners-up, each one click from the sliders."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from dashboard.facts import recipes, wording
from dashboard.facts.auto_choice import AutoChoice, Candidate
from dashboard.facts.recipes import Recipe


def auto_sentence(choice: AutoChoice) -> None:
    """Say what was chosen, and why."""
    st.markdown(f":material/auto_awesome: {wording.escaped(choice.sentence)}")


def auto_ranking(choice: AutoChoice, *, key: str, load: Callable[[Recipe], None]) -> None:
    """Draw what was tried, best first; `load` is the callback that puts a recipe into this slot's sliders."""
    looked = wording.count(choice.images, "image").capitalize()
    st.caption(
        f"{looked} looked at; no truth was read. This is what was tried, by mean quality (label-free): "
        "a click opens it in the sliders."
    )
    with st.container(gap="xsmall"):
        for number, candidate in enumerate(choice.candidates):
            _candidate(candidate, f"{key}-{number}", load)


def _candidate(candidate: Candidate, key: str, load: Callable[[Recipe], None]) -> None:
    score = "–" if candidate.quality is None else f"{candidate.quality:.2f}"
    recipe = candidate.recipe
    st.button(
        f"**{score}** {wording.escaped(candidate.title)}",
        icon=":material/check_circle:" if candidate.chosen else ":material/tune:",
        key=key,
        type="tertiary",
        disabled=recipe is None,
        help=candidate.sentence
        + (f" Parameters: {recipes.describe_changes(recipe.params)}." if recipe else " This version does not have it."),
        on_click=load,
        args=(recipe,),
    )
