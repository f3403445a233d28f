"""Page: runs. Follow a training live, look into it, stop it, go on with it, delete it."""

from collections.abc import Callable

import streamlit as st

from dashboard import wording
from dashboard.components import run_results
from dashboard.components.confirm import deletion_buttons
from dashboard.components.downloads import downloads
from dashboard.components.run_rounds import rounds_section
from dashboard.components.status import badge_text, empty_state
from dashboard.resources import artifacts, database, launcher, remove_files, settings
from dashboard.viewmodels import runs as viewmodel
from dashboard.viewmodels.run_metrics import DICE_NAME
from db import jobs, runs
from db.models import utc_now
from engine import artifacts as stored

STATUS_EVERY_S = 1.0
RESULTS_EVERY_S = 3.0
TABLE_EVERY_S = 10.0


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


@st.dialog("Delete this run?")
def confirm_deletion(head: viewmodel.RunHead) -> None:
    st.markdown(
        f"The model of **{wording.escaped(head.name)}**, its metrics and its predictions go for good. "
        "Images and labels stay."
    )
    deletion_buttons(lambda: delete(head), "The run is deleted.")


def delete(head: viewmodel.RunHead) -> None:
    with database().writing() as session:
        removed = runs.delete_run(session, head.id)
    remove_files(removed)
    if head.job_id:
        artifacts().delete(stored.job_log_key(head.job_id))
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
    if st.button(label, icon=icon, help=help, type=kind, key=f"run-{label}"):
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


def live_part(head: viewmodel.RunHead, drawn_stage: tuple[str, bool, int]) -> None:
    """Draw status, progress and scores. One small query; the whole page is drawn anew when the stage has changed."""
    with database().reading() as session:
        status = viewmodel.live_status(session, head.id, utc_now(), settings().lost_after_s)
    if status is None or status.stage != drawn_stage:
        st.rerun()
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(badge_text(status.state), width="content")
        if status.sentence:
            st.markdown(wording.escaped(status.sentence), width="stretch")
        else:
            st.space("stretch")
        actions(head, status)
    if status.state in ("running", "stopping"):
        run_results.progress(status)
    with database().reading() as session:
        scores = None if status.live else viewmodel.scores(session, head.id)
    run_results.headline(head, status, scores)


def links(head: viewmodel.RunHead, status: viewmodel.LiveStatus, prediction_set_id: str | None) -> None:
    """Draw what can be done next with the run."""
    with st.container(horizontal=True, vertical_alignment="center"):
        query = {"run": head.id}
        if prediction_set_id:
            st.page_link("views/gallery.py", label="Gallery", icon=":material/grid_view:", query_params=query)
        st.page_link("views/compare.py", label="Compare", icon=":material/compare:", query_params={"runs": head.id})
        if status.has_model:
            st.page_link(
                "views/predict.py", label="Predict new images", icon=":material/image_search:", query_params=query
            )
        st.page_link(
            "views/train.py",
            label="Duplicate as new",
            icon=":material/content_copy:",
            query_params={"from": head.id},
            help="Opens the Train page with the settings of this run.",
        )
        if status.has_model:
            downloads(run_id=head.id, prediction_set_id=prediction_set_id)
        blocked = None if status.can_delete else "Stop it first."
        if st.button(
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
    every_s = STATUS_EVERY_S if status.live else None
    st.fragment(live_part, run_every=every_s)(head, status.stage)
    links(head, status, prediction_set_id)
    results_every_s = RESULTS_EVERY_S if status.state in ("running", "stopping") else None
    st.fragment(run_results.results, run_every=results_every_s)(head)
    rounds_section(head)
    run_results.configuration(head)
    st.fragment(run_results.log, run_every=results_every_s)(head)


st.title("Runs")
st.caption("Every training: how far it is, how it went, and why it ended. Choose one in the table.")

with database().reading() as session:
    known = runs.listing(session)
    working = any(job.payload.get("run") for job in jobs.active(session))
    head = viewmodel.run_head(session, st.query_params.get("run"))
if not known:
    empty_state(
        "No run yet",
        "A run is one training of a network. Start one on the Train page; it shows up here at once.",
        button="Train a network",
        page="views/train.py",
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
