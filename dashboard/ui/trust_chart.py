"""A scatter chart of a score without truth against true Dice: a click on a point opens the image."""

from __future__ import annotations

from html import escape

import plotly.graph_objects as go
import streamlit as st

from dashboard.facts.trust import Trust
from dashboard.ui import palette

MOST_POINTS = 1500


def trust_chart(trust: Trust, *, key: str, title: str) -> str | None:
    """Draw the chart of a score named by `title`; return the id of an image whose point was just clicked."""
    # A new chart after each click clears the selection, so that the same point can be clicked again.
    clicks = st.session_state.setdefault(f"{key}-clicks", 0)
    event = st.plotly_chart(
        _figure(trust, title),
        key=f"{key}-{clicks}",
        on_select="rerun",
        selection_mode="points",
        config={"displayModeBar": False},
        alt=f"{title} against Dice vs truth, one point for each image",
    )
    points = event.selection.points
    if not points or "customdata" not in points[0]:
        return None
    st.session_state[f"{key}-clicks"] = clicks + 1
    return str(points[0]["customdata"][0])


def _figure(trust: Trust, title: str) -> go.Figure:
    named = title[:1].lower() + title[1:]
    shown = slice(None, None, max(1, -(-len(trust.image_ids) // MOST_POINTS)))
    figure = go.Figure(
        go.Scatter(
            x=trust.score[shown],
            y=trust.dice[shown],
            text=[escape(name) for name in trust.names[shown]],
            customdata=[[image_id] for image_id in trust.image_ids[shown]],
            mode="markers",
            marker={"color": palette.BLUE, "size": 7, "opacity": 0.8},
            hovertemplate=f"%{{text}}<br>{named} %{{x:.2f}}, Dice vs truth %{{y:.2f}}<extra></extra>",
        )
    )
    figure.update_layout(
        height=220,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        xaxis={"title": {"text": title, "standoff": 4}, "automargin": True},
        yaxis={"title": {"text": "Dice vs truth"}, "range": [-0.03, 1.03], "automargin": True},
        clickmode="event+select",
        dragmode=False,
    )
    return figure
