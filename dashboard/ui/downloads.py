"""The button Download: files that are sent directly, and formats that a job prepares first.

```python
downloads(threshold=0.5, prediction_set_id=set_id, run_id=run_id, masks=48)
```
"""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from dashboard.access import rights
from dashboard.facts import urls
from dashboard.facts.downloads import Offer, offers
from dashboard.facts.jobs import JobView
from dashboard.facts.urls import MaskOwner
from dashboard.facts.wording import count, escaped, size
from dashboard.server import resources
from dashboard.ui import status
from dashboard.ui.job_panel import retry_job, stop_job, waiting
from db import predictions
from db.actors import Role
from db.columns import utc_now
from db.models import LabelSet
from db.submissions import NotReady, submit_export
from engine.exports.base import Owner

POLL_S = 1.0
WIDTH_PX = 560
WIDE_PX = 700
"""For a list so long that its sentences have to fit on one line."""

COLUMNS = (5, 2.4)


@dataclass(frozen=True)
class _Masks:
    """The masks of a prediction set or a mask set. `count` is None where the page does not know it."""

    owner: MaskOwner
    owner_id: str
    count: int | None
    unsure: bool


def downloads(
    *,
    threshold: float = 0.5,
    prediction_set_id: str | None = None,
    label_set_id: str | None = None,
    run_id: str | None = None,
    measurement_id: str | None = None,
    masks: int | None = None,
    unsure: bool = False,
    label: str = "Download",
) -> None:
    """Draw the button that opens the list. The list is read only while it is open, and is a fragment.

    Args:
        threshold: of the masks, as on the page.
        prediction_set_id: the set whose masks are offered, or `label_set_id`.
        masks: the number of masks, if known; with 0 only the run is offered.
        run_id: the run whose model and report are offered.
        measurement_id: the measurement whose objects are offered.
        unsure: whether there are maps of uncertainty.
        label: of the button.
    """
    of: _Masks | None = None
    if masks != 0 and prediction_set_id:
        of = _Masks("prediction_set", prediction_set_id, masks, unsure)
    elif masks != 0 and label_set_id:
        of = _Masks("label_set", label_set_id, masks, unsure)
    st.fragment(_button)(of, run_id, measurement_id, threshold, label)


def download_masks(prediction_set_id: str, threshold: float) -> None:
    """Draw the primary button that downloads the masks of a prediction set as a zip, with one click."""
    classes = _classes("prediction_set", prediction_set_id)
    st.link_button(
        "Download masks",
        urls.masks_zip("prediction_set", prediction_set_id, threshold),
        icon=":material/download:",
        type="primary",
        help=f"A zip of PNG files with the names of the images, at threshold {threshold:.2f}: "
        + (f"0 background and 1 to {classes} the classes." if classes else "0 background and 255 foreground."),
    )


def _button(masks: _Masks | None, run_id: str | None, measurement_id: str | None, threshold: float, label: str) -> None:
    owner_id = masks.owner_id if masks else run_id or measurement_id
    box = st.popover(
        label,
        icon=":material/download:",
        disabled=owner_id is None,
        help=None if owner_id else "There is nothing to download yet.",
        key=f"downloads-{owner_id}",
        on_change="rerun",
    )
    if not box.open or owner_id is None:
        return
    with box, st.container(width=WIDE_PX if measurement_id else WIDTH_PX, gap="xsmall" if measurement_id else "small"):
        if measurement_id:
            left, right = st.columns(COLUMNS, vertical_alignment="center")
            left.caption("Of all objects: a filter on the page is not applied.")
            with right:
                _prepare_all("measurement", measurement_id, threshold)
            _prepared("measurement", measurement_id, threshold)
            return
        names = (["Masks", "Annotations"] if masks else []) + (["Run and model"] if run_id else [])
        tabs = dict(zip(names, st.tabs(names), strict=True))
        if masks:
            with tabs["Masks"]:
                _mask_lines(masks, threshold)
            with tabs["Annotations"]:
                words = "Masks at threshold" if masks.owner == "prediction_set" else "Pseudo-labels at threshold"
                st.caption(f"{words} {threshold:.2f}. Duplicate images are skipped.")
                _prepared(masks.owner, masks.owner_id, threshold)
        if run_id:
            with tabs["Run and model"]:
                _line("Model file (.keras)", "Model", "As stored by the run, best epoch.", urls.model(run_id))
                _line("Curves (CSV)", "Curves", "One line for each epoch.", urls.metrics_csv(run_id))
                _prepared("run", run_id, threshold)


def _mask_lines(masks: _Masks, threshold: float) -> None:
    of = "" if masks.count is None else f"Of all {count(masks.count, 'image')}. "
    as_predicted = " As predicted: *Measure* also counts what was corrected." if masks.owner == "prediction_set" else ""
    st.caption(f"{of}At threshold {threshold:.2f}.{as_predicted}")
    owner, owner_id = masks.owner, masks.owner_id
    whole = urls.masks_zip(owner, owner_id, threshold)
    classes = _classes(owner, owner_id)
    if classes:
        values = f"PNG, 0 background and 1 to {classes} the classes, which look black in a viewer; names and a table."
        _line("Class maps (zip)", "Class maps", values, whole)
        coloured = urls.masks_zip(owner, owner_id, threshold, kind="palette")
        _line(
            "Class maps in colour (zip)", "In colour", "The same values with a palette of the class colours.", coloured
        )
    else:
        _line("Masks (zip)", "Masks", "PNG, 0 background and 255 foreground, and a table.", whole)
        numbers = urls.masks_zip(owner, owner_id, threshold, kind="classes")
        _line("Class maps (zip)", "Class maps", "PNG with values 0/1, which look black in a viewer.", numbers)
    cutouts = urls.masks_zip(owner, owner_id, threshold, kind="cutouts")
    _line("Cut-outs (zip)", "Cut-outs", "The image, transparent outside of the mask (PNG).", cutouts)
    more = "Probabilities and uncertainty" if masks.unsure else "Probabilities"
    everything = urls.masks_zip(owner, owner_id, threshold, probabilities=True)
    _line(f"Masks and {more.lower()} (zip)", "Masks and maps", f"{more} are 8 bit: 255 is 1.", everything)
    table = urls.scores_csv(owner, owner_id, threshold)
    _line("Areas and scores (CSV)", "Table", "One line for each image; every score names its reference.", table)


