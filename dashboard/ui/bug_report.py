"""The download of all that a bug report needs, where a job has failed."""

from __future__ import annotations

import streamlit as st

from dashboard.facts import urls


def bug_report(job_id: str, *, key: str) -> None:
    """Offer the download, with images of the job only when ticked."""
    with st.container(horizontal=True, vertical_alignment="center"):
        button = st.container(width="content")
        with_images = st.checkbox(
            "With some of its images",
            key=f"{key}-report-images",
            help="Adds up to 8 images of the dataset. Leave it off if they are not for others to see.",
        )
        button.link_button(
            "Download what a bug report needs",
            urls.bug_report(job_id, images=with_images),
            icon=":material/bug_report:",
            help="The log, settings, versions and a quick check, without passwords, names and folders. See "
            "docs/how-to/report-a-bug.md.",
        )
