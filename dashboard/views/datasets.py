"""Page: datasets."""

import streamlit as st

st.title("Datasets")
