"""Badges of job states, progress bars, and the empty state of a page."""

from __future__ import annotations

import streamlit as st

from dashboard.facts import wording
from dashboard.facts.jobs import JobView
from engine.work.progress_words import progress_count

_BADGES = {
    "queued": ("gray", ":material/schedule:", "Queued"),
    "running": ("blue", ":material/progress_activity:", "Running"),
    "stopping": ("orange", ":material/stop_circle:", "Stopping"),
    "finished": ("green", ":material/check_circle:", "Finished"),
    "stopped": ("orange", ":material/stop_circle:", "Stopped"),
    "failed": ("red", ":material/error:", "Failed"),
    "lost": ("red", ":material/link_off:", "Lost"),
}


def badge_text(status: str) -> str:
    """Return the badge of a job's state as Markdown: queued, running, stopping, finished, stopped, failed or lost."""
    colour, icon, word = _BADGES.get(status, ("gray", ":material/help:", status.capitalize()))
    return f":{colour}-badge[{icon} {word}]"


def doubt(words: str) -> None:
    """Show why masks should be looked at, if there are `words`."""
    if words:
        st.warning(words, icon=":material/visibility:")


def progress(job: JobView, text: str | None = None) -> None:
    """Show a progress bar with what the job is doing, how much is done and the time left.

    Args:
        text: replaces the job's own words.
    """
    done, total = job.progress.done, job.progress.total
    share = min(max(done / total, 0.0), 1.0) if total > 0 else 0.0
    parts = [wording.escaped(job.text if text is None else text), progress_count(job.progress)]
    left_s = job.left_s
    if left_s is None:
        left_s = wording.time_left(done, total, job.elapsed_s or 0.0)
    if left_s is not None and done < total:
        parts.append(f"{wording.duration(left_s)} left")
    st.progress(share, text=" · ".join(filter(None, parts)) or None)


def empty_state(
    title: str, what_next: str, *, button: str | None = None, page: str | None = None, icon: str = ":material/inbox:"
) -> None:
    """Draw a message that there is nothing yet, what to do, and a button to the page for it.

    Args:
        page: a file under dashboard/, such as "views/datasets/page.py".
    """
    with st.container(border=True, horizontal_alignment="center", gap="small"):
        st.space("small")
        st.markdown(f"### {icon} {title}", width="content", text_alignment="center")
        st.markdown(what_next, width="content", text_alignment="center")
        if button and page and st.button(button, type="primary", key=f"empty-{page}-{title}"):
            st.switch_page(page, query_params={})  # None would refuse while a widget is bound to the URL
        st.space("small")