def _classes(owner: MaskOwner, owner_id: str) -> int:
    """Return how many classes the masks tell apart; 0 if they are foreground alone."""
    with resources.database().reading() as session:
        if owner == "label_set":
            return len(session.get_one(LabelSet, owner_id).classes[1:])
        return len(predictions.class_names(session, owner_id)[1:])


def _line(title: str, short: str, sentence: str, address: str) -> None:
    words, button = st.columns(COLUMNS, vertical_alignment="center")
    words.markdown(f"**{title}**  \n:small[{sentence}]")
    button.link_button(short, address, icon=":material/download:", width="stretch")


def _prepared(owner: Owner, owner_id: str, threshold: float) -> None:
    for offer in _read(owner, owner_id, threshold):
        if offer.job is not None and offer.job.at_work:
            st.fragment(_follow, run_every=POLL_S)(owner, owner_id, threshold, offer.format.name)
        else:
            _offer(offer, owner, owner_id, threshold)


def _prepare_all(owner: Owner, owner_id: str, threshold: float) -> None:
    """Draw the button that prepares every format that is neither ready nor in the making."""
    rest = [
        offer.format
        for offer in _read(owner, owner_id, threshold)
        if not (offer.job and offer.job.at_work) and (offer.bytes is None or offer.out_of_date)
    ]

    def prepare() -> None:
        for what in rest:
            _prepare(owner, owner_id, what.name, threshold if what.thresholded else None)

    if len(rest) > 1:
        st.button("Prepare all", key=f"prepare-all-{owner}", on_click=prepare, width="stretch")


def _read(owner: Owner, owner_id: str, threshold: float) -> tuple[Offer, ...]:
    with resources.database().reading() as session:
        return offers(session, owner, owner_id, threshold, utc_now(), resources.settings().lost_after_s)


def _follow(owner: Owner, owner_id: str, threshold: float, what: str) -> None:
    """Draw a format whose job is active; rerun the page when it ends."""
    offer = next(offer for offer in _read(owner, owner_id, threshold) if offer.format.name == what)
    if offer.job is None or not offer.job.at_work:
        st.rerun()
    words, button = st.columns(COLUMNS, vertical_alignment="center")
    words.markdown(_words(offer))
    with button:
        _steer(offer.job)
    _state(offer)


def _offer(offer: Offer, owner: Owner, owner_id: str, threshold: float) -> None:
    words, buttons = st.columns(COLUMNS, vertical_alignment="center")
    words.markdown(_words(offer))
    with buttons:
        ready = offer.job is not None and offer.bytes is not None
        if offer.job is not None and offer.bytes is not None:
            address = urls.prepared(offer.job.id)
            st.link_button(f"Download ({size(offer.bytes)})", address, icon=":material/download:", width="stretch")
        if not ready or offer.out_of_date:
            word, what = "Prepare again" if ready else "Prepare", offer.format
            ask = (owner, owner_id, what.name, threshold if what.thresholded else None)
            st.button(word, key=f"prepare-{owner}-{what.name}", on_click=_prepare, args=ask, width="stretch")
    _state(offer)


def _words(offer: Offer) -> str:
    return f"**{offer.format.title}**  \n:small[{offer.format.sentence}]"


def _steer(job: JobView) -> None:
    act, word, icon = (retry_job, "Resume", ":material/replay:") if job.status == "lost" else (stop_job, "Stop", None)
    stopping = job.status == "stopping"
    rights.button(
        word, icon=icon, key=f"{word}-{job.id}", on_click=act, args=(job.id,), disabled=stopping, width="stretch"
    )


def _state(offer: Offer) -> None:
    """Draw the state of the job, or why its file is outdated."""
    job = offer.job
    if job is None:
        return
    if job.status == "queued":
        waiting(job)
    elif job.status in ("running", "stopping"):
        status.progress(job, job.text or "Starting")
    elif job.status == "lost":
        st.warning("Its worker does not respond. Press *Resume* to try again.")
    elif job.status == "failed":
        st.error(escaped(job.error or "It failed without a message. The job's log has the details."))
    elif offer.out_of_date:
        st.caption(f":orange[:material/history: {offer.out_of_date}]")


def _prepare(owner: Owner, owner_id: str, what: str, threshold: float | None) -> None:
    try:
        with resources.database().writing(Role.VIEWER) as session:  # a download changes nothing
            job = submit_export(session, owner, owner_id, what, threshold)
    except NotReady as error:
        st.toast(escaped(str(error)), icon=":material/error:")
        return
    resources.launcher().submit(job.id)
