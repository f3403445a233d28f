"""One sweep: how far it is, its best trial, charts, every trial, and what can be done with it."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import streamlit as st

from dashboard.access import rights
from dashboard.facts.wording import count, escaped
from dashboard.server import resources
from dashboard.ui.confirm import deletion_buttons
from dashboard.ui.status import badge_text
from dashboard.views.sweeps import charts, facts
from db import sweeps
from db.actors import Role
from db.columns import utc_now
from db.datasets import InUse
from db.models import Sweep, SweepState
from db.submissions import NotReady
from engine.sweeps import study
from engine.sweeps.objective import CAUTION
from engine.work.sweeps import longer

POLL_S = 2.0
ROW_PX, MOST_ROWS = 35, 15
LONGER = 3
"""So many times the epochs of the best trial."""


def one(view: facts.SweepView) -> None:
    """Draw a sweep. While it is at work a small fragment polls; only a trial that begins or ends draws all anew."""
    st.header(escaped(view.name), divider="gray")
    varies = " · ".join(f"**{escaped(title)}** {escaped(words)}" for title, words in view.varies)
    early = ", poor trials end early" if view.prune else ""
    st.caption(
        f"Dataset **{escaped(view.dataset)}** · {escaped(view.subject)} · values by {escaped(view.sampler)}{early}  \n"
        f"Varies {varies}"
    )
    st.fragment(how_far, run_every=POLL_S if view.at_work else None)(view.id, facts.version(view))
    if view.error:
        st.error(escaped(view.error), icon=":material/error:")
    st.markdown(f"Scored by **{escaped(view.score)}**. {escaped(view.meaning)}")
    if view.best is not None:
        best(view, view.best)
    buttons(view)
    if len(view.scored) > 1:
        draw_charts(view)
    st.subheader("Trials")
    if view.rows:
        trials(view)
    else:
        st.caption("None yet.")


def how_far(sweep_id: str, drawn: tuple[str, int, int, int]) -> None:
    """Draw the progress; redraw the page once it shows something else than `drawn`."""
    with resources.database().reading() as session:
        progress = facts.progress(session, sweep_id, utc_now(), resources.settings().lost_after_s)
    if progress is None or progress.version != drawn:
        st.rerun()
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        st.markdown(badge_text(progress.version[0]), width="content")
        st.progress(progress.share, text=progress.text)
    for line in progress.at_work:
        st.caption(line)


def best(view: facts.SweepView, row: facts.TrialRow) -> None:
    values = ", ".join(f"{escaped(title)} **{escaped(words)}**" for title, words in row.words.items())
    with st.container(border=True):
        st.markdown(f"Best so far: **{row.score:.4f}** in trial {row.number + 1}, with {values}.")
        if row.query:
            what = "run" if row.run_id else "mask set"
            st.page_link(
                page_of(row), label=f"Open its {what}", icon=":material/open_in_new:", query_params=query(view, row)
            )
        st.caption(CAUTION)


def page_of(row: facts.TrialRow) -> str:
    return "views/runs/page.py" if row.run_id else "views/labels/page.py"


def query(view: facts.SweepView, row: facts.TrialRow) -> dict[str, Any]:
    return (row.query or {}) if row.run_id else {"dataset": view.dataset_id, **(row.query or {})}


def draw_charts(view: facts.SweepView) -> None:
    left, right = st.columns([3, 2], gap="large")
    with left:
        st.subheader("Best so far")
        charts.best_so_far(view)
    with right:
        st.subheader("Importance")
        shares = _importance(view.id, tuple((row.number, row.score) for row in view.scored))
        if shares:
            charts.importance(shares)
            st.caption("How sharply each setting tells the best tenth of the trials from the others (PED-ANOVA).")
        else:
            st.caption(f"Shown from {study.LEAST_SCORED} scored trials on, where Optuna is installed.")
    st.subheader("Scores by settings")
    st.caption("Each line is a trial: the stronger, the better. The best is orange.")
    charts.parallel_coordinates(view)


@st.cache_data(max_entries=64, show_spinner=False)
def _importance(sweep_id: str, scored: tuple[tuple[int, float | None], ...]) -> tuple[tuple[str, float], ...]:
    """Return the importances; `scored` only identifies the trials that they are of."""
    with resources.database().reading() as session:
        return facts.importance(session, sweep_id)


def trials(view: facts.SweepView) -> None:
    """Draw a row of every trial; a click opens its run or mask set."""
    what = "run" if view.makes_runs else "mask set"
    st.caption(f"Select a row to open its {what}.")
    picked = st.dataframe(
        trial_table(view),
        hide_index=True,
        placeholder="–",
        height=ROW_PX * min(len(view.rows), MOST_ROWS) + 38,
        key=f"sweep-trials-{view.id}",
        on_select="rerun",
        selection_mode="single-cell",
        column_config={
            view.score: st.column_config.NumberColumn(format="%.4f"),
            **{
                title: st.column_config.NumberColumn(format="%.4g")
                for (title, _), each in zip(view.varies, view.space, strict=True)
                if not each.choices
            },
        },
    )
    if picked.selection.cells:
        row = view.rows[picked.selection.cells[0][0]]
        if row.query:
            st.switch_page(page_of(row), query_params=query(view, row))
        st.info(f"Trial {row.number + 1} has no {what}: it was deleted, or never began.")


def trial_table(view: facts.SweepView) -> pa.Table:
    """Return a row for each trial: its number, state, score, the values that vary, and a note."""
    columns: dict[str, Any] = {
        "Trial": pa.array([row.number + 1 for row in view.rows], pa.int64()),
        "State": [facts.STATES[row.state] for row in view.rows],
        view.score: pa.array([row.score for row in view.rows], pa.float64()),
    }
    for (title, _), each in zip(view.varies, view.space, strict=True):
        if each.choices:
            columns[title] = pa.array([row.words.get(title) for row in view.rows], pa.string())
        else:
            columns[title] = pa.array([row.values.get(each.path) for row in view.rows], pa.float64())
    columns["Note"] = [row.note for row in view.rows]
    return pa.table(columns)


def buttons(view: facts.SweepView) -> None:
    """Draw what can be done with the sweep."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if view.best is not None and view.makes_runs:
            button(
                "Train the best longer",
                "model_training",
                train_best,
                view,
                help=f"A run with the settings of the best trial and {LONGER} times its epochs.",
                primary=not view.at_work,
            )
        if view.at_work:
            button("Stop", "stop_circle", stop, view, help="What is finished is kept.")
        elif view.state == SweepState.STOPPED:
            button("Resume", "resume", resume, view, help="Begins the trials that are still to come.")
        if view.failed:
            button("Retry failed", "replay", retry, view, help=f"Runs {count(view.failed, 'failed trial')} again.")
        if view.can_grow > 0 and rights.may(Role.EDITOR):
            with st.popover("Extend", icon=":material/add:"):
                more = st.number_input(
                    "How many more trials", 1, view.can_grow, min(12, view.can_grow), key="sweep-more"
                )
                if st.button("Add trials", type="primary", key="sweep-extend"):
                    extend(view, more)
        if rights.button(
            "Delete",
            icon=":material/delete:",
            key="sweep-delete",
            disabled=view.at_work,
            help="Stop it first." if view.at_work else None,
        ):
            confirm_deletion(view)


