"""What the chosen settings cost: size and memory, computed at once, minutes and learning rates by measuring.

A measurement is a job like any other: it continues when the page is closed, and its result is found again by settings
and dataset.
"""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from dashboard.access import rights
from dashboard.facts import wording
from dashboard.facts.cost import Cost
from dashboard.facts.jobs import JobView, job_view
from dashboard.server import resources
from dashboard.ui import charts
from dashboard.ui.job_panel import job_panel
from dashboard.views.train import measure_facts as facts
from dashboard.views.train.measure_facts import Measured, What
from db import jobs, submissions
from db.columns import utc_now
from db.submissions import NotReady
from engine.core.run_config import RunConfig
from engine.training.workload import Workload


@dataclass(frozen=True)
class Subject:
    """What is measured. `blocked`: there is nothing to train on yet."""

    dataset_id: str
    label_set_id: str | None
    config: RunConfig
    blocked: bool

    def measurement(self, what: What) -> Measured:
        with resources.database().reading() as session:
            return facts.measurement(
                session,
                what,
                self.dataset_id,
                self.label_set_id,
                self.config,
                utc_now(),
                resources.settings().lost_after_s,
            )


def problems(shown: Cost) -> None:
    """Draw what prevents a training, or makes it start from elsewhere than expected."""
    if shown.note:
        st.caption(shown.note)
    if shown.warning:
        st.warning(shown.warning, icon=":material/memory:")
    if shown.problem:
        st.error(shown.problem, icon=":material/error:")


def cost(shown: Cost) -> None:
    """Draw the size of the network and its layers."""
    st.caption(shown.sentence)
    st.dataframe(
        shown.layers,
        hide_index=True,
        height=320,
        column_config={
            "layer": st.column_config.TextColumn("Layer"),
            "kind": st.column_config.TextColumn("Does"),
            "output": st.column_config.TextColumn("Output", help="Height × width × channels."),
            "parameters": st.column_config.NumberColumn("Parameters", format="localized"),
            "megaflops": st.column_config.NumberColumn(
                "MFLOPs", format="%.1f", help="Million floating-point operations for one image, forward."
            ),
        },
    )


def trial(subject: Subject, work: Workload) -> None:
    """Draw how long a run takes by the newest trial, and the button that runs one."""
    found = subject.measurement("trial")
    if found.result is not None:
        if found.stale:
            st.warning(f"{found.stale} Measure again for the current settings.", icon=":material/history:")
        st.markdown(("With those settings: " if found.stale else "") + facts.trial_sentence(found.result, work))
        st.caption(facts.trial_details(found.result, found.created_at, utc_now()))
    else:
        st.caption("Trains on a few batches with these settings, for the time of an epoch and the memory.")
    _measure_button(subject, "trial", "Measure speed (30 s)", ":material/timer:", found)
    _progress(found, "trial", "Measuring speed")


def rate_range(subject: Subject, field_key: str) -> None:
    """Draw the learning-rate range test.

    Args:
        field_key: the state of the form's learning rate, to which a suggestion can be copied.
    """
    found = subject.measurement("rate_range")
    st.caption(
        "Trains a fresh network for up to 90 batches while the learning rate rises from 1e-6 to 1, and draws the loss. "
        "Only the curve is kept."
    )
    suggestion = None
    if found.result is not None:
        if found.stale:
            st.warning(found.stale, icon=":material/history:")
        result, suggestion = found.result, found.result["suggestion"]
        charts.rate_range(result["rates"], result["losses"], result["raw_losses"], key="rates", suggestion=suggestion)
        st.markdown(facts.rate_sentence(result))
    with st.container(horizontal=True):
        if suggestion is not None:
            same = st.session_state.get(field_key) == suggestion
            st.button(
                f"Use {facts.rate_text(suggestion)}",
                icon=":material/check:",
                on_click=lambda: st.session_state.update({field_key: suggestion}),
                disabled=same,
                help="This is the learning rate already." if same else "Copy it to the settings.",
                key="rate-range-use",
            )
        _measure_button(subject, "rate_range", "Test learning rates", ":material/search:", found)
    _progress(found, "rate_range", "Testing learning rates")


def _measure_button(subject: Subject, what: What, label: str, icon: str, found: Measured) -> None:
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


def _progress(found: Measured, what: What, headline: str) -> None:
    """Draw the job of a measurement, live while it runs."""
    if found.job is None:
        return
    job_id = found.job.id

    def read() -> JobView | None:
        with resources.database().reading() as session:
            return job_view(jobs.find(session, job_id), utc_now(), resources.settings().lost_after_s)

    job_panel(read, key=f"measuring-{what}", what=headline, kept="Results so far are kept.")
