"""Page: compare. Two or more runs side by side."""

from __future__ import annotations

from typing import NoReturn

import streamlit as st

from dashboard.facts import wording
from dashboard.server import resources
from dashboard.server.score_tables import score_table
from dashboard.ui import status
from dashboard.ui.audit_line import audit_line
from dashboard.views.compare import facts, tables
from dashboard.views.compare.curves import curves
from dashboard.views.compare.images import same_image
from dashboard.views.compare.pair import pair
from dashboard.views.compare.shared_images import cautions, shared_images
from db import runs


def main() -> None:
    st.title("Compare")
    chosen = _choose_runs()
    with resources.database().reading() as session:
        compared = facts.compared_runs(session, chosen)
    if len(compared) < 2:
        st.info("Choose a second run to compare with.")
    if not compared:
        return
    shared = shared_images(compared, score_table)
    for caution in cautions(compared, shared):
        st.caption(f":material/info: {wording.escaped(caution)}")
    if shared is not None and len(shared.rows):
        shared = same_image(shared)
        pair(shared)
    st.header("Numbers")
    tables.numbers(compared, shared)
    for run in compared:
        audit_line(run.dataset_id, run.id, run.name)
    if shared is not None and len(shared.rows):
        tables.classes(shared)
    tables.settings(compared)
    curves(compared)


def _choose_runs() -> list[str]:
    wanted = list(dict.fromkeys(run_id for run_id in st.query_params.get("runs", "").split(",") if run_id))
    with resources.database().reading() as session:
        names = runs.names(session, also=[*wanted, *st.session_state.get("compare-runs", ())])
        usual = facts.usual_runs(session) if not wanted and "compare-runs" not in st.session_state else []
    if len(names) < 2:
        _too_few(names)
    known = [run_id for run_id in wanted if run_id in names]
    if "compare-runs" not in st.session_state:
        st.session_state["compare-runs"] = known or usual
        if len(known) < len(wanted):
            gone = wording.count(len(wanted) - len(known), "run")
            st.warning(f"{gone.capitalize()} in the address cannot be found.")
    chosen = st.multiselect(
        "Runs",
        list(names),
        key="compare-runs",
        format_func=lambda run_id: names.get(run_id, "deleted"),
        placeholder="Choose two or more runs",
        help="Archived runs are not listed here. Tick them in the table of runs to compare them.",
    )
    if wanted != chosen:
        st.query_params["runs"] = ",".join(chosen)
    return chosen


def _too_few(names: dict[str, str]) -> NoReturn:
    with resources.database().reading() as session:
        archived = len(runs.names(session, archived=True)) >= 2
    if archived:
        status.empty_state(
            "The other runs are archived",
            "In the table of runs, set the filter Archived runs to Shown too. Then tick runs there and press Compare, "
            "or restore them.",
            button="Open the table",
            page="views/runs/page.py",
        )
    else:
        status.empty_state(
            "Nothing to compare yet" if not names else "Only one run yet",
            "Train two runs, for example on two mask sets or with two presets, then see which is better here.",
            button="Train a network",
            page="views/train/page.py",
        )
    st.stop()


main()
