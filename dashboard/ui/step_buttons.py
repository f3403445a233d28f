"""The buttons to the neighbours of what a dialog shows."""

from __future__ import annotations

import streamlit as st


def step_buttons(opened: str, before: str | None, after: str | None) -> None:
    """Draw both; a click, P, N or an arrow over a viewer puts the neighbour's id into the session state `opened`."""
    for label, icon, key, target in (
        ("Previous", ":material/chevron_left:", "P", before),
        ("Next", ":material/chevron_right:", "N", after),
    ):
        st.button(
            label,
            icon=icon,
            shortcut=key,
            disabled=target is None,
            key=f"step-{label.lower()}-{opened}",  # viewer_gestures.js presses it for an arrow key
            on_click=lambda target=target: st.session_state.update({opened: target}),
        )
