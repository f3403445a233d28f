"""The browser parts of our components: plain JavaScript and CSS files, no build step.

A component is one module: ui/mount.js, then the given scripts in order. The last one has the default export.
"""

from __future__ import annotations

from pathlib import Path

import streamlit as st
from streamlit.components.v2.types import ComponentRenderer

_FOLDER = Path(__file__).parents[1]


def component(name: str, *scripts: str, style: str | tuple[str, ...]) -> ComponentRenderer:
    """Return the function that draws a component. The paths of its files start at dashboard/."""
    return st.components.v2.component(
        f"maskloom_{name}",
        html='<div class="root"></div>',
        css="\n".join(_read(file) for file in ("ui/base.css", *((style,) if isinstance(style, str) else style))),
        js=module_text(*scripts),
    )


def module_text(*scripts: str) -> str:
    """Return a component's JavaScript module."""
    return "\n".join(_read(file) for file in ("ui/mount.js", *scripts))


def _read(file: str) -> str:
    return (_FOLDER / file).read_text(encoding="utf-8")
