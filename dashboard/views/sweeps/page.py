"""Page: sweeps. Many trials of settings that vary, and which were the best."""

from __future__ import annotations

from typing import NoReturn

import pyarrow as pa
import streamlit as st

from dashboard.access import rights
from dashboard.facts.wording import escaped
from dashboard.server.resources import database
from dashboard.ui.status import empty_state
from dashboard.views.sweeps import facts
from dashboard.views.sweeps.one import one
from dashboard.views.sweeps.start import start
from engine.sweeps import study


def page() -> None:
    chosen, new = st.query_params.get("sweep"), "new" in st.query_params
    st.title("Sweeps")
    if not chosen and not new:
        st.caption(
            "A sweep tries many settings and compares them by one score. Its trials are ordinary runs or mask sets."
        )
    if not study.is_installed():
        st.info(
            f"{escaped(study.NOT_INSTALLED)} Without it a grid is the only search.", icon=":material/extension_off:"
        )
    if (chosen or new) and st.button("All sweeps", icon=":material/arrow_back:", type="tertiary", key="sweeps-all"):
        go()
    if new and not chosen:
        start()
        return
    with database().reading() as session:
        view = facts.view(session, chosen) if chosen else None
        listed = facts.listing(session) if view is None else []
    if view is not None:
        one(view)
        return
    if chosen:
        st.warning("This sweep no longer exists.")
    if listed:
        table(listed)
    else:
        empty_state(
            "No sweeps yet",
            "Choose a dataset and the settings that vary. A worker trains a run, or makes a mask set, for each trial.",
            icon=":material/scatter_plot:",
        )
    if rights.button("New sweep", icon=":material/add:", type="primary", key="sweep-new"):
        go(new="1")


def table(listed: list[facts.Listed]) -> None:
    """Draw the table of all sweeps; a click opens one."""
    st.caption("Select a row to open a sweep.")
    rows = pa.table(
        {
            "Sweep": [row.name for row in listed],
            "Dataset": [row.dataset for row in listed],
            "State": [row.state for row in listed],
            "Trials": [row.trials for row in listed],
            "Best": pa.array([row.best for row in listed], pa.float64()),
            "Scored by": [row.score for row in listed],
        }
    )
    picked = st.dataframe(
        rows,
        hide_index=True,
        placeholder="–",
        key="sweeps-table",
        on_select="rerun",
        selection_mode="single-cell",
        column_config={"Best": st.column_config.NumberColumn(format="%.4f")},
    )
    if picked.selection.cells:
        go(sweep=listed[picked.selection.cells[0][0]].id)


def go(**query: str) -> NoReturn:
    """Open another address of this page."""
    st.query_params.from_dict(query)
    st.rerun()


page()
