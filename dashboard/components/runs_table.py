"""The table of all runs, in which one is chosen."""

from __future__ import annotations

import streamlit as st

from dashboard import wording
from dashboard.resources import database, settings
from dashboard.viewmodels import runs as viewmodel
from db.models import utc_now


def runs_table() -> None:
    """Draw the table and put the chosen run into the address."""
    with database().reading() as session:
        rows = viewmodel.run_rows(session, utc_now(), settings().lost_after_s)
    ids = [row.id for row in rows]
    shown = st.query_params.get("run")
    start = ids.index(shown) if shown in ids else 0
    now = utc_now()
    helped = any(row.weights for row in rows)
    event = st.dataframe(
        [
            {
                "Run": row.name,
                "Status": row.status.capitalize(),
                "Epochs": f"{row.epochs_done} / {row.epochs_total}",
                "Curve": row.val_dice,
                "Dice vs truth": row.dice_vs_truth,
                "Agreement with pseudo-label": row.agreement,
                **({"Encoder weights": row.weights or "none"} if helped else {}),
                "Taught by": row.taught_by,
                "Dataset": row.dataset,
                "Duration": wording.duration(row.seconds),
                "Created": wording.ago(row.created_at, now),
            }
            for row in rows
        ],
        column_config=table_columns(),
        hide_index=True,
        placeholder="–",
        height=min(38 + 35 * len(rows), 265),
        on_select="rerun",
        selection_mode="single-row-required",
        selection_default={"selection": {"rows": [start]}},
        # Rows are chosen by number: another list of runs is another table.
        key=f"runs-table-{hash(tuple(ids))}",
    )
    chosen = ids[event.selection.rows[0]] if event.selection.rows else ids[start]
    if chosen != shown:
        st.query_params["run"] = chosen
        st.rerun()


def table_columns() -> dict[str, object]:
    column = st.column_config
    return {
        "Run": column.TextColumn(width="medium"),
        "Epochs": column.TextColumn(width="small", help="Epochs done, of those asked for."),
        "Curve": column.LineChartColumn(
            width="small",
            y_min=0,
            y_max=1,
            help="Validation Dice over the epochs, against what taught the run: truth, or its pseudo-labels.",
        ),
        "Encoder weights": column.TextColumn(
            help="What the network's encoder had learned before, which every score of the run owes something to."
        ),
        "Dice vs truth": column.NumberColumn(
            format="%.3f",
            help="On validation images. Of a run taught by truth: at its best epoch. Of a run taught by pseudo-labels: "
            "of its finished predictions, where truth exists.",
        ),
        "Agreement with pseudo-label": column.NumberColumn(
            format="%.3f",
            help="Dice between prediction and pseudo-label on validation images at the best epoch. It says how well "
            "the labels were learned, not whether they are right.",
        ),
    }
