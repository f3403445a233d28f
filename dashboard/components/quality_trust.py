"""Whether the label-free quality can be trusted: against true Dice, where there is truth."""

from __future__ import annotations

import plotly.graph_objects as go
import streamlit as st

from dashboard import resources
from dashboard.components import palette
from dashboard.viewmodels import label_masks
from dashboard.viewmodels.label_masks import Trust

MOST_POINTS = 1500


def quality_trust(label_set_id: str) -> str | None:
    """Draw the correlation in words and a point for each image; return the id of an image whose point was clicked."""
    with resources.database().reading() as session:
        trust = label_masks.trust(session, label_set_id)
    st.markdown("**Can this quality be trusted here?**")
    st.caption(trust.sentence)
    if trust.spearman is None:
        return None
    # A new chart after each click, so that the click is forgotten and its point can be clicked again.
    clicks = st.session_state.setdefault("trust-clicks", 0)
    event = st.plotly_chart(
        _figure(trust),
        key=f"trust-{label_set_id}-{clicks}",
        on_select="rerun",
        selection_mode="points",
        config={"displayModeBar": False},
        alt="Quality (label-free) against Dice vs truth, one point for each image",
    )
    points = event.selection.points
    if not points or "customdata" not in points[0]:
        return None
    st.session_state["trust-clicks"] = clicks + 1
    return str(points[0]["customdata"][0])


def _figure(trust: Trust) -> go.Figure:
    shown = slice(None, None, -(-len(trust.image_ids) // MOST_POINTS))
    figure = go.Figure(
        go.Scatter(
            x=trust.quality[shown],
            y=trust.dice[shown],
            text=trust.names[shown],
            customdata=[[image_id] for image_id in trust.image_ids[shown]],
            mode="markers",
            marker={"color": palette.BLUE, "size": 7, "opacity": 0.8},
            hovertemplate="%{text}<br>quality %{x:.2f}, Dice vs truth %{y:.2f}<extra></extra>",
        )
    )
    figure.update_layout(
        height=220,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        xaxis={"title": {"text": "Quality (label-free)", "standoff": 4}, "automargin": True},
        yaxis={"title": {"text": "Dice vs truth"}, "range": [-0.03, 1.03], "automargin": True},
        clickmode="event+select",
        dragmode=False,
    )
    return figure
