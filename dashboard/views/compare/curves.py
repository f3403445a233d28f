"""The curves of several runs in one chart."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from dashboard.facts import wording
from dashboard.server import resources
from dashboard.ui import charts
from dashboard.ui.charts import Curve, Side
from dashboard.views.compare import facts
from dashboard.views.compare.facts import ComparedRun, Series

TITLES = {"dice": "Soft Dice", "loss": "Loss", "iou": "IoU", "learning_rate": "Learning rate"}
EPOCHS, MINUTES = "Epochs", "Minutes"


@st.fragment
def curves(compared: Sequence[ComparedRun]) -> None:
    """Draw one metric of all runs, once the box is opened; only that metric is read."""
    box = st.expander("Curves", icon=":material/show_chart:", key="compare-curves-box", on_change="rerun")
    if box.open:
        with box:
            _curves(compared)


def _curves(compared: Sequence[ComparedRun]) -> None:
    metrics = facts.metric_choices(compared)
    if not metrics:
        st.info("None of these runs has finished an epoch yet.")
        return
    titles = {TITLES[metric]: metric for metric in metrics}
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        title = st.segmented_control(
            "Metric", list(titles), default=next(iter(titles)), required=True, key="metric", bind="query-params"
        )
        x_axis = st.segmented_control(
            "X axis", (EPOCHS, MINUTES), default=EPOCHS, required=True, key="x", bind="query-params"
        )
        smoothing = st.slider("Smoothing", 0.0, 0.95, 0.0, 0.05, key="smoothing", bind="query-params", width=180)
        log = st.toggle("Logarithmic", key="log", bind="query-params")
        training = st.toggle("Show training curves", key="training", bind="query-params")
    metric = titles[title]
    with resources.database().reading() as session:
        series = facts.curves(session, [run.id for run in compared], (metric, f"val_{metric}"))
    lines = _lines(compared, series, metric, training or metric == "learning_rate", x_axis == MINUTES)
    figure = charts.curves_figure(
        lines,
        title=f"{title} by {'minute of training' if x_axis == MINUTES else 'epoch'}",
        log=log,
        smoothing=smoothing,
        height_px=340,
        x_title="Minutes of training" if x_axis == MINUTES else "Epoch",
    )
    charts.show(figure, key="compare-curves")
    _explain(compared, title, metric, x_axis)


def _explain(compared: Sequence[ComparedRun], title: str, metric: str, x_axis: str) -> None:
    if x_axis == MINUTES:
        untimed = [wording.escaped(run.name) for run in compared if facts.minutes(run, [1]) is None]
        without = f" Not timed yet: {', '.join(untimed)}." if untimed else ""
        st.caption(f"A run's training time, spread evenly over its epochs.{without}")
    if metric in ("dice", "iou"):
        by_reference: dict[str, list[str]] = {}
        for run in compared:
            by_reference.setdefault(run.measured_against, []).append(run.name)
        against = "; ".join(f"{', '.join(names)}: {reference}" for reference, names in by_reference.items())
        explained = f"{title} during training, measured against what each run was trained on. {against}."
        st.caption(wording.escaped(explained))


def _lines(
    compared: Sequence[ComparedRun],
    series: dict[tuple[str, str], Series],
    metric: str,
    training: bool,
    by_minute: bool,
) -> list[Curve]:
    lines = []
    for run in compared:
        kinds: list[tuple[str, Side]] = [(f"val_{metric}", "validation")]
        if training:
            kinds.append((metric, "" if metric == "learning_rate" else "train"))
        for name, group in kinds:
            epochs, values = series.get((run.id, name), ([], []))
            x = facts.minutes(run, epochs) if by_minute else epochs
            if epochs and x is not None:
                lines.append(Curve(TITLES[metric], x, values, group=group, run=run.name))
    return lines
