"""The scores of an audit, computed once for as long as its corrections and the masks stay the same."""

from __future__ import annotations

from functools import partial

import streamlit as st
from sqlalchemy.orm import Session

from dashboard.server import resources
from db import predictions
from db.audit_set import AuditMasks, AuditSet, audit_masks, audit_set
from db.models import LabelSet
from engine.imaging.left_out import LeftOut
from engine.prediction import audit
from engine.prediction.audit import Scores
from engine.store import keys as stored


def audit_scores(drawn: AuditSet, masks: AuditMasks, stamp: str) -> Scores | None:
    """Return the scores of masks against a complete audit; None unless every image of it has a mask.

    Args:
        stamp: changes with the masks, see `masks_stamp`.
    """
    return _scores(drawn, masks, stamp, (drawn.left_out_id, *(row.file_id for row in drawn.finished.values())))


def masks_stamp(session: Session, masks: AuditMasks) -> str:
    """Return a text that changes with masks."""
    if masks.kind == "run":
        return predictions.stamp(session, masks.set_id)
    return session.get_one(LabelSet, masks.set_id).job_id or ""


def audit_score_of(dataset_id: str, owner_id: str) -> tuple[Scores, AuditMasks] | None:
    """Return the scores of a run or mask set; None while the dataset has no complete audit."""
    with resources.database().reading() as session:
        drawn = audit_set(session, dataset_id)
        if not drawn.complete:
            return None
        masks = next((each for each in audit_masks(session, dataset_id) if each.id == owner_id), None)
        stamp = masks_stamp(session, masks) if masks else ""
    scores = audit_scores(drawn, masks, stamp) if masks else None
    return (scores, masks) if scores and masks else None


@st.cache_data(max_entries=500, show_spinner="Scoring against the audit …")
def _scores(_drawn: AuditSet, masks: AuditMasks, stamp: str, files: tuple[str | None, ...]) -> Scores | None:
    key_of = partial(stored.label_key if masks.kind == "mask set" else stored.prediction_key, masks.set_id)
    store, dataset_id = resources.artifacts(), _drawn.images[0].dataset_id
    left_out = LeftOut(store, stored.left_out_key(dataset_id, _drawn.left_out_id))
    return audit.score_stored(store, _drawn.finished, key_of, left_out)
