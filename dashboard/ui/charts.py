"""Charts in one style: the page's theme, Okabe-Ito colours, one hover line, small margins.

```python
charts.show(charts.curves_figure([Curve("loss", epochs, values, group="train"), ...], log=True), key="loss")
```
The key preserves zoom and hidden curves while new epochs arrive.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Literal

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from dashboard.ui import palette

FAINT = 0.35
# With more names than this, a legend beside the title would take too much height.
FEW_CURVES, LEGEND_COLUMNS, CLASS_COLUMNS, LONGEST_NAME = 4, 3, 2, 34
DASHES, TRAINING_DASHES = ("solid", "dash", "longdashdot", "longdash"), ("dot", "1px,5px", "3px,3px,1px,3px", "1px,8px")
# A longer curve is thinned to about this many points: more than the chart has pixels across.
MOST_POINTS = 2000


Side = Literal["train", "validation", ""]


@dataclass(frozen=True)
class Curve:
    """One line: `values[i]` belongs to `epochs[i]`.

    With `run` set, each run has its colour, training is dotted and validation solid; with more runs than colours, the
    colours repeat with other dashes. Without it, training and validation have two colours. With `class_number`, `run`
    is the name of a class, which has its `colour` and one entry in the legend for both.
    """

    metric: str
    epochs: Sequence[float]
    values: Sequence[float]
    group: Side = ""
    run: str = ""
    class_number: int = 0
    colour: str = ""


def curves_figure(
    curves: Sequence[Curve],
    *,
    title: str = "",
    log: bool = False,
    smoothing: float = 0.0,
    best_epoch: float | None = None,
    starts: Mapping[int, str] | None = None,
    height_px: int = 300,
    x_title: str = "Epoch",
) -> dict[str, Any]:
    """Return curves over epochs, or over the quantity of `x_title`, as Plotly's {"data": traces, "layout": …}.

    Plain values: the page of a training run draws these for each epoch, and graph objects take twenty times as long.

    Args:
        log: a logarithmic value axis.
        smoothing: weight of the past in an exponential moving average, 0 (none) to 0.99; raw values remain, faint.
        best_epoch: marked with a thin line.
        starts: {first epoch: label} of rounds, each marked with a thin line before it.
    """
    layout = _layout(height_px, title, x_title)
    layout |= {"shapes": [], "annotations": []}
    runs = list(dict.fromkeys(curve.run for curve in curves))
    traces = [trace for curve in curves for trace in _traces(curve, runs, smoothing)]
    if best_epoch is not None:
        _mark(layout, best_epoch, "best", dash="dot", yanchor="top")
    for epoch, words in (starts or {}).items():
        _mark(layout, epoch - 0.5, words, dash="solid", yanchor="bottom")
    if log:
        layout["yaxis"] |= {"type": "log", "dtick": 1 if _spans_decades(curves) else None}
    layout["xaxis"]["rangemode"] = "normal"
    if x_title == "Epoch":
        few = max((len(curve.epochs) for curve in curves), default=0) <= 20
        layout["xaxis"] |= {"dtick": 1 if few and curves else None, "tickformat": "d"}
    classes = len({curve.class_number for curve in curves if curve.class_number})
    if classes or len(curves) > FEW_CURVES:
        _legend_below(layout, classes or len(curves), CLASS_COLUMNS if classes else LEGEND_COLUMNS)
    return {"data": traces, "layout": layout}


def _legend_below(layout: dict[str, Any], count: int, columns: int) -> None:
    """Put many names in columns below the chart, where they do not cover the curves."""
    rows = -(-count // columns)
    width = {"entrywidth": 0.9 / columns, "entrywidthmode": "fraction", "tracegroupgap": 0, "maxheight": 1}
    place = {"orientation": "h", "x": 0, "xanchor": "left", "y": -0.2, "yanchor": "top", "font": {"size": 12}}
    layout |= {"legend": width | place, "height": layout["height"] + 21 * rows}


def _mark(layout: dict[str, Any], x: float, words: str, dash: str, yanchor: Literal["top", "bottom"]) -> None:
    """Draw a thin vertical line, with a label to its right at the chart's top or bottom."""
    layout["shapes"].append(_vertical_line(x, {"width": 1, "dash": dash, "color": "gray"}))
    y = 1 if yanchor == "top" else 0
    place = {"x": x, "y": y, "yref": "paper", "xanchor": "left", "yanchor": yanchor, "xshift": 3}
    layout["annotations"].append({"text": words, "showarrow": False, **place})


