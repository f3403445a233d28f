"""The outcome of each file of an import: counts, a table to filter and search, and a CSV download."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from dashboard.facts import urls, wording
from dashboard.server import resources
from db import datasets

_WIDE = 80
"""Characters of a reason that the table has room for."""

_WANTED = ("All files", "Skipped", "Imported")


def file_report(dataset_id: str, *, key: str, notes: Sequence[str] = ()) -> None:
    """Draw the report over all imports into a dataset; `notes` are sentences on the latest one."""
    with resources.database().reading() as session:
        lines = datasets.report(session, dataset_id)
    if not lines:
        st.info("No file has been read yet.")
        return
    if notes:
        st.markdown("\n".join(f"- {wording.escaped(note)}" for note in notes))
    skipped = sum(not line.taken for line in lines)
    left, right = st.columns([3, 1], vertical_alignment="bottom")
    wanted = left.segmented_control(
        f"{len(lines) - skipped:,} imported, {skipped:,} skipped",
        _WANTED,
        default=_WANTED[0],
        required=True,
        key=f"{key}-wanted",
    )
    address = urls.import_report_csv(dataset_id)
    right.link_button("Report as CSV", address, icon=":material/download:", width="stretch")
    shown = [line for line in lines if wanted == _WANTED[0] or line.taken == (wanted == "Imported")]
    st.dataframe(
        {
            "File": [line.name for line in shown],
            "Outcome": ["imported" if line.taken else "skipped" for line in shown],
            "Why": [line.reason for line in shown],
        },
        hide_index=True,
        key=f"{key}-table",
        height=min(38 + 35 * max(len(shown), 1), 520),
        column_config={
            "File": st.column_config.TextColumn(width="medium"),
            "Outcome": st.column_config.TextColumn(width="small"),
            "Why": st.column_config.TextColumn(width="large"),
        },
        placeholder="",
    )
    long = [line for line in shown if len(line.reason) > _WIDE]
    if long:  # a cell shows no more than its width
        st.markdown(
            "\n".join(f"- **{wording.escaped(line.name)}**: {wording.escaped(line.reason)}" for line in long[:20])
        )
