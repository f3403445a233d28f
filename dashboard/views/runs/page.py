"""Page: runs. Follow a training live, look into it, stop it, go on with it, delete it."""

from collections.abc import Callable

import streamlit as st

from dashboard.access import rights
from dashboard.facts import wording
from dashboard.facts.run_metrics import DICE_NAME
from dashboard.server.resources import database, launcher, settings
from dashboard.ui.bug_report import bug_report
from dashboard.ui.confirm import deletion_buttons
from dashboard.ui.downloads import downloads
from dashboard.ui.status import badge_text, empty_state
from dashboard.views.runs import facts as viewmodel
from dashboard.views.runs import marks as run_marks
from dashboard.views.runs import results as run_results
from dashboard.views.runs.live import run_live
from dashboard.views.runs.rounds_panel import rounds_section
from dashboard.views.runs.story_panel import run_story
from dashboard.views.runs.table import runs_table
from db import jobs, runs
from db.models import utc_now

LOG_EVERY_S = 3.0
TABLE_EVERY_S = 30.0  # the run that is open tells of itself; this is for the others


@st.dialog("Delete this run?")
def confirm_deletion(head: viewmodel.RunHead) -> None:
    st.markdown(
        f"The model of **{wording.escaped(head.name)}**, its metrics and its predictions go for good. "
        "Images and labels stay."
    )
    deletion_buttons(lambda: delete(head), "The run is deleted.")


def delete(head: viewmodel.RunHead) -> None:
    run_marks.delete_one(head.id)
    st.query_params.pop("run", None)


def stop(job_id: str) -> None:
    with database().writing() as session:
        jobs.request_stop(session, job_id)


def go_on(job_id: str) -> None:
    """Put an ended job back into the queue: it resumes after its last finished epoch."""
    with database().writing() as session:
        jobs.requeue(session, job_id)
    launcher().submit(job_id)


def put_back(job_id: str) -> None:
    with database().writing() as session:
        jobs.requeue_lost(session, utc_now(), settings().lost_after_s, job_id)
    launcher().submit(job_id)


def end_lost(job_id: str) -> None:
    """End a lost job: one whose stop was asked for is not put back."""
    with database().writing() as session:
        jobs.request_stop(session, job_id)
        jobs.requeue_lost(session, utc_now(), settings().lost_after_s, job_id)


def action(label: str, icon: str, act: Callable[[str], None], job_id: str, *, help: str, primary: bool = False) -> None:
    kind = "primary" if primary else "secondary"
    if rights.button(label, icon=icon, help=help, type=kind, key=f"run-{label}"):
        act(job_id)
        st.rerun()


def actions(head: viewmodel.RunHead, status: viewmodel.LiveStatus) -> None:
    """Draw the buttons that suit the state."""
    job_id = head.job_id or ""
    if status.can_stop:
        asked = "Ends after the step at hand. The finished epochs and the best model are kept."
        action("Stop", ":material/stop_circle:", stop, job_id, help=asked)
    where = "after the last finished epoch" if head.keeps_last else "from the first epoch: it does not keep the last"
    if status.can_resume and job_id:
        kept = "Goes on after the last finished epoch, with the optimizer as it was."
        again = "This run does not keep its last epoch, so it begins with the first again."
        name = "Resume" if head.keeps_last else "Start over"
        action(name, ":material/resume:", go_on, job_id, help=kept if head.keeps_last else again, primary=True)
    if status.can_retry and job_id:
        action("Retry", ":material/replay:", go_on, job_id, help=f"Tries again {where}.", primary=True)
    if status.state == "lost":
        again = f"Another worker goes on {where}."
        action("Put back in the queue", ":material/replay:", put_back, job_id, help=again, primary=True)
        action("End it here", ":material/stop_circle:", end_lost, job_id, help="Keeps what it has learned so far.")


