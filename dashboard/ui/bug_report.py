"""The download of a bug report, for a failed job."""

from __future__ import annotations

import streamlit as st

from dashboard.facts import urls


def bug_report(job_id: str, *, key: str) -> None:
    """Draw the download button, and the option to include images of the job."""
    with st.container(horizontal=True, vertical_alignment="center"):
        button = st.container(width="content")
        with_images = st.checkbox(
            "Include sample images",
            key=f"{key}-report-images",
            help="Adds up to 8 images of the dataset. Leave it off if others must not see them.",
        )
        button.link_button(
            "Download bug report",
            urls.bug_report(job_id, images=with_images),
            icon=":material/bug_report:",
            help="The log, settings, versions and a quick check, without passwords, names and folders. See "
            "docs/how-to/report-a-bug.md.",
        )
