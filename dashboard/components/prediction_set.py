"""One set of predictions: what made it, how far it is, its masks, what to take home, and a second network beside it."""

from __future__ import annotations

import streamlit as st

from dashboard import resources, urls, wording
from dashboard.components.file_report import file_report
from dashboard.components.job_panel import job_panel
from dashboard.components.prediction_list import PAGE, confirm_deletion
from dashboard.components.prediction_masks import prediction_masks
from dashboard.components.prediction_options import REFINE_WORDS
from dashboard.viewmodels import predict as vm
from dashboard.viewmodels.jobs import JobView
from dashboard.viewmodels.predict import Rival, SetView
from dashboard.viewmodels.predicted import PER_PAGE
from dashboard.warm_worker import start_prediction
from db import datasets, submissions
from db.models import utc_now

HANDFUL = 50
"""Up to so many images the page looks for the end of the job more often than once a second."""
HANDFUL_POLL_S, FILL_POLL_S = 0.25, 1.0


def prediction_set(view: SetView) -> None:
    """Draw the page of one set."""
    if st.button("All predictions", icon=":material/arrow_back:", type="tertiary", key="back"):
        st.switch_page(PAGE, query_params={})
    st.title(wording.escaped(view.dataset_name))
    _origin(view)
    actions = st.container(horizontal=True, vertical_alignment="bottom")
    _follow(view)
    _name_skipped(view)
    masks, files = st.tabs(
        ["Masks", f"Files ({view.skipped} skipped)" if view.skipped else "Files"], key="predict-tabs", on_change="rerun"
    )
    threshold = 0.5
    if masks.open:
        with masks:
            rival = _choose_rival(view) if view.predicted else None
            threshold = prediction_masks(view, rival) if view.predicted else _nothing_yet(view)
    if files.open:
        with files:
            file_report(view.dataset_id, key=f"report-{view.id}")
    with actions:
        _downloads(view, threshold)
        if st.button("Open the run", icon=":material/monitoring:", key="to-run"):
            st.switch_page("views/runs.py", query_params={"run": view.run_id})
        if not view.own and st.button("Delete", icon=":material/delete:", key="delete"):
            confirm_deletion(view.id, view.dataset_name, view.predicted, view.fresh)


def _origin(view: SetView) -> None:
    how = ", averaged over flips" if view.flips else ""
    how += f", refined by {REFINE_WORDS[view.refine]}" if view.refine != "none" else ""
    done = (
        f"{view.predicted:,} of {wording.count(view.images, 'image')} predicted"
        if view.images
        else "No images yet, to be predicted"
    )
    made = wording.ago(view.created_at, utc_now())
    st.caption(f"{done} by *{wording.escaped(view.run_name)}*{how} · {made}")


def _follow(view: SetView) -> None:
    handful = view.images <= HANDFUL
    job_panel(
        lambda: _job_now(view.id),
        key=f"job-{view.id}",
        what="Predicting",
        kept="What has been predicted is kept.",
        poll_s=HANDFUL_POLL_S if handful else FILL_POLL_S,
    )
    if view.job is not None and view.job.at_work and view.predicted < PER_PAGE:
        _fill_page(view, HANDFUL_POLL_S if handful else FILL_POLL_S)


def _fill_page(view: SetView, poll_s: float) -> None:
    """Draw the page anew when further masks are stored, until its first page of them is full."""

    @st.fragment(run_every=poll_s)
    def look() -> None:
        with resources.database().reading() as session:
            predicted = vm.predicted(session, view.id)
        if predicted > view.predicted:
            st.rerun()

    look()


def _job_now(set_id: str) -> JobView | None:
    with resources.database().reading() as session:
        return vm.job_of(session, set_id, utc_now(), resources.settings().lost_after_s)


def _name_skipped(view: SetView) -> None:
    if not (view.fresh and view.skipped):
        return
    with resources.database().reading() as session:
        found = vm.skipped_files(session, view.dataset_id)
    lines = [f"- `{name.replace('`', '')}`: {wording.escaped(reason)}" for name, reason in found]
    if view.skipped > len(found):
        lines.append(f"- and {view.skipped - len(found):,} more, in the tab *Files*")
    st.warning(f"{wording.count(view.skipped, 'file').capitalize()} left out:\n" + "\n".join(lines))


def _nothing_yet(view: SetView) -> float:
    at_work = view.job is not None and view.job.at_work
    st.info("No mask yet. The first ones appear here by themselves." if at_work else "There are no masks.")
    return 0.5


def _downloads(view: SetView, threshold: float) -> None:
    with st.popover("Download", icon=":material/download:", type="primary", disabled=not view.predicted):
        st.caption(f"Masks are white (255) where the probability is at least {threshold:.2f}.")
        everything = urls.prediction_zip(view.id, threshold, probabilities=True)
        st.link_button("Masks (zip of PNG 0/255)", urls.prediction_zip(view.id, threshold), width="stretch")
        st.link_button("Masks, probabilities and uncertainty (zip)", everything, width="stretch")
        st.link_button("Areas and scores (CSV)", urls.prediction_csv(view.id, threshold), width="stretch")
        st.link_button("Model (.keras)", urls.model(view.run_id), width="stretch")


def _choose_rival(view: SetView) -> Rival | None:
    """Let a person choose a second network; return it once it has masks of these images."""
    with resources.database().reading() as session:
        rivals = {rival.run_id: rival for rival in vm.rivals(session, view)}
    if not rivals:
        return None
    asked = st.query_params.get("against")
    key = f"against-{view.id}"
    with st.container(horizontal=True, vertical_alignment="bottom"):
        run_id = st.selectbox(
            "Compare with",
            list(rivals),
            index=list(rivals).index(asked) if asked in rivals else None,
            format_func=lambda id_: rivals[id_].name + ("" if rivals[id_].set_id else " (has not predicted these)"),
            placeholder="Another network",
            key=key,
            on_change=lambda: _put_against(st.session_state[key]),
            width=320,
            help="Shows the masks of two networks on the same images, and where they differ.",
        )
        if run_id is None:
            return None
        if rivals[run_id].set_id is None and st.button("Predict these images with it", key="predict-rival"):
            _predict_with(view, run_id)
    if rivals[run_id].set_id is None:
        return None
    _follow_rival(view, rivals[run_id])
    return rivals[run_id] if rivals[run_id].predicted else None


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


def _follow_rival(view: SetView, rival: Rival) -> None:
    with resources.database().reading() as session:
        found = vm.set_view(session, rival.set_id, utc_now(), resources.settings().lost_after_s)
    same_job = found is not None and found.job is not None and view.job is not None and found.job.id == view.job.id
    if found is not None and not same_job:
        job_panel(
            lambda: _job_now(found.id),
            key=f"job-{found.id}",
            what=f"Predicting with {wording.escaped(rival.name)}",
            kept="What has been predicted is kept.",
            poll_s=HANDFUL_POLL_S if found.images <= HANDFUL else FILL_POLL_S,
        )
