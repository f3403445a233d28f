"""What somebody sees of an error: that their role does not allow what they pressed, or that the thing is gone.

Anything else is logged as well.
"""

from __future__ import annotations

import streamlit as st
from sqlalchemy.exc import NoResultFound

from dashboard.server import web_log
from db.actors import NotAllowed

GONE = (
    "What this page was about is not here any more: it was deleted in another tab, or by somebody else. Reload the "
    "page to see what is there."
)


def show_refusal(error: Exception) -> bool:
    """Show a refusal as its sentence. Returns whether the error was one; Streamlit shows all others itself."""
    if isinstance(error, NoResultFound):  # `Session.get_one`, between the page's first look and what was pressed
        st.warning(GONE, icon=":material/delete:")
        return True
    if not isinstance(error, NotAllowed):
        web_log.page_failed(error)
        return False
    st.error(str(error), icon=":material/lock:")
    return True
