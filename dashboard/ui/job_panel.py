"""One job, updated live: its state, progress, time left, and buttons to stop or resume it.

```python
job_panel(lambda: job_of(...), key="import")     # polls while the job is active, then reruns the page once
```
"""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from dashboard.access import rights
from dashboard.facts import wording
from dashboard.facts.jobs import JobView, waiting_words
from dashboard.server import resources
from dashboard.ui import status
from dashboard.ui.bug_report import bug_report
from db import jobs
from db.columns import utc_now
from db.models import JobStatus
from db.workers import Needs
from engine.work.registration import taken_here

POLL_S = 1.0


def job_panel(
    read: Callable[[], JobView | None],
    *,
    key: str,
    what: str,
    kept: str = "What is finished is kept.",
    poll_s: float = POLL_S,
) -> None:
    """Draw a job that is active or did not finish; nothing for a finished one or none.

    Args:
        read: reads the job; called every `poll_s` seconds while it is active.
        what: the task as a headline, such as "Importing images".
        kept: what is kept after stopping, for the button's help.
    """
    first = read()
    if first is None or first.status == "finished":
        return

    @st.fragment(run_every=poll_s if first.at_work else None)
    def live() -> None:
        job = read()
        if first.at_work and (job is None or not job.at_work):
            st.rerun()  # the whole page: images, counts and buttons have changed
        if job is not None:
            _draw(job, key, what, kept)

    live()


def _draw(job: JobView, key: str, what: str, kept: str) -> None:
    with st.container(border=True):
        head, buttons = st.columns([5, 1.4], vertical_alignment="center")
        head.markdown(f"**{what}** {status.badge_text(job.status)}")
        with buttons:
            if job.can_stop and rights.button(
                "Stop", icon=":material/stop:", key=f"{key}-stop", help=kept, width="stretch"
            ):
                stop_job(job.id)
                st.rerun()
            again = "Try again" if job.status == "failed" else "Resume"
            if job.can_retry and rights.button(again, icon=":material/replay:", key=f"{key}-retry", width="stretch"):
                retry_job(job.id)
                st.rerun()
        if job.status == "queued":
            waiting(job)
        elif job.status in ("running", "stopping"):
            status.progress(job, job.text or "Starting")
        elif job.status == "lost":
            st.warning("Its worker does not respond: it crashed or the machine was asleep. Press *Resume* to continue.")
        elif job.status == "stopped":
            done, total = job.progress.done, job.progress.total
            at = f" after {done:,} of {total:,}" if total else ""
            st.info(wording.escaped(job.error) or f"Stopped by a person{at}. {kept}")
        elif job.status == "failed":
            st.error(wording.escaped(job.error or "It failed without a message. The job's log has the details."))
            bug_report(job.id, key=key)
        if job.elapsed_s is not None and job.status in ("running", "stopping"):
            st.caption(f"Running for {wording.duration(job.elapsed_s)}.")


def waiting(job: JobView) -> None:
    """Draw what a queued job waits for."""
    with resources.database().reading() as session:
        st.caption(wording.escaped(waiting_words(session, job.needs)))


def stop_job(job_id: str) -> None:
    """Ask a job to stop."""
    with resources.database().writing() as session:
        jobs.request_stop(session, job_id)


def retry_job(job_id: str) -> None:
    """Put a failed, stopped or lost job back into the queue and start a worker for it."""
    with resources.database().writing() as session:
        job = jobs.find(session, job_id)
        if job is not None and job.status == JobStatus.RUNNING:
            jobs.requeue_lost(session, utc_now(), resources.settings().lost_after_s, job_id)
        else:
            jobs.requeue(session, job_id)
    if job is None or taken_here(resources.settings(), Needs.of(job)):
        resources.launcher().submit(job_id)
