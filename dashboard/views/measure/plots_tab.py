"""The tab *Plots*: a histogram, a scatter plot whose selection filters the objects, and boxes by group."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from dashboard.facts import wording
from dashboard.ui import charts, palette
from dashboard.views.measure.facts import MeasurementView, column_title
from dashboard.views.measure.filters import set_region
from dashboard.views.measure.group_facts import MOST_GROUPS, group_of
from dashboard.views.measure.table_facts import Box, Measured, Region, bins, boxes, inside, sampled

HEIGHT_PX = 340
MOST_CORNERS = 80
TITLE_PX = 14
"""From the labels of an axis to its title."""

CONFIG = {"displaylogo": False, "modeBarButtonsToRemove": ["autoScale2d"]}


def plots_tab(view: MeasurementView, tables: Measured, keep: np.ndarray, groups: Mapping[str, str] | None) -> None:
    """Draw the plots of the objects that the filter keeps, bool (N,); `groups` is {image: group}."""
    if not keep.any():
        st.info("There is no object to plot." if not len(keep) else "No object passes the filter.")
        return
    of = None
    if groups is not None:
        of = group_of(tables.objects["image"], groups)[keep]
    left, right = st.columns(2, gap="large")
    with left:
        _histogram(tables, keep, of)
    with right:
        _scatter(view, tables, keep)
    if groups is not None and of is not None:
        _boxes(tables, keep, of, groups)
    else:
        st.caption("Choose *Groups* above to compare groups of images.")


def _histogram(tables: Measured, keep: np.ndarray, of: np.ndarray | None) -> None:
    name = _choose("Histogram of", "hist", tables, tables.area)
    found = bins(_values(tables, name)[keep], of)
    if not found.counts:
        st.info("This column has no values.")
        return
    middles, width = (found.edges[:-1] + found.edges[1:]) / 2, float(found.edges[1] - found.edges[0])
    several = len(found.counts) > 1
    figure = go.Figure(layout=_layout(column_title(name), "Objects"))
    for number, (group, counts) in enumerate(found.counts.items()):
        colour = palette.SERIES[number % len(palette.SERIES)]
        hover = "%{x:.4g}: %{y}" + (f"<extra>{escape(group)}</extra>" if several else "<extra></extra>")
        figure.add_bar(
            x=middles, y=counts, width=width, name=escape(group), marker={"color": colour, "line": {"width": 0}},
            hovertemplate=hover,
        )  # fmt: skip
    figure.update_layout(barmode="stack", bargap=0.05, showlegend=several)
    charts.show(figure, key="measure-histogram")


def _scatter(view: MeasurementView, tables: Measured, keep: np.ndarray) -> None:
    across, up = st.columns(2)
    with across:
        x = _choose("Scatter plot, across", "x", tables, tables.area)
    with up:
        usual = "circularity" if "circularity" in tables.numeric else tables.numeric[-1]
        y = _choose("Up", "y", tables, usual)
    rows = np.flatnonzero(keep)
    shown = rows[sampled(len(rows))]
    figure = go.Figure(layout=_layout(column_title(x), column_title(y)))
    names = (
        tables.objects["image"].iloc[shown].astype(str) + ", object " + tables.objects["object"].iloc[shown].astype(str)
    )
    figure.add_scatter(
        x=_values(tables, x)[shown], y=_values(tables, y)[shown], mode="markers", text=[escape(n) for n in names],
        marker={"size": 5, "color": palette.BLUE, "opacity": 0.6},
        hovertemplate="%{text}<br>%{x:.4g}, %{y:.4g}<extra></extra>",
    )  # fmt: skip
    figure.update_layout(dragmode="lasso")
    key = f"measure-scatter-{view.id}-{x}-{y}-{st.session_state.get('measure-scatter-round', 0)}"

    def select() -> None:
        region = region_of(st.session_state[key]["selection"], x, y)
        if region is None:
            return
        # What was selected is a filter from now on, so the next plot begins without a selection
        st.session_state["measure-scatter-round"] = st.session_state.get("measure-scatter-round", 0) + 1
        if inside(_values(tables, x)[rows], _values(tables, y)[rows], np.array(region.points)).any():
            set_region(view.id, region)
        else:
            st.toast("There is no object inside of what you drew.", icon=":material/lasso_select:")

    st.plotly_chart(figure, key=key, config=CONFIG, width="stretch", on_select=select, selection_mode=["box", "lasso"])
    words = "Draw around points to keep only these objects in the table and the plots."
    if len(shown) < len(rows):
        words = f"{len(shown):,} of {len(rows):,} objects are drawn, chosen by chance. {words}"
    st.caption(words)


def region_of(selection: Mapping[str, Any], x: str, y: str) -> Region | None:
    """Return what was drawn in a plot of the columns x and y, as Streamlit reports it; None for nothing."""
    drawn = [*selection.get("lasso", ()), *selection.get("box", ())]
    if not drawn:
        return None
    xs, ys = drawn[0]["x"], drawn[0]["y"]
    if len(xs) == 2:  # two opposite corners
        xs, ys = [xs[0], xs[1], xs[1], xs[0]], [ys[0], ys[0], ys[1], ys[1]]
    every = -(-len(xs) // MOST_CORNERS)  # the filter is part of the address
    return Region(x, y, tuple((float(a), float(b)) for a, b in zip(xs[::every], ys[::every], strict=True)))


def _boxes(tables: Measured, keep: np.ndarray, of: np.ndarray, groups: Mapping[str, str]) -> None:
    left, right = st.columns(2, gap="large")
    with left:
        name = _choose("Boxes of", "box", tables, tables.area)
        _box_plot(boxes(_values(tables, name)[keep], of), column_title(name), "measure-boxes")
    with right:
        st.markdown("Count per image")
        counts = tables.objects["counts_as"].where(keep, 0.0).groupby(tables.objects["image_id"].astype(str)).sum()
        per_image = tables.images["image_id"].map(counts).fillna(0.0).to_numpy(float)
        owners = tables.images["image"].map(groups).to_numpy(str)
        _box_plot(boxes(per_image, owners), "Objects per image", "measure-count-boxes")
    if len(set(groups.values())) > MOST_GROUPS:
        st.caption(f"The first {MOST_GROUPS} groups are shown.")


def _box_plot(found: list[Box], title: str, key: str) -> None:
    figure = go.Figure(layout=_layout("", title))
    figure.add_box(
        x=[escape(box.name) for box in found],
        **{name: [getattr(box, name) for box in found] for name in ("q1", "median", "q3", "mean")},
        lowerfence=[box.low for box in found],
        upperfence=[box.high for box in found],
        marker={"color": palette.BLUE},
        hoverinfo="y",
    )
    figure.update_layout(showlegend=False)
    figure.update_xaxes(type="category")
    charts.show(figure, key=key)
    sizes = " · ".join(f"{wording.escaped(box.name)}: {box.count:,}" for box in found[:12])
    st.caption(f"Values: {sizes}{' · …' if len(found) > 12 else ''}. The line is the median, the dashed line the mean.")


def _choose(label: str, key: str, tables: Measured, usual: str) -> str:
    names = tables.numeric
    chosen: str = st.selectbox(
        label, names, names.index(usual), format_func=column_title, key=f"measure-{key}", persist_state="session"
    )
    return chosen


def _values(tables: Measured, name: str) -> np.ndarray:
    return tables.objects[name].to_numpy(float)


def _layout(x_title: str, y_title: str) -> dict[str, Any]:
    return {
        "height": HEIGHT_PX,
        "margin": {"l": 8, "r": 8, "t": 22, "b": 8},
        "hovermode": "closest",
        "xaxis": {"title": {"text": x_title, "standoff": TITLE_PX}, "automargin": True},
        "yaxis": {"title": {"text": y_title, "standoff": TITLE_PX}, "automargin": True},
        "uirevision": "keep",
    }
