"""Whether the label-free quality can be trusted: against true Dice, where there is truth."""

from __future__ import annotations

import streamlit as st

from dashboard.server import resources
from dashboard.ui.trust_chart import trust_chart
from dashboard.views.labels import mask_facts as label_masks


def quality_trust(label_set_id: str) -> str | None:
    """Draw the correlation in words and a point for each image; return the id of an image whose point was clicked."""
    with resources.database().reading() as session:
        trust = label_masks.quality_trust(session, label_set_id)
    st.markdown("**Can this quality be trusted here?**")
    st.caption(trust.sentence)
    if trust.spearman is None:
        return None
    return trust_chart(trust, key=f"trust-{label_set_id}", title="Quality (label-free)")
