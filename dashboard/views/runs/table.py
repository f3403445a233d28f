"""The table of all runs: search, sort and filter it, open one run, or tick several to act on them at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa
import streamlit as st

from dashboard.facts import wording
from dashboard.server.resources import database, settings
from dashboard.views.runs.marks import bulk_bar, tick, ticked, ticks_cleared, undo_bar
from dashboard.views.runs.table_facts import ARCHIVED, SORTS, Cache, Filter, RunRow, arranged, as_csv, run_rows
from db.columns import utc_now

ROW_PX, MOST_ROWS = 35, 5

# Column of the table -> whether it is shown by default.
COLUMNS = {
    "Run": True,
    "Status": True,
    "Epochs": True,
    "Curve": True,
    "Dice vs truth": True,
    "Agreement with pseudo-label": True,
    "Trained on": True,
    "Dataset": True,
    "Tags": True,
    "Minutes": True,
    "Created": True,
    "Pretrained weights": False,
    "Best epoch's soft Dice": False,
    "Best epoch": False,
    "Preset": False,
    "Parameters": False,
    "Note": False,
}


def runs_table(drawing: list[bool]) -> None:
    """Draw the table with its filters; put the opened run into the URL.

    Args:
        drawing: not empty while the whole page is being drawn, which then shows the opened run; emptied.
    """
    whole = bool(drawing)
    drawing.clear()
    with database().reading() as session:
        rows = run_rows(session, utc_now(), settings().lost_after_s, _cache())
    known = _present(tag for row in rows for tag in row.tags)
    if not rows:
        st.rerun()  # another visitor has deleted the last one; the page then shows its empty state
    shown = _shown_rows(rows, known)
    undo_bar()
    opened = st.query_params.get("run")
    if opened not in {row.id for row in rows}:
        opened = (shown or rows)[0].id
    if shown:
        opened = _table(shown, opened)
    else:
        st.info("No run matches. Remove a filter to see more.", icon=":material/filter_alt_off:")
    ids = set(ticked())
    chosen = [row for row in rows if row.id in ids]
    if chosen:
        bulk_bar(chosen, known, hidden=len(ids - {row.id for row in shown}))
    if opened != st.query_params.get("run"):
        st.query_params["run"] = opened
        if not whole:
            st.rerun()


@st.cache_resource(show_spinner=False)
def _cache() -> Cache:
    """Return the metrics of ended runs that all pages share."""
    return {}


def _shown_rows(rows: Sequence[RunRow], known: Sequence[str]) -> list[RunRow]:
    """Draw search, filters, order and columns; return the matching rows in order."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        words = "Name, dataset, mask set, tag or note"
        text = st.text_input(
            "Find",
            key="find",
            type="search",
            bind="query-params",
            placeholder=words,
            width=300,
            label_visibility="collapsed",
        )
        sort = st.selectbox("Sort", SORTS, key="order", bind="query-params", width=170, label_visibility="collapsed")
        chosen = _filter(rows, known, text)
        _columns_popover()
        shown = arranged(rows, chosen, sort)
        st.download_button(
            "CSV",
            lambda: as_csv(shown),
            file_name="runs.csv",
            mime="text/csv",
            icon=":material/download:",
            on_click="ignore",
            disabled=not shown,
            help="The runs shown in the table, in its order.",
        )
    hidden = sum(row.archived for row in rows) if chosen.archived == "Hidden" else 0
    count = f"{len(shown):,} of {wording.count(len(rows), 'run')}"
    narrowed = f" · {wording.count(chosen.count, 'filter')} set" if chosen.count else ""
    archived = f" · {hidden:,} archived" if hidden else ""
    st.caption(
        f"{count}{narrowed}{archived} · Click a row to open the run; tick rows to compare, tag, archive or delete them."
    )
    return shown


def _filter(rows: Sequence[RunRow], known: Sequence[str], text: str) -> Filter:
    with st.popover("Filter", icon=":material/filter_alt:", key="runs-filter"):
        bound: dict[str, Any] = {"bind": "query-params", "placeholder": "All"}
        found = _present(row.status for row in rows)
        statuses = st.multiselect("Status", found, format_func=str.capitalize, key="status", **bound)
        chosen_datasets = st.multiselect("Dataset", _present(row.dataset for row in rows), key="of", **bound)
        tags = st.multiselect("Tags (any of them)", known, key="tags", **bound) if known else []
        archived = st.segmented_control(
            "Archived runs", ARCHIVED, default="Hidden", required=True, key="archived", bind="query-params"
        )
    return Filter(text, tuple(statuses), tuple(chosen_datasets), tuple(tags), archived)


def _present(values: Iterable[str]) -> list[str]:
    return sorted(set(values), key=str.casefold)


def _columns_popover() -> None:
    with st.popover("Columns", icon=":material/view_column:", key="runs-columns"):
        st.multiselect(
            "Columns, in this order",
            list(COLUMNS),
            default=[name for name, usual in COLUMNS.items() if usual],
            key="columns",
            bind="query-params",
            persist_state="session",
        )


