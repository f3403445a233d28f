"""The choice of one class of masks, the same wherever masks of several classes are shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

ALL_CLASSES = "All classes"


def choose_class(names: Sequence[str], key: str, help: str, **options: Any) -> int:
    """Draw the choice if there are several classes; return the chosen one's number, 0 for all of them.

    `names` are those of the classes, background first. `options` are those of `st.selectbox`.
    """
    choices = [ALL_CLASSES, *names[1:]]
    if len(choices) < 3:
        return 0
    if st.session_state.get(key, ALL_CLASSES) not in choices:
        st.session_state[key] = ALL_CLASSES  # the class of another run
    return choices.index(st.selectbox("Class", choices, key=key, width=140, help=help, **options))
