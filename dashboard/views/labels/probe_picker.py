"""A dialog to choose the test images of a dataset, which the Masks page shows while a recipe is tuned."""

from __future__ import annotations

import streamlit as st

from dashboard.facts import urls, wording
from dashboard.server import resources
from dashboard.ui.mask_grid import Tile, mask_grid
from dashboard.views.labels import facts as labels
from dashboard.views.labels.facts import Workplace
from db import datasets


def open_probe_picker(place: Workplace) -> None:
    """Open the dialog with the current test images ticked."""
    st.session_state["probe-ticked"] = [image.id for image in place.probe]
    _dialog(place)


@st.dialog("Test images", width="large", icon=":material/checklist:")
def _dialog(place: Workplace) -> None:
    ticked: list[str] = st.session_state["probe-ticked"]
    lowest, highest = labels.PROBE_RANGE
    st.markdown(f"Click images to tick them, {lowest} to {highest}: easy and hard ones, and every kind in the dataset.")
    grid = st.container(height=470, border=False)
    pages = -(-place.images // labels.PER_PAGE)
    page = st.pagination(pages, key="probe-page") if pages > 1 else 1
    with grid:
        _grid(place, page, ticked)
    problem = labels.probe_problem(len(ticked), place.images)
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button("Use these", type="primary", key="probe-save", disabled=bool(problem)):
            _store(place, ticked)
        if st.button("Spread evenly", key="probe-spread", help="Use 8 images spread over the dataset."):
            _store(place, [])
        st.button("Untick all", key="probe-clear", type="tertiary", disabled=not ticked, on_click=ticked.clear)
        st.caption(problem or f"{wording.count(len(ticked), 'image').capitalize()} ticked.", width="stretch")


def _grid(place: Workplace, page: int, ticked: list[str]) -> None:
    with resources.database().reading() as session:
        images = datasets.images(session, place.dataset_id, labels.PER_PAGE, (page - 1) * labels.PER_PAGE)
    tiles = [
        Tile(
            id=image.id,
            title=image.name,
            image=urls.thumbnail(place.dataset_id, image.id),
            badge=f"✓ {ticked.index(image.id) + 1}" if image.id in ticked else "",
            tone="good" if image.id in ticked else "neutral",
        )
        for image in images
    ]
    clicked = mask_grid(tiles, mode="image", tile_px=140, aspect=place.aspect, key="probe-grid")
    if clicked:
        st.session_state["probe-ticked"] = (
            [image_id for image_id in ticked if image_id != clicked] if clicked in ticked else [*ticked, clicked]
        )
        st.rerun(scope="fragment")


def _store(place: Workplace, image_ids: list[str]) -> None:
    with resources.database().writing() as session:
        datasets.set_probe_images(session, place.dataset_id, image_ids)
    st.rerun()
