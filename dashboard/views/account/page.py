"""Page: the user's name and role, and the log-out button."""

import streamlit as st

from dashboard.access import rights
from dashboard.access.mode import AccessMode, access_mode
from dashboard.access.token_route import PATH
from dashboard.facts.people import MEANING
from dashboard.facts.wording import escaped

st.title("Account")
who = rights.who()
if access_mode() == AccessMode.LOGIN:
    st.markdown(f"You are logged in as **{escaped(who.name)}**.")
    st.markdown(f"Your role is **{who.role}**. {MEANING[who.role]}")
    st.caption("An admin changes roles on the page People.")
    if st.button("Log out", icon=":material/logout:", key="account-log-out"):
        st.logout()
else:
    st.markdown("You logged in with the shared access token. Your actions are recorded in the audit log as *token*.")
    st.markdown(f"Your role is **{who.role}**. {MEANING[who.role]}")
    st.html(f'<a href="{PATH}/leave" target="_self">Log out: remove the token from this browser</a>')
