"""Page: runs. Follow a training live, inspect it, stop, resume or delete it."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from dashboard.access import rights
from dashboard.facts import wording
from dashboard.server.resources import database, settings
from dashboard.ui.audit_line import audit_line
from dashboard.ui.bug_report import bug_report
from dashboard.ui.confirm import deletion_buttons
from dashboard.ui.downloads import downloads
from dashboard.ui.job_panel import retry_job, stop_job
from dashboard.ui.measure_button import measure_button
from dashboard.ui.status import badge_text, empty_state
from dashboard.views.runs import classes, results, retraining
from dashboard.views.runs.facts import LiveStatus, RunHead, live_status, own_prediction_set_id, run_head
from dashboard.views.runs.live import run_live
from dashboard.views.runs.marks import delete_one, mark_buttons, marks
from dashboard.views.runs.outcome import outcome, read_outcome, score
from dashboard.views.runs.table import runs_table
from db import jobs, runs
from db.columns import utc_now

LOG_EVERY_S = 3.0
TABLE_EVERY_S = 2.0  # while anything trains; the open run updates itself, and both tell the same epoch


@st.dialog("Delete this run?")
def confirm_deletion(head: RunHead) -> None:
    st.markdown(
        f"The model of **{wording.escaped(head.name)}**, its metrics and its predictions are deleted permanently. "
        "Images and labels stay."
    )
    deletion_buttons(lambda: delete(head), "The run is deleted.")


def delete(head: RunHead) -> None:
    delete_one(head.id)
    st.query_params.pop("run", None)


def end_lost(job_id: str) -> None:
    """End a lost job: with a stop request it is not put back into the queue."""
    with database().writing() as session:
        jobs.request_stop(session, job_id)
        jobs.requeue_lost(session, utc_now(), settings().lost_after_s, job_id)


def actions(head: RunHead, status: LiveStatus) -> None:
    """Draw the buttons that suit the state."""
    job_id = head.job_id or ""

    def button(label: str, icon: str, act: Callable[[str], None], help: str, primary: bool = True) -> None:
        kind = "primary" if primary else "secondary"
        # A callback: `live_part` may redraw the whole page before it reaches the button, and the click would be lost.
        options = {"on_click": act, "args": (job_id,)}
        if rights.button(label, icon=f":material/{icon}:", help=help, type=kind, key=f"run-{label}", **options):
            st.rerun()

    predicts = status.state == "finished" and status.has_model
    if predicts and st.button("Predict new images", icon=":material/image_search:", type="primary", key="run-predict"):
        st.switch_page("views/predict/page.py", query_params={"run": head.id})
    if status.can_stop:
        kept = "Ends after the current step. The finished epochs and the best model are kept."
        button("Stop", "stop_circle", stop_job, kept, primary=False)
    where = "after the last finished epoch" if head.keeps_last else "from the first epoch: it does not keep the last"
    if status.can_resume and job_id:
        if head.keeps_last:
            button("Resume", "resume", retry_job, "Continues after the last finished epoch, with its optimizer state.")
        else:
            again = "This run does not keep its last epoch, so it starts again with the first."
            button("Start over", "resume", retry_job, again)
    if status.can_retry and job_id:
        button("Retry", "replay", retry_job, f"Tries again {where}.")
    if status.final and st.button("Train it anew", icon=":material/content_copy:", type="primary", key="run-anew"):
        st.switch_page("views/train/page.py", query_params={"from": head.id})
    if status.state == "lost":
        button("Put back in the queue", "replay", retry_job, f"Another worker continues {where}.")
        button("End it here", "stop_circle", end_lost, "Keeps what it has learned so far.", primary=False)


def live_part(head: RunHead, drawn_stage: tuple[str, bool, int], prediction_set_id: str | None) -> None:
    """Draw what changes while the run trains. A new stage redraws the whole page.

    The bar's JavaScript polls, and triggers this fragment when the components cannot update themselves.
    """
    with database().reading() as session:
        status = live_status(session, head.id, utc_now(), settings().lost_after_s)
    if status is None or status.stage != drawn_stage:
        st.rerun()
    found = None if status.live else read_outcome(head, status, prediction_set_id)
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        st.markdown(badge_text(status.state), width="content")
        if found is not None:
            score(head, status, found.images)
        if status.sentence and status.state != "finished":
            st.markdown(wording.escaped(status.sentence), width="stretch")
        else:
            st.space("stretch")
        actions(head, status)
    if found is None:
        run_live(head, status)
        return
    if status.state == "failed" and head.job_id:
        bug_report(head.job_id, key="run")
    results.notes(status)
    shown = outcome(head, status, found, prediction_set_id)
    if prediction_set_id:
        audit_line(head.dataset_id, head.id)
    links(head, status, prediction_set_id)
    retraining.comparisons(head)
    classes.classes_section(head, prediction_set_id)
    results.results(head, status, masks_open=not shown)


def links(head: RunHead, status: LiveStatus, prediction_set_id: str | None) -> None:
    """Draw what can be done next with the run."""
    query = {"run": head.id}
    pages = [
        ("gallery", "Gallery", "grid_view", query, bool(prediction_set_id)),
        ("compare", "Compare", "compare", {"runs": head.id}, True),
        ("sweeps", "Its sweep", "scatter_plot", {"sweep": head.sweep_id or ""}, bool(head.sweep_id)),
        ("predict", "Predict new images", "image_search", query, status.has_model and status.state != "finished"),
    ]
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
        for page, label, icon, target, shown in pages:
            if shown:
                st.page_link(f"views/{page}/page.py", label=label, icon=f":material/{icon}:", query_params=target)
        st.page_link(
            "views/train/page.py",
            label="Duplicate as new",
            icon=":material/content_copy:",
            query_params={"from": head.id},
            help="Opens the Train page with the settings of this run.",
        )
        retraining.retrain_button(head, status)
        if status.has_model:
            downloads(run_id=head.id, prediction_set_id=prediction_set_id)
        if prediction_set_id:
            measure_button(run=head.id)
        mark_buttons(head.id)
        blocked = None if status.can_delete else "Stop it first."
        if rights.button(
            "Delete", icon=":material/delete:", disabled=not status.can_delete, help=blocked, key="run-delete"
        ):
            confirm_deletion(head)
    marks(head.id)


def detail(head: RunHead) -> None:
    """Draw one run; what changes while it trains is in fragments."""
    with database().reading() as session:
        status = live_status(session, head.id, utc_now(), settings().lost_after_s)
        prediction_set_id = own_prediction_set_id(session, head.id)
    if status is None:
        st.rerun()
    st.header(wording.escaped(head.name), divider="gray")
    parts = [f"Dataset **{wording.escaped(head.dataset)}**", f"trained on **{wording.escaped(head.trained_on)}**"]
    parts.append(f"preset *{head.preset.replace('_', ' ')}*")
    if head.train_images:
        parts.append(f"{head.train_images} training and {head.validation_images} validation images")
    parts.append(f"created {wording.ago(head.created_at, utc_now())}")
    st.caption(" · ".join(parts))
    st.fragment(live_part)(head, status.stage, prediction_set_id)
    if status.live:
        links(head, status, prediction_set_id)
        retraining.comparisons(head)
    results.rounds_section(head)
    results.configuration(head, status)
    results.log(head, LOG_EVERY_S if status.live else None)


st.title("Runs")

with database().reading() as session:
    known = runs.any_run(session)
    working = any(job.payload.get("run") for job in jobs.active(session))
if not known:
    empty_state(
        "No run yet",
        "A run is one training of a network. Start one on the Train page; it appears here at once.",
        button="Train a network",
        page="views/train/page.py",
        icon=":material/monitoring:",
    )
    st.stop()
asked = st.query_params.get("run")
drawing = [True]  # empty when the table alone is drawn again: another run then needs the whole page
st.fragment(runs_table, run_every=TABLE_EVERY_S if working else None)(drawing)
with database().reading() as session:
    head = run_head(session, st.query_params.get("run"))
if asked and st.query_params.get("run") != asked:
    with database().reading() as session:
        if run_head(session, asked) is None:
            st.warning("The run in the address no longer exists. This is the newest one.")
if head is not None:
    detail(head)
