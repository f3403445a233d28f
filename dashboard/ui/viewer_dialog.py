"""A dialog that is for looking: as wide as the window, its tools in one line, and the picture below them large.

```python
@viewer_dialog("Mask")
def _dialog(...):
    with toolbar():
        step_buttons(OPENED, before, after)
    viewer(panes, height_px=None, key="look")      # None: as high as the window allows
```
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Literal, ParamSpec

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

P = ParamSpec("P")

_TOOLS = "viewer-toolbar"
# The title stays for screen readers alone: the line of tools takes its place.
_STYLE = f"""<style>
[data-testid="stDialog"]:has(.st-key-{_TOOLS}) {{ padding-block: 0.5rem; }}
[data-testid="stDialog"]:has(.st-key-{_TOOLS}) > div {{ margin-block: 0; }}
[role="dialog"]:has(.st-key-{_TOOLS}) {{ width: min(97vw, 120rem); max-width: none; }}
[data-testid="stDialog"] > div:has(.st-key-{_TOOLS}) {{ width: auto; max-width: none; }}
[role="dialog"]:has(.st-key-{_TOOLS}) > h2 {{
  position: absolute; height: 1px; padding: 0; overflow: hidden; clip-path: inset(50%);
}}
[role="dialog"]:has(.st-key-{_TOOLS}) > div {{ padding-bottom: 0.75rem; }}
.st-key-{_TOOLS} {{ padding-right: 2.5rem; min-height: 2.5rem; }}
[role="dialog"]:has(.st-key-{_TOOLS}) [data-testid="stVerticalBlock"] {{ gap: 0.5rem; }}
</style>"""


def viewer_dialog(
    title: str, *, on_dismiss: Literal["ignore", "rerun"] | Callable[[], Any] = "ignore"
) -> Callable[[Callable[P, None]], Callable[P, None]]:
    """Make a function draw into such a dialog, as `st.dialog` does. It begins with `toolbar`."""

    def decorate(draw: Callable[P, None]) -> Callable[P, None]:
        @st.dialog(title, width="large", on_dismiss=on_dismiss)
        @wraps(draw)
        def dialog(*args: P.args, **kwargs: P.kwargs) -> None:
            st.html(_STYLE)
            draw(*args, **kwargs)

        return dialog

    return decorate


def toolbar() -> DeltaGenerator:
    """Return the line of tools above the picture."""
    return st.container(horizontal=True, vertical_alignment="center", gap="small", key=_TOOLS)
