"""The filter of objects: ranges of columns, classes, images; kept in the address, or saved under a name."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import streamlit as st

from dashboard.access import rights
from dashboard.facts import wording
from dashboard.server import resources
from dashboard.ui.paging import first_page
from dashboard.views.measure.facts import MeasurementView, column_title, readable
from dashboard.views.measure.table_facts import BadFilter, Measured, ObjectFilter, Region, filter_from
from db import measurements
from db.actors import Role

ADDRESS = "filter"


def choose_filter(measurement_id: str, tables: Measured) -> ObjectFilter:
    """Draw the filter; return what it says."""
    key = _key(measurement_id)
    address = st.query_params.get(ADDRESS, "")
    if st.session_state.get(f"{key}-address") != address:  # opened anew, or by the browser's Back
        _set(measurement_id, _from_address(address))
        st.session_state[f"{key}-address"] = address
    shown: ObjectFilter = st.session_state[key].within(tables)
    label = f"Filter ({shown.count})" if shown.count else "Filter"
    with st.popover(label, icon=":material/filter_alt:", key=f"{key}-popover", width="content"):
        chosen = _widgets(measurement_id, tables, shown)
        st.button(
            "Clear the filter", key=f"{key}-clear", disabled=not shown.count, on_click=_replace,
            args=(measurement_id, ObjectFilter()),
        )  # fmt: skip
    if chosen != shown:
        st.session_state[key] = chosen
        _to_address(key, chosen)
        first_page()
        st.rerun()
    _to_address(key, chosen)
    return chosen


def set_region(measurement_id: str, region: Region | None) -> None:
    """Keep only the objects of a region of a scatter plot, or all; for callbacks."""
    shown: ObjectFilter = st.session_state.get(_key(measurement_id)) or ObjectFilter()
    _replace(measurement_id, ObjectFilter(shown.ranges, shown.classes, shown.images, region))


def saved_filters(view: MeasurementView, chosen: ObjectFilter) -> None:
    """Draw the saved filters: apply one, delete one, or save the present one."""
    if not view.filters and not (chosen.count and rights.may(Role.EDITOR)):
        return
    with st.popover("Saved filters", icon=":material/bookmark:", key=f"saved-{view.id}", width="content"):
        for number, entry in enumerate(view.filters):
            with st.container(horizontal=True, vertical_alignment="center"):
                name = str(entry["name"])
                st.button(
                    wording.escaped(name), key=f"apply-{view.id}-{number}", on_click=_apply, args=(view.id, entry),
                    width="stretch",
                )  # fmt: skip
                if rights.button(
                    "",
                    icon=":material/delete:",
                    key=f"forget-{view.id}-{number}",
                    help=f"Delete {wording.escaped(name)}.",
                ):
                    with resources.database().writing() as session:
                        measurements.delete_filter(session, view.id, name)
                    st.rerun()
        if chosen.count and rights.may(Role.EDITOR):
            _save(view, chosen)


def _save(view: MeasurementView, chosen: ObjectFilter) -> None:
    name = st.text_input("Save this filter as", key=f"filter-name-{view.id}", max_chars=measurements.LONGEST_NAME)
    if not st.button("Save", icon=":material/bookmark_add:", key=f"save-filter-{view.id}", disabled=not name.strip()):
        return
    try:
        with resources.database().writing() as session:
            measurements.save_filter(session, view.id, name, chosen.values())
    except measurements.BadFilter as error:
        st.error(wording.escaped(str(error)))
        return
    st.rerun()


def _widgets(measurement_id: str, tables: Measured, shown: ObjectFilter) -> ObjectFilter:
    # A filter that was set from elsewhere has other start values, so its widgets are other ones
    key = f"{_key(measurement_id)}-{st.session_state[_key(measurement_id) + '-version']}"
    columns = st.multiselect(
        "Columns", tables.numeric, list(shown.ranges), format_func=column_title, key=f"{key}-columns",
        placeholder="Choose columns to filter by",
    )  # fmt: skip
    ranges = {}
    for name in columns:
        before = shown.ranges.get(name, (None, None))
        values = tables.objects[name].to_numpy(float)
        values = values[np.isfinite(values)]
        span = f", {readable(values.min())} to {readable(values.max())}" if len(values) else ""
        st.caption(f"{column_title(name)}{span}")
        low, high = st.columns(2)
        options: dict[str, Any] = {"format": "%.6g", "placeholder": "any", "label_visibility": "visible"}
        ranges[name] = (
            low.number_input("At least", value=before[0], key=f"{key}-{name}-low", **options),
            high.number_input("At most", value=before[1], key=f"{key}-{name}-high", **options),
        )
        low_value, high_value = ranges[name]
        if low_value is not None and high_value is not None and low_value > high_value:
            st.caption(":orange[*At least* is above *At most*, so no object passes.]")
    classes: list[str] = []
    known = [str(name) for name in tables.objects["class_name"].unique()]
    if len(known) > 1:
        classes = st.multiselect("Classes", known, list(shown.classes), key=f"{key}-classes", placeholder="All")
    names = list(dict.fromkeys(tables.images["image"]))
    images = st.multiselect("Images", names, list(shown.images), key=f"{key}-images", placeholder="All")
    region = shown.region
    if region is not None:
        st.caption(f"Only objects selected in the plot of {column_title(region.x)} and {column_title(region.y)}.")
        if st.button("Remove the selection", key=f"{key}-region"):
            region = None
    return ObjectFilter(ranges, tuple(classes), tuple(images), region)


def _from_address(text: str) -> ObjectFilter:
    if not text:
        return ObjectFilter()
    try:
        return filter_from(json.loads(text))
    except (BadFilter, RecursionError, json.JSONDecodeError):
        st.warning("The filter in the address cannot be read. All objects are shown.")
        return ObjectFilter()


def _to_address(key: str, chosen: ObjectFilter) -> None:
    values = chosen.values()
    text = json.dumps(values, separators=(",", ":")) if values else ""
    st.session_state[f"{key}-address"] = text
    if text != st.query_params.get(ADDRESS, ""):
        if text:
            st.query_params[ADDRESS] = text
        else:
            st.query_params.pop(ADDRESS, None)


def _apply(measurement_id: str, entry: dict[str, Any]) -> None:
    try:
        _replace(measurement_id, filter_from(entry))
    except BadFilter:
        st.toast("This filter cannot be read.", icon=":material/error:")


def _replace(measurement_id: str, chosen: ObjectFilter) -> None:
    _set(measurement_id, chosen)
    first_page()


def _set(measurement_id: str, chosen: ObjectFilter) -> None:
    key = _key(measurement_id)
    st.session_state[key] = chosen
    st.session_state[f"{key}-version"] = st.session_state.get(f"{key}-version", 0) + 1


def _key(measurement_id: str) -> str:
    return f"measure-filter-{measurement_id}"