def _table(shown: Sequence[RunRow], opened: str) -> str:
    """Draw the rows and store which are ticked; return the run to open."""
    ids = [row.id for row in shown]
    before = ticked()
    kept_ticks = [ids.index(run_id) for run_id in before if run_id in ids]
    data = _data(shown)
    chosen = [name for name in st.session_state["columns"] if name in data.column_names] or ["Run"]
    cells = [(ids.index(opened), chosen[0])] if opened in ids else []
    event = st.dataframe(
        data,
        column_config=_column_config(),
        column_order=["Pinned", *chosen] if any(row.pinned for row in shown) else chosen,
        hide_index=True,
        placeholder="–",
        height=ROW_PX * min(len(shown), MOST_ROWS) + 38,
        on_select="rerun",
        selection_mode=["multi-row", "single-cell"],
        selection_default={"selection": {"rows": kept_ticks, "cells": cells}},
        # Rows are selected by number, so another list of runs needs another widget.
        key=f"runs-table-{hash(tuple(ids))}-{ticks_cleared()}",
    )
    # A search must not lose what was ticked before it.
    tick([*(run_id for run_id in before if run_id not in ids), *(ids[row] for row in event.selection.rows)])
    return ids[event.selection.cells[0][0]] if event.selection.cells else opened


def _data(shown: Sequence[RunRow]) -> pa.Table:
    """Return the rows as an Arrow table without going through pandas; a column without values keeps its type."""
    text, number, count = pa.string(), pa.float64(), pa.int64()
    columns: dict[str, tuple[pa.DataType, list[Any]]] = {
        "Pinned": (text, ["↑" if row.pinned else "" for row in shown]),
        "Run": (text, [row.name for row in shown]),
        "Status": (text, [row.status.capitalize() + (" (archived)" if row.archived else "") for row in shown]),
        "Epochs": (text, [row.epoch or f"{row.epochs_done} of {row.epochs_total}" for row in shown]),
        "Curve": (pa.list_(pa.float32()), [row.val_dice for row in shown]),
        "Dice vs truth": (number, [row.dice_vs_truth for row in shown]),
        "Agreement with pseudo-label": (number, [row.agreement for row in shown]),
        "Best epoch's soft Dice": (number, [row.soft_dice for row in shown]),
        "Pretrained weights": (text, [row.weights or "none" for row in shown]),
        "Trained on": (text, [row.trained_on for row in shown]),
        "Dataset": (text, [row.dataset for row in shown]),
        "Tags": (pa.list_(text), [row.tags for row in shown]),
        "Minutes": (number, [None if row.seconds is None else row.seconds / 60 for row in shown]),
        "Created": (pa.timestamp("s", "UTC"), [row.created_at for row in shown]),
        "Best epoch": (count, [row.best_epoch for row in shown]),
        "Preset": (text, [row.preset.replace("_", " ") for row in shown]),
        "Parameters": (count, [row.parameter_count for row in shown]),
        "Note": (text, [row.note for row in shown]),
    }
    if not any(row.weights for row in shown):
        del columns["Pretrained weights"]
    if not any(row.tags for row in shown):
        del columns["Tags"]
    return pa.table({name: pa.array(values, kind) for name, (kind, values) in columns.items()})


def _column_config() -> dict[str, Any]:
    column = st.column_config
    return {
        "Pinned": column.TextColumn("", width=30, help="Pinned to the top."),
        "Run": column.TextColumn(width="medium"),
        "Epochs": column.TextColumn(width=130, help="Epochs done of those planned, or the one being trained."),
        "Curve": column.LineChartColumn(
            width="small",
            y_min=0,
            y_max=1,
            help="Validation soft Dice over the epochs, against what the run was trained on: truth or pseudo-labels.",
        ),
        "Pretrained weights": column.TextColumn(
            help="What the network's encoder started from, or what helped its labels; every score benefits from it."
        ),
        "Dice vs truth": column.NumberColumn(
            format="%.3f",
            help="Mean Dice of the masks of its validation images at threshold 0.5, where truth exists and the run has "
            "been predicted. Labels can have a share in these masks; the run says so.",
        ),
        "Best epoch's soft Dice": column.NumberColumn(
            format="%.3f",
            help="Of probabilities without a threshold, over all validation pixels together at the network's size, "
            "against what the run was trained on: truth or pseudo-labels.",
        ),
        "Agreement with pseudo-label": column.NumberColumn(
            format="%.3f",
            help="Mean Dice between the masks of its validation images at threshold 0.5 and their pseudo-labels. It "
            "measures how well the labels were learned, not whether they are right.",
        ),
        "Minutes": column.NumberColumn(format="%.1f", width="small", help="Time spent in training."),
        "Created": column.DatetimeColumn(format="distance", width="small"),
        "Tags": column.ListColumn(width="small"),
        "Parameters": column.NumberColumn(format="localized", help="Of the network."),
    }
