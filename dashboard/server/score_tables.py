"""The scores of prediction sets, read once and shared by every page and visitor for as long as they stay the same."""

from __future__ import annotations

import streamlit as st

from dashboard.facts.scores import ScoreTable, read_scores
from dashboard.server import resources
from db import predictions


def score_table(prediction_set_id: str) -> ScoreTable:
    """Return the scores of a prediction set as they are stored now. Nobody may write into its arrays."""
    with resources.database().reading() as session:
        stamp = predictions.stamp(session, prediction_set_id)
    return _read(prediction_set_id, stamp)


@st.cache_resource(max_entries=16, show_spinner="Reading the scores …")
def _read(prediction_set_id: str, stamp: str) -> ScoreTable:
    with resources.database().reading() as session:
        return read_scores(session, prediction_set_id)
