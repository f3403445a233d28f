"""A second network to compare with: choosing it, having it predict the same images, and its progress."""

from __future__ import annotations

import streamlit as st

from dashboard.access import rights
from dashboard.facts import wording
from dashboard.facts.jobs import JobView
from dashboard.server import resources
from dashboard.ui.job_panel import job_panel
from dashboard.views.predict import facts
from dashboard.views.predict.facts import SetView
from dashboard.views.predict.start import predict_dataset, start_prediction
from db.columns import utc_now

FEW_IMAGES = 50


def choose_rival(view: SetView) -> SetView | None:
    """Draw the choice of a second network; return its prediction set of the same images, None without one."""
    with resources.database().reading() as session:
        sets = {
            found.run_id: found for found in facts.rivals(session, view, utc_now(), resources.settings().lost_after_s)
        }
        names = {run_id: found.run_name for run_id, found in sets.items()}
        for run in facts.usable_runs(session):
            if run.id != view.run_id:
                names.setdefault(run.id, f"{run.name} (has not predicted these)")
    if not names:
        return None
    key, wanted = f"against-{view.id}", st.query_params.get("against")
    run_id = st.selectbox(
        "Compare with",
        list(names),
        index=list(names).index(wanted) if wanted in names else None,
        format_func=names.__getitem__,
        placeholder="Another network",
        key=key,
        on_change=lambda: _put_into_url(st.session_state[key]),
        width=200,
        help="Shows the masks of two networks on the same images, and where they differ.",
    )
    if run_id is None or run_id in sets:
        return sets.get(run_id or "")
    if rights.button("Predict with it", icon=":material/play_arrow:", key="predict-rival"):
        dataset_id, flips, refine = view.dataset_id, view.flips, view.refine
        if start_prediction(lambda session: predict_dataset(session, run_id, dataset_id, flips, refine)):
            st.rerun()
    return None


def _put_into_url(run_id: str | None) -> None:
    if run_id is None:
        st.query_params.pop("against", "")
    else:
        st.query_params["against"] = run_id


def progress(view: SetView, what: str) -> None:
    """Draw the job of a prediction set while it runs, or if it did not finish."""

    def read() -> JobView | None:
        now = current_set(view.id)
        return now.job if now else None

    job_panel(read, key=f"job-{view.id}", what=what, kept="The masks so far are kept.", poll_s=poll_s(view))


def rival_progress(view: SetView, rival: SetView) -> None:
    """Draw the job of a second network, unless the same job predicts with both."""
    if rival.job is not None and (view.job is None or view.job.id != rival.job.id):
        progress(rival, f"Predicting with {wording.escaped(rival.run_name)}")


def current_set(set_id: str) -> SetView | None:
    with resources.database().reading() as session:
        return facts.set_view(session, set_id, utc_now(), resources.settings().lost_after_s)


def poll_s(view: SetView) -> float:
    """Return the seconds between two polls of a prediction: few images take only about one second."""
    return 0.25 if view.images <= FEW_IMAGES else 1.0
