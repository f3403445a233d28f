"""The colour of masks over the images of a dataset, the same on every page: the one with most contrast, or a choice.

```python
with st.popover("Display"):
    look = overlay_choice(dataset_id)
mask_grid(tiles, mask_colour=look.colour, dims=look.dims, key="grid")
```
"""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from dashboard.facts.overlay_colour import contrasting_colour
from dashboard.server import resources
from dashboard.ui import palette
from db import datasets
from engine.imaging import codec
from engine.store import keys as stored

AUTOMATIC = "automatic"
_COLOUR, _DIM = "mask-colour", "dim"


@dataclass(frozen=True)
class OverlayLook:
    """`colour` is that of masks without classes; `dims`: the image is darkened outside of masks."""

    colour: str = palette.MASK
    dims: bool = False


def overlay_choice(dataset_id: str) -> OverlayLook:
    """Draw the two controls, bound to the URL and kept from page to page; return what they say."""
    automatic = automatic_colour(dataset_id)
    names = [AUTOMATIC, *palette.MASK_COLOURS]
    st.selectbox(
        "Colour of masks", names, key=_COLOUR, bind="query-params", persist_state="session",
        format_func=str.capitalize,
        help=f"*Automatic* stands out most from the images of this dataset: {automatic}. Classes keep their colours.",
    )  # fmt: skip
    st.toggle(
        "Dim the outside", key=_DIM, bind="query-params", persist_state="session",
        help="Darkens the image where there is no mask, in *Fill* and *Outline*.",
    )  # fmt: skip
    return overlay_look(dataset_id)


def overlay_look(dataset_id: str) -> OverlayLook:
    """Return what the two controls say, on a page that does not have them."""
    chosen = st.session_state.get(_COLOUR, AUTOMATIC)
    colour = automatic_colour(dataset_id) if chosen == AUTOMATIC else chosen
    return OverlayLook(palette.MASK_COLOURS[colour], st.session_state.get(_DIM, False))


def automatic_colour(dataset_id: str) -> str:
    """Return the name of the colour, among those of the palette, with most contrast to the images of a dataset."""
    with resources.database().reading() as session:
        images = tuple(image.id for image in datasets.probe_images(session, dataset_id))
    return _contrasting(dataset_id, images)


@st.cache_data(show_spinner=False, max_entries=200)
def _contrasting(dataset_id: str, image_ids: tuple[str, ...]) -> str:
    files = resources.artifacts()
    keys = [stored.thumb_key(dataset_id, image_id) for image_id in image_ids]
    images = [codec.decode_image(files.read(key)) for key in keys if files.exists(key)]
    return contrasting_colour(images, palette.MASK_COLOURS)
