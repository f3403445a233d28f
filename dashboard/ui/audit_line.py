"""The score of an audit beside other scores of a run or a mask set."""

from __future__ import annotations

import streamlit as st

from dashboard.facts.audit import audit_words
from dashboard.facts.wording import escaped
from dashboard.server.audit_scores import audit_score_of


def audit_line(dataset_id: str, owner_id: str, name: str = "") -> None:
    """Draw one line, after the `name` of the masks if it is given, once the dataset has a complete audit."""
    found = audit_score_of(dataset_id, owner_id)
    if found is not None:
        st.caption(f":material/fact_check: {f'{escaped(name)}: ' if name else ''}{audit_words(*found)}")
