"""The images that should be corrected next, one after the other instead of in the gallery's order."""

from __future__ import annotations

import streamlit as st

from dashboard.facts.correction_queue import Place
from dashboard.ui.correct_next import correct_next, place_of
from dashboard.views.gallery.facts import Source
from db.correction_queue import Masks

QUEUE = "queue"


def queue_button(source: Source) -> None:
    """Draw the button that opens the first image of the queue, with the brush on."""
    wanted = correct_next(source.dataset_id, _masks(source), "correct-next")
    if wanted:
        st.session_state["correct"] = True
        st.query_params[QUEUE] = "1"
        st.query_params["image"] = wanted
        st.rerun()


def place_in_address(source: Source, image_id: str) -> Place | None:
    """Return where an image is in the queue, if the URL says that one came by it."""
    return place_of(source.dataset_id, _masks(source), image_id) if QUEUE in st.query_params else None


def close_image() -> str | None:
    """Take the image and the queue out of the URL; return the image's id if there was one."""
    st.query_params.pop(QUEUE, None)
    return st.query_params.pop("image", None)


def _masks(source: Source) -> Masks:
    return Masks(source.label_set_id, source.prediction_set_id)
