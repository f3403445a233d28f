"""The charts of a sweep: the best so far, all trials as parallel coordinates, and the importance of parameters."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from dashboard.ui import charts, palette
from dashboard.views.sweeps import facts
from engine.sweeps.space import Dimension

LAYERS = 5
"""Strengths of the lines of trials, from the worst fifth to the best."""
MOST_TICKS = 20
"""With so few trials each has a tick: Plotly puts others between them, at half a trial."""


def best_so_far(view: facts.SweepView) -> None:
    """Draw the score of every trial, and the best up to each as a step line."""
    numbers, scores, best = facts.best_so_far(view)
    points = {"type": "scatter", "mode": "markers", "name": "trial", "marker": {"color": palette.ORANGE, "size": 7}}
    steps = {"type": "scatter", "mode": "lines", "name": "best so far", "line": {"color": palette.BLUE, "shape": "hv"}}
    traces = [
        points | {"x": numbers, "y": scores, "hovertemplate": "%{y:.4f}"},
        steps | {"x": numbers, "y": best, "hovertemplate": "%{y:.4f}"},
    ]
    layout: dict[str, Any] = {
        "height": 300,
        "margin": {"l": 8, "r": 8, "t": 22, "b": 8},
        "hovermode": "x unified",
        "legend": {"orientation": "h", "x": 1, "xanchor": "right", "y": 1.0, "yanchor": "bottom"},
        "xaxis": {"title": {"text": "Trial", "standoff": 4}, "automargin": True},
        "yaxis": {"title": {"text": view.score}, "automargin": True},
        "uirevision": "keep",
    }
    if len(numbers) <= MOST_TICKS:
        layout["xaxis"]["dtick"] = 1
    charts.show({"data": traces, "layout": layout}, key="sweep-best")


def parallel_coordinates(view: facts.SweepView) -> None:
    """Draw a line for each scored trial through its values and its score: the better, the stronger.

    Lines of Plotly's own parallel coordinates need WebGL, and without it are a box that says so.
    """
    axes = [
        _axis(each, title, [row.values[each.path] for row in view.scored], [row.words[title] for row in view.scored])
        for each, (title, _) in zip(view.space, view.varies, strict=True)
    ]
    scores = [row.score or 0.0 for row in view.scored]
    low, high = min(scores), max(scores)
    span = (high - low) or 1.0
    axes.append(Axis(view.score, [(score - low) / span for score in scores], {0.0: f"{low:.4g}", 1.0: f"{high:.4g}"}))
    order = sorted(range(len(scores)), key=lambda index: scores[index])
    layers = [order[len(order) * step // LAYERS : len(order) * (step + 1) // LAYERS] for step in range(LAYERS)]
    traces = [_lines(view, axes, layer, palette.BLUE, (step + 1) / LAYERS, 1.5) for step, layer in enumerate(layers)]
    best = [index for index in order if view.scored[index] == view.best]
    traces.append(_lines(view, axes, best, palette.ORANGE, 1.0, 3.0))
    layout = {
        "height": 340,
        "margin": {"l": 60, "r": 60, "t": 50, "b": 20},
        "hovermode": "closest",
        "showlegend": False,
        "xaxis": {"range": [-0.45, len(axes) - 0.55], "visible": False, "fixedrange": True},
        "yaxis": {"range": [-0.08, 1.08], "visible": False, "fixedrange": True},
        "shapes": [_vertical(x) for x in range(len(axes))],
        "annotations": [note for x, axis in enumerate(axes) for note in _names(x, axis)],
    }
    charts.show({"data": traces, "layout": layout}, key="sweep-parallel")


@dataclass(frozen=True)
class Axis:
    """An axis: where each trial lies on it, 0 to 1, and {place: text} of its ticks."""

    title: str
    places: Sequence[float]
    ticks: Mapping[float, str]


def _axis(each: Dimension, title: str, values: Sequence[Any], words: Sequence[str]) -> Axis:
    if each.choices:
        names = {each.choices.index(value): word for value, word in zip(values, words, strict=True)}
        last = len(each.choices) - 1
        return Axis(
            title,
            [each.choices.index(value) / last for value in values],
            {place / last: name for place, name in names.items()},
        )
    scale = math.log if each.log else float
    low, high = scale(each.low), scale(each.high)
    places = [(scale(value) - low) / (high - low) for value in values]
    return Axis(title, places, {0.0: f"{each.low:g}", 1.0: f"{each.high:g}"})


def _lines(
    view: facts.SweepView, axes: Sequence[Axis], trials: Sequence[int], colour: str, opacity: float, width: float
) -> dict[str, Any]:
    """Return one trace with a line for each of `trials`, numbered as in `view.scored`; None ends a line."""
    x: list[int | None] = []
    y: list[float | None] = []
    words: list[str] = []
    for index in trials:
        row = view.scored[index]
        values = "<br>".join(escape(f"{title}: {value}") for title, value in row.words.items())
        x += [*range(len(axes)), None]
        y += [*(axis.places[index] for axis in axes), None]
        words += [f"Trial {row.number + 1}: {row.score:.4f}<br>{values}"] * (len(axes) + 1)
    line = {"color": colour, "width": width}
    look = {"type": "scatter", "mode": "lines+markers", "line": line, "marker": {"color": colour, "size": 5}}
    return look | {"x": x, "y": y, "opacity": opacity, "hovertext": words, "hoverinfo": "text"}


def _vertical(x: int) -> dict[str, Any]:
    return {"type": "line", "x0": x, "x1": x, "y0": 0, "y1": 1, "layer": "below", "line": {"color": "gray", "width": 1}}


def _names(x: int, axis: Axis) -> list[dict[str, Any]]:
    """Return the title of an axis and its ticks, left of the first axis, else above or below the lines."""
    title = {"x": x, "y": 1, "yanchor": "bottom", "yshift": 22, "text": f"<b>{escape(axis.title)}</b>"}
    side = {"xanchor": "left", "xshift": 4} if x else {"xanchor": "right", "xshift": -7, "yanchor": "middle"}
    ticks = [
        {"yanchor": "bottom" if place >= 0.5 else "top"} | side | {"x": x, "y": place, "text": escape(word)}
        for place, word in axis.ticks.items()
    ]
    return [note | {"showarrow": False} for note in (title, *ticks)]


def importance(shares: Sequence[tuple[str, float]]) -> None:
    """Draw (title, share) as bars, the first at the top."""
    names = [title for title, _ in reversed(shares)]
    bars = {
        "type": "bar",
        "orientation": "h",
        "x": [share for _, share in reversed(shares)],
        "y": names,
        "marker": {"color": palette.BLUE},
        "hovertemplate": "%{x:.0%}<extra></extra>",
    }
    layout = {
        "height": 70 + 34 * len(names),
        "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
        "xaxis": {"tickformat": ".0%", "range": [0, 1], "automargin": True},
        "yaxis": {"automargin": True},
    }
    charts.show({"data": [bars], "layout": layout}, key="sweep-importance")
