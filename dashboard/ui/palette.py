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

# The least CIE76 distance of the three is 49 for protanopes and deuteranopes, and of the last from every class's 39.
TRUE_POSITIVE, FALSE_POSITIVE, FALSE_NEGATIVE = GREEN, ORANGE, "#FF88FF"
# The right place but the wrong class: of all colours the most distinct from those three for all common types of colour
# vision (CIE76 distance 57, as seen by the model of Machado et al., doi:10.1109/TVCG.2009.113).
WRONG_CLASS = "#8800FF"
MASK = VERMILION
# Foreground beside masks of several classes: none of their colours.
UNDIVIDED = "#FFFFFF"
# The colours that masks without classes can have, by name.
MASK_COLOURS = {"orange": VERMILION, "blue": "#1E90FF", "yellow": YELLOW, "green": "#00D28C"}


def overlay(classes: Sequence[str] = (), mask: str = MASK) -> dict[str, str | Sequence[str]]:
    """Return the colours of masks, by the names in overlay.js.

    Args:
        classes: the colours of the classes, background first.
        mask: the colour of masks without classes.
    """
    return {
        "mask": UNDIVIDED if classes else mask,
        "tp": TRUE_POSITIVE,
        "fp": FALSE_POSITIVE,
        "fn": FALSE_NEGATIVE,
        "wrong": WRONG_CLASS,
        "classes": classes[1:] or CLASSES,
        "ignored": IGNORED,
    }
