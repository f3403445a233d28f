"""The buttons of every dialog that deletes something."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from dashboard.facts import wording
from db.datasets import InUse


def deletion_buttons(delete: Callable[[], None], done: str, keep: str = "Keep it") -> None:
    """Draw both buttons. After deleting, show `done` and rerun the page; an `InUse` error is shown in the dialog.

    Deletes in the script and not in a callback: a callback that shows a toast from inside a dialog breaks the page.
    """
    left, right = st.columns(2)
    if left.button(keep, key="delete-keep", width="stretch"):
        st.rerun()
    if not right.button("Delete permanently", type="primary", key="delete-go", width="stretch"):
        return
    try:
        delete()
    except InUse as error:
        st.error(wording.escaped(str(error)), icon=":material/error:")
        return
    st.toast(done, icon=":material/delete:")
    st.rerun()