def _vertical_line(x: float, line: dict[str, Any]) -> dict[str, Any]:
    return {"type": "line", "x0": x, "x1": x, "y0": 0, "y1": 1, "xref": "x", "yref": "y domain", "line": line}


def rate_range(
    rates: Sequence[float],
    losses: Sequence[float],
    raw_losses: Sequence[float],
    *,
    key: str,
    suggestion: float | None = None,
) -> None:
    """Draw smoothed losses over learning rates on a logarithmic axis, those of single batches faint behind them."""
    figure = go.Figure(layout=_layout(260, "", "Learning rate"))
    line = {"color": palette.BLUE, "width": 2}
    batches = go.Scatter(
        x=rates, y=raw_losses, line={**line, "width": 1}, opacity=FAINT, name="each batch", hoverinfo="skip"
    )
    figure.add_trace(batches)
    figure.add_trace(go.Scatter(x=rates, y=losses, line=line, name="loss, smoothed", hovertemplate="%{y:.4g}"))
    if suggestion is not None:
        figure.add_vline(suggestion, line={"width": 1.5, "dash": "dot", "color": "gray"})
        place = {"x": np.log10(suggestion), "y": 1, "yref": "paper", "xanchor": "left", "yanchor": "top", "xshift": 3}
        figure.add_annotation(text="suggested", showarrow=False, **place)
    figure.update_xaxes(type="log", dtick=1, exponentformat="power", hoverformat=".1e")
    # A last loss far above the rest would flatten the curve.
    shown = np.asarray(losses, dtype=float)
    low, high = float(shown.min()), float(max(shown[0], np.quantile(shown, 0.9)))
    figure.update_yaxes(range=[low - 0.1 * (high - low), high + 0.25 * (high - low)])
    show(figure, key=key)


def histogram(
    values: Sequence[float],
    *,
    key: str,
    x_title: str,
    bins: int = 20,
    span: tuple[float, float] | None = (0.0, 1.0),
    threshold: float | None = None,
    height_px: int = 220,
) -> None:
    """Draw a histogram; values below `threshold` in another colour."""
    finite = np.asarray(values, dtype=float)
    finite = finite[np.isfinite(finite)]
    counts, edges = np.histogram(finite, bins=bins, range=span)
    middles, width = (edges[:-1] + edges[1:]) / 2, edges[1] - edges[0]
    below = middles < threshold if threshold is not None else np.zeros(len(middles), dtype=bool)
    bars = {
        "type": "bar",
        "x": middles,
        "y": counts,
        "width": width * 0.92,
        "marker": {"color": [palette.ORANGE if low else palette.BLUE for low in below], "line": {"width": 0}},
        "customdata": np.stack([edges[:-1], edges[1:]], axis=1),
        "hovertemplate": "%{customdata[0]:.3g} to %{customdata[1]:.3g}: %{y}<extra></extra>",
    }
    layout = _layout(height_px, "", x_title) | {"hovermode": "closest", "showlegend": False}
    if threshold is not None:
        layout["shapes"] = [_vertical_line(threshold, {"width": 1.5, "dash": "dot", "color": "gray"})]
    show({"data": [bars], "layout": layout}, key=key)


def smooth(values: Sequence[float] | np.ndarray, weight: float) -> np.ndarray:
    """Return the exponential moving average of `values`, float64 (N,); NaN stay NaN and are ignored.

    The bias at the start is corrected as in Kingma and Ba, "Adam", ICLR 2015, section 3, so that the curve starts at
    its first value and not at 0.
    """
    smoothed = np.full(len(values), np.nan)
    average, seen = 0.0, 0
    for index, value in enumerate(values):
        if np.isfinite(value):
            average, seen = weight * average + (1 - weight) * value, seen + 1
            smoothed[index] = average / (1 - weight**seen)
    return smoothed


