"""Page: predict."""

import streamlit as st

st.title("Predict")
