"""The table of pages. Streamlit runs this file for every visit; the page tests start here."""

from pathlib import Path

import streamlit as st

from dashboard.access.door import at_the_door, closed
from dashboard.access.entrance import Entrance, entrance
from db.actors import Role

FOLDER = Path(__file__).parent

# A file of ours: for an icon by name the browser would ask a font server on the internet.
st.set_page_config(page_title="Maskloom", page_icon=FOLDER / "icon.svg", layout="wide")
st.logo(FOLDER / "icon.svg")
# Streamlit's own CSV of a table would hold names that a spreadsheet takes for formulas; our downloads do not.
st.html('<style>[data-testid="stElementToolbar"] button[aria-label="Download as CSV"] {display: none}</style>')

who = at_the_door()
let_in = who.role.allows(Role.VIEWER)

# In the order of the work. One flat row: sections become menus there, and every page would be two clicks away.
pages = [
    st.Page("views/home.py", title="Home", icon=":material/home:", default=True),
    st.Page("views/datasets.py", title="Datasets", icon=":material/photo_library:"),
    st.Page("views/labels.py", title="Labels", icon=":material/auto_fix_high:"),
    st.Page("views/train.py", title="Train", icon=":material/model_training:"),
    st.Page("views/runs.py", title="Runs", icon=":material/monitoring:"),
    st.Page("views/gallery.py", title="Gallery", icon=":material/grid_view:"),
    st.Page("views/compare.py", title="Compare", icon=":material/compare:"),
    st.Page("views/predict.py", title="Predict", icon=":material/image_search:"),
]
if entrance() == Entrance.LOGIN and who.role == Role.ADMIN:
    pages.append(st.Page("views/people.py", title="People", icon=":material/group:"))
if entrance() != Entrance.OPEN:
    pages.append(st.Page("views/account.py", title="Account", icon=":material/account_circle:"))
page = st.navigation(pages, position="top" if let_in else "hidden")
if let_in:
    page.run()
else:
    closed(who)
