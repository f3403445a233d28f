"""One measurement: where it comes from, its numbers, its objects, images and plots."""

from __future__ import annotations

import math
from functools import partial

import streamlit as st

from dashboard.access import rights
from dashboard.facts import wording
from dashboard.facts.jobs import JobView
from dashboard.server import resources
from dashboard.ui.downloads import downloads
from dashboard.ui.job_panel import job_panel
from dashboard.ui.paging import first_page
from dashboard.views.measure import facts
from dashboard.views.measure.facts import MeasurementView
from dashboard.views.measure.filters import choose_filter, saved_filters
from dashboard.views.measure.grouping import choose_groups
from dashboard.views.measure.images_tab import images_tab
from dashboard.views.measure.objects_tab import objects_tab
from dashboard.views.measure.plots_tab import plots_tab
from dashboard.views.measure.start import LIKE, PAGE, confirm_deletion
from dashboard.views.measure.table_facts import Measured, headline, kept
from dashboard.views.measure.tables import DamagedTable, measured_tables
from db.columns import utc_now
from engine.store.base import MissingFile


def measurement(view: MeasurementView) -> None:
    back = ":material/arrow_back:"
    if st.button("All measurements", icon=back, type="tertiary", key="back", on_click=first_page):
        st.switch_page(PAGE, query_params={})
    st.title(wording.escaped(view.title))
    scale = f" · pixel size {wording.escaped(view.scale)}" if view.scale else ""
    st.caption(f"{wording.escaped(view.params)}{scale} · {wording.ago(view.created_at, utc_now())}")
    actions = st.container(horizontal=True, vertical_alignment="bottom")
    job_panel(
        partial(_read_job, view.id),
        key=f"objects-job-{view.id}",
        what="Measuring objects",
        kept="The images that are measured are kept.",
    )
    if view.masks_changed:
        st.warning("The masks have changed since. Measure them again to see the difference.", icon=":material/history:")
    tables = _tables(view)
    with actions:
        if tables is not None:
            with st.container(width="content"):
                downloads(measurement_id=view.id)
        again = {"dataset": view.dataset_id, "masks": f"{view.owner}-{view.owner_id}", LIKE: view.id}
        if rights.button(
            "Measure again", icon=":material/replay:", key="again", help="With these settings, or others."
        ):
            st.switch_page(PAGE, query_params=again)
        if rights.button("Delete", icon=":material/delete:", key="delete"):
            confirm_deletion(view)
    if tables is None:
        return
    _numbers(tables)
    if not len(tables.objects):
        st.info("There are no objects. A smaller *Smallest object* or another mask threshold may show some.")
    _tabs(view, tables)


def _tabs(view: MeasurementView, tables: Measured) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = choose_filter(view.id, tables)
        saved_filters(view, chosen)
        rule = choose_groups(view.id, tables)
    keep = kept(tables.objects, chosen)
    if chosen.count:
        st.caption(f"{keep.sum():,} of {wording.count(len(keep), 'object')} pass the filter.")
    objects, images, plots = st.tabs(["Objects", "Images", "Plots"], key=f"measure-tabs-{view.id}", on_change="rerun")
    if objects.open:
        with objects:
            objects_tab(view, tables, keep)
    if images.open:
        with images:
            images_tab(tables, keep if chosen.count else None, rule)
    if plots.open:
        with plots:
            plots_tab(view, tables, keep, rule)


def _tables(view: MeasurementView) -> Measured | None:
    if not view.done:
        return None
    try:
        return measured_tables(view.id)
    except (DamagedTable, MissingFile) as error:
        st.error(f"{wording.escaped(str(error))} Measure again.", icon=":material/error:")
        return None


def _numbers(tables: Measured) -> None:
    found = headline(tables)
    unit = "µm²" if tables.area == "area_um2" else "px²"
    area = "–" if math.isnan(found.median_area) else f"{facts.readable(found.median_area)} {unit}"
    span = f"{found.least:g} to {found.most:g}"
    with st.container(horizontal=True, gap="large"):
        st.metric("Objects", f"{found.count:,.10g}", f"in {wording.count(found.images, 'image')}", "off",
                  delta_arrow="off", width="content")  # fmt: skip
        st.metric("Objects per image", f"{found.mean:,.1f}", span, "off", delta_arrow="off", width="content")
        st.metric("Median area", area, width="content")


def _read_job(measurement_id: str) -> JobView | None:
    with resources.database().reading() as session:
        return facts.job_of(session, measurement_id, utc_now(), resources.settings().lost_after_s)
