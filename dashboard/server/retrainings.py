"""Runs that were trained again beside those that they came from, compared once for as long as nothing changes."""

from __future__ import annotations

import streamlit as st

from dashboard.facts.retraining import OldAndNew
from dashboard.facts.retraining import old_and_new as compared
from dashboard.server import resources
from db import corrections, predictions, retraining
from db.models import Dataset, Run


def old_and_new(run_id: str) -> OldAndNew | None:
    """Return a run that was trained again beside its origin; None unless both have masks of their dataset."""
    with resources.database().reading() as session:
        run = session.get(Run, run_id)
        pair = retraining.pair(session, run) if run is not None else None
        if pair is None:
            return None
        stamp = [predictions.stamp(session, each) for each in (pair.old_set_id, pair.new_set_id)]
        drawn = (
            corrections.revisions(session, pair.new.dataset_id),
            len(corrections.audit_images(session, pair.new.dataset_id)),
            session.get_one(Dataset, pair.new.dataset_id).left_out_id,
        )
        stamp.append(f"{drawn} {pair.old.name} {pair.new.name} {pair.new.details['retrained']}")
    return _read(run_id, "/".join(stamp))


def preferred(run_id: str) -> OldAndNew | None:
    """Return the comparison that says to predict with an older run than this one; None if this is the one to use."""
    found, last = old_and_new(run_id), None
    while found is not None and found.preferred_id == found.old_id:
        last = found
        found = old_and_new(found.old_id)
    return last


@st.cache_data(max_entries=64, show_spinner="Comparing the networks …")
def _read(run_id: str, stamp: str) -> OldAndNew | None:
    """`stamp` only identifies the state that is compared."""
    with resources.database().reading() as session:
        return compared(session, resources.artifacts(), session.get_one(Run, run_id))
