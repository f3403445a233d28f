"""Colours with a meaning, the same on every page and in every chart."""

from __future__ import annotations

from engine.imaging.class_colours import (
    BLUE,
    CLASSES,
    GREEN,
    IGNORED,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    YELLOW,
    class_colour,
    class_colours,
)

__all__ = ["BLUE", "CLASSES", "IGNORED", "ORANGE", "VERMILION", "class_colour", "class_colours"]

SERIES = (BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILION, YELLOW)

# Of all bright triples these are the most distinct for protanopes and deuteranopes (CIE76 distance 49).
TRUE_POSITIVE, FALSE_POSITIVE, FALSE_NEGATIVE = GREEN, ORANGE, SKY
MASK = VERMILION


def overlay() -> dict[str, str]:
    """Return the colours of masks, by the names in overlay.js."""
    return {"mask": MASK, "tp": TRUE_POSITIVE, "fp": FALSE_POSITIVE, "fn": FALSE_NEGATIVE}
