"""The tile of a grid that was clicked, as large as the window, with the tiles before and after it.

```python
clicked = mask_grid(tiles, mode=mode, threshold=threshold, key="probes")
if clicked:
    view_tile(tiles, clicked, mode=mode, threshold=threshold)
```
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import streamlit as st

from dashboard.facts import urls
from dashboard.facts.wording import escaped
from dashboard.ui.mask_grid import Mode, Tile
from dashboard.ui.overlay_choice import OverlayLook
from dashboard.ui.step_buttons import step_buttons
from dashboard.ui.viewer import Pane, viewer
from dashboard.ui.viewer_dialog import toolbar, viewer_dialog

OPENED = "tile-opened"


@dataclass(frozen=True)
class TileLook:
    """How the tiles are displayed, as in `mask_grid`."""

    mode: Mode = "fill"
    threshold: float = 0.5
    opacity: float = 0.5
    overlay: OverlayLook = field(default_factory=OverlayLook)
    only_class: int | None = None
    class_names: tuple[str, ...] = ()
    class_colours: tuple[str, ...] = ()
    error_words: tuple[str, str, str] | None = None


def view_tile(tiles: Sequence[Tile], clicked: str, look: TileLook) -> None:
    """Open the dialog on a tile. A mode "side by side" shows image, teacher, mask and reference beside one another."""
    st.session_state[OPENED] = clicked
    _dialog(tuple(tiles), look)


@viewer_dialog("Mask")
def _dialog(tiles: tuple[Tile, ...], look: TileLook) -> None:
    at = next((at for at, tile in enumerate(tiles) if tile.id == st.session_state[OPENED]), 0)
    neighbours = [None, *(tile.id for tile in tiles), None]
    tile = tiles[at]
    with toolbar():
        step_buttons(OPENED, neighbours[at], neighbours[at + 2])
        words = " · ".join(filter(None, [tile.title, tile.badge, *tile.subtitle.splitlines()]))
        st.caption(escaped(words), width="content")
    viewer(
        panes_of(tile, look),
        threshold=look.threshold,
        opacity=look.opacity,
        only_class=look.only_class,
        class_colours=look.class_colours,
        mask_colour=look.overlay.colour,
        dims=look.overlay.dims,
        height_px=None,
        moves_threshold=True,
        key="tile-viewer",
    )


def panes_of(tile: Tile, look: TileLook) -> list[Pane]:
    """Return the panes of a tile, its images in their own size."""
    image, mask, reference, teacher, classes, reference_classes, teacher_classes = (
        address and urls.whole(address)
        for address in (
            *(tile.image, tile.mask, tile.reference, tile.teacher),
            *(tile.classes, tile.reference_classes, tile.teacher_classes),
        )
    )
    assert image is not None
    names = look.class_names
    if look.mode != "side by side":
        pane = Pane(
            "Mask" if mask else "Image", image, mask, reference, look.mode, look.error_words,
            classes=classes, reference_classes=reference_classes, class_names=names,
        )  # fmt: skip
        return [pane]
    panes = [Pane("Image", image)]
    if teacher:
        panes.append(Pane("Teacher", image, teacher, classes=teacher_classes, class_names=names))
    if mask:
        panes.append(Pane("Mask", image, mask, classes=classes, class_names=names))
    if reference or reference_classes:
        panes.append(
            Pane("Reference", image, reference=reference, reference_classes=reference_classes, class_names=names)
        )
    return panes
