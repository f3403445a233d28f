"""A test image of the bench in a dialog: the masks of all recipes side by side, or one of them to draw on."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from dashboard.facts import urls
from dashboard.facts.corrections import drawn_classes
from dashboard.facts.recipes import recipe_to_text
from dashboard.facts.wording import escaped
from dashboard.server import resources
from dashboard.ui.correct_switch import correct_switch
from dashboard.ui.mask_grid import Tile
from dashboard.ui.step_buttons import step_buttons
from dashboard.ui.viewer import Brush, LiveImage, LiveMasks, Pane, viewer
from dashboard.ui.viewer_dialog import toolbar, viewer_dialog
from dashboard.views.labels.facts import ProbeImage, Workplace
from dashboard.views.labels.recipe_column import Settings, Shown
from engine.labelling.base import find_method

OPENED = "labels-opened"


def open_test_image(place: Workplace, image_id: str, slot: str, shown: Mapping[str, Shown], settings: Settings) -> None:
    """Open the dialog on an image of a slot; `shown` are all open slots."""
    st.session_state[OPENED] = image_id
    _dialog(place, slot, shown, settings)


@viewer_dialog("Test image", on_dismiss="rerun")
def _dialog(place: Workplace, slot: str, shown: Mapping[str, Shown], settings: Settings) -> None:
    at = next((at for at, image in enumerate(place.probe) if image.id == st.session_state[OPENED]), 0)
    image, neighbours = place.probe[at], [None, *(image.id for image in place.probe), None]
    follows = find_method(shown[slot].recipe.method).learns_from_corrections
    with toolbar():
        step_buttons(OPENED, neighbours[at], neighbours[at + 2])
        correct = follows or correct_switch("labels-correct", in_url=False)
        st.caption(escaped(image.name.rpartition("/")[2]), width="content")
    with resources.database().reading() as session:
        drawn = drawn_classes(session, place.dataset_id)
    opened = {slot: shown[slot]} if correct else shown
    viewer(
        [_pane(place, image, each, found, len(opened), settings) for each, found in opened.items()],
        threshold=settings.threshold,
        opacity=settings.opacity,
        mask_colour=settings.look.colour,
        dims=settings.look.dims,
        height_px=None,
        moves_threshold=True,
        brush=Brush(place.dataset_id, image.id, drawn) if correct else None,
        live=_live_masks(place, shown[slot]) if follows else None,
        on_open=lambda image_id: st.session_state.update({OPENED: image_id}),
        key="labels-test-image",
    )


def _pane(place: Workplace, image: ProbeImage, slot: str, shown: Shown, panes: int, settings: Settings) -> Pane:
    picture = urls.image(place.dataset_id, image.id)
    tile = shown.tiles.get(image.id, Tile(image.id, image.name, picture))
    title = shown.recipe.title
    colours = shown.classes.colours
    if find_method(shown.recipe.method).learns_from_corrections:
        with resources.database().reading() as session:
            colours = drawn_classes(session, place.dataset_id).colours
    return Pane(
        title if panes == 1 else f"{slot.upper()} · {title}",
        picture,
        mask=tile.mask,
        reference=tile.reference,
        mode="fill" if settings.mode == "side by side" else settings.mode,
        classes=tile.classes,
        reference_classes=tile.reference_classes,
        class_names=shown.classes.names,
        class_colours=colours,
    )


def _live_masks(place: Workplace, shown: Shown) -> LiveMasks:
    images = [
        LiveImage(image.id, image.name, urls.thumbnail(place.dataset_id, image.id), tile.mask if tile else None)
        for image in place.probe
        for tile in [shown.tiles.get(image.id)]
    ]
    return LiveMasks(urls.live_masks(place.dataset_id, recipe_to_text(shown.recipe)), tuple(images))
