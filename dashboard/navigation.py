"""The table of pages. Streamlit runs this file for every visit; the page tests start here."""

import streamlit as st

st.set_page_config(page_title="Maskloom", page_icon=":material/texture:", layout="wide")

pages = {
    "": [st.Page("views/home.py", title="Home", icon=":material/home:", default=True)],
    "Data": [
        st.Page("views/datasets.py", title="Datasets", icon=":material/photo_library:"),
        st.Page("views/labels.py", title="Labels", icon=":material/auto_fix_high:"),
    ],
    "Network": [
        st.Page("views/train.py", title="Train", icon=":material/model_training:"),
        st.Page("views/runs.py", title="Runs", icon=":material/monitoring:"),
    ],
    "Results": [
        st.Page("views/gallery.py", title="Gallery", icon=":material/grid_view:"),
        st.Page("views/compare.py", title="Compare", icon=":material/compare:"),
        st.Page("views/predict.py", title="Predict", icon=":material/image_search:"),
    ],
}
st.navigation(pages, position="sidebar").run()
