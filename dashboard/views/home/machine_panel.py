"""The machine at the foot of the home page: what is left of it, and what it is doing."""

from __future__ import annotations

import streamlit as st

from dashboard.facts import wording
from dashboard.server import resources
from dashboard.views.home import machine_facts as viewmodel
from db.models import utc_now

POLL_S = 10.0
COUNTING_S = 1.0


def read() -> viewmodel.Machine:
    with resources.database().reading() as session:
        return viewmodel.machine(session, resources.settings(), resources.disk_watch().latest(), utc_now())


def warning(now: viewmodel.Machine) -> None:
    """Say in a sentence that the disk is nearly full."""
    if now.warning:
        st.warning(now.warning, icon=":material/hard_drive:")


def panel(first: viewmodel.Machine) -> None:
    """Draw disk, memory, queue and workers, and ask again now and then."""
    st.subheader("This machine")
    st.fragment(_draw, run_every=COUNTING_S if first.use is None else POLL_S)(first.use is None)


def _draw(was_counting: bool) -> None:
    now = read()
    if was_counting and now.use is not None:
        st.rerun()  # from here on it is asked less often
    disk, memory, queue, workers = st.columns(4)
    disk.metric("Disk free", wording.size(now.free_bytes), help=f"Of {wording.size(now.disk_bytes)}. {now.used}")
    total = f"Of {wording.size(now.memory_bytes)}. What a new job could take at this moment."
    memory.metric("Memory free", wording.size(now.free_memory_bytes), help=total)
    queue.metric("Jobs waiting", f"{now.waiting:,}", help="They start by themselves, in order, when a worker is free.")
    most = wording.count(now.most_workers, "job")
    workers.metric(
        "Workers alive",
        f"{now.running} of {now.most_workers}",
        help=f"At most {most} run at the same time (MAX_WORKERS), on {wording.count(now.cores, 'processor core')}.",
    )
    if now.lost:
        st.warning(
            f"{wording.count(now.lost, 'job has', 'jobs have')} lost the worker. Open the job and put it back in the "
            "queue."
        )
    st.caption(now.used)
    st.caption(now.versions)
