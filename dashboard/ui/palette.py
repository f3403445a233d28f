"""Colours with a meaning, the same on every page and in every chart.

Okabe and Ito, "Color Universal Design", 2008: eight colours that are distinct with all common types of colour vision.
"""

from __future__ import annotations

from engine.imaging.class_maps import IGNORE

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

# Of all bright triples these are the most distinct for protanopes and deuteranopes (CIE76 distance 49).
TRUE_POSITIVE, FALSE_POSITIVE, FALSE_NEGATIVE = GREEN, ORANGE, SKY
# The right place but the wrong class: of all colours the most distinct from those three for all common types of colour
# vision (CIE76 distance 57, as seen by the model of Machado et al., doi:10.1109/TVCG.2009.113).
WRONG_CLASS = "#8800FF"
MASK = VERMILION
# A class map's classes 1, 2, …; background is transparent.
CLASSES = (
    *(VERMILION, SKY, YELLOW, PURPLE, GREEN, ORANGE, BLUE),
    # Seven more for street scenes and the like, from "muted" of Tol, "Colour schemes", SRON/EPS/TN/09-002, 2021.
    *("#882255", "#DDCC77", "#332288", "#44AA99", "#CC6677", "#117733", "#999933"),
)
# Pixels that are left out of training and scores.
IGNORED = "#808080"


def class_colour(index: int) -> str:
    """Return the colour of a class of class maps; "transparent" for 0, the background."""
    if index == IGNORE:
        return IGNORED
    return CLASSES[(index - 1) % len(CLASSES)] if index else "transparent"


def overlay() -> dict[str, str | tuple[str, ...]]:
    """Return the colours of masks, by the names in overlay.js."""
    return {
        "mask": MASK,
        "tp": TRUE_POSITIVE,
        "fp": FALSE_POSITIVE,
        "fn": FALSE_NEGATIVE,
        "wrong": WRONG_CLASS,
        "classes": CLASSES,
        "ignored": IGNORED,
    }
