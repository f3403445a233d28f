"""What the chosen settings mean before they cost anything: size and memory at once, minutes and rates by measuring.

A measurement is a job like any other: it goes on when the page is closed, and its result is found again by settings
and dataset.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import streamlit as st

from dashboard.access import rights
from dashboard.facts import wording
from dashboard.facts.cost import Cost
from dashboard.facts.jobs import JobView, job_view
from dashboard.server import resources
from dashboard.ui import charts
from dashboard.ui.job_panel import job_panel
from dashboard.views.train import measure_facts as viewmodel
from db import jobs, submissions
from db.models import utc_now
from db.submissions import NotReady
from engine.core.run_config import RunConfig
from engine.training.workload import Workload

KEPT = "What was measured so far is kept."
RATES = "rate-range"


@dataclass(frozen=True)
class Subject:
    """What is measured. `blocked`: nothing can be learned from yet."""

    dataset_id: str
    label_set_id: str | None
    config: RunConfig
    blocked: bool


def cost(shown: Cost) -> None:
    """Say how large the network is and what it needs, with its layers for those who want to see them."""
    st.caption(shown.sentence)
    if shown.note:
        st.caption(shown.note)
    if shown.warning:
        st.warning(shown.warning, icon=":material/memory:")
    if shown.problem:
        st.error(shown.problem, icon=":material/error:")
    with st.expander("Layers", icon=":material/layers:"):
        st.dataframe(
            shown.layers,
            hide_index=True,
            height=320,
            column_config={
                "layer": st.column_config.TextColumn("Layer", width=95),
                "kind": st.column_config.TextColumn("Does", width=150),
                "output": st.column_config.TextColumn("Output", width=95, help="Height × width × channels."),
                "parameters": st.column_config.NumberColumn("Parameters", width=85, format="localized"),
                "megaflops": st.column_config.NumberColumn(
                    "MFLOPs", width=65, format="%.1f", help="Million floating-point operations for one image, forward."
                ),
            },
        )


def trial(subject: Subject, work: Workload) -> None:
    """Show what two batches told about the time of a run, and a button to try them."""
    now = utc_now()
    with resources.database().reading() as session:
        found = viewmodel.trial(session, subject.dataset_id, subject.config, now, resources.settings().lost_after_s)
    if found.result is not None:
        if found.stale:
            st.warning(f"{found.stale} Try again to know what these take.", icon=":material/history:")
        st.markdown(("About then: " if found.stale else "") + viewmodel.trial_sentence(found.result, work))
        st.caption(viewmodel.trial_details(found.result, found.made_at, now))
    else:
        st.caption("How long it will take depends on this machine: two batches tell, in about half a minute.")
    _ask(subject, "trial", "Try two batches", ":material/timer:", found)
    _follow(found, "trial", "Trying two batches")


def rate_range(subject: Subject, field_key: str) -> None:
    """Offer the learning-rate range test.

    Args:
        field_key: the state of the form's learning rate, which the suggestion can be put into.
    """
    now = utc_now()
    with resources.database().reading() as session:
        found = viewmodel.rate_range(
            session,
            subject.dataset_id,
            subject.label_set_id,
            subject.config,
            now,
            resources.settings().lost_after_s,
        )
    busy = found.job is not None and found.job.at_work
    with st.expander("Find a learning rate", icon=":material/trending_down:", expanded=busy, key=RATES):
        st.caption(
            "Trains a fresh network for up to 90 batches while the learning rate rises from 1e-6 to 1, and draws the "
            "loss. Only the curve is kept."
        )
        if found.result is not None:
            if found.stale:
                st.warning(found.stale, icon=":material/history:")
            result = found.result
            charts.rate_range(
                result["rates"],
                result["losses"],
                result["raw_losses"],
                key="rates",
                suggestion=result["suggestion"],
            )
            st.markdown(viewmodel.rate_sentence(result))
        with st.container(horizontal=True):
            if found.result is not None and found.result["suggestion"] is not None:
                _use(found.result["suggestion"], field_key)
            _ask(subject, "rate_range", "Test learning rates", ":material/search:", found)
        _follow(found, "rate_range", "Testing learning rates")


def _use(rate: float, field_key: str) -> None:
    def put_in() -> None:
        st.session_state[field_key] = rate

    same = st.session_state.get(field_key) == rate
    st.button(
        f"Use {viewmodel.rate_text(rate)}",
        icon=":material/check:",
        on_click=put_in,
        disabled=same,
        help="It is the learning rate already." if same else "Put it into the settings.",
        key=f"{RATES}-use",
    )


def _ask(
    subject: Subject, what: Literal["trial", "rate_range"], label: str, icon: str, found: viewmodel.Measured
) -> None:
    """Draw the button that starts a measurement."""
    busy = found.job is not None and found.job.at_work
    if not rights.button(label, icon=icon, key=f"measure-{what}", disabled=busy or subject.blocked):
        return
    try:
        with resources.database().writing() as session:
            job = submissions.submit_measure(
                session, subject.dataset_id, subject.label_set_id, subject.config.model_dump(mode="json"), what
            )
    except NotReady as error:
        st.error(wording.escaped(str(error)), icon=":material/error:")
        return
    resources.launcher().submit(job.id)
    st.rerun()


def _follow(found: viewmodel.Measured, what: str, headline: str) -> None:
    """Draw the job that measures, live while it is at work."""
    if found.job is not None:
        job_panel(_reader(found.job.id), key=f"measuring-{what}", what=headline, kept=KEPT)


def _reader(job_id: str) -> Callable[[], JobView | None]:
    def read() -> JobView | None:
        with resources.database().reading() as session:
            return job_view(jobs.find(session, job_id), utc_now(), resources.settings().lost_after_s)

    return read
