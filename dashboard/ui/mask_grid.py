"""A responsive grid of images with their masks, drawn in the browser.

```python
tiles = [Tile(id, title, image=urls.thumbnail(d, id), mask=urls.label(s, id, 192), reference=urls.truth(d, id, 192))]
chosen = mask_grid(tiles, mode="errors", threshold=0.5, opacity=0.6, tile_px=192, key="labels-grid")
```
A change of threshold, opacity or mode redraws the tiles and loads nothing. A tile whose `mask` URL changes shows its
old content until the new mask is loaded, so that nothing flickers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal, get_args

from dashboard.ui import palette
from dashboard.ui.web import component

Mode = Literal["fill", "outline", "errors", "probability", "image", "side by side"]
MODES: tuple[Mode, ...] = get_args(Mode)
Tone = Literal["neutral", "good", "bad", "busy"]

SCRIPTS = tuple(
    f"ui/{name}.js" for name in ("run_news", "overlay", "pictures", "tick_news", "grid_clusters", "mask_grid")
)
_render = component("mask_grid", *SCRIPTS, style="ui/mask_grid.css")


@dataclass(frozen=True)
class Tile:
    """One image. `mask`, `reference` and `teacher` are URLs of 8-bit grey images (probability or 0/255).

    Where a network tells several classes apart, `classes`, `reference_classes` and `teacher_classes` are URLs of 8-bit
    class numbers: a pixel of the mask, reference or teacher has the colour of its class. Without a `reference`,
    `reference_classes` says by itself which pixels are background (0). Errors have classes on both sides, or on none.
    `teacher` is shown only side by side, between image and mask. A tile that is `left_out` is grey and struck through.
    `clusters` is the URL of the cluster of each pixel, 8-bit: see `Ticks`.
    """

    id: str
    title: str
    image: str
    mask: str | None = None
    reference: str | None = None
    teacher: str | None = None
    subtitle: str = ""
    badge: str = ""
    tone: Tone = "neutral"
    classes: str | None = None
    reference_classes: str | None = None
    teacher_classes: str | None = None
    left_out: bool = False
    clusters: str | None = None


@dataclass(frozen=True)
class Ticks:
    """Clusters that a person ticks in the component of `cluster_panel.py` with the same `group`, or in the tiles.

    A click into an image ticks the cluster there, and masks follow each tick at once, until the script brings those of
    the ticks `now`, {number: class}. Where nothing is ticked a rule chooses, and `now` is None.
    """

    group: str
    now: Mapping[int, int] | None


def mask_grid(
    tiles: Sequence[Tile],
    *,
    key: str,
    mode: Mode = "fill",
    threshold: float = 0.5,
    opacity: float = 0.5,
    tile_px: int = 192,
    columns: int | None = None,
    aspect: float = 4 / 3,
    selected: str | None = None,
    selectable: bool = True,
    error_words: tuple[str, str, str] | None = None,
    only_class: int | None = None,
    class_colours: Sequence[str] = (),
    mask_colour: str = palette.MASK,
    dims: bool = False,
    follows: Mapping[str, str] | None = None,
    ticks: Ticks | None = None,
) -> str | None:
    """Draw the grid; return the id of the tile that was just clicked, on that rerun only, else None.

    Args:
        threshold: foreground is probability >= threshold, for mask and reference.
        opacity: of the overlay, 0 to 1.
        tile_px: the minimum width of tiles; they stretch to fill the row.
        columns: how many tiles a row has, whatever their width.
        aspect: width over height of a tile's image; preferably the median of the images.
        selected: the id of the tile to mark as selected.
        selectable: whether tiles can be clicked.
        error_words: legend of foreground in both, in the mask only and in the reference only, if the reference is not
            truth.
        only_class: show this class of the tiles' class numbers alone.
        class_colours: of the class numbers, background first, in place of the palette's.
        mask_colour: of masks without classes.
        dims: whether the image is darkened where there is no mask, in modes "fill" and "outline".
        ticks: of tiles with clusters; a click on their name opens them then.
        follows: on the page of a training run, `Page.follows`: masks of new epochs are then loaded automatically.
    """
    data = {
        "tiles": [asdict(tile) for tile in tiles],
        "settings": {
            "mode": mode,
            "threshold": threshold,
            "opacity": opacity,
            "tile_px": tile_px,
            "columns": columns,
            "aspect": aspect,
            "selected": selected,
            "selectable": selectable,
            "error_words": error_words,
            "only_class": only_class,
            "dims": dims,
        },
        "colours": palette.overlay(class_colours, mask_colour),
        "follows": follows,
        "ticks": ticks and {"group": ticks.group, "now": None if ticks.now is None else sorted(ticks.now.items())},
    }
    return _render(key=key, data=data, on_chosen_change=_noop).chosen


def _noop() -> None:
    """The result has a trigger only if it has a callback."""
