"""The navigation. Streamlit runs this file for every visit; the page tests start here."""

from pathlib import Path

import streamlit as st

from dashboard import libraries
from dashboard.access.mode import access_mode
from dashboard.access.sign_in import sign_in_page, visitor
from dashboard.pages import pages, script
from dashboard.server import resources
from db.actors import Role
from db.session import DatabaseRefused

FOLDER = Path(__file__).parent

# A local file: for an icon by name the browser would ask a font server on the internet.
st.set_page_config(page_title="Maskloom", page_icon=FOLDER / "icon.svg", layout="wide")
st.logo(FOLDER / "icon.svg")
st.html(FOLDER / "ui" / "page.css")

try:
    resources.database().refuse_if_moved()
except DatabaseRefused as error:
    st.error(str(error))
    st.stop()

who = visitor()
may_view = who.role.allows(Role.VIEWER)

# One flat row: sections become menus there, and every page would be two clicks away.
role = who.role if may_view else Role.VIEWER  # without permission to view, every URL shows the sign-in page
start = next(iter(pages()))
page = st.navigation(
    [
        st.Page(script(name), title=page.title, icon=page.icon, url_path=name, default=name == start)
        for name, page in pages().items()
        if page.is_offered(access_mode(), role)
    ],
    position="top" if may_view else "hidden",
)
if not may_view:
    sign_in_page(who)
elif page.url_path:
    libraries.load()
    page.run()
else:
    page.run()
    libraries.load_soon()
