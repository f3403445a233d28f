"""Page: sweeps. Many trials of settings that vary, and which were the best."""

from __future__ import annotations

import streamlit as st

from dashboard.access import rights
from dashboard.facts.wording import count, escaped
from dashboard.server.resources import database, launcher
from dashboard.ui.status import badge_text, empty_state
from dashboard.views.sweeps import charts, facts
from dashboard.views.sweeps.start import start
from db import sweeps
from db.models import Sweep, SweepKind
from db.submissions import NotReady
from engine.sweeps.objective import CAUTION
from engine.work.sweeps import longer

POLL_S = 5.0


def page() -> None:
    st.title("Sweeps")
    st.caption("Try many settings and compare them by one score. Trials are ordinary runs and mask sets.")
    if dataset_id := st.query_params.get("dataset"):
        start(dataset_id)
        return
    chosen = st.query_params.get("sweep")
    with database().reading() as session:
        view = facts.view(session, chosen) if chosen else None
        table = facts.listing(session) if view is None else []
    if chosen and view is None:
        st.warning("This sweep no longer exists.")
    if view is not None:
        one(view)
    elif table:
        everything(table)
    else:
        empty_state(
            "No sweeps yet",
            "Choose what to train on, and the settings that do not vary, on the Train page. Then press *Sweep*.",
            button="Go to Train",
            page="views/train/page.py",
            icon=":material/tune:",
        )


def everything(table: list[dict[str, object]]) -> None:
    """Draw the table of all sweeps; a click opens one."""
    shown = [{name: value for name, value in row.items() if name != "id"} for row in table]
    picked = st.dataframe(
        shown,
        hide_index=True,
        key="sweeps-table",
        on_select="rerun",
        selection_mode="single-row",
        column_config={"Best": st.column_config.NumberColumn(format="%.4f")},
    )
    if rows := picked.selection.rows:
        st.query_params["sweep"] = str(table[rows[0]]["id"])
        st.rerun()
    st.caption("Select a row to open a sweep.")


def one(first: facts.SweepView) -> None:
    @st.fragment(run_every=POLL_S if first.at_work else None)
    def live() -> None:
        with database().reading() as session:
            view = facts.view(session, first.id)
        if view is None or (first.at_work and not view.at_work):
            st.rerun()
        if view is not None:
            draw(view)

    if st.button("All sweeps", icon=":material/arrow_back:", key="sweeps-all"):
        st.query_params.clear()
        st.rerun()
    live()


def draw(view: facts.SweepView) -> None:
    st.header(escaped(view.name))
    st.markdown(
        f"{badge_text(view.state)} {count(len(view.rows), 'trial')} of {view.budget}, proposed by "
        f"{view.sampler}, on {escaped(view.dataset)}. Scored by **{escaped(view.score)}**."
    )
    if view.error:
        st.error(escaped(view.error), icon=":material/error:")
    if view.best is not None:
        values = ", ".join(f"{title} {value}" for title, value in view.best.values.items())
        st.markdown(f"Best: **{view.best.score:.4f}** in trial {view.best.number + 1}. {escaped(values)}.")
        st.caption(CAUTION)
    buttons(view)
    scored = [row for row in view.rows if row.score is not None]
    if len(scored) > 1:
        left, right = st.columns([3, 2], gap="large")
        with left:
            st.subheader("Best so far")
            charts.best_so_far(view)
        with right:
            st.subheader("Importance")
            if view.importance:
                charts.importance(view)
            else:
                st.caption("Shown once four trials have different scores.")
        st.subheader("Trials by their values")
        charts.parallel_coordinates(view)
    st.subheader("Trials")
    if not view.rows:
        st.caption("The first trial begins when a worker looks at the sweep.")
        return
    table(view)


def table(view: facts.SweepView) -> None:
    """Draw a row of every trial; a click opens its run."""
    rows = [
        {"Trial": row.number + 1, "State": row.state, view.score: row.score, **row.values, "Note": row.note}
        for row in view.rows
    ]
    picked = st.dataframe(
        rows,
        hide_index=True,
        key=f"trials-{view.id}",
        on_select="rerun",
        selection_mode="single-row",
        column_config={view.score: st.column_config.NumberColumn(format="%.4f")},
    )
    if picked.selection.rows:
        row = view.rows[picked.selection.rows[0]]
        if row.run_id:
            st.page_link("views/runs/page.py", label="Open its run", query_params={"run": row.run_id})
        elif row.label_set_id:
            st.page_link("views/labels/page.py", label="Open the mask sets")
        else:
            st.caption("Its run was deleted, or never began.")


def buttons(view: facts.SweepView) -> None:
    with st.container(horizontal=True):
        if view.at_work:
            if rights.button("Stop", icon=":material/stop:", key="sweep-stop", help="What is finished is kept."):
                _change(view, "stop")
        else:
            if view.state == "stopped" and rights.button("Resume", icon=":material/play_arrow:", key="sweep-resume"):
                _change(view, "resume")
            if view.sampler != "Grid" and rights.button("12 more trials", icon=":material/add:", key="sweep-extend"):
                _change(view, "extend")
            if view.failed and rights.button("Retry failed", icon=":material/refresh:", key="sweep-retry"):
                _change(view, "retry")
        if (
            view.best is not None
            and view.kind == SweepKind.RUNS
            and rights.button(
                "Train the best longer",
                icon=":material/model_training:",
                key="sweep-longer",
                help="A run with the settings of the best trial and three times its epochs.",
            )
        ):
            _train_best(view)


def _change(view: facts.SweepView, what: str) -> None:
    with database().writing() as session:
        if what == "stop":
            sweeps.stop(session, view.id)
        elif what == "retry":
            sweeps.retry_failed(session, view.id)
        else:
            sweeps.extend(session, view.id, 12 if what == "extend" else 0)
    if what != "stop":
        launcher().submit("")
    st.rerun()


def _train_best(view: facts.SweepView) -> None:
    try:
        with database().writing() as session:
            run, job = longer(session, session.get_one(Sweep, view.id), 3)
    except NotReady as error:
        st.error(escaped(str(error)), icon=":material/error:")
        return
    launcher().submit(job.id)
    st.switch_page("views/runs/page.py", query_params={"run": run.id})


page()
