"""The confusion matrix of a run as a Plotly figure whose cells can be clicked."""

from __future__ import annotations

from html import escape
from typing import Any

import numpy as np

from engine.imaging.class_confusion import ClassConfusion

MOST_CLASSES = 20
"""With more, cells and names would be too small to read in a window of 800 px."""

FEW_CLASSES = 6
"""So many names fit side by side under half a page."""

CELL_PX, LEAST_PX, AROUND_PX, LONGEST_NAME = 26, 130, 120, 18
DARK = 0.6
SHADES = ("rgba(128,140,150,0.12)", "rgba(0,114,178,1)")  # from none to all, on light and dark pages alike
LEAST_WRITTEN = 0.005
"""Smaller shares are left blank: they would be written as 0."""


def confusion_figure(confusion: ClassConfusion) -> dict[str, Any]:
    """Return the shares of each class in truth, a row each, by predicted class, as Plotly's {"data", "layout"}.

    The cells of a heat map cannot be selected, so an invisible point in each takes the click; it has `customdata`
    (class in truth, predicted class, pixels).
    """
    count = len(confusion.names)
    names = [escape(_shortened(name)) for name in confusion.names]
    shares = confusion.shares
    truth, predicted = (each.ravel() for each in np.indices(confusion.matrix.shape))
    axis = {
        "tickvals": list(range(count)),
        "ticktext": names,
        "showgrid": False,
        "zeroline": False,
        "automargin": True,
        "fixedrange": True,
        "ticks": "",
    }
    heat = {
        "type": "heatmap",
        "z": np.nan_to_num(shares).tolist(),
        "colorscale": [[0, SHADES[0]], [1, SHADES[1]]],
        "zmin": 0,
        "zmax": 1,
        "xgap": 1,
        "ygap": 1,
        "showscale": False,
        "hoverinfo": "skip",
    }
    cells = {
        "type": "scatter",
        "mode": "markers",
        "x": predicted.tolist(),
        "y": truth.tolist(),
        "customdata": np.column_stack([truth, predicted, confusion.matrix.ravel()]).tolist(),
        "hovertext": [_words(confusion, int(t), int(p)) for t, p in zip(truth, predicted, strict=True)],
        "hoverinfo": "text",
        "marker": {"size": CELL_PX, "symbol": "square", "opacity": 0},
        "selected": {"marker": {"opacity": 0}},
        "unselected": {"marker": {"opacity": 0}},
    }
    layout = {
        "height": max(CELL_PX * count, LEAST_PX) + AROUND_PX,
        "margin": {"l": 8, "r": 8, "t": 30, "b": 8},
        "annotations": [_share(share, row, column) for (row, column), share in np.ndenumerate(shares)],
        "hovermode": "closest",
        "hoverdistance": -1,  # anywhere in a cell, however large it is
        "dragmode": False,
        "showlegend": False,
        "xaxis": axis
        | {
            "title": {"text": "Class in the masks", "standoff": 16},
            "range": [-0.5, count - 0.5],
            "tickangle": -90 if count > FEW_CLASSES else 0,
        },
        "yaxis": axis | {"title": {"text": "Class in truth", "standoff": 16}, "range": [count - 0.5, -0.5]},
    }
    return {"data": [heat, cells], "layout": layout}


def _share(share: float, row: int, column: int) -> dict[str, Any]:
    """Return the text in a cell; on dark cells it is white in both themes."""
    text = f"{share:.0%}" if share >= LEAST_WRITTEN else ""
    font = {"size": 11} | ({"color": "white"} if share >= DARK else {})
    return {"x": column, "y": row, "text": text, "showarrow": False, "font": font}


def _words(confusion: ClassConfusion, truth: int, predicted: int) -> str:
    """Return what a cell says, as HTML."""
    name, other, share = confusion.names[truth], confusion.names[predicted], confusion.shares[truth, predicted]
    of_class = "truth has none" if np.isnan(share) else f"{share:.1%} of {escape(name)} in truth"
    pixels = f"{confusion.matrix[truth, predicted]:,} pixels"
    return f"truth <b>{escape(name)}</b>, mask <b>{escape(other)}</b><br>{pixels}, {of_class}"


def _shortened(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"
