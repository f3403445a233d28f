"""The tab *Leave out* of a dataset: a region of all its images that is neither labelled, learned from nor scored."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import streamlit as st

from dashboard.access import rights
from dashboard.facts import urls
from dashboard.facts.corrections import DrawnClasses
from dashboard.facts.datasets import DatasetView
from dashboard.facts.wording import ago, count, duration, escaped, time_left
from dashboard.server import resources
from dashboard.ui import palette
from dashboard.ui.step_buttons import step_buttons
from dashboard.ui.viewer import Brush, Pane, viewer
from dashboard.views.datasets.left_out_facts import LeftOutView, left_out_view
from db import left_out as rows
from db.actors import Role
from db.columns import utc_now
from db.models import Image, LeftOutRegion
from engine.datasets import left_out
from engine.imaging.codec import decode_png, resize_mask
from engine.imaging.constant_region import TooFewImages
from engine.store import keys as stored

WHAT = (
    "A frame, a time stamp, a scale bar or the black corners of an endoscope are the same in all images. What you "
    "leave out is never foreground, no network learns from it, and no score counts it."
)
PATIENCE_S = 1.0
PREVIEW_PX = 600
MOST_NAMED = 4
NO_CLASSES = DrawnClasses((), ())


def leave_out_tab(view: DatasetView) -> None:
    """Draw the tab."""
    if not view.images:
        st.info("There is nothing to leave out yet: the dataset has no images.")
        return
    with resources.database().reading() as session:
        here = left_out_view(session, view.id)
    st.caption(WHAT)
    found = st.session_state.get(_proposal(view.id))
    may, finds = rights.may(Role.EDITOR), False
    with st.container(horizontal=True, vertical_alignment="center"):
        draws = may and found is None and st.toggle("Draw", key=f"leave-out-draw-{view.id}")
        if may and found is None and not draws:
            finds = _change_buttons(view, here)
    if finds:
        _find(view, here)
    if found is None:
        st.markdown(_state(here))
        _picture(view, here, draws)
    else:
        _decide(view, here, found)
    _made_before(here)


def _proposal(dataset_id: str) -> str:
    return f"leave-out-found-{dataset_id}"


def _change_buttons(view: DatasetView, here: LeftOutView) -> bool:
    """Draw what changes the region without drawing; return whether it is to be found."""
    find_help = f"Compares {count(len(here.images), 'image')} and proposes what is the same in all of them."
    finds = st.button("Find", icon=":material/frame_inspect:", key="leave-out-find", help=find_help)
    if here.region_id and st.button("Clear", icon=":material/layers_clear:", key="leave-out-clear"):
        _change(lambda session: rows.clear(session, view.id, here.revision), "Nothing is left out any more.")
    if here.can_undo and st.button(
        "Undo", icon=":material/undo:", key="leave-out-undo", help="Take the newest change back."
    ):
        _change(lambda session: rows.withdraw(session, view.id, here.revision), "The newest change is taken back.")
    return finds


def _change(work: Any, done: str) -> None:
    try:
        with resources.database().writing() as session:
            work(session)
    except (rows.StaleRegion, rows.NothingLeftOut) as error:
        st.error(escaped(str(error)), icon=":material/error:")
        return
    st.toast(done)
    st.rerun()


def _find(view: DatasetView, here: LeftOutView) -> None:
    message, began = st.empty(), time.monotonic()

    def seen(done: int, total: int) -> None:
        elapsed_s = time.monotonic() - began
        if elapsed_s > PATIENCE_S:
            left_s = time_left(done, total, elapsed_s)
            left = "" if left_s is None else f" · about {duration(left_s)} left"
            message.progress(done / total, text=f"Comparing {done:,} of {count(total, 'image')}{left}")

    try:
        region = left_out.find(resources.artifacts(), here.images, seen)
    except TooFewImages as error:
        st.info(f"{error} Draw the region instead.")
        return
    finally:
        message.empty()
    if region is None:
        st.info(
            f"Nothing is the same in all of the {count(len(here.images), 'image')} compared. If there is a region to "
            "leave out, draw it."
        )
        return
    st.session_state[_proposal(view.id)] = region
    st.rerun()


def _decide(view: DatasetView, here: LeftOutView, region: np.ndarray) -> None:
    """Show what was found, to be accepted or not."""
    st.markdown(f"**Found:** {region.mean():.1%} of each image is the same in all {len(here.images)} images compared.")
    with st.container(horizontal=True):
        if st.button("Leave this out", type="primary", icon=":material/check:", key="leave-out-accept"):
            _accept(view, here, region)
        if st.button("Discard", key="leave-out-discard"):
            del st.session_state[_proposal(view.id)]
            st.rerun()
    image = _shown(view, here)
    pixels = decode_png(resources.artifacts().read(stored.image_key(view.id, image.id))).astype(np.float32)
    inside = resize_mask(region, pixels.shape[:2])
    colour = np.array([int(palette.MASK[start : start + 2], 16) for start in (1, 3, 5)], np.float32)
    pixels[inside] = (pixels[inside] + colour) / 2
    st.image(pixels.astype(np.uint8), width=PREVIEW_PX)


def _accept(view: DatasetView, here: LeftOutView, region: np.ndarray) -> None:
    def commit(values: dict[str, Any]) -> LeftOutRegion:
        with resources.database().writing() as session:
            return rows.add(session, view.id, here.revision, values)

    del st.session_state[_proposal(view.id)]
    try:
        left_out.store(resources.artifacts(), commit, view.id, region, "found")
    except rows.StaleRegion as error:
        st.error(escaped(str(error)), icon=":material/error:")
        return
    st.rerun()


def _picture(view: DatasetView, here: LeftOutView, draws: bool) -> None:
    # One image at a time is drawn on: what is not stored yet would come after what the next one begins from
    image = _shown(view, here, steps=not draws)
    size_px = image.width, image.height
    mask = urls.left_out(view.id, here.region_id, size_px) if here.region_id and not draws else None
    brush = Brush(view.id, image.id, NO_CLASSES, tells=True, leaves_out=True) if draws else None
    pane = Pane("Left out" if here.region_id else "Nothing is left out", urls.image(view.id, image.id), mask=mask)
    viewer([pane], key=f"leave-out-{view.id}", full_px=size_px, brush=brush)


def _shown(view: DatasetView, here: LeftOutView, steps: bool = True) -> Image:
    """Draw the steps from image to image, and return the one to show."""
    opened = f"leave-out-image-{view.id}"
    at = next((at for at, image in enumerate(here.images) if image.id == st.session_state.get(opened)), 0)
    neighbours = [None, *(image.id for image in here.images), None]
    with st.container(horizontal=True, vertical_alignment="center"):
        if steps:
            step_buttons(opened, neighbours[at], neighbours[at + 2])
        st.caption(escaped(here.images[at].name), width="content")
    return here.images[at]


def _state(here: LeftOutView) -> str:
    if not here.region_id:
        return "Nothing is left out."
    stretched = f" It is stretched to the {count(here.others, 'image')} of another size." if here.others else ""
    return (
        f"**{here.share:.1%} of each image is left out**, {here.how} by {escaped(here.who)}, {ago(here.at, utc_now())}."
        f"{stretched}"
    )


def _made_before(here: LeftOutView) -> None:
    parts = []
    for names, noun in ((here.label_sets_before, "mask set"), (here.runs_before, "run")):
        if names:
            shown = ", ".join(escaped(name) for name in names[:MOST_NAMED])
            more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
            parts.append(f"{count(len(names), noun)} ({shown}{more})")
    if parts:
        st.info(
            f"Made with another region than this: {' and '.join(parts)}. They keep what they were made with, and so do "
            "their scores. Label and train again to compare fairly.",
            icon=":material/history:",
        )
