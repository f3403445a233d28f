"""Page: two or more runs beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from html import escape
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from dashboard import resources, urls, wording
from dashboard.components import charts, palette, status
from dashboard.components.charts import Curve
from dashboard.components.mask_grid import Mode
from dashboard.components.viewer import Pane, viewer
from dashboard.score_tables import score_table
from dashboard.viewmodels import compare
from dashboard.viewmodels.compare import MOST_RUNS, ComparedRun, SharedImages
from dashboard.viewmodels.scores import SCORE_TITLES, upper_first
from db import runs

CURVES = {"dice": "Dice", "loss": "Loss", "iou": "IoU", "learning_rate": "Learning rate"}
ORDERS = {"Largest disagreement": "disagreement", "Worst mean score": "worst", "Name": "name"}
MODES: dict[str, Mode] = {"Errors": "errors", "Outline": "outline", "Fill": "fill", "Probability": "probability"}


def main() -> None:
    st.title("Compare")
    st.markdown("Runs over each other: curves, numbers, what was set differently, and the masks of the same image.")
    chosen = _choose_runs()
    with resources.database().reading() as session:
        compared = compare.compared_runs(session, chosen)
    if len(compared) < 2:
        st.info("Choose a second run to compare with.")
    if not compared:
        return
    shared = compare.shared_images(compared, score_table)
    for caution in compare.cautions(compared, shared):
        st.caption(f":material/info: {wording.escaped(caution)}")
    sections = st.container()
    if shared is not None and len(shared.rows):
        shared = _masks(shared)
    with sections:
        _curves(compared)
        _numbers(compared, shared)
        _differences(compared)


def _choose_runs() -> list[str]:
    with resources.database().reading() as session:
        names = {run.id: run.name for run in runs.listing(session)}
        usual = compare.usual_runs(session)
    if len(names) < 2:
        status.empty_state(
            "Nothing to compare yet" if not names else "Only one run yet",
            "Train two runs, for example on two label sets or with two presets; then see here which is better.",
            button="Train a network",
            page="views/train.py",
        )
        st.stop()
    wanted = [run_id for run_id in st.query_params.get("runs", "").split(",") if run_id in names]
    if "compare-runs" not in st.session_state:
        st.session_state["compare-runs"] = wanted[:MOST_RUNS] or usual
        gone = [run_id for run_id in st.query_params.get("runs", "").split(",") if run_id and run_id not in names]
        if gone:
            st.warning(f"The address names {wording.count(len(gone), 'run')} that cannot be found.")
    chosen = st.multiselect(
        "Runs",
        list(names),
        key="compare-runs",
        format_func=lambda run_id: names.get(run_id, "deleted"),
        max_selections=MOST_RUNS,
        placeholder="Choose two or more runs",
    )
    if wanted != chosen:
        st.query_params["runs"] = ",".join(chosen)
    return chosen


def _curves(compared: Sequence[ComparedRun]) -> None:
    st.subheader("Curves")
    metrics = compare.metric_choices(compared)
    if not metrics:
        st.info("No epoch has ended yet in any of these runs.")
        return
    titles = {CURVES[metric]: metric for metric in metrics}
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        title = st.segmented_control(
            "Metric", list(titles), default=next(iter(titles)), required=True, key="metric", bind="query-params"
        )
        smoothing = st.slider("Smoothing", 0.0, 0.95, 0.0, 0.05, key="smoothing", bind="query-params", width=180)
        log = st.toggle("Logarithmic", key="log", bind="query-params")
        training = st.toggle("Training too", key="training", bind="query-params")
    metric = titles[title]
    charts.metric_curves(
        list(_lines(compared, metric, training or metric == "learning_rate")),
        key="compare-curves",
        title=f"{title} by epoch",
        log=log,
        smoothing=smoothing,
        height_px=340,
    )
    if metric in ("dice", "iou"):
        against = "; ".join(f"{run.name}: {_against(run)}" for run in compared)
        explained = f"{title} while training, measured against what each run learned from. {against}."
        st.caption(wording.escaped(explained))


def _against(run: ComparedRun) -> str:
    return "truth" if run.reference == "truth" else f"agreement with the pseudo-label {run.label_set_name}"


def _lines(compared: Sequence[ComparedRun], metric: str, training: bool) -> list[Curve]:
    lines = []
    for run in compared:
        epochs, values = compare.curve_values(run, f"val_{metric}")
        if epochs:
            lines.append(Curve(CURVES[metric], epochs, values, group="validation", run=run.name))
        epochs, values = compare.curve_values(run, metric)
        if training and epochs:
            group = "" if metric == "learning_rate" else "train"
            lines.append(Curve(CURVES[metric], epochs, values, group=group, run=run.name))
    return lines


def _numbers(compared: Sequence[ComparedRun], shared: SharedImages | None) -> None:
    st.subheader("Numbers")
    comparable = _shared_means(shared) if shared is not None and shared.reference else {}
    rows = compare.metric_rows(compared)
    columns: dict[str, Any] = {"Run": [row.name for row in rows]}
    columns |= {name: [means.get(run.id) for run in compared] for name, means in comparable.items()}
    if any(row.weights for row in rows):
        columns["Encoder weights"] = [row.weights or "none" for row in rows]
    columns["Epochs measured against"] = [row.measured_against for row in rows]
    for words, name in (("Dice", "val_dice"), ("IoU", "val_iou"), ("Loss", "val_loss")):
        columns[f"{words}, best epoch"] = [row.best[name] for row in rows]
        columns[f"{words}, last"] = [row.last[name] for row in rows]
    scores = [name for name in columns if name not in ("Run", "Encoder weights", "Epochs measured against")]
    columns |= {
        "Best epoch": [row.best_epoch for row in rows],
        "Epochs": [row.epochs for row in rows],
        "Duration": [wording.duration(row.seconds) for row in rows],
        "Parameters": [row.parameter_count for row in rows],
    }
    look: dict[str, Any] = {name: st.column_config.NumberColumn(format="%.3f") for name in scores}
    look["Run"] = st.column_config.TextColumn(pinned=True)
    look["Parameters"] = st.column_config.NumberColumn(format="localized")
    st.dataframe(pd.DataFrame(columns), hide_index=True, column_config=look)
    st.caption("Dice, IoU and loss of the epochs are means over each run's own validation images.")


def _shared_means(shared: SharedImages) -> dict[str, dict[str, float | None]]:
    """Return {column: {run id: mean}} of what may be compared straight away: same images, reference and threshold."""
    title = upper_first(SCORE_TITLES[shared.reference or "truth"])
    ids = [run.id for run in shared.runs]
    found = {}
    for held_out_only, what in ((False, "shared image"), (True, "image")):
        scored, means = shared.means(held_out_only)
        if scored:
            found[f"{title}, {wording.count(scored, what)}{' no run learned from' if held_out_only else ''}"] = means
    return {name: dict(zip(ids, means, strict=True)) for name, means in found.items()}


def _differences(compared: Sequence[ComparedRun]) -> None:
    st.subheader("What was set differently")
    found = compare.differences(compared)
    if len(compared) < 2:
        st.caption("One run alone differs from nothing.")
    elif not found:
        st.caption("Nothing: these runs have the same dataset, reference and parameters.")
    else:
        lines = [{"Setting": name} | _by_name(compared, values) for name, values in found]
        st.dataframe(pd.DataFrame(lines), hide_index=True, height="content")


def _by_name(compared: Sequence[ComparedRun], values: Sequence[str]) -> dict[str, str]:
    return {run.name: value for run, value in zip(compared, values, strict=True)}


def _masks(shared: SharedImages) -> SharedImages:
    """Draw the masks of one image; return the images as they score at the mask threshold chosen here."""
    st.subheader("The same image in each run")
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        threshold = st.slider("Mask threshold", 0.0, 1.0, 0.5, 0.01, key="threshold", bind="query-params", width=240)
        shared = replace(shared, threshold=threshold)
        orders = [name for name, by in ORDERS.items() if by != "worst" or shared.reference]
        order = shared.order(ORDERS[st.selectbox("Sort images by", orders, key="sort", bind="query-params", width=220)])
        modes = list(MODES) if shared.reference else [mode for mode in MODES if mode != "Errors"]
        mode = MODES[st.selectbox("View", modes, key="view", bind="query-params", width=150)]
        opacity = st.slider("Opacity", 0.1, 1.0, 0.6, 0.05, key="opacity", bind="query-params", width=150)
        wipe = st.toggle("Wipe between the first two", key="wipe", bind="query-params")
    image = _choose_image(shared, order)
    panes = [_image_pane(shared, image)] if not wipe else []
    panes += [_run_pane(shared, image, column, mode) for column in range(len(shared.runs))]
    viewer(panes, key="compare-viewer", threshold=threshold, opacity=opacity, wipe=wipe, height_px=560)
    if shared.reference:
        _scatter(shared, image)
    return shared


def _choose_image(shared: SharedImages, order: np.ndarray) -> int:
    """Return the image chosen: the one in the address, else the first in order."""
    found = shared.find(st.query_params.get("image", ""))
    image = int(order[0]) if found is None else found
    place = int(np.flatnonzero(order == image)[0])
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if st.button("Previous", icon=":material/chevron_left:", shortcut="P", disabled=place == 0):
            _open(shared, int(order[place - 1]))
        if st.button("Next", icon=":material/chevron_right:", shortcut="N", disabled=place + 1 == len(order)):
            _open(shared, int(order[place + 1]))
        # Its key follows the image, so that the buttons and the chart move it too.
        picked = st.selectbox(
            "Image",
            [int(candidate) for candidate in order],
            index=place,
            key=f"compare-image-{shared.image_id(image)}",
            format_func=lambda candidate: f"{shared.name(candidate)} · {_apart(shared, candidate)}",
            width=420,
        )
        st.caption(f"{place + 1:,} of {len(order):,} shared images", width="content")
    if picked != image:
        _open(shared, picked)
    return image


def _apart(shared: SharedImages, image: int) -> str:
    spread = shared.spread[image]
    if shared.reference is None:
        return f"areas {spread:.1%} apart"
    return f"scores {spread:.3f} apart" if spread >= 0 else "not scored in every run"


def _open(shared: SharedImages, image: int) -> None:
    st.query_params["image"] = shared.image_id(image)
    st.rerun()


def _image_pane(shared: SharedImages, image: int) -> Pane:
    run, image_id = shared.runs[0], shared.image_id(image)
    reference = compare.reference_url(run, shared.reference, image_id)
    title = {"truth": "Image with truth", "label": "Image with pseudo-label", None: "Image"}[shared.reference]
    return Pane(title, urls.image(run.dataset_id, image_id), reference=reference, mode="outline")


def _run_pane(shared: SharedImages, image: int, column: int, mode: Mode) -> Pane:
    run, image_id = shared.runs[column], shared.image_id(image, column)
    score = shared.scores[image, column] if shared.reference else np.nan
    note = f" · {upper_first(SCORE_TITLES[shared.reference])} {score:.3f}" if np.isfinite(score) else ""
    if note and run.weights:
        note += f" · encoder weights: {run.weights}"
    return Pane(
        f"{run.name}{note}",
        urls.image(run.dataset_id, image_id),
        mask=urls.prediction(run.prediction_set_id, image_id),
        reference=compare.reference_url(run, shared.reference, image_id),
        mode=mode,
    )


def _scatter(shared: SharedImages, image: int) -> None:
    """Draw each image's score in one run against another; a click opens the image."""
    names = [run.name for run in shared.runs]
    across, up = 0, 1
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if len(names) > 2:
            across = names.index(st.selectbox("Across", names, index=0, key="across", bind="query-params", width=260))
            up = names.index(st.selectbox("Up", names, index=1, key="up", bind="query-params", width=260))
    title = upper_first(SCORE_TITLES[shared.reference])
    event = st.plotly_chart(
        _scatter_figure(shared, image, across, up),
        key=f"compare-scatter-{image}",  # a new chart for each image, so that the click that opened it is forgotten
        on_select="rerun",
        selection_mode="points",
        width=560,
        alt=f"{title} of each image in two runs",
    )
    better = wording.escaped(names[up])
    st.caption(f"{title}, one point for each image; above the line {better} is better. Click a point to open it.")
    points = event.selection.points
    clicked = int(points[0]["customdata"][0]) if points and "customdata" in points[0] else image
    if clicked != image:
        _open(shared, clicked)


