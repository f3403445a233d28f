"""The curves of a run, and what a finished epoch changes on its page: shared by all visitors."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import Any

import streamlit as st
from sqlalchemy.orm import Session

from dashboard.facts import urls
from dashboard.facts.rounds import round_starts, round_views
from dashboard.facts.run_metrics import DICE_NAME, IOU_NAME, MOST_CLASSES, MetricHistory, numbered
from dashboard.server.resources import artifacts, database, settings
from dashboard.ui import charts
from dashboard.views.runs.facts import LiveStatus, Probe, RunHead, kept_curves, live_status, run_head
from dashboard.views.runs.live_facts import Number, numbers, version
from dashboard.views.runs.story import so_far
from db.columns import utc_now
from engine.store import keys as stored
from engine.training.run_details import mean_note

CHART_PX = 260
MOST_SMOOTHING = 0.95


@dataclass(frozen=True)
class CurveSettings:
    """How curves are drawn. `smoothing` is the weight of the past in a moving average, 0 to 0.95."""

    log_scale: bool = False
    smoothing: float = 0.0


def curve_controls() -> CurveSettings:
    """Draw the controls of the curves; return the settings."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        log_scale = st.toggle("Logarithmic loss", key="runs-log-scale", persist_state="session")
        smoothing = st.slider(
            "Smoothing",
            0.0,
            MOST_SMOOTHING,
            0.0,
            step=0.05,
            key="runs-smoothing",
            help="Weight of the past in a moving average. The raw values stay visible, faintly.",
            width=280,
            persist_state="session",
        )
    return CurveSettings(log_scale, round(smoothing, 2))


@st.cache_resource(max_entries=16, show_spinner=False)
def _cached_history(run_id: str) -> tuple[threading.Lock, MetricHistory]:
    """Return the history of a run that all visitors share, and the lock for extending it."""
    return threading.Lock(), MetricHistory()


def shared_history(session: Session, run_id: str, status: LiveStatus) -> MetricHistory:
    """Return the metrics of a run up to now; the first visitor after an epoch reads the new ones."""
    lock, history = _cached_history(run_id)
    with lock:
        history.fetch(session, run_id, status.attempt, status.epochs_done)
        return replace(history)


def figures(
    head: RunHead,
    history: MetricHistory,
    chosen: CurveSettings,
    best_epoch: int | None,
    starts: dict[int, str],
) -> dict[str, dict[str, Any]]:
    """Return {name: figure}; `starts` are the rounds after the first, {first epoch: words}."""

    def figure(curves: list[charts.Curve], title: str, log: bool = False) -> dict[str, Any]:
        return charts.curves_figure(
            curves,
            title=title,
            log=log,
            smoothing=chosen.smoothing,
            best_epoch=best_epoch,
            starts=starts,
            height_px=CHART_PX,
        )

    scores = {"dice": DICE_NAME[head.reference], "iou": IOU_NAME[head.reference]}
    mean = f", {mean_note(head.classes)}" if head.classes else ""
    result = {"loss": figure(_sides(history, "loss"), "Loss", chosen.log_scale)}
    result |= {metric: figure(_sides(history, metric), f"{title}{mean}") for metric, title in scores.items()}
    epochs, rates = history.series("learning_rate")
    if rates:
        curve = [charts.Curve("learning rate", epochs, rates)]
        result["rate"] = charts.curves_figure(curve, title="Learning rate", log=True, starts=starts, height_px=CHART_PX)
    left_out = len(head.classes) - 1 - MOST_CLASSES
    which = f"the first {MOST_CLASSES} classes" if left_out > 0 else "each class"
    for metric, title in scores.items():
        if curves := _class_curves(history, metric, head):
            result[f"{metric}_classes"] = figure(curves, f"{title} of {which}")
    return result


def _class_curves(history: MetricHistory, metric: str, head: RunHead) -> list[charts.Curve]:
    """Return a curve of each class on validation images, and beside it a dotted one on training images."""
    curves = []
    for number, name in numbered(head.classes):
        sides = _sides(history, f"{metric}_{number}")
        first: list[charts.Side] = ["", "train"]  # without validation images the training curve is the only one
        curves += [
            replace(side, run=name, class_number=number, colour=head.class_colours[number], group=group)
            for side, group in zip(reversed(sides), first, strict=False)
        ]
    return curves


def _sides(history: MetricHistory, metric: str) -> list[charts.Curve]:
    train = charts.Curve("", *history.series(metric), group="train")
    validation = charts.Curve("", *history.series(f"val_{metric}"), group="validation")
    return [curve for curve in (train, validation) if curve.epochs]


@dataclass(frozen=True)
class News:
    """A run as of `version`, after `epoch` epochs: what an open page updates without running its script.

    `sentence` describes its course, with **bold** words; `figures` are {name: Plotly figure}; `masks` are
    {probe image: URL of the mask predicted after the epoch}, and `classes` those of its class numbers, where there are.
    """

    version: str
    epoch: int
    numbers: tuple[Number, ...]
    sentence: str
    figures: dict[str, dict[str, Any]]
    masks: dict[str, str]
    classes: dict[str, str | None]


def latest_news(run_id: str, chosen: CurveSettings) -> News | None:
    """Return the current news of a run, or None if it does not exist."""
    with database().reading() as session:
        status = live_status(session, run_id, utc_now(), settings().lost_after_s)
        head = run_head(session, run_id)
    return None if status is None or head is None else news(head, status, chosen)


def news(head: RunHead, status: LiveStatus, chosen: CurveSettings) -> News:
    """Return the news of a run as of `status`."""
    with database().reading() as session:
        history = shared_history(session, head.id, status)
        rounds = round_views(session, head.id) if status.rounds_total > 1 else ()
    starts = round_starts(rounds, status.epochs_done, status.rounds_total)
    curves = kept_curves(history.by_epoch, None, rounds, status.best_epoch, head.train_images)
    epoch = history.last_epoch
    return News(
        version=version(status),
        epoch=epoch,
        numbers=numbers(head, status),
        sentence=so_far(curves, head.reference, status.best_epoch),
        figures=figures(head, history, chosen, status.best_epoch, starts),
        masks={probe.image_id: urls.probe(head.id, epoch, probe.image_id) for probe in head.probes} if epoch else {},
        classes={probe.image_id: probe_classes(head, epoch, probe) for probe in head.probes} if epoch else {},
    )


def probe_classes(head: RunHead, epoch: int, probe: Probe) -> str | None:
    """Return the URL of the class numbers of a probe image after an epoch; None for foreground alone, and where an
    earlier version trained the epoch."""
    stored_there = head.classes and artifacts().exists(stored.probe_classes_key(head.id, epoch, probe.image_id))
    return urls.probe_classes(head.id, epoch, probe.image_id) if stored_there else None
