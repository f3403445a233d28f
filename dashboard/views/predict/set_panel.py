"""One set of predictions: what made it, how far it is, its masks, and what to take home."""

from __future__ import annotations

import streamlit as st

from dashboard.access import rights
from dashboard.facts import wording
from dashboard.server import resources
from dashboard.server.score_tables import score_table
from dashboard.ui.downloads import downloads
from dashboard.ui.file_report import file_report
from dashboard.views.predict import facts as vm
from dashboard.views.predict.facts import SetView
from dashboard.views.predict.mask_facts import PER_PAGE
from dashboard.views.predict.masks import prediction_masks
from dashboard.views.predict.options import REFINE_WORDS
from dashboard.views.predict.rival import follow_prediction, poll_s
from dashboard.views.predict.set_list import PAGE, confirm_deletion
from db.models import utc_now


def prediction_set(view: SetView) -> None:
    """Draw the page of one set: its masks, or the one image that the address names."""
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
    _follow(view)
    _name_skipped(view)
    if st.query_params.pop("image", None):
        st.warning("The image in the address has no mask here.")
    masks, files = st.tabs(
        ["Masks", f"Files ({view.skipped} skipped)" if view.skipped else "Files"], key="predict-tabs", on_change="rerun"
    )
    threshold = 0.5
    if masks.open:
        with masks:
            threshold = prediction_masks(view, table) if table is not None else _nothing_yet(view)
    if files.open:
        with files:
            file_report(view.dataset_id, key=f"report-{view.id}")
    with actions:
        downloads(
            threshold=threshold,
            prediction_set_id=view.id,
            run_id=view.run_id,
            masks=view.predicted,
            unsure=table is not None and table.has_uncertainty,
            kind="primary",
        )
        if st.button("Open the run", icon=":material/monitoring:", key="to-run"):
            st.switch_page("views/runs/page.py", query_params={"run": view.run_id})
        if not view.own and rights.button("Delete", icon=":material/delete:", key="delete"):
            confirm_deletion(view.id, view.dataset_name, view.predicted, view.fresh)


def _origin(view: SetView) -> None:
    how = ", averaged over flips" if view.flips else ""
    how += f", refined by {REFINE_WORDS[view.refine]}" if view.refine != "none" else ""
    done = (
        f"{view.predicted:,} of {wording.count(view.images, 'image')} predicted"
        if view.images
        else "No images yet, to be predicted"
    )
    made = wording.ago(view.created_at, utc_now())
    st.caption(f"{done} by *{wording.escaped(view.run_name)}*{how} · {made}")


def _follow(view: SetView) -> None:
    follow_prediction(view, "Predicting")
    if view.job is not None and view.job.at_work and view.predicted < PER_PAGE:
        _fill_page(view)


def _fill_page(view: SetView) -> None:
    """Draw the page anew when further masks are stored, until its first page of them is full."""

    @st.fragment(run_every=poll_s(view))
    def look() -> None:
        with resources.database().reading() as session:
            predicted = vm.predicted(session, view.id)
        if predicted > view.predicted:
            st.rerun()

    look()


def _name_skipped(view: SetView) -> None:
    if not (view.fresh and view.skipped):
        return
    with resources.database().reading() as session:
        found = vm.skipped_files(session, view.dataset_id)
    lines = [f"- `{name.replace('`', '')}`: {wording.escaped(reason)}" for name, reason in found]
    if view.skipped > len(found):
        lines.append(f"- and {view.skipped - len(found):,} more, in the tab *Files*")
    st.warning(f"{wording.count(view.skipped, 'file').capitalize()} left out:\n" + "\n".join(lines))


def _nothing_yet(view: SetView) -> float:
    at_work = view.job is not None and view.job.at_work
    st.info("No mask yet. The first ones appear here by themselves." if at_work else "There are no masks.")
    return 0.5
