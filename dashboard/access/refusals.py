"""What somebody sees who pressed a button that their role does not allow."""

from __future__ import annotations

import streamlit as st

from db.actors import NotAllowed


def show_refusal(error: Exception) -> bool:
    """Show a refusal as its sentence. Returns whether the error was one; Streamlit shows all others itself."""
    if not isinstance(error, NotAllowed):
        return False
    st.error(str(error), icon=":material/lock:")
    return True
