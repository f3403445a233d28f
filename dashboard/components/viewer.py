"""One or more pictures side by side that zoom and pan as one, or two with a wipe slider between them.

```python
panes = [Pane("Image", url), Pane("Truth", url, mask=t), Pane("Errors", url, mask=p, reference=t, mode="errors")]
viewer(panes, threshold=0.5, opacity=0.5, key="detail")
viewer([Pane("Run A", url, mask=a), Pane("Run B", url, mask=b)], wipe=True, key="wipe")
```
Wheel or pinch zooms, drag pans, double click or 0 resets, + and - zoom from the keyboard, arrows pan.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from dashboard.components import palette
from dashboard.components.mask_grid import Mode
from dashboard.components.web import component

_render = component("viewer", "overlay.js", "viewer.js", style="viewer.css")


@dataclass(frozen=True)
class Pane:
    """One picture: an image and what is drawn over it. Addresses as for a mask grid's tile."""

    title: str
    image: str
    mask: str | None = None
    reference: str | None = None
    mode: Mode = "fill"


def viewer(
    panes: Sequence[Pane],
    *,
    key: str,
    threshold: float = 0.5,
    opacity: float = 0.5,
    wipe: bool = False,
    height_px: int = 460,
) -> None:
    """Draw the panes; with `wipe` the first two lie upon each other. `height_px` is each pane's greatest height."""
    data = {
        "panes": [asdict(pane) for pane in panes],
        "settings": {"threshold": threshold, "opacity": opacity, "wipe": wipe, "height_px": height_px},
        "colours": palette.overlay(),
    }
    _render(key=key, data=data)
