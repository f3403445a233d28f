"""Pretrained weights: an offer that is made once, where they are used, and what was added to this installation."""

from __future__ import annotations

from typing import Any

import streamlit as st
from sqlalchemy import select
from sqlalchemy.orm import Session

from dashboard.access import rights
from dashboard.facts.jobs import JobView, job_view
from dashboard.facts.wording import escaped, size
from dashboard.server import resources
from dashboard.ui.job_panel import job_panel
from dashboard.ui.uploader import Upload, forget_upload, uploader
from db import submissions
from db.actors import Role
from db.columns import utc_now
from db.jobs import active
from db.models import Job, JobKind
from engine.network import pretrained
from engine.store import keys as stored

FILES = (".h5", ".hdf5", ".keras")
UPLOAD = "pretrained"
OFFER = (
    "**Start from pretrained weights?** Fewer masks then teach more: with the same masks of 40 strokes on 105 "
    "endoscopy images a network reached Dice 0.62 on unseen images with these weights, and 0.37 without. Strokes, "
    "deep features and *Automatic* use them, too.  \n"
    ":small[MobileNetV2, trained on the photographs of ImageNet with labels by people · 9 MB, once, from "
    f"{pretrained.SOURCE} · Apache License 2.0]"
)


def waits_for_answer() -> bool:
    """Return whether there are no pretrained weights, and nobody has said no to them."""
    files = resources.artifacts()
    return not pretrained.installed(files) and not pretrained.declined(files)


def pretrained_offer() -> bool:
    """Offer pretrained weights until there are some or somebody said no; draw the job that gets them.

    Returns:
        Whether anything was drawn.
    """
    files = resources.artifacts()
    if pretrained.installed(files) or not rights.may(Role.EDITOR):
        return False
    asked = pretrained.declined(files)
    at_work = _getting(only_at_work=asked)
    if at_work or asked:
        return at_work
    with st.container(border=True, key="pretrained-offer"):
        st.markdown(OFFER)
        with st.container(horizontal=True):
            _buttons()
            if rights.button("No thanks", key="pretrained-decline", type="tertiary"):
                pretrained.decline(files)
                st.rerun()
    return True


def pretrained_state(without: str) -> None:
    """Draw which weights there are, or `without` and how to get some, however the offer was answered.

    Args:
        without: what it costs not to have them, a sentence.
    """
    files = resources.artifacts()
    added = pretrained.installed(files)
    if added:
        unknown = "" if added.of_imagenet else " What they were trained on is unknown."
        name = "ImageNet weights" if added.of_imagenet else f"Weights of {escaped(pretrained.short_name(added.file))}"
        st.caption(
            f":material/check_circle: {name} for MobileNetV2 ({size(added.bytes)}), used by the presets *From labels* "
            f"and *Encoder*, by strokes, deep features and *Automatic*. What they help names them.{unknown}",
            help=escaped(added.origin),
        )
        return
    if _getting():
        return
    older = files.exists(stored.older_backbone_key())
    words = "Strokes use MobileNetV2 already. Get its weights for trainings, too." if older else without
    st.caption(f":material/info: {words}")
    with st.container(horizontal=True):
        _buttons()


def _buttons() -> None:
    what = f"9 MB from {pretrained.SOURCE}, Apache License 2.0."
    if rights.button("Get (9 MB)", icon=":material/download:", key="pretrained-get", help=what):
        _start({"kind": "download"})
    if rights.button("Use a file", icon=":material/upload_file:", key="pretrained-file"):
        _choose_file()


def _getting(only_at_work: bool = False) -> bool:
    """Draw the newest job that gets weights unless it has finished; return whether it is at work."""
    job = _job()
    at_work = job is not None and job.at_work
    if at_work or not only_at_work:
        job_panel(_job, key="pretrained", what="Getting pretrained weights", kept="What was there before is kept.")
    return at_work


def _job() -> JobView | None:
    newest = select(Job).where(Job.kind == JobKind.BACKBONE).order_by(Job.created_at.desc(), Job.id).limit(1)
    with resources.database().reading() as session:
        return job_view(session.scalars(newest).first(), utc_now(), resources.settings().lost_after_s)


@st.dialog("Use a file of weights")
def _choose_file() -> None:
    st.caption(
        "ImageNet weights of MobileNetV2 without its top, as Keras writes them, such as "
        f"`{pretrained.KERAS_FILE}`. On the command line: `maskloom weights add FILE`."
    )
    upload = uploader(key=UPLOAD, label="Drop the .h5 file here", accept=FILES)
    if upload is None:
        return
    if len(upload.files) > 1:
        st.error(f"Upload one file of weights. Got {len(upload.files)}.")
        if st.button("Start over", key="pretrained-again"):
            resources.discard_upload(upload.token)
            forget_upload(UPLOAD)
            st.rerun(scope="fragment")
        return
    st.markdown(f"{escaped(upload.files[0])} · {size(upload.bytes)}  \nSHA-256 `{_sum(upload)}`")
    if st.button("Use this file", type="primary", key="pretrained-use", width="stretch"):
        source = {"kind": "upload", "token": upload.token}
        resources.hand_over(source)
        forget_upload(UPLOAD)
        _start(source)


def _sum(upload: Upload) -> str:
    return pretrained.sha256_of(resources.upload_folder(upload.token) / upload.files[0])


def _start(source: dict[str, Any]) -> None:
    with resources.database().writing() as session:
        # Pressed twice, or in two tabs: weights are added by one job at a time
        job = None if _at_work(session) else submissions.submit_backbone(session, source)
    if job is not None:
        resources.launcher().submit(job.id)
    elif source["kind"] == "upload":
        resources.discard_upload(source["token"])
    st.rerun()


def _at_work(session: Session) -> bool:
    return any(job.kind == JobKind.BACKBONE for job in active(session))
