"""What describes images to the method *strokes*, and getting MobileNetV2 for it by a job."""

from __future__ import annotations

from typing import Any

import streamlit as st
from sqlalchemy import select

from dashboard.access import rights
from dashboard.facts.jobs import JobView, job_view
from dashboard.facts.wording import escaped, size
from dashboard.server import resources
from dashboard.ui.job_panel import job_panel
from dashboard.ui.uploader import forget_upload, uploader
from db import submissions
from db.columns import utc_now
from db.models import Job, JobKind
from engine.store import keys as stored

SOURCE = "storage.googleapis.com (Keras Applications)"
FILES = (".h5", ".hdf5", ".keras")
WITHOUT = "Without ImageNet features strokes learn colour and texture only."
UPLOAD = "backbone"


def backbone_block() -> None:
    """Draw which features strokes use, and what gets better ones."""
    key = stored.backbone_key()
    files = resources.artifacts()
    job_panel(_job, key="backbone", what="Getting MobileNetV2", kept="What was there before is kept.")
    if files.exists(key):
        st.caption(
            f":material/check_circle: Strokes use MobileNetV2 ({size(files.size(key))}, trained on ImageNet), unless "
            "the recipe names another file."
        )
        return
    job = _job()
    if job is not None and job.at_work:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(f":material/info: {WITHOUT}", width="content")
        if rights.button("Get MobileNetV2", icon=":material/download:", key="backbone-get"):
            _confirm()


def _job() -> JobView | None:
    newest = select(Job).where(Job.kind == JobKind.BACKBONE).order_by(Job.created_at.desc(), Job.id).limit(1)
    with resources.database().reading() as session:
        return job_view(session.scalars(newest).first(), utc_now(), resources.settings().lost_after_s)


@st.dialog("Get MobileNetV2?")
def _confirm() -> None:
    st.markdown(
        "A network that was trained on the photographs of ImageNet with their labels. It describes images to the "
        "method *strokes*, so that fewer strokes are needed. It is no part of the networks that you train.\n\n"
        f"- Size: 9 MB, once for this installation\n- From: {SOURCE}\n- Licence: Apache License 2.0"
    )
    if st.button("Download", type="primary", icon=":material/download:", key="backbone-download", width="stretch"):
        _start({"kind": "download"})
    with st.expander("Use a file instead", icon=":material/upload_file:"):
        st.caption("Weights of MobileNetV2 without its top, as Keras writes them. For machines without the Internet.")
        upload = uploader(key=UPLOAD, label="Drop the .h5 file here", accept=FILES)
        if upload is None:
            return
        st.caption(", ".join(map(escaped, upload.files)))
        if len(upload.files) > 1:
            st.error(f"Upload one file of weights. Got {len(upload.files)}.")
            if st.button("Start over", key="backbone-again"):
                resources.discard_upload(upload.token)
                forget_upload(UPLOAD)
                st.rerun(scope="fragment")
        elif st.button("Use this file", type="primary", key="backbone-use", width="stretch"):
            forget_upload(UPLOAD)
            _start({"kind": "upload", "token": upload.token})


def _start(source: dict[str, Any]) -> None:
    with resources.database().writing() as session:
        job = submissions.submit_backbone(session, source)
    resources.launcher().submit(job.id)
    st.rerun()
