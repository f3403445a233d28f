"""The sign-in page: all that an anonymous visitor sees."""

from __future__ import annotations

import streamlit as st

from dashboard.access import identity
from dashboard.access.mode import AccessMode, access_mode, login_providers
from dashboard.access.token_route import PATH
from dashboard.facts import wording
from dashboard.server import resources
from db.actors import ANONYMOUS, Actor, Role


def visitor() -> Actor:
    """Return the visitor of the page, and record the visit."""
    database = resources.database()
    who = identity.current(database)
    if who.role.allows(Role.VIEWER):
        identity.record_visit(database, who)
    return who


def sign_in_page(who: Actor) -> None:
    """Draw the page for a visitor who may not see any other."""
    st.title("Maskloom")
    if who is not ANONYMOUS:
        st.markdown(f"You are logged in as **{wording.escaped(who.name)}**.")
        st.info("You have no role yet. Ask an admin for one, then reload this page.", icon=":material/lock:")
        st.button("Log out", icon=":material/logout:", on_click=st.logout, key="sign-in-log-out")
    elif access_mode() == AccessMode.LOGIN:
        st.markdown("From unlabelled images to a trained U-Net and its masks. Log in to continue.")
        for provider in login_providers():
            label = f"Log in with {provider}" if provider else "Log in"
            if st.button(label, type="primary", icon=":material/login:", key=f"sign-in-{provider}"):
                st.login(provider)
    else:
        st.markdown(f"The access token of this browser is no longer valid. [Enter it again]({PATH}).")