def live_part(head: viewmodel.RunHead, drawn_stage: tuple[str, bool, int], prediction_set_id: str | None) -> None:
    """Draw what changes while the run trains. The whole page is drawn anew when the stage has changed.

    Nothing asks here: the bar's browser half does, and has this drawn again when the parts cannot do it themselves.
    """
    with database().reading() as session:
        status = viewmodel.live_status(session, head.id, utc_now(), settings().lost_after_s)
        scores = None if status is None or status.live else viewmodel.scores(session, head.id)
    if status is None or status.stage != drawn_stage:
        st.rerun()
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(badge_text(status.state), width="content")
        if status.sentence:
            st.markdown(wording.escaped(status.sentence), width="stretch")
        else:
            st.space("stretch")
        actions(head, status)
    if status.live:
        run_live(head, status)
        return
    if status.state == "failed" and head.job_id:
        bug_report(head.job_id, key="run")
    run_results.headline(head, status, scores)
    run_story(head, status, prediction_set_id)
    run_results.results(head, status)


def links(head: viewmodel.RunHead, status: viewmodel.LiveStatus, prediction_set_id: str | None) -> None:
    """Draw what can be done next with the run."""
    with st.container(horizontal=True, vertical_alignment="center"):
        query = {"run": head.id}
        if prediction_set_id:
            st.page_link("views/gallery/page.py", label="Gallery", icon=":material/grid_view:", query_params=query)
        st.page_link(
            "views/compare/page.py", label="Compare", icon=":material/compare:", query_params={"runs": head.id}
        )
        if status.has_model:
            st.page_link(
                "views/predict/page.py", label="Predict new images", icon=":material/image_search:", query_params=query
            )
        st.page_link(
            "views/train/page.py",
            label="Duplicate as new",
            icon=":material/content_copy:",
            query_params={"from": head.id},
            help="Opens the Train page with the settings of this run.",
        )
        if status.has_model:
            downloads(run_id=head.id, prediction_set_id=prediction_set_id)
        blocked = None if status.can_delete else "Stop it first."
        if rights.button(
            "Delete", icon=":material/delete:", disabled=not status.can_delete, help=blocked, key="run-delete"
        ):
            confirm_deletion(head)


def detail(head: viewmodel.RunHead) -> None:
    """Draw one run: what changes while it trains in fragments that ask again until it has ended."""
    with database().reading() as session:
        status = viewmodel.live_status(session, head.id, utc_now(), settings().lost_after_s)
        prediction_set_id = viewmodel.own_prediction_set_id(session, head.id)
    if status is None:
        st.rerun()
    st.header(wording.escaped(head.name), divider="gray")
    run_marks.marks(head.id)
    parts = [
        f"Dataset **{wording.escaped(head.dataset)}**",
        f"taught by **{wording.escaped(head.taught_by)}**",
        f"preset *{head.preset}*",
    ]
    if head.train_images:
        parts.append(f"{head.train_images} training and {head.validation_images} validation images")
    parts.append(f"created {wording.ago(head.created_at, utc_now())}")
    st.markdown(" · ".join(parts))
    if head.reference == "pseudo-label":
        st.caption(
            f"{DICE_NAME['pseudo-label']} says how well the network learned its labels. Whether they are right, "
            "only truth can say."
        )
    links(head, status, prediction_set_id)
    st.fragment(live_part)(head, status.stage, prediction_set_id)
    rounds_section(head)
    run_results.configuration(head)
    run_results.log(head, LOG_EVERY_S if status.live else None)


st.title("Runs")
st.caption("Every training: how far it is, how it went, and why it ended. Choose one in the table.")

with database().reading() as session:
    known = runs.any_run(session)
    working = any(job.payload.get("run") for job in jobs.active(session))
    head = viewmodel.run_head(session, st.query_params.get("run"))
if not known:
    empty_state(
        "No run yet",
        "A run is one training of a network. Start one on the Train page; it shows up here at once.",
        button="Train a network",
        page="views/train/page.py",
        icon=":material/monitoring:",
    )
    st.stop()
if st.query_params.get("run") and head is None:
    st.session_state["runs-missing"] = True  # the table puts a run that exists into the address and draws anew
elif st.session_state.pop("runs-missing", False):
    st.warning("The run in the address does not exist any more. This is the newest one.")
st.fragment(runs_table, run_every=TABLE_EVERY_S if working else None)()
if head is not None:
    detail(head)
