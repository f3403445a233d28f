"""A second network beside the first: choosing it, asking it to predict the same images, and following that."""

from __future__ import annotations

import streamlit as st

from dashboard.access import rights
from dashboard.facts import wording
from dashboard.facts.jobs import JobView
from dashboard.server import resources
from dashboard.ui.job_panel import job_panel
from dashboard.views.predict import facts as vm
from dashboard.views.predict.facts import Rival, SetView
from dashboard.views.predict.warm_worker import start_prediction
from db import datasets, submissions
from db.models import utc_now

HANDFUL = 50


def choose_rival(view: SetView) -> Rival | None:
    """Draw the choice of a second network in a row of controls; return it once it was asked for these images."""
    with resources.database().reading() as session:
        rivals = {rival.run_id: rival for rival in vm.rivals(session, view)}
    if not rivals:
        return None
    asked = st.query_params.get("against")
    key = f"against-{view.id}"
    run_id = st.selectbox(
        "Compare with",
        list(rivals),
        index=list(rivals).index(asked) if asked in rivals else None,
        format_func=lambda id_: rivals[id_].name + ("" if rivals[id_].set_id else " (has not predicted these)"),
        placeholder="Another network",
        key=key,
        on_change=lambda: _put_against(st.session_state[key]),
        width=200,
        help="Shows the masks of two networks on the same images, and where they differ.",
    )
    if run_id is None:
        return None
    if rivals[run_id].set_id is None:
        if rights.button("Predict with it", icon=":material/play_arrow:", key="predict-rival"):
            _predict_with(view, run_id)
        return None
    return rivals[run_id]


def _put_against(run_id: str | None) -> None:
    if run_id is None:
        st.query_params.pop("against", None)
    else:
        st.query_params["against"] = run_id


def _predict_with(view: SetView, run_id: str) -> None:
    try:
        with resources.database().writing() as session:
            datasets.refuse_if_busy(session, view.dataset_id)
            _, job = submissions.submit_predict(session, run_id, view.dataset_id, view.flips, refine=view.refine)
    except (submissions.NotReady, datasets.InUse) as error:
        st.error(wording.escaped(str(error)))
        return
    start_prediction(job.id)
    st.rerun()


def follow_rival(view: SetView, rival: Rival) -> None:
    """Draw the job of a second network while it predicts, unless it is the first one's job too."""
    with resources.database().reading() as session:
        found = vm.set_view(session, rival.set_id, utc_now(), resources.settings().lost_after_s)
    if found is None or found.job is None or (view.job is not None and view.job.id == found.job.id):
        return
    follow_prediction(found, f"Predicting with {wording.escaped(rival.name)}")


def follow_prediction(view: SetView, what: str) -> None:
    """Draw the job of a set of predictions while it is at work, or where it ended other than well."""
    job_panel(
        lambda: _job_now(view.id),
        key=f"job-{view.id}",
        what=what,
        kept="What has been predicted is kept.",
        poll_s=poll_s(view),
    )


def poll_s(view: SetView) -> float:
    """Return the seconds between two looks at a prediction: a handful of images is over in about one."""
    return 0.25 if view.images <= HANDFUL else 1.0


def _job_now(set_id: str) -> JobView | None:
    with resources.database().reading() as session:
        return vm.job_of(session, set_id, utc_now(), resources.settings().lost_after_s)
