"""The curves of a run: its metrics as all visitors share them, and the figures that are drawn of them."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import Any

import streamlit as st
from sqlalchemy.orm import Session

from dashboard.facts.run_metrics import DICE_NAME, IOU_NAME, MetricHistory, Reference
from dashboard.ui import charts
from dashboard.views.runs.facts import LiveStatus

CHART_PX = 260
MOST_SMOOTHING = 0.95


@dataclass(frozen=True)
class Look:
    """How a person wants the curves: a logarithmic loss; the weight of the past in a moving average, at most 0.95."""

    log_scale: bool = False
    smoothing: float = 0.0


def look_controls() -> Look:
    """Draw what the look is set with; return it."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        log_scale = st.toggle("Logarithmic loss", key="runs-log-scale", persist_state="session")
        smoothing = st.slider(
            "Smoothing",
            0.0,
            MOST_SMOOTHING,
            0.0,
            step=0.05,
            key="runs-smoothing",
            help="Weight of the past in a moving average. The raw values stay, faint.",
            width=280,
            persist_state="session",
        )
    return Look(log_scale, round(smoothing, 2))


@st.cache_resource(max_entries=16, show_spinner=False)
def _kept_history(run_id: str) -> tuple[threading.Lock, MetricHistory]:
    """Return the one history of a run that all visitors share, and who may read on in it."""
    return threading.Lock(), MetricHistory()


def shared_history(session: Session, run_id: str, status: LiveStatus) -> MetricHistory:
    """Return the metrics of a run up to now; whoever comes first after an epoch reads what is new of them."""
    lock, history = _kept_history(run_id)
    with lock:
        history.fetch(session, run_id, status.attempt, status.epochs_done)
        return replace(history)


def figures(
    reference: Reference, history: MetricHistory, look: Look, best_epoch: int | None, starts: dict[int, str]
) -> dict[str, dict[str, Any]]:
    """Return {name: curves}; `starts` are the rounds after the first, {first epoch: words}."""
    titles = {"loss": "Loss", "dice": DICE_NAME[reference], "iou": IOU_NAME[reference]}
    found = {
        metric: charts.curves_figure(
            _sides(history, metric),
            title=title,
            log=look.log_scale and metric == "loss",
            smoothing=look.smoothing,
            best_epoch=best_epoch,
            starts=starts,
            height_px=CHART_PX,
        )
        for metric, title in titles.items()
    }
    epochs, rates = history.series("learning_rate")
    if rates:
        curve = charts.Curve("learning rate", epochs, rates)
        found["rate"] = charts.curves_figure(
            [curve], title="Learning rate", log=True, starts=starts, height_px=CHART_PX
        )
    return found


def _sides(history: MetricHistory, metric: str) -> list[charts.Curve]:
    sides = (("train", metric), ("validation", f"val_{metric}"))
    found = [(group, *history.series(name)) for group, name in sides]
    return [charts.Curve("", epochs, values, group=group) for group, epochs, values in found if epochs]
