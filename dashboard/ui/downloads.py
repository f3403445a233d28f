"""One place for everything that can be taken home: what is sent at once, and what a job prepares first.

```python
downloads(threshold=0.5, prediction_set_id=set_id, run_id=run_id, masks=48)
```
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import streamlit as st

from dashboard.access import rights
from dashboard.facts import urls, wording
from dashboard.facts.downloads import Offer, offers
from dashboard.facts.jobs import JobView
from dashboard.server import resources
from dashboard.ui import status
from dashboard.ui.job_panel import retry_job, stop_job
from db.actors import Role
from db.models import utc_now
from db.submissions import NotReady, submit_export
from engine.exports.base import Owner

POLL_S = 1.0
WIDTH_PX = 560
COLUMNS = (5, 2.4)


@dataclass(frozen=True)
class _Sources:
    """What a page offers: masks of a prediction set or a label set, a run, or several of them."""

    prediction_set_id: str | None
    label_set_id: str | None
    run_id: str | None
    threshold: float
    masks: int | None
    unsure: bool

    @property
    def mask_owner(self) -> tuple[Owner, str] | None:
        if self.prediction_set_id:
            return "prediction_set", self.prediction_set_id
        return ("label_set", self.label_set_id) if self.label_set_id else None


def downloads(
    *,
    threshold: float = 0.5,
    prediction_set_id: str | None = None,
    label_set_id: str | None = None,
    run_id: str | None = None,
    masks: int | None = None,
    unsure: bool = False,
    kind: Literal["primary", "secondary"] = "secondary",
) -> None:
    """Draw the button that opens the list. It is only read while it is open, and drawn apart from the page.

    Args:
        threshold: of the masks, as the page shows them.
        prediction_set_id: where masks come from, or `label_set_id`.
        masks: how many there are, where the page knows; with 0 there is nothing to take but the run.
        run_id: whose model and report are offered.
        unsure: whether there are maps of uncertainty.
    """
    there = masks != 0
    sources = _Sources(
        prediction_set_id if there else None, label_set_id if there else None, run_id, threshold, masks, unsure
    )
    st.fragment(_button)(sources, kind)


def _button(sources: _Sources, kind: Literal["primary", "secondary"]) -> None:
    owner = sources.prediction_set_id or sources.label_set_id or sources.run_id
    box = st.popover(
        "Download",
        icon=":material/download:",
        type=kind,
        disabled=owner is None,
        help=None if owner else "There is nothing to take home yet.",
        key=f"downloads-{owner}",
        on_change="rerun",
    )
    if not box.open or owner is None:
        return
    with box, st.container(width=WIDTH_PX):
        names = (["Masks", "Annotations"] if sources.mask_owner else []) + (["Run and model"] if sources.run_id else [])
        places = dict(zip(names, st.tabs(names), strict=True))
        if sources.mask_owner:
            with places["Masks"]:
                _masks(sources)
            with places["Annotations"]:
                words = "Masks at threshold" if sources.prediction_set_id else "Pseudo-labels at threshold"
                st.caption(f"{words} {sources.threshold:.2f}. Doubles of an image are left out.")
                _prepared(*sources.mask_owner, sources.threshold)
        if sources.run_id:
            with places["Run and model"]:
                _line("Model file (.keras)", "Model", "As the run stored it, best epoch.", urls.model(sources.run_id))
                _line("Curves (CSV)", "Curves", "One line for each epoch.", urls.metrics_csv(sources.run_id))
                _prepared("run", sources.run_id, sources.threshold)


def _masks(sources: _Sources) -> None:
    of = "" if sources.masks is None else f"Of all {wording.count(sources.masks, 'image')}. "
    st.caption(f"{of}At threshold {sources.threshold:.2f}; sent at once.")
    by_set = sources.prediction_set_id is not None
    address = urls.prediction_zip if by_set else urls.label_zip
    owner_id, threshold = sources.prediction_set_id or sources.label_set_id, sources.threshold
    _line("Masks (zip)", "Masks", "PNG, 0 background and 255 foreground, and a table.", address(owner_id, threshold))
    classes = address(owner_id, threshold, kind="classes")
    _line("Class maps (zip)", "Class maps", "PNG, 0 background and 1 foreground. They look black.", classes)
    cutouts = address(owner_id, threshold, kind="cutouts")
    _line("Cut-outs (zip)", "Cut-outs", "The image itself, transparent outside of the mask (PNG).", cutouts)
    more = "Probabilities and uncertainty" if sources.unsure else "Probabilities"
    everything = address(owner_id, threshold, probabilities=True)
    _line(f"Masks and {more.lower()} (zip)", "Masks and maps", f"{more} are 8 bit: 255 is 1.", everything)
    table = urls.prediction_csv(owner_id, threshold) if by_set else urls.label_csv(owner_id)
    _line("Areas and scores (CSV)", "Table", "One line for each image; every score names its reference.", table)


def _line(title: str, short: str, sentence: str, address: str) -> None:
    words, button = st.columns(COLUMNS, vertical_alignment="center")
    words.markdown(f"**{title}**  \n:small[{sentence}]")
    button.link_button(short, address, icon=":material/download:", width="stretch")


def _prepared(owner: Owner, owner_id: str, threshold: float) -> None:
    for offer in _read(owner, owner_id, threshold):
        if offer.at_work:
            st.fragment(_follow, run_every=POLL_S)(owner, owner_id, threshold, offer.format.name)
        else:
            _offer(offer, owner, owner_id, threshold)


def _read(owner: Owner, owner_id: str, threshold: float) -> tuple[Offer, ...]:
    with resources.database().reading() as session:
        return offers(session, owner, owner_id, threshold, utc_now(), resources.settings().lost_after_s)


def _follow(owner: Owner, owner_id: str, threshold: float, what: str) -> None:
    """Draw a format whose job is at work, and the page anew once it has ended."""
    offer = next(offer for offer in _read(owner, owner_id, threshold) if offer.format.name == what)
    if not offer.at_work:
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
        if offer.ready:
            address, size = urls.prepared(offer.job.id), wording.size(offer.bytes)
            st.link_button(f"Download ({size})", address, icon=":material/download:", width="stretch")
        if not offer.ready or offer.out_of_date:
            word, what = "Prepare anew" if offer.ready else "Prepare", offer.format
            ask = (owner, owner_id, what.name, threshold if what.thresholded else None)
            st.button(word, key=f"prepare-{owner}-{what.name}", on_click=_prepare, args=ask, width="stretch")
    _state(offer)


def _words(offer: Offer) -> str:
    return f"**{offer.format.title}**  \n:small[{offer.format.sentence}]"


def _steer(job: JobView) -> None:
    act, word, icon = (retry_job, "Go on", ":material/replay:") if job.status == "lost" else (stop_job, "Stop", None)
    stopping = job.status == "stopping"
    rights.button(
        word, icon=icon, key=f"{word}-{job.id}", on_click=act, args=(job.id,), disabled=stopping, width="stretch"
    )


def _state(offer: Offer) -> None:
    """Say how the job stands, or why its file is not what one would get now."""
    job = offer.job
    if job is None:
        return
    if job.status == "queued":
        st.caption("Waits for a free worker and starts by itself.")
    elif job.status in ("running", "stopping"):
        status.progress(job, job.text or "Starting")
    elif job.status == "lost":
        st.warning("Its worker has fallen silent. Press *Go on* to try again.")
    elif job.status == "failed":
        st.error(wording.escaped(job.error or "It failed without a reason. The job's log has the details."))
    elif offer.out_of_date:
        st.caption(f":orange[:material/history: {offer.out_of_date}]")


def _prepare(owner: Owner, owner_id: str, what: str, threshold: float | None) -> None:
    try:
        with resources.database().writing(Role.VIEWER) as session:  # taking home changes nothing
            job = submit_export(session, owner, owner_id, what, threshold)
    except NotReady as error:
        st.toast(str(error), icon=":material/error:")
        return
    resources.launcher().submit(job.id)