def _traces(curve: Curve, runs: list[str], smoothing: float) -> list[dict[str, Any]]:
    """Return the traces of a curve; if it is smoothed, with its raw values faint behind it."""
    kept = slice(None, None, max(1, len(curve.epochs) // MOST_POINTS))
    x, raw = np.asarray(curve.epochs)[kept].tolist(), np.asarray(curve.values, dtype=float)
    many_runs = any(runs)
    training = curve.group == "train"
    if curve.class_number:
        again, colour = (curve.class_number - 1) // len(palette.CLASSES), curve.colour
    else:
        again, place = divmod(runs.index(curve.run) if many_runs else int(training), len(palette.SERIES))
        colour = palette.SERIES[place]
    words = [escape(_shortened(curve.run)), curve.metric if not curve.group or not many_runs else "", curve.group]
    name = " · ".join(word for word in words if word)
    dashes = TRAINING_DASHES if many_runs and training else DASHES
    line = {"color": colour, "width": 2, "dash": dashes[again % len(dashes)]}
    mode = "lines+markers" if len(x) <= 2 else "lines"
    trace = {"type": "scatter", "x": x, "y": _known(raw[kept]), "line": line}
    trace["legendgroup"] = f"class {curve.class_number}" if curve.class_number else name
    drawn: dict[str, Any] = {"name": name, "mode": mode, "hovertemplate": "%{y:.4g}"}
    if curve.class_number and training:  # hidden and shown with its class
        drawn["showlegend"] = False
    if smoothing <= 0:
        return [trace | drawn]
    faint = {"line": {**line, "width": 1}, "opacity": FAINT, "showlegend": False, "hoverinfo": "skip"}
    return [trace | faint, trace | drawn | {"y": _known(smooth(raw, smoothing)[kept])}]


def _known(values: np.ndarray) -> list[float | None]:
    """Return values for JSON: None for those that are not finite."""
    return [value if np.isfinite(value) else None for value in values.tolist()]


def _shortened(name: str) -> str:
    """Return a long name without its middle: runs of a series differ at the end."""
    half = LONGEST_NAME // 2
    return name if len(name) <= LONGEST_NAME else f"{name[:half]}…{name[-half + 1 :]}"


def _spans_decades(curves: Sequence[Curve]) -> bool:
    positive = [value for curve in curves for value in curve.values if value > 0]
    return bool(positive) and max(positive) / min(positive) > 20


def _layout(height_px: int, title: str, x_title: str) -> dict[str, Any]:
    return {
        "height": height_px,
        "margin": {"l": 8, "r": 8, "t": 34 if title else 22, "b": 8},
        "title": {"text": title, "font": {"size": 14}, "x": 0, "y": 0.98, "yanchor": "top"},
        "hovermode": "x unified",
        "legend": {"orientation": "h", "x": 1, "xanchor": "right", "y": 1.0, "yanchor": "bottom"},
        "xaxis": {"title": {"text": x_title, "standoff": 4}, "automargin": True},
        "yaxis": {"automargin": True, "exponentformat": "e"},
        # Preserve zoom and hidden curves while epochs arrive.
        "uirevision": "keep",
    }


def intervals(rows: Sequence[tuple[str, float, float, float]], *, key: str, x_title: str) -> None:
    """Draw (name, low, middle, high) in [0, 1], each on a line of its own, the first at the top."""
    names = [escape(name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…") for name, *_ in rows]
    positions = [-number for number in range(len(rows))]  # names may be the same
    low, middle, high = (np.array([row[at] for row in rows]) for at in (1, 2, 3))
    figure = go.Figure(layout=_layout(90 + 30 * len(rows), "", x_title))
    error = {"type": "data", "symmetric": False, "array": high - middle, "arrayminus": middle - low, "thickness": 2}
    words = [f"{escape(name)}: {at:.2f}, between {least:.2f} and {most:.2f}" for name, least, at, most in rows]
    marker = {"color": palette.BLUE, "size": 9}
    figure.add_trace(
        go.Scatter(
            x=middle, y=positions, error_x=error, mode="markers", marker=marker, hovertext=words, hoverinfo="text"
        )
    )
    figure.update_layout(hovermode="closest", showlegend=False)
    figure.update_xaxes(range=[0, 1.01])
    figure.update_yaxes(tickvals=positions, ticktext=names, range=[positions[-1] - 0.6, 0.6], zeroline=False)
    show(figure, key=key)


CONFIG = {"displaylogo": False, "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"]}


def show(figure: go.Figure | dict[str, Any], *, key: str, on_select: Callable[[], None] | None = None) -> None:
    """Draw a figure; `on_select` is called when a point of it was clicked: the session state has it under the key."""
    drawn = go.Figure(figure) if isinstance(figure, dict) else figure
    chosen: dict[str, Any] = {"on_select": on_select, "selection_mode": "points"} if on_select else {}
    st.plotly_chart(drawn, key=key, config=CONFIG, width="stretch", **chosen)
