"""A test image of the bench in a dialog, with the mask of a recipe, to draw on."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from dashboard.facts import urls
from dashboard.facts.corrections import drawn_classes
from dashboard.facts.recipes import Recipe, recipe_to_text
from dashboard.facts.wording import escaped
from dashboard.server import resources
from dashboard.ui.step_buttons import step_buttons
from dashboard.ui.viewer import Brush, LiveImage, LiveMasks, Pane, viewer
from dashboard.views.labels.facts import Workplace
from dashboard.views.labels.recipe_column import Settings
from engine.labelling.base import find_method

OPENED = "labels-opened"


def open_test_image(
    place: Workplace, image_id: str, recipe: Recipe, masks: Mapping[str, str], settings: Settings
) -> None:
    """Open the dialog; `masks` are the URLs of the recipe's masks of test images by image id."""
    st.session_state[OPENED] = image_id
    _dialog(place, recipe, masks, settings)


@st.dialog("Test image", width="large", on_dismiss="rerun")
def _dialog(place: Workplace, recipe: Recipe, masks: Mapping[str, str], settings: Settings) -> None:
    at = next((at for at, image in enumerate(place.probe) if image.id == st.session_state[OPENED]), 0)
    image, neighbours = place.probe[at], [None, *(image.id for image in place.probe), None]
    with st.container(horizontal=True, vertical_alignment="center"):
        step_buttons(OPENED, neighbours[at], neighbours[at + 2])
        st.caption(escaped(image.name), width="content")
    with resources.database().reading() as session:
        drawn = drawn_classes(session, place.dataset_id)
    follows = find_method(recipe.method).learns_from_corrections
    viewer(
        [
            Pane(
                "Preview of the mask",
                urls.image(place.dataset_id, image.id),
                mask=masks.get(image.id),
                class_colours=drawn.colours if follows else (),
            )
        ],
        threshold=settings.threshold,
        opacity=settings.opacity,
        brush=Brush(place.dataset_id, image.id, drawn),
        live=_live_masks(place, recipe, masks) if follows else None,
        on_open=lambda image_id: st.session_state.update({OPENED: image_id}),
        key="labels-test-image",
    )


def _live_masks(place: Workplace, recipe: Recipe, masks: Mapping[str, str]) -> LiveMasks:
    images = [
        LiveImage(image.id, image.name, urls.thumbnail(place.dataset_id, image.id), masks.get(image.id))
        for image in place.probe
    ]
    return LiveMasks(urls.live_masks(place.dataset_id, recipe_to_text(recipe)), tuple(images))
