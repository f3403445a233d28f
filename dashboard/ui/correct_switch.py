"""The switch from looking at an image to drawing on it, the same on every page."""

from __future__ import annotations

import streamlit as st

from dashboard.access import rights
from db.actors import Role

HELP = "Draw what is right on the image. It is stored as you draw, and networks trained later learn from it."


def correct_switch(key: str, *, in_url: bool = True, usual: bool = False) -> bool:
    """Draw the switch for visitors who may change something; return whether the image is to be corrected.

    Args:
        usual: its state before anybody touched it.
    """
    if not rights.may(Role.EDITOR):
        return False
    return st.toggle(
        "Correct", usual, key=key, bind="query-params" if in_url else None, persist_state="session", help=HELP
    )
