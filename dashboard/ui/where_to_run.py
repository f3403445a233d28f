"""The choice of machines that jobs ask for, once others than this one have joined."""

from __future__ import annotations

import streamlit as st

from dashboard.facts import places, wording
from dashboard.server.resources import database, settings
from db.columns import utc_now
from db.workers import Needs
from engine.work.registration import taken_here


def where_to_run(key: str, waits: str) -> Needs:
    """Draw the choice, if there is one, and return what a job needs; `waits` is as "The training waits"."""
    with database().reading() as session:
        found = places.places(session, settings(), utc_now())
    before = st.session_state.get(key, Needs())  # stays a choice when the last machine that has it is gone
    options = list(dict.fromkeys([*found, before]))
    if len(options) < 2:
        return Needs()
    chosen = st.selectbox("Where to run", options, format_func=places.words, key=key)
    if chosen not in found and not taken_here(settings(), chosen):
        st.caption(f"No machine that is connected has this. {waits} until one is.")
    elif found.get(chosen):
        st.caption(wording.escaped(f"Has it: {found[chosen]}."))
    return chosen
