"""Images side by side that zoom and pan together, or two with a wipe slider between them.

```python
panes = [Pane("Image", url), Pane("Truth", url, mask=t), Pane("Errors", url, mask=p, reference=t, mode="errors")]
viewer(panes, threshold=0.5, opacity=0.5, key="detail")
viewer([Pane("Run A", url, mask=a), Pane("Run B", url, mask=b)], wipe=True, key="wipe")
```
Wheel or pinch zooms, drag pans, double click zooms in or shows the whole image again; on the keyboard + - 0 1 and
arrows. While the whole image is shown, these go to the image before and after. M hides the masks. A line below the
panes shows the values of the pixel under the mouse, or under the cross that Shift and arrows move. Threshold, opacity
and modes redraw and load nothing. From two screen pixels per image pixel on, pixels are shown
as squares; contours are one screen pixel wide at any zoom. With a `Brush`, people draw on the first pane; what they
draw is stored without a rerun.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import streamlit as st

from dashboard.facts import urls
from dashboard.facts.corrections import DrawnClasses
from dashboard.ui import palette
from dashboard.ui.mask_grid import Mode
from dashboard.ui.web import component

# For larger images the browser loads small copies first, and full resolution when zoomed in: five maps of
# 48 megapixels take two seconds to decode and half a gigabyte of memory.
WHOLE_UP_TO_PX = 16_000_000
SMALLER_PX = urls.SIZES_PX[-1]

_PARTS = ("layers", "readout", "gestures", "cursor", "lead", "tools")
_BRUSH = ("brush_raster", "brush_png", "brush_draft", "brush_snap", "brush_strokes", "brush_bar", "brush")
_SCRIPTS = ("overlay", "live_masks", *(f"viewer_{part}" for part in _PARTS), *_BRUSH, "viewer")
_render = component(
    "viewer", *(f"ui/{script}.js" for script in _SCRIPTS), style=("ui/viewer.css", "ui/brush.css", "ui/live_masks.css")
)


@dataclass(frozen=True)
class Pane:
    """An image with its mask and reference, and their classes; URLs as in `mask_grid.Tile`.

    `words` is the legend of mode "errors": in both, in the mask only, in the reference only. A `note` is shown instead
    of the image and says why there is none. `class_names` are for readings of the class numbers, from 0.
    `class_colours` and `only_class` take the place of those of all panes, whose class numbers may mean something else.
    """

    title: str
    image: str
    mask: str | None = None
    reference: str | None = None
    mode: Mode = "fill"
    words: tuple[str, str, str] | None = None
    note: str = ""
    classes: str | None = None
    reference_classes: str | None = None
    class_names: tuple[str, ...] = ()
    class_colours: tuple[str, ...] = ()
    only_class: int | None = None


@dataclass(frozen=True)
class Reading:
    """How the line below the panes shows a pixel of the grey image at `address`.

    "probability" is a value from 0 to 1 with foreground or background at the mask threshold; "label" the same at 0.5,
    the threshold of training; "share" is only the value; "mask" is foreground or background; "class" is a number with
    its name in `classes`, and 0 where the probability at `levels`, if given, is below the mask threshold.
    """

    name: str
    address: str
    kind: Literal["probability", "label", "share", "mask", "class"] = "probability"
    classes: tuple[str, ...] = ()
    levels: str | None = None


@dataclass(frozen=True)
class Brush:
    """The image that people draw on in the first pane, whose mask is what they correct.

    `mask_of` is the id of the mask set or run whose mask is shown; a mask of neither, such as a preview, cannot be
    declared finished, unless `blank` says that there is none: what is not drawn is background then. `tells`: rerun the
    page whenever something was stored, about a second after a stroke. `place` is where to begin, (x, y) in pixels of
    the image: it is marked until something is drawn. `leaves_out`: what is drawn is left out of all images of the
    dataset; there are no classes then.
    """

    dataset_id: str
    image_id: str
    classes: DrawnClasses
    mask_of: str = ""
    tells: bool = False
    blank: bool = False
    place: tuple[int, int] | None = None
    leaves_out: bool = False

    @property
    def address(self) -> str:
        """The route that stores what is drawn."""
        route = urls.left_out_of if self.leaves_out else urls.corrections_of
        return route(self.dataset_id, self.image_id)


@dataclass(frozen=True)
class LiveImage:
    """An image whose mask follows what is drawn: `thumbnail` and `mask` are URLs, None while there is no mask."""

    id: str
    name: str
    thumbnail: str
    mask: str | None = None


@dataclass(frozen=True)
class LiveMasks:
    """Masks of several images that follow each stroke on one of them, the brush's, without a rerun.

    `address` answers with the newest masks (dashboard/views/labels/routes.py).
    """

    address: str
    images: tuple[LiveImage, ...]


def viewer(
    panes: Sequence[Pane],
    *,
    key: str,
    threshold: float = 0.5,
    opacity: float = 0.5,
    wipe: bool = False,
    height_px: int | None = 460,
    readings: Sequence[Reading] | None = None,
    full_px: tuple[int, int] | None = None,
    ahead: Sequence[Pane] = (),
    only_class: int | None = None,
    class_colours: Sequence[str] = (),
    mask_colour: str = palette.MASK,
    dims: bool = False,
    moves_threshold: bool = False,
    brush: Brush | None = None,
    live: LiveMasks | None = None,
    lead: str = "",
    on_open: Callable[[str], None] | None = None,
) -> bool:
    """Draw the panes; with `wipe` the first two are stacked. Return whether a brush that `tells` has just stored.

    Args:
        threshold: foreground is probability >= threshold; for a reference >= 0.5.
        height_px: maximum height of a pane; None is what the window leaves below the tools of a `viewer_dialog`.
        lead: the title of the pane that is large at first, with the others small beside it; a click swaps them.
        moves_threshold: whether the threshold can be moved in the viewer, which then draws and changes nothing else.
        readings: values shown for a pixel in addition to its colour; by default the panes' masks and references.
        full_px: width and height of the image. A large one is shown as smaller copies until zoomed in.
        ahead: panes that are likely to be opened next; their images are loaded last.
        only_class: show this class of the panes' class numbers alone.
        class_colours: of the class numbers, background first, in place of the palette's.
        mask_colour: of masks without classes.
        dims: whether the image is darkened where there is no mask, in modes "fill" and "outline".
        brush: makes the first pane one to draw on, and shows the image in full size from the start.
        live: shows the masks of several images beside the panes, and what is drawn is then stored stroke by stroke.
        on_open: is called with the id of the image that a person wants to see or to draw on next.
    """
    chosen = derived_readings(panes) if readings is None else readings
    maps = ("image", "mask", "reference", "classes", "reference_classes")
    addresses = {address for pane in panes for part in maps if (address := getattr(pane, part))}
    addresses |= {address for reading in chosen for address in (reading.address, reading.levels) if address}
    large = brush is None and full_px is not None and full_px[0] * full_px[1] > WHOLE_UP_TO_PX
    data = {
        "panes": [asdict(pane) for pane in panes],
        "readings": [asdict(reading) for reading in chosen],
        "settings": {
            "threshold": threshold,
            "opacity": opacity,
            "wipe": wipe,
            "height_px": height_px,
            "full_px": full_px if large else None,
            "only_class": only_class,
            "lead": lead,
            "dims": dims,
            "moves_threshold": moves_threshold and any(pane.mask for pane in panes),
        },
        "smaller": {address: urls.sized(address, SMALLER_PX) for address in addresses} if large else {},
        "ahead": [asdict(pane) for pane in ahead],
        "colours": palette.overlay(class_colours, mask_colour),
        "brush": brush
        and {
            "address": brush.address,
            "classes": brush.classes.names,
            "colours": brush.classes.colours,
            "mask_of": brush.mask_of,
            "can_finish": bool(brush.mask_of) or brush.blank,
            "tells": brush.tells,
            "place": brush.place,
        },
        "live": live
        and brush
        and {"address": live.address, "opened": brush.image_id, "images": [*map(asdict, live.images)]},
    }

    def opened() -> None:
        chosen = st.session_state[key].get("opened")
        if chosen and on_open:
            on_open(chosen)

    return _render(key=key, data=data, on_stored_change=_noop, on_opened_change=opened).stored is not None


def _noop() -> None:
    """The result has a trigger only if it has a callback."""


def derived_readings(panes: Sequence[Pane]) -> tuple[Reading, ...]:
    """Return a reading of every mask, reference and class map of the panes, named by the first pane that shows it."""
    readings: dict[str, Reading] = {}
    for pane in panes:
        name = pane.title.partition(" · ")[0]  # scores may follow a run's name
        alone = pane.mask is None and pane.mode == "fill"
        reference_name = name if alone else "Reference"
        if pane.mask and pane.mask not in readings:
            readings[pane.mask] = Reading(name, pane.mask, "share" if pane.mode == "probability" else "probability")
        if pane.reference and pane.reference not in readings:
            readings[pane.reference] = Reading(reference_name, pane.reference, "mask")
        classes = (pane.classes, f"{name}, class", pane.mask), (pane.reference_classes, reference_name, pane.reference)
        for address, title, levels in classes:
            if address and address not in readings:
                readings[address] = Reading(title, address, "class", pane.class_names, levels)
    return tuple(readings.values())
