"""Colours with a meaning, the same on every page and in every chart."""

from __future__ import annotations

from collections.abc import Sequence

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
# The right place but the wrong class: of all colours the most distinct from those three for all common types of colour
# vision (CIE76 distance 57, as seen by the model of Machado et al., doi:10.1109/TVCG.2009.113).
WRONG_CLASS = "#8800FF"
MASK = VERMILION
# Foreground beside masks of several classes: none of their colours.
UNDIVIDED = "#FFFFFF"


def overlay(classes: Sequence[str] = ()) -> dict[str, str | Sequence[str]]:
    """Return the colours of masks, by the names in overlay.js; `classes` are those of the classes, background first."""
    return {
        "mask": UNDIVIDED if classes else MASK,
        "tp": TRUE_POSITIVE,
        "fp": FALSE_POSITIVE,
        "fn": FALSE_NEGATIVE,
        "wrong": WRONG_CLASS,
        "classes": classes[1:] or CLASSES,
        "ignored": IGNORED,
    }
