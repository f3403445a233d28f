"""The permissions of the visitor, so that pages leave out buttons that would fail, and errors on pages.

The permissions themselves are enforced by `db.session.Database.writing`, whatever a page draws.
"""

from __future__ import annotations

from typing import Any

import streamlit as st
from sqlalchemy.exc import NoResultFound

from dashboard.access import identity
from dashboard.server import resources, web_log
from db.actors import Actor, NotAllowed, Role
from engine.store.base import StoreFailed

DELETED = "This object does not exist any more: it was deleted in another tab, or by somebody else. Reload the page."


def who() -> Actor:
    """Return the visitor of the page."""
    return identity.current(resources.database())


def may(role: Role) -> bool:
    """Return whether the visitor has at least `role`."""
    return who().role.allows(role)


def require(role: Role) -> None:
    """
    Raises:
        NotAllowed: the visitor has less than `role`.
    """
    who().require(role)


def button(label: str, *, place: Any = st, **options: Any) -> bool:
    """Draw a button that changes something, as `place.button` does, for visitors who may change something."""
    return may(Role.EDITOR) and place.button(label, **options)


def only_looking(what: str) -> bool:
    """Show visitors who may change nothing which role `what` needs; return whether it was shown."""
    if may(Role.EDITOR):
        return False
    sentence = f"{what} requires the role editor, and your role is {who().role}. An admin can change that."
    st.info(sentence, icon=":material/visibility:")
    return True


def show_error(error: Exception) -> bool:
    """Show missing permissions, deleted objects and a store that fails as a message; log any other error.

    Returns:
        Whether the error was shown. Streamlit shows all others itself.
    """
    if isinstance(error, NoResultFound):  # `Session.get_one`: deleted after the page was drawn
        st.warning(DELETED, icon=":material/delete:")
    elif isinstance(error, StoreFailed):
        st.error(str(error), icon=":material/cloud_off:")
    elif isinstance(error, NotAllowed):
        st.error(str(error), icon=":material/lock:")
    else:
        web_log.page_failed(error)
        return False
    return True
