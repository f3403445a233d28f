"""The buttons of every dialog that deletes something."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard.facts import wording
from db.datasets import InUse

_RED, _DARK_RED = "#C62828", "#A31F1F"
"""White on them is 5.6:1 and 7.4:1; they stand out by 3:1 from either theme's background."""


def deletion_button(label: str, *, key: str, place: DeltaGenerator | None = None) -> bool:
    """Draw the red button that deletes; return whether it was pressed."""
    button = f".st-key-{key} button"
    st.html(
        f"<style>{button} {{background: {_RED}; border-color: {_RED}; color: #FFFFFF}}"
        f"{button}:is(:hover, :focus, :active) {{background: {_DARK_RED}; border-color: {_DARK_RED}; color: #FFFFFF}}"
        "</style>"
    )
    return (place or st).button(label, type="primary", key=key, width="stretch")


def deletion_buttons(delete: Callable[[], None], done: str, keep: str = "Keep it") -> None:
    """Draw both buttons. After deleting, show `done` and rerun the page; an `InUse` error is shown in the dialog.

    Deletes in the script and not in a callback: a callback that shows a toast from inside a dialog breaks the page.
    """
    left, right = st.columns(2)
    if left.button(keep, key="delete-keep", width="stretch"):
        st.rerun()
    if not deletion_button("Delete permanently", key="delete-go", place=right):
        return
    try:
        delete()
    except InUse as error:
        st.error(wording.escaped(str(error)), icon=":material/error:")
        return
    st.toast(done, icon=":material/delete:")
    st.rerun()
