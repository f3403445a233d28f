"""What happened in a run, in sentences, with links to its weakest images and to the page where a suggestion is set."""

from __future__ import annotations

import streamlit as st

from dashboard.facts import train, wording
from dashboard.server.resources import database, settings
from dashboard.views.runs.advice import Advice
from dashboard.views.runs.facts import LiveStatus, RunHead
from dashboard.views.runs.live_facts import version
from dashboard.views.runs.run_facts import run_facts
from dashboard.views.runs.story import Story, story
from db import predictions
from db.models import utc_now

_OPEN = {
    "train": ("Open the Train page with it", "views/train/page.py", ":material/model_training:"),
    "labels": ("Go to Labels", "views/labels/page.py", ":material/auto_fix_high:"),
    "gallery": ("See it in the gallery", "views/gallery/page.py", ":material/grid_view:"),
}


def run_story(head: RunHead, status: LiveStatus, prediction_set_id: str | None) -> None:
    """Draw the story of a run that has ended."""
    with database().reading() as session:
        stamp = predictions.stamp(session, prediction_set_id) if prediction_set_id else ""
    told = _told(head.id, version(status), stamp, head.truth_version)
    if told is None:
        return
    st.subheader("What happened")
    left, right = st.columns([11, 6], gap="medium")
    with left:
        st.markdown("\n".join(f"- {sentence}" for sentence in told.sentences))
        _weakest(head, told)
    with right:
        st.markdown("**Worth changing next**")
        for number, advice in enumerate(told.advice):
            _suggestion(head, advice, number)
        if not told.advice:
            st.markdown("Nothing stands out: no setting is clearly worth changing.")


@st.cache_data(max_entries=64, show_spinner="Reading the run …")
def _told(run_id: str, version: str, stamp: str, truth_version: int) -> Story | None:
    """Return the story of a run as of a moment; all that it is told from is in the arguments."""
    with database().reading() as session:
        facts = run_facts(session, run_id, utc_now(), settings().lost_after_s)
    return story(facts) if facts is not None else None


def _weakest(head: RunHead, told: Story) -> None:
    if not told.weakest:
        return
    st.caption(f"The weakest validation images, by {told.weakest_score}:")
    with st.container(horizontal=True, gap="small"):
        for image in told.weakest:
            st.page_link(
                "views/gallery/page.py",
                label=f"{wording.escaped(image.name.rpartition('/')[2])} ({image.dice:.2f})",
                icon=":material/image_search:",
                query_params={"run": head.id, "image": image.image_id},
            )


def _suggestion(head: RunHead, advice: Advice, number: int) -> None:
    label, page, icon = _OPEN[advice.page]
    with st.container(border=True, key=f"run-advice-{number}"):
        st.markdown(f"**{advice.setting}**: {advice.now} → **{advice.proposed}**")
        st.markdown(advice.evidence)
        if advice.page != "train":
            st.page_link(page, label=label, icon=icon, query_params=advice.query)
        elif st.button(label, icon=icon, key=f"run-advice-{number}-open"):
            # What was typed there for this run before would win over the address
            preset = head.preset if head.preset in train.PRESETS else train.DEFAULT_PRESET
            st.session_state.pop(f"{train.form_key(preset, head.id)}-begin", None)
            st.switch_page(page, query_params=advice.query)
