"""The door of every page: a stranger sees how to get in, and nothing else."""

from __future__ import annotations

import streamlit as st

from dashboard.access import identity
from dashboard.access.entrance import Entrance, entrance, login_providers
from dashboard.access.token_route import PATH
from dashboard.facts import wording
from dashboard.server import resources
from db.actors import STRANGER, Actor, Role


def at_the_door() -> Actor:
    """Return who is at the page, and write down that they are here."""
    database = resources.database()
    who = identity.current(database)
    if who.role.allows(Role.VIEWER):
        identity.be_seen(database, who)
    return who


def closed(who: Actor) -> None:
    """Draw what somebody sees who is not let in."""
    st.title("Maskloom")
    if who is not STRANGER:
        st.markdown(f"You are logged in as **{wording.escaped(who.name)}**.")
        st.info("An admin has to let you in. Ask one for a role, then load this page again.", icon=":material/lock:")
        st.button("Log out", icon=":material/logout:", on_click=st.logout, key="door-log-out")
    elif entrance() == Entrance.LOGIN:
        st.markdown("From unlabelled images to a trained U-Net and its masks. Log in to see what is in here.")
        for provider in login_providers():
            label = f"Log in with {provider}" if provider else "Log in"
            if st.button(label, type="primary", icon=":material/login:", key=f"door-{provider}"):
                st.login(provider)
    else:
        st.markdown(f"The access token that this browser came in with is no longer good. [Type it in again]({PATH}).")
