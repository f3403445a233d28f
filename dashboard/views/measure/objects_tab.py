"""The tab *Objects*: a page of the table, and the image of the selected object."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from dashboard.facts import wording
from dashboard.server import resources
from dashboard.ui.paging import first_page, page_numbers
from dashboard.views.measure.facts import MeasurementView, column_title, decimals
from dashboard.views.measure.object_picture import object_picture
from dashboard.views.measure.picture_facts import around
from dashboard.views.measure.table_facts import Measured, order
from dashboard.views.measure.tables import number_map, picture_of
from engine.imaging.codec import UnreadableImage
from engine.store import keys as stored
from engine.store.base import MissingFile

PER_PAGE = 100
TABLE_PX, ROW_PX = 560, 35
ADDRESS = "object"
MOST_DIGITS = 9


def objects_tab(view: MeasurementView, tables: Measured, keep: np.ndarray) -> None:
    rows, columns = _sorted(view.id, tables, keep)
    if not len(rows):
        if len(tables.objects):
            st.info("No object passes the filter.")
        return
    chosen = _chosen(tables)
    left, right = st.columns([3, 2], gap="medium")
    with left:
        if len(rows) <= PER_PAGE:
            of = "" if len(rows) == len(tables.objects) else f" of {len(tables.objects):,}"
            st.caption(f"{wording.count(len(rows), 'object')}{of}")
        page = page_numbers(len(rows), "object", PER_PAGE)
        here = rows[(page - 1) * PER_PAGE : page * PER_PAGE]
        _table(tables, here, columns, chosen)
    with right:
        _picture(view, tables, rows, chosen, int(here[0]) if len(here) else int(rows[0]))


def _sorted(measurement_id: str, tables: Measured, keep: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Draw order and columns; return the positions of the rows in that order, and the columns."""
    names = [name for name in tables.objects.columns if name not in ("image_id", "class")]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        by = st.selectbox(
            "Sort by", names, names.index("image"), format_func=column_title, key="sort", bind="query-params",
            on_change=first_page, width=260,
        )  # fmt: skip
        down = st.segmented_control(
            "Order", ["Ascending", "Descending"], default="Ascending", required=True, key="order",
            bind="query-params", on_change=first_page,
        )  # fmt: skip
        with st.popover("Columns", icon=":material/view_column:", key=f"measure-columns-{measurement_id}"):
            columns = st.multiselect(
                "Columns, in this order", names, tables.usual, format_func=column_title,
                key=f"measure-columns-of-{measurement_id}", persist_state="session",
            )  # fmt: skip
    shown = columns or tables.usual
    return order(tables.objects, keep, by, down == "Descending"), shown if by in shown else [*shown, by]


def _chosen(tables: Measured) -> int | None:
    """Return the position of the object that the address names as image id and number, None for none."""
    image_id, _, number = st.query_params.get(ADDRESS, "").partition(".")
    if not (number.isascii() and number.isdecimal() and len(number) <= MOST_DIGITS):
        return None
    mine = (tables.objects["image_id"] == image_id) & (tables.objects["object"] == int(number))
    found = np.flatnonzero(mine.to_numpy())
    return int(found[0]) if len(found) else None


def _choose(tables: Measured, row: int | None) -> None:
    if row is None:
        st.query_params.pop(ADDRESS, None)
    else:
        st.query_params[ADDRESS] = f"{tables.objects['image_id'].iat[row]}.{tables.objects['object'].iat[row]}"


def _table(tables: Measured, here: np.ndarray, columns: list[str], chosen: int | None) -> None:
    """Draw one page of rows; a click on one chooses its object."""
    key = f"measure-table-{hash((*here.tolist(), *columns))}"
    place = [int(found) for found in np.flatnonzero(here == chosen)] if chosen is not None else []
    st.session_state[key] = {"selection": {"rows": place, "columns": [], "cells": []}}

    def picked() -> None:
        selected = st.session_state[key]["selection"]["rows"]
        _choose(tables, int(here[selected[0]]) if selected else None)

    page = tables.objects.iloc[here][columns]
    config = {
        name: st.column_config.NumberColumn(column_title(name), format=_format(tables.objects[name]))
        if page[name].dtype.kind in "fiu"
        else st.column_config.Column(column_title(name))
        for name in columns
    }
    st.dataframe(
        page, hide_index=True, column_config=config, key=key, on_select=picked, selection_mode="single-row",
        height=min(TABLE_PX, ROW_PX * (len(page) + 1) + 2), placeholder="–",
    )  # fmt: skip
    st.caption("Click a row to see its object, or an object in the image to see its row.")


def _format(column: pd.Series[Any]) -> str:
    return "%d" if column.dtype.kind in "iu" else f"%.{decimals(column.to_numpy(float))}f"


def _picture(view: MeasurementView, tables: Measured, rows: np.ndarray, chosen: int | None, first: int) -> None:
    shown = first if chosen is None else chosen
    image_id, name = str(tables.objects["image_id"].iat[shown]), str(tables.objects["image"].iat[shown])
    number = 0 if chosen is None else int(tables.objects["object"].iat[chosen])
    try:
        version = resources.artifacts().version(stored.number_map_key(view.id, image_id))
        labels, image = number_map(view.id, image_id, version), picture_of(view.dataset_id, image_id)
    except (MissingFile, UnreadableImage) as error:
        st.error(wording.escaped(str(error)), icon=":material/error:")
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        words = f"**{wording.escaped(name)}**" + (f", object {number}" if number else "")
        st.markdown(words, width="stretch")
        zoomed = st.toggle("Zoom in", key="measure-zoom", disabled=not number, persist_state="session")

    def pick(clicked: int) -> None:
        if not clicked:
            return
        mine = (tables.objects["image_id"] == image_id) & (tables.objects["object"] == clicked)
        found = np.flatnonzero(mine.to_numpy())
        if not len(found):
            return
        _choose(tables, int(found[0]))
        at = np.flatnonzero(rows == found[0])
        if len(at):
            st.session_state["page"] = int(at[0]) // PER_PAGE + 1
        else:
            st.toast("The filter leaves this object out of the table.", icon=":material/filter_alt:")

    window = around(labels, number) if zoomed and number else None
    alt = f"{name} with its objects outlined" + (f", object {number} highlighted" if number else "")
    object_picture(image, labels, key=f"measure-picture-{view.id}", alt=alt, chosen=number, window=window, pick=pick)
    if chosen is not None and not (rows == chosen).any():
        st.caption("The filter leaves this object out of the table.")
