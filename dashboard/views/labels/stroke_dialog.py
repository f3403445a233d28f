"""A test image of the bench in a dialog, with the mask of a recipe, to draw on."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from dashboard.facts import urls
from dashboard.facts.corrections import drawn_classes
from dashboard.facts.wording import escaped
from dashboard.server import resources
from dashboard.ui.step_buttons import step_buttons
from dashboard.ui.viewer import Brush, Pane, viewer
from dashboard.views.labels.facts import Workplace
from dashboard.views.labels.recipe_column import Settings

OPENED = "labels-opened"


def open_test_image(place: Workplace, image_id: str, masks: Mapping[str, str], settings: Settings) -> None:
    """Open the dialog; `masks` are the URLs of the masks of test images by image id."""
    st.session_state[OPENED] = image_id
    _dialog(place, masks, settings)


@st.dialog("Test image", width="large", on_dismiss="rerun")
def _dialog(place: Workplace, masks: Mapping[str, str], settings: Settings) -> None:
    at = next((at for at, image in enumerate(place.probe) if image.id == st.session_state[OPENED]), 0)
    image, neighbours = place.probe[at], [None, *(image.id for image in place.probe), None]
    with st.container(horizontal=True, vertical_alignment="center"):
        step_buttons(OPENED, neighbours[at], neighbours[at + 2])
        st.caption(escaped(image.name), width="content")
    with resources.database().reading() as session:
        drawn = drawn_classes(session, place.dataset_id)
    viewer(
        [Pane("Preview of the mask", urls.image(place.dataset_id, image.id), mask=masks.get(image.id))],
        threshold=settings.threshold,
        opacity=settings.opacity,
        brush=Brush(place.dataset_id, image.id, drawn),
        key="labels-test-image",
    )
