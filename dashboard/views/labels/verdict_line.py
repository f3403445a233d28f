"""The line that says whether masks can be trusted, and leads to strokes where they cannot."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from dashboard.facts.mask_doubts import verdict_words
from dashboard.facts.recipes import Recipe, recipe_from_values

_ICONS = {
    "trust": (":material/check_circle:", "green"),
    "look": (":material/visibility:", "orange"),
    "unclear": (":material/help:", "orange"),
}


def show_verdict(reached: dict[str, Any] | None, *, key: str, show_strokes: Callable[[Recipe], None]) -> None:
    """Draw a verdict (see `facts.mask_doubts.mask_verdict`), if there is one.

    Args:
        show_strokes: a callback that puts the recipe of strokes into the sliders.
    """
    if reached is None:
        return
    icon, colour = _ICONS[reached["verdict"]]
    line = f":{colour}[{icon}] {verdict_words(reached)}"
    if reached["verdict"] != "unclear":
        st.markdown(line)
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(line, width="content")
        st.button(
            "Show it with strokes",
            icon=":material/draw:",
            key=key,
            help="Draw a stroke on what you mean and one on the background: the masks of all images follow.",
            on_click=show_strokes,
            args=(recipe_from_values("strokes", {}),),
        )
