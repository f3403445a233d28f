"""The tab *Images*: count, covered share and density of each image, and of groups of images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from dashboard.ui.paging import first_page, page_numbers
from dashboard.views.measure.facts import column_title, decimals, interval_words
from dashboard.views.measure.group_facts import MOST_GROUPS, group_table
from dashboard.views.measure.table_facts import Measured, order

PER_PAGE = 100
HIDDEN = ("image_id", "calibrated_on", "pixel_width_um", "pixel_height_um", "pixel_size_source")


def images_tab(tables: Measured, keep: np.ndarray | None, groups: Mapping[str, str] | None) -> None:
    """Draw the tables. `keep` is which objects pass a filter, None without one; `groups` is {image: group}."""
    images = tables.images
    if keep is not None:
        weights = tables.objects["counts_as"].where(keep, 0.0)
        passed = weights.groupby(tables.objects["image_id"].astype(str)).sum()
        images = images.assign(in_filter=images["image_id"].map(passed).fillna(0.0))
    if groups is not None:
        images = images.assign(group=images["image"].map(groups))
        st.dataframe(group_table(images, groups), hide_index=True, column_config=_group_columns(), placeholder="–")
        if len(set(groups.values())) > MOST_GROUPS:
            st.caption(f"The first {MOST_GROUPS} groups are shown.")
    unknown = [name for name in images if name.startswith("known_") and images[name].isna().all()]
    names = [name for name in images.columns if name not in (*HIDDEN, *unknown)]
    leading = ("image", "group", "count", "count_at_least", "count_at_most", "known_count", "in_filter")
    first = [name for name in leading if name in names]
    names = [*first, *(name for name in names if name not in first)]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        by = st.selectbox(
            "Sort by", names, format_func=_title, key="image-sort", bind="query-params", on_change=first_page, width=260
        )
        down = st.segmented_control(
            "Order", ["Ascending", "Descending"], default="Ascending", required=True, key="image-order",
            bind="query-params", on_change=first_page,
        )  # fmt: skip
    rows = order(images, np.ones(len(images), bool), by, down == "Descending")
    page = page_numbers(len(rows), "image", PER_PAGE)
    shown = images.iloc[rows[(page - 1) * PER_PAGE : page * PER_PAGE]][names]
    st.dataframe(shown, hide_index=True, column_config=_columns(shown), placeholder="–")
    if "calibrated_on" in images and len(images):
        st.caption(interval_words(int(images["calibrated_on"].iloc[0]), len(images)))


def _title(name: str) -> str:
    return "Objects in the filter" if name == "in_filter" else column_title(name)


def _columns(shown: pd.DataFrame) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in shown.columns:
        if "covered_share" in name:
            found[name] = st.column_config.NumberColumn(_title(name), format="percent")
        elif shown[name].dtype.kind in "fiu":
            whole = (
                name in ("in_filter", "known_count") or name.startswith("count") or name in ("width_px", "height_px")
            )
            places = "%g" if whole else f"%.{decimals(shown[name].to_numpy(float))}f"
            found[name] = st.column_config.NumberColumn(_title(name), format=places)
        else:
            found[name] = st.column_config.Column(_title(name))
    return found


def _group_columns() -> dict[str, Any]:
    number = st.column_config.NumberColumn(format="%.2f")
    share = st.column_config.NumberColumn(format="percent")
    whole = st.column_config.NumberColumn(format="%g")
    return {"Objects": whole, "Mean count": number, "SD of counts": number, "Mean covered share": share}
