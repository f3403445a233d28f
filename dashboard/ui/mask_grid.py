"""A reflowing grid of images with their masks drawn over them in the browser.

```python
tiles = [Tile(id, title, image=urls.thumbnail(d, id), mask=urls.label(s, id, 192), reference=urls.truth(d, id, 192))]
chosen = mask_grid(tiles, mode="errors", threshold=0.5, opacity=0.6, tile_px=192, key="labels-grid")
```
Moving the threshold, the opacity or the mode redraws what is there and loads nothing again. A tile whose
`mask` address changes keeps its old picture until the new one has come, so nothing flickers.
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

SCRIPTS = ("ui/run_news.js", "ui/overlay.js", "ui/pictures.js", "ui/mask_grid.js")
_render = component("mask_grid", *SCRIPTS, style="ui/mask_grid.css")


@dataclass(frozen=True)
class Tile:
    """One image. `mask` and `reference` are addresses of 8-bit grey pictures (probability or 0/255).

    So is `teacher`, which stands between image and mask where they are shown side by side, and nowhere else.
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


def mask_grid(
    tiles: Sequence[Tile],
    *,
    key: str,
    mode: Mode = "fill",
    threshold: float = 0.5,
    opacity: float = 0.5,
    tile_px: int = 192,
    aspect: float = 4 / 3,
    selected: str | None = None,
    selectable: bool = True,
    error_words: tuple[str, str, str] | None = None,
    follows: Mapping[str, str] | None = None,
) -> str | None:
    """Draw the grid; return the id of the tile just clicked (or entered), on that one rerun only, else None.

    Args:
        threshold: foreground is probability >= threshold, for mask and reference alike.
        opacity: of the overlay, 0 to 1.
        tile_px: the width that tiles aim at; they stretch to fill the row.
        aspect: width over height of a tile's picture; best the median of the images shown.
        selected: the id of the tile to mark as chosen.
        selectable: False draws tiles that do not react to clicks.
        error_words: what the legend calls foreground in both, in the mask alone and in the reference alone, where the
            reference is no truth to be right or wrong by.
        follows: on the page of a run that trains, `Page.follows`: the masks of new epochs then come by themselves.
    """
    data = {
        "tiles": [asdict(tile) for tile in tiles],
        "settings": {
            "mode": mode,
            "threshold": threshold,
            "opacity": opacity,
            "tile_px": tile_px,
            "aspect": aspect,
            "selected": selected,
            "selectable": selectable,
            "error_words": error_words,
        },
        "colours": palette.overlay(),
        "follows": follows,
    }
    return _render(key=key, data=data, on_chosen_change=_noop).chosen


def _noop() -> None:
    """A trigger is only part of the result when it has a callback."""