def button(label: str, icon: str, act: Any, view: facts.SweepView, *, help: str, primary: bool = False) -> None:
    kind = "primary" if primary else "secondary"
    if rights.button(label, icon=f":material/{icon}:", help=help, type=kind, key=f"sweep-{act.__name__}"):
        act(view)


def stop(view: facts.SweepView) -> None:
    with resources.database().writing() as session:
        sweeps.stop(session, view.id)
    resources.launcher().submit("")  # where no worker is left, one settles what was stopped
    st.rerun()


def resume(view: facts.SweepView) -> None:
    extend(view, 0)


def extend(view: facts.SweepView, more: int) -> None:
    with resources.database().writing() as session:
        sweeps.extend(session, view.id, more)
    resources.launcher().submit("")
    st.rerun()


def retry(view: facts.SweepView) -> None:
    with resources.database().writing() as session:
        sweeps.retry_failed(session, view.id)
    resources.launcher().submit("")
    st.rerun()


def train_best(view: facts.SweepView) -> None:
    try:
        with resources.database().writing() as session:
            run, job = longer(session, session.get_one(Sweep, view.id), LONGER)
    except NotReady as error:
        st.error(escaped(str(error)), icon=":material/error:")
        return
    resources.launcher().submit(job.id)
    st.switch_page("views/runs/page.py", query_params={"run": run.id})


@st.dialog("Delete this sweep?")
def confirm_deletion(view: facts.SweepView) -> None:
    st.markdown(f"**{escaped(view.name)}** and the scores of {count(len(view.rows), 'trial')} are deleted permanently.")
    st.caption("The runs and mask sets of its trials stay.")
    deletion_buttons(lambda: _delete(view.id), "The sweep is deleted.")


def _delete(sweep_id: str) -> None:
    try:
        with resources.database().writing() as session:
            sweeps.delete_sweep(session, sweep_id)
    except NotReady as error:
        raise InUse(str(error)) from None
    st.query_params.from_dict({})
