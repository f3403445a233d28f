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
    st.Page("views/home/page.py", title="Home", icon=":material/home:", default=True),
    st.Page("views/datasets/page.py", title="Datasets", icon=":material/photo_library:", url_path="datasets"),
    st.Page("views/labels/page.py", title="Labels", icon=":material/auto_fix_high:", url_path="labels"),
    st.Page("views/train/page.py", title="Train", icon=":material/model_training:", url_path="train"),
    st.Page("views/runs/page.py", title="Runs", icon=":material/monitoring:", url_path="runs"),
    st.Page("views/gallery/page.py", title="Gallery", icon=":material/grid_view:", url_path="gallery"),
    st.Page("views/compare/page.py", title="Compare", icon=":material/compare:", url_path="compare"),
    st.Page("views/predict/page.py", title="Predict", icon=":material/image_search:", url_path="predict"),
]
if entrance() == Entrance.LOGIN and who.role == Role.ADMIN:
    pages.append(st.Page("views/people/page.py", title="People", icon=":material/group:", url_path="people"))
if entrance() != Entrance.OPEN:
    pages.append(
        st.Page("views/account/page.py", title="Account", icon=":material/account_circle:", url_path="account")
    )
page = st.navigation(pages, position="top" if let_in else "hidden")
if let_in:
    page.run()
else:
    closed(who)
