"""Page: who I am here, what I may do, and the way out."""

import streamlit as st

from dashboard.access import rights
from dashboard.access.entrance import Entrance, entrance
from dashboard.access.token_route import PATH
from dashboard.facts import wording
from dashboard.facts.people import MEANING

st.title("Account")
who = rights.who()
if entrance() == Entrance.LOGIN:
    st.markdown(f"You are logged in as **{wording.escaped(who.name)}**.")
    st.markdown(f"Your role is **{who.role}**. {MEANING[who.role]}")
    st.caption("An admin changes roles on the page People.")
    if st.button("Log out", icon=":material/logout:", key="account-log-out"):
        st.logout()
else:
    st.markdown("You came in with the shared access token. What you do is written down as done by *token*.")
    st.markdown(f"Your role is **{who.role}**. {MEANING[who.role]}")
    st.html(f'<a href="{PATH}/leave" target="_self">Leave: forget the token in this browser</a>')
