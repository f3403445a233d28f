"""What state a thing is in, how far it is, and what to do when there is nothing yet."""

from __future__ import annotations

import re

import streamlit as st

from dashboard.facts import wording
from dashboard.facts.jobs import left_at_pace

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


def progress(done: int, total: int, text: str = "", elapsed_s: float | None = None) -> None:
    """Draw a progress bar with the text, how much is done (unless the text says "3 of 9") and the time left."""
    share = min(max(done / total, 0.0), 1.0) if total > 0 else 0.0
    parts = [wording.escaped(text)] if text else []
    if total > 0 and not re.search(r"\d of \d", text):
        parts.append(f"{done:,} of {total:,}")
    left_s = left_at_pace(done, total, text)
    if left_s is None:
        left_s = wording.time_left(done, total, elapsed_s or 0.0)
    if left_s is not None and done < total:
        parts.append(f"{wording.duration(left_s)} left")
    st.progress(share, text=" · ".join(parts) or None)


def empty_state(
    title: str, what_next: str, *, button: str | None = None, page: str | None = None, icon: str = ":material/inbox:"
) -> None:
    """Say that there is nothing here yet and what to do, with a button to the page where it is done.

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
