"""Colours that mean something, the same on every page and in every chart.

Okabe and Ito, "Color Universal Design", 2008: eight colours told apart under every common colour vision.
"""

from __future__ import annotations

ORANGE, SKY, GREEN, YELLOW, BLUE, VERMILION, PURPLE = (
    "#E69F00",
    "#56B4E9",
    "#009E73",
    "#F0E442",
    "#0072B2",
    "#D55E00",
    "#CC79A7",
)
SERIES = (BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILION, YELLOW)

# Of all bright triples these stay furthest apart for protanopes and deuteranopes (CIE76 distance 49).
TRUE_POSITIVE, FALSE_POSITIVE, FALSE_NEGATIVE = GREEN, ORANGE, SKY
MASK = VERMILION
# A class map's classes 1, 2, …; background stays clear.
CLASSES = (VERMILION, SKY, YELLOW, PURPLE, GREEN, ORANGE, BLUE)


def overlay() -> dict[str, str]:
    """Return the colours that masks are drawn with, by the names that overlay.js uses."""
    return {"mask": MASK, "tp": TRUE_POSITIVE, "fp": FALSE_POSITIVE, "fn": FALSE_NEGATIVE}
