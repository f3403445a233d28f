"""The groups of images: by a part of their names, or by a column of an uploaded table."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from dashboard.facts import wording
from dashboard.views.measure.group_facts import NO_GROUP, BadGroups, GroupRule, groups, read_groups
from dashboard.views.measure.table_facts import Measured

NONE, PART, PATTERN, TABLE = "No groups", "Part of the name", "Regular expression", "Column of a CSV file"
MOST_MB = 20


def choose_groups(measurement_id: str, tables: Measured) -> Mapping[str, str] | None:
    """Draw how images are grouped; return {image: group}, or None for no groups."""
    key = f"measure-groups-{measurement_id}"
    names = list(dict.fromkeys(tables.images["image"]))
    with st.popover("Groups", icon=":material/workspaces:", key=f"{key}-popover", width="content"):
        kind = st.selectbox("Group images by", [NONE, PART, PATTERN, TABLE], key="group", bind="query-params")
        try:
            rule = _rule(kind, key, names)
            found = groups(names, rule) if rule else None
        except BadGroups as error:
            st.error(wording.escaped(str(error)), icon=":material/error:")
            return None
        if found:
            _describe(found)
    return found


def _rule(kind: str, key: str, names: list[str]) -> GroupRule | None:
    if kind == PART:
        left, right = st.columns(2)
        separator = left.text_input("Separator", "_", key="separator", max_chars=10, bind="query-params")
        position = right.number_input(
            "Part", value=1, step=1, min_value=-20, max_value=20, key="part", bind="query-params",
            help="1 is the first part of the file name, -1 the last.",
        )  # fmt: skip
        return GroupRule("part", separator=separator, position=position)
    if kind == PATTERN:
        pattern = st.text_input(
            "Regular expression", key="pattern", placeholder=r"plate(\d+)", max_chars=200, bind="query-params",
            help="The first group in brackets is the group of the image, or else all that matches.",
        )  # fmt: skip
        return GroupRule("pattern", pattern=pattern) if pattern else None
    if kind == TABLE:
        file = st.file_uploader(
            "CSV with a column *image*", type=["csv", "tsv", "txt"], key=f"{key}-file", max_upload_size=MOST_MB,
            on_change=lambda: st.session_state.pop(f"{key}-columns", None),
        )  # fmt: skip
        if file is not None and f"{key}-columns" not in st.session_state:
            st.session_state[f"{key}-columns"] = read_groups(file.getvalue())
        columns: dict[str, dict[str, str]] = st.session_state.get(f"{key}-columns", {})
        if not columns:
            return None
        column = st.selectbox("Column", list(columns), key=f"{key}-column")
        return GroupRule("table", values=columns[column])
    return None


def _describe(found: Mapping[str, str]) -> None:
    sizes: dict[str, int] = {}
    for group in found.values():
        sizes[group] = sizes.get(group, 0) + 1
    shown = ", ".join(f"{wording.escaped(name)} ({size})" for name, size in list(sizes.items())[:8])
    more = f" and {len(sizes) - 8:,} more" if len(sizes) > 8 else ""
    st.caption(f"{wording.count(len(sizes), 'group').capitalize()}: {shown}{more}.")
    if sizes.get(NO_GROUP) == len(found):
        st.caption(f":orange[No image has a group. Names are such as {wording.escaped(next(iter(found)))}.]")
