"""The button from masks to the page that measures their objects."""

from __future__ import annotations

import streamlit as st


def measure_button(**query: str) -> None:
    """Draw it. `query` names the masks: `run`, `set` of predictions, or `labels`."""
    key = f"to-measure-{'-'.join(query.values())}"
    if st.button(
        "Measure objects", icon=":material/straighten:", key=key, help="Count and measure what is in the masks."
    ):
        st.switch_page("views/measure/page.py", query_params=query)
