"""Images by URL: the thumbnails of a card, and an image with a coloured map over it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

import streamlit as st

from dashboard.ui import palette


def thumbnails(addresses: Sequence[str], height_px: int = 72) -> None:
    """Draw images side by side with equal widths; without any, an empty strip of the same height."""
    style = f"flex:1;min-width:0;height:{height_px}px;object-fit:cover;border-radius:4px"
    inner = "".join(f'<img src="{escape(address)}" alt="" loading="lazy" style="{style}">' for address in addresses)
    empty = "" if addresses else ";border-radius:4px;background:rgba(128,128,128,.12)"
    st.html(f'<div style="display:flex;gap:4px;min-height:{height_px}px{empty}">{inner}</div>')


def overlaid(image: str, over: str, caption: str) -> None:
    """Draw an image, over it another of the same proportions with transparent parts, and a caption below."""
    st.html(
        f'<figure style="margin:0"><div style="position:relative;line-height:0">'
        f'<img src="{escape(image)}" alt="{escape(caption)}" style="width:100%;border-radius:4px">'
        f'<img src="{escape(over)}" alt="" style="position:absolute;inset:0;width:100%;height:100%;'
        f'opacity:.75;image-rendering:pixelated">'
        f'</div><figcaption style="font-size:.8rem;opacity:.75;overflow:hidden;text-overflow:ellipsis;'
        f'white-space:nowrap;margin-top:4px">{escape(caption)}</figcaption></figure>'
    )


def class_legend(
    names: Sequence[str],
    shown: Iterable[int] | None = None,
    *,
    colours: Sequence[str] = (),
    ignored: bool = False,
    undivided: bool = False,
) -> None:
    """Draw the classes of a class map with their colours; the first, the background, is transparent.

    `shown` are the classes to draw, all by default, and `colours` those of the classes, in place of the palette's.
    `ignored`: some pixels are left out of training and scores, and have a colour, too. `undivided`: some of the masks
    are of foreground alone.
    """
    entries = []
    classes = [
        (names[index], colours[index] if index < len(colours) else palette.class_colour(index))
        for index in (range(len(names)) if shown is None else shown)
    ]
    classes += [("ignore", palette.IGNORED)] if ignored else []
    classes += [("foreground, not told apart", palette.UNDIVIDED)] if undivided else []
    for name, colour in classes:
        swatch = f"display:inline-block;width:.8em;height:.8em;border-radius:3px;background:{colour}"
        border = "border:1px solid gray;vertical-align:-.05em;margin-right:.4em"
        mark = f'<i style="{swatch};{border}"></i>'
        entries.append(f'<span style="margin-right:1.2em;white-space:nowrap">{mark}{escape(name)}</span>')
    st.html(f'<div style="font-size:.9rem;line-height:1.9">{" ".join(entries)}</div>')
