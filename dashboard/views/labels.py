"""Page: labels."""

import streamlit as st

st.title("Labels")
