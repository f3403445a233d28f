"""The predictions made so far, to open and to delete."""

from __future__ import annotations

import streamlit as st

from dashboard.access import rights
from dashboard.facts import wording
from dashboard.server import resources
from dashboard.ui import status
from dashboard.ui.confirm import deletion_buttons
from dashboard.ui.paging import first_page
from dashboard.views.predict import facts as vm
from db import datasets, runs
from db.models import utc_now

PAGE = "views/predict/page.py"


def prediction_list() -> None:
    """Draw one row for each set of predictions that was asked for, and for images whose run is gone."""
    with resources.database().reading() as session:
        earlier = vm.earlier(session, utc_now(), resources.settings().lost_after_s)
        left_over = vm.uploads_without_predictions(session)
    if earlier or left_over:
        st.subheader("Earlier predictions")
    for entry in earlier:
        _row(entry)
    for target in left_over:
        _left_over_row(target)


def _row(entry: vm.Earlier) -> None:
    with st.container(border=True, horizontal=True, vertical_alignment="center", key=f"earlier-{entry.id}"):
        badge = "" if entry.status == "finished" else status.badge_text(entry.status)
        unfinished = entry.status != "finished" and entry.images
        words = f"{entry.predicted:,} of {entry.images:,} images" if unfinished else None
        parts = [words or wording.count(entry.predicted, "image"), f"by {wording.escaped(entry.run_name)}"]
        parts.append(wording.ago(entry.created_at, utc_now()))
        st.markdown(
            f"**{wording.escaped(entry.dataset_name)}** {badge}  \n:small[{' · '.join(parts)}]", width="stretch"
        )
        if st.button("Open", key=f"open-{entry.id}", on_click=first_page):
            st.switch_page(PAGE, query_params={"set": entry.id})
        if rights.button("Delete", icon=":material/delete:", key=f"delete-{entry.id}"):
            confirm_deletion(entry.id, entry.dataset_name, entry.predicted, entry.fresh)


def _left_over_row(target: vm.TargetChoice) -> None:
    with st.container(border=True, horizontal=True, vertical_alignment="center", key=f"left-{target.id}"):
        st.markdown(
            f"**{wording.escaped(target.name)}**  \n"
            f":small[{wording.count(target.images, 'image')} without predictions: the run is gone]",
            width="stretch",
        )
        if rights.button("Delete images", icon=":material/delete:", key=f"delete-images-{target.id}"):
            try:
                with resources.database().writing() as session:
                    gone = datasets.delete_dataset(session, target.id)
            except datasets.InUse as error:
                st.error(wording.escaped(str(error)))
                return
            resources.remove_files(gone)
            st.rerun()


@st.dialog("Delete these predictions?")
def confirm_deletion(set_id: str, name: str, masks: int, fresh: bool) -> None:
    """Ask before a set of predictions goes for good."""
    lines = [wording.count(masks, "predicted mask")]
    if fresh:
        lines.append("the images, if no other predictions of them are left")
    st.markdown(f"Of **{wording.escaped(name)}** go for good:\n" + "\n".join(f"- {line}" for line in lines))
    st.caption("The run and its model stay.")
    deletion_buttons(lambda: _delete(set_id), "The predictions are deleted.", keep="Keep them")


def _delete(set_id: str) -> None:
    with resources.database().writing() as session:
        gone = runs.delete_prediction_set(session, set_id)
    resources.remove_files(gone)
    st.query_params.from_dict({})  # clear() refuses while a widget is bound to the URL
