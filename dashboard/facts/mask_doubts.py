"""What to say of masks that look more like the whole picture or its frame than like objects."""

from __future__ import annotations

from collections.abc import Iterable

from engine.labelling.mask_shapes import MaskShape, doubt_of

WHAT_IS_WRONG = {
    "same": "These masks are nearly the same in every image: look before you trust them.",
    "most": "These masks cover most of each image (about {area:.0%}): look before you trust them.",
    "border": "These masks cover nearly the whole border of each image: look before you trust them.",
}
ADVICE = (
    "If they are not what you mean, mark it with strokes, try another method, or leave out what is in every image (a "
    "frame, black corners, a time stamp) on the Datasets page."
)


def mask_doubt(shapes: Iterable[MaskShape | None]) -> str:
    """Return why masks of several images are doubtful and what to try next; empty if they are not."""
    doubt = doubt_of([shape for shape in shapes if shape is not None])
    return f"{WHAT_IS_WRONG[doubt.why].format(area=doubt.area)} {ADVICE}" if doubt else ""
