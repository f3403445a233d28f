"""What somebody sees of an error: that their role does not allow what they pressed; anything else is logged as well."""

from __future__ import annotations

import streamlit as st

from dashboard import web_log
from db.actors import NotAllowed


def show_refusal(error: Exception) -> bool:
    """Show a refusal as its sentence. Returns whether the error was one; Streamlit shows all others itself."""
    if not isinstance(error, NotAllowed):
        web_log.page_failed(error)
        return False
    st.error(str(error), icon=":material/lock:")
    return True
