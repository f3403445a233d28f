"""The charts of a sweep: the best so far, all trials as parallel coordinates, and the importance of parameters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from dashboard.ui import charts, palette
from dashboard.views.sweeps import facts
from engine.sweeps.space import Dimension


def best_so_far(view: facts.SweepView) -> None:
    """Draw the score of every trial, and the best up to each as a step line."""
    numbers, scores, best = facts.best_so_far(view)
    points = {"type": "scatter", "mode": "markers", "name": "trial", "marker": {"color": palette.ORANGE, "size": 7}}
    steps = {"type": "scatter", "mode": "lines", "name": "best so far", "line": {"color": palette.BLUE, "shape": "hv"}}
    traces = [
        points | {"x": numbers, "y": scores, "hovertemplate": "%{y:.4f}"},
        steps | {"x": numbers, "y": best, "hovertemplate": "%{y:.4f}"},
    ]
    layout = {
        "height": 300,
        "margin": {"l": 8, "r": 8, "t": 22, "b": 8},
        "hovermode": "x unified",
        "legend": {"orientation": "h", "x": 1, "xanchor": "right", "y": 1.0, "yanchor": "bottom"},
        "xaxis": {"title": {"text": "Trial", "standoff": 4}, "automargin": True, "tickformat": "d"},
        "yaxis": {"title": {"text": view.score}, "automargin": True},
        "uirevision": "keep",
    }
    charts.show({"data": traces, "layout": layout}, key="sweep-best")


def parallel_coordinates(view: facts.SweepView) -> None:
    """Draw a line for each scored trial through its values and its score, coloured by the score."""
    scores = [row.score for row in view.scored]
    axes = [
        _axis(view, each, title, [row.values.get(each.path) for row in view.scored])
        for each, (title, _) in zip(view.space, view.varies, strict=True)
    ]
    axes.append({"label": view.score, "values": scores})
    line = {"color": scores, "colorscale": "Viridis", "showscale": False}
    lines = {"type": "parcoords", "dimensions": axes, "line": line}
    layout = {"height": 340, "margin": {"l": 90, "r": 90, "t": 50, "b": 20}, "uirevision": "keep"}
    charts.show({"data": [lines], "layout": layout}, key="sweep-parallel")


def _axis(view: facts.SweepView, each: Dimension, title: str, values: Sequence[Any]) -> dict[str, Any]:
    if each.choices:
        words = {value: row.words[title] for row, value in zip(view.scored, values, strict=True)}
        places = [each.choices.index(value) for value in values]
        names = [words.get(choice, str(choice)) for choice in each.choices]
        return {
            "label": title,
            "values": places,
            "range": [-0.2, len(names) - 0.8],
            "tickvals": list(range(len(names))),
            "ticktext": names,
        }
    if not each.log:
        return {"label": title, "values": list(values), "range": [each.low, each.high]}
    ends = [math.log10(each.low), math.log10(each.high)]
    powers = [float(power) for power in range(math.ceil(ends[0]), math.floor(ends[1]) + 1)]
    ticks = powers if len(powers) > 1 else ends
    return {
        "label": title,
        "values": [math.log10(value) for value in values],
        "range": ends,
        "tickvals": ticks,
        "ticktext": [f"{10.0**tick:.3g}" for tick in ticks],
    }


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
