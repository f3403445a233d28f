"""One prediction set: where it comes from, its progress, its masks and downloads."""

from __future__ import annotations

import streamlit as st

from dashboard.access import rights
from dashboard.facts import wording
from dashboard.server import resources
from dashboard.server.score_tables import score_table
from dashboard.ui.confirm import deletion_buttons
from dashboard.ui.downloads import download_masks, downloads
from dashboard.ui.file_report import file_report
from dashboard.ui.measure_button import measure_button
from dashboard.views.predict import facts
from dashboard.views.predict.facts import SetView
from dashboard.views.predict.mask_facts import PER_PAGE
from dashboard.views.predict.masks import prediction_masks
from dashboard.views.predict.rival import current_set, poll_s, progress
from db import runs
from db.columns import utc_now
from engine.prediction.refine_masks import Refine
from engine.training.run_details import label_share_words

PAGE = "views/predict/page.py"
REFINE: dict[Refine, str] = {"none": "Off", "guided_filter": "Guided filter", "grabcut": "GrabCut"}
REFINED_BY = {"guided_filter": ", refined by a guided filter", "grabcut": ", refined by GrabCut"}


def prediction_set(view: SetView) -> None:
    """Draw a prediction set: all its masks, or the one image that the URL names."""
    image_id = st.query_params.get("image", "")
    table = score_table(view.id) if view.predicted else None
    if table is not None and image_id in table.index:
        st.caption(f"**{wording.escaped(view.dataset_name)}**, predicted by *{wording.escaped(view.run_name)}*")
        prediction_masks(view, table, image_id)
        return
    if st.button("All predictions", icon=":material/arrow_back:", type="tertiary", key="back"):
        st.switch_page(PAGE, query_params={})
    st.title(wording.escaped(view.dataset_name))
    _origin(view)
    actions = st.container(horizontal=True, vertical_alignment="bottom")
    progress(view, "Predicting")
    if view.at_work and view.predicted < PER_PAGE:
        _fill_page(view)
    with resources.database().reading() as session:
        skipped, first = facts.skipped_files(session, view.dataset_id)
    if view.fresh and skipped:
        lines = [f"- `{name.replace('`', '')}`: {wording.escaped(reason)}" for name, reason in first]
        if skipped > len(first):
            lines.append(f"- and {skipped - len(first):,} more, see *Files* below")
        st.warning(f"{wording.count(skipped, 'file').capitalize()} skipped:\n" + "\n".join(lines))
    if st.query_params.pop("image", ""):
        st.warning("The image in the address has no mask in this set.")
    threshold = 0.5
    if table is not None:
        threshold = prediction_masks(view, table)
    else:
        st.info("No mask yet. They appear here automatically." if view.at_work else "There are no masks.")
    label = f"Files ({skipped:,} skipped)" if skipped else "Files"
    files = st.expander(label, icon=":material/list:", key=f"files-{view.id}", on_change="rerun")
    if files.open:
        with files:
            file_report(view.dataset_id, key=f"report-{view.id}")
    with actions:
        if view.predicted:
            download_masks(view.id, threshold)
        downloads(
            threshold=threshold,
            prediction_set_id=view.id,
            run_id=view.run_id,
            masks=view.predicted,
            unsure=table is not None and table.has_uncertainty,
            label="Other downloads",
        )
        if view.predicted:
            measure_button(set=view.id)
        if st.button("Open the run", icon=":material/monitoring:", key="to-run"):
            st.switch_page("views/runs/page.py", query_params={"run": view.run_id})
        if not view.own and rights.button("Delete", icon=":material/delete:", key="delete"):
            confirm_deletion(view)


def _origin(view: SetView) -> None:
    how = (", averaged over flips" if view.flips else "") + REFINED_BY.get(view.refine, "")
    if view.label_share:
        how = (how if view.label_share < 1 else "") + f"; the masks are {label_share_words(view.label_share)}"
    done = "No images yet, to be predicted"
    if view.images:
        done = f"{view.predicted:,} of {wording.count(view.images, 'image')} predicted"
    st.caption(f"{done} by *{wording.escaped(view.run_name)}*{how} · {wording.ago(view.created_at, utc_now())}")


def _fill_page(view: SetView) -> None:
    """Rerun the page when more masks are stored, until the first page of the grid is full."""

    @st.fragment(run_every=poll_s(view))
    def poll() -> None:
        now = current_set(view.id)
        if now is not None and now.predicted > view.predicted:
            st.rerun()

    poll()


@st.dialog("Delete these predictions?")
def confirm_deletion(view: SetView) -> None:
    lines = [wording.count(view.predicted, "predicted mask")]
    if view.fresh:
        lines.append("the images, if no other run has predicted them")
    st.markdown(
        f"Of **{wording.escaped(view.dataset_name)}** are deleted permanently:\n"
        + "\n".join(f"- {line}" for line in lines)
    )
    st.caption("The run and its model stay.")
    deletion_buttons(lambda: _delete(view.id), "The predictions are deleted.", keep="Keep them")


def _delete(set_id: str) -> None:
    with resources.database().writing() as session:
        deleted = runs.delete_prediction_set(session, set_id)
    resources.remove_files(deleted)
    st.query_params.from_dict({})  # clear() raises while a widget is bound to the URL