def _scatter_figure(shared: SharedImages, image: int, across: int, up: int) -> go.Figure:
    sides = {"Held out from all runs": (shared.held_out, palette.ORANGE), "Others": (~shared.held_out, palette.BLUE)}
    figure = go.Figure()
    figure.add_shape(type="line", x0=0, y0=0, x1=1, y1=1, line={"width": 1, "dash": "dot", "color": "gray"})
    # WebGL is for many points: on a machine without a graphics card it is slower to start than SVG.
    points = go.Scattergl if len(shared.rows) > 3000 else go.Scatter
    for name, (kept, colour) in sides.items():
        images = np.flatnonzero(kept)
        figure.add_trace(
            points(
                x=shared.scores[images, across],
                y=shared.scores[images, up],
                mode="markers",
                name=name,
                marker={"color": colour, "size": 8, "opacity": 0.75},
                customdata=images[:, None].tolist(),  # of an array, a click would bring back something else
                text=[escape(shared.name(int(i))) for i in images],
                hovertemplate="%{text}<br>%{x:.3f} · %{y:.3f}<extra></extra>",
            )
        )
    figure.add_trace(
        go.Scatter(
            x=[shared.scores[image, across]],
            y=[shared.scores[image, up]],
            mode="markers",
            name="Shown above",
            hoverinfo="skip",
            marker={"symbol": "circle-open", "size": 16, "line": {"width": 3}, "color": palette.VERMILION},
        )
    )
    span = {"range": [-0.02, 1.02], "constrain": "domain"}
    figure.update_xaxes(title=escape(shared.runs[across].name), **span)
    figure.update_yaxes(title=escape(shared.runs[up].name), scaleanchor="x", **span)
    figure.update_layout(
        height=560,
        margin={"l": 10, "r": 10, "t": 10, "b": 10},
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.0, "x": 0},
        clickmode="event+select",
    )
    return figure


main()
