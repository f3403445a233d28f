"""An image with the outlines of its objects, of which one can be clicked."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import streamlit as st

from dashboard.facts import urls
from dashboard.server import resources
from dashboard.ui.web import component
from dashboard.views.measure.picture_facts import Window, outlined, whole
from engine.imaging import codec

_render = component("object_picture", "views/measure/object_picture.js", style="views/measure/object_picture.css")


def object_picture(
    image: np.ndarray,
    labels: np.ndarray,
    *,
    key: str,
    alt: str,
    chosen: int = 0,
    window: Window | None = None,
    pick: Callable[[int], None] | None = None,
) -> None:
    """Draw an image, uint8 RGB (H, W, 3), with its objects, integers (H, W), the `chosen` one highlighted.

    Args:
        pick: called with the number of the object that was clicked, 0 for none, before the page is redrawn.
    """
    drawn = outlined(image, labels, chosen, window=window)
    address = urls.preview(resources.previews().put(codec.encode_png(drawn)))
    part = window or whole(labels)

    def clicked() -> None:
        place = st.session_state[key].get("clicked")
        if place and pick:
            pick(int(labels[part.place(float(place["x"]), float(place["y"]))]))

    _render(key=key, data={"address": address, "alt": alt}, on_clicked_change=clicked)
