"""Page: gallery."""

import streamlit as st

st.title("Gallery")
