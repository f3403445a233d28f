"""The button to what should be corrected next, the same wherever masks of a dataset are shown."""

from __future__ import annotations

import streamlit as st

from dashboard.access import rights
from dashboard.facts.correction_queue import Place, place_in_queue
from dashboard.facts.wording import duration, escaped, time_left
from dashboard.server import resources
from db import corrections
from db.actors import Role
from db.correction_queue import Masks

PATIENCE_S = 0.5
POLL_S = 0.5
HELP = "Opens the images that teach most, one after the other: those in doubt, and those unlike what was corrected."


def correct_next(dataset_id: str, masks: Masks, key: str) -> str | None:
    """Draw the button, or the progress of finding what is next; return the id of the image to open, if any.

    Only for visitors who may change something. The queue is computed when it is asked for: it reads every mask.
    """
    if not rights.may(Role.EDITOR):
        return None
    queues = resources.correction_queues()
    asked = st.session_state.get(f"{key}-asked", False)
    state = queues.ask(dataset_id, masks, PATIENCE_S) if asked else None
    if state and state.busy:
        _progress(dataset_id, masks)
        return None
    st.button(
        "Correct next",
        icon=":material/ink_highlighter:",
        key=key,
        help=HELP,
        on_click=lambda: st.session_state.update({f"{key}-asked": True}),
    )
    if state is None:
        return None
    st.session_state[f"{key}-asked"] = False
    if state.error:
        st.toast(escaped(state.error), icon=":material/error:")
    elif not state.suggestions:
        st.toast("Every image with a mask is finished: nothing is left to correct.", icon=":material/task_alt:")
    return state.suggestions[0].image_id if state.suggestions else None


@st.fragment(run_every=POLL_S)
def _progress(dataset_id: str, masks: Masks) -> None:
    state = resources.correction_queues().ask(dataset_id, masks)
    if not state.busy:
        st.rerun()
    share = state.seen / state.total if state.total else 0.0
    left_s = time_left(state.seen, state.total, state.elapsed_s)
    left = "" if left_s is None else f", {duration(left_s)} left"
    st.progress(share, f"Choosing what is next … {share:.0%}{left}", width=300)


def place_of(dataset_id: str, masks: Masks, image_id: str) -> Place | None:
    """Return where an image is in the queue as it was last asked for; None while there is none, after a restart."""
    queues = resources.correction_queues()
    queue = queues.latest(masks)
    if queue is None:
        state = queues.ask(dataset_id, masks, PATIENCE_S)
        queue = None if state.busy else state.suggestions
    if queue is None:
        return None
    with resources.database().reading() as session:
        return place_in_queue(queue, corrections.finished_images(session, dataset_id), image_id)
