"""How well prediction sets tell classes apart, read once and shared for as long as they stay the same."""

from __future__ import annotations

import streamlit as st

from dashboard.facts.class_results import ClassResults, class_results
from dashboard.server import resources
from db import predictions


def class_table(prediction_set_id: str) -> ClassResults | None:
    """Return the class results of a prediction set as they are stored now (`class_results`)."""
    with resources.database().reading() as session:
        stamp = predictions.stamp(session, prediction_set_id)
    return _read(prediction_set_id, stamp)


@st.cache_resource(max_entries=16, show_spinner="Reading the classes …")
def _read(prediction_set_id: str, stamp: str) -> ClassResults | None:
    with resources.database().reading() as session:
        return class_results(session, prediction_set_id)
