"""The charts of a sweep: the best so far, all trials as parallel coordinates, and the importance of parameters."""

from __future__ import annotations

import math
from typing import Any

import plotly.graph_objects as go

from dashboard.ui import charts, palette
from dashboard.views.sweeps import facts
from engine.sweeps.space import Dimension


def best_so_far(view: facts.SweepView) -> None:
    numbers, scores, best = facts.best_so_far(view)
    figure = go.Figure()
    figure.add_trace(
        go.Scatter(x=numbers, y=scores, mode="markers", name="Trial", marker={"color": palette.ORANGE, "size": 8})
    )
    line = {"color": palette.BLUE, "shape": "hv", "width": 2}
    figure.add_trace(go.Scatter(x=numbers, y=best, mode="lines", name="Best so far", line=line))
    figure.update_layout(height=300, margin={"l": 8, "r": 8, "t": 30, "b": 8}, legend={"orientation": "h", "y": 1.15})
    figure.update_xaxes(title_text="Trial", dtick=max(1, len(view.rows) // 10))
    figure.update_yaxes(title_text=view.score)
    charts.show(figure, key="sweep-best")


def parallel_coordinates(view: facts.SweepView) -> None:
    rows = [row for row in view.rows if row.score is not None]
    axes = [
        _axis(each, title, [row.values[title] for row in rows])
        for each, (title, _) in zip(view.space, view.varies, strict=True)
    ]
    scores = [row.score for row in rows]
    axes.append({"label": view.score, "values": scores})
    line = {"color": scores, "colorscale": "Viridis", "showscale": False}
    figure = go.Figure(go.Parcoords(dimensions=axes, line=line))
    figure.update_layout(height=360, margin={"l": 70, "r": 70, "t": 60, "b": 20})
    charts.show(figure, key="sweep-parallel")


def _axis(each: Dimension, title: str, values: list[Any]) -> dict[str, Any]:
    if each.choices:
        words = [str(choice).lower() if isinstance(choice, bool) else str(choice) for choice in each.choices]
        places = [each.choices.index(value) for value in values]
        return {"label": title, "values": places, "tickvals": list(range(len(words))), "ticktext": words}
    if not each.log:
        return {"label": title, "values": values, "range": [each.low, each.high]}
    powers = range(math.floor(math.log10(each.low)), math.ceil(math.log10(each.high)) + 1)
    return {
        "label": title,
        "values": [math.log10(value) for value in values],
        "range": [math.log10(each.low), math.log10(each.high)],
        "tickvals": list(powers),
        "ticktext": [f"{10.0**power:g}" for power in powers],
    }


def importance(view: facts.SweepView) -> None:
    names, shares = zip(*reversed(view.importance), strict=True)
    figure = go.Figure(go.Bar(x=shares, y=names, orientation="h", marker={"color": palette.BLUE}))
    figure.update_layout(height=90 + 34 * len(names), margin={"l": 8, "r": 8, "t": 8, "b": 8})
    figure.update_xaxes(tickformat=".0%", range=[0, 1], title_text="Share of the differences in score")
    figure.update_yaxes(automargin=True)
    charts.show(figure, key="sweep-importance")
