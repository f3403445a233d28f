"""The end of every dialog that destroys something: keep it, or delete it for good."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from dashboard.facts import wording
from db.datasets import InUse


def deletion_buttons(delete: Callable[[], None], done: str, keep: str = "Keep it") -> None:
    """Draw both buttons. Deleting says `done` and draws the page anew; what is in use stays, with its sentence.

    Not a callback of the button: one that shows a toast breaks the page when it runs from inside a dialog.
    """
    left, right = st.columns(2)
    if left.button(keep, key="delete-keep", width="stretch"):
        st.rerun()
    if not right.button("Delete for good", type="primary", key="delete-go", width="stretch"):
        return
    try:
        delete()
    except InUse as error:
        st.error(wording.escaped(str(error)), icon=":material/error:")
        return
    st.toast(done, icon=":material/delete:")
    st.rerun()
