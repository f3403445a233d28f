"""What the person at a page may do: for the pages, so that they draw no button that would refuse.

What is refused, is refused where it is written (`db.session.Database.writing`), whatever a page draws.
"""

from __future__ import annotations

from typing import Any

import streamlit as st

from dashboard.access import identity
from dashboard.server import resources
from db.actors import Actor, Role


def who() -> Actor:
    """Return who is at the page."""
    return identity.current(resources.database())


def may(role: Role) -> bool:
    """Return whether the person at the page may do what takes `role`."""
    return who().role.allows(role)


def require(role: Role) -> None:
    """
    Raises:
        NotAllowed: the person at the page has less than `role`.
    """
    who().require(role)


def button(label: str, *, place: Any = st, **options: Any) -> bool:
    """Draw a button that changes something, as `place.button` does; for whoever may change nothing there is none."""
    return may(Role.EDITOR) and place.button(label, **options)


def only_looking(what: str) -> bool:
    """Say to whoever may change nothing who may, instead of drawing `what` for them; return whether it was said."""
    if may(Role.EDITOR):
        return False
    sentence = f"{what} takes an editor, and your role is {who().role}. An admin can change that."
    st.info(sentence, icon=":material/visibility:")
    return True
