"""The colours of classes, the same on every page and in every file.

Okabe and Ito, "Color Universal Design", 2008: eight colours that are distinct with all common types of colour vision.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from engine.imaging.class_maps import IGNORE

COLOUR = re.compile("#[0-9A-Fa-f]{6}")

ORANGE, SKY, GREEN, YELLOW, BLUE, VERMILION, PURPLE = (
    "#E69F00",
    "#56B4E9",
    "#009E73",
    "#F0E442",
    "#0072B2",
    "#D55E00",
    "#CC79A7",
)
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


def class_colours(classes: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the colour of each class of a dataset or run, {"index", …[, "colour"]}: its own, or that of its index."""
    return [entry.get("colour") or class_colour(entry["index"]) for entry in classes]


def with_colours(classes: Iterable[Mapping[str, Any]], before: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return classes that keep the colours that those of the same name had before."""
    had = {entry["name"]: {"colour": entry["colour"]} for entry in before if entry.get("colour")}
    return [had.get(entry["name"], {}) | dict(entry) for entry in classes]


def with_present_colours(
    classes: Iterable[Mapping[str, Any]], present: Iterable[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return classes of a run or mask set with the colours that classes of their dataset have now, by name.

    Those that the dataset no longer has keep their own.
    """
    now = {entry["name"]: entry.get("colour") for entry in present}
    return [dict(entry) | {"colour": now.get(entry["name"], entry.get("colour"))} for entry in classes]


def checked_colour(colour: str, name: str) -> str:
    """Return the colour of the class `name` as "#RRGGBB".

    Raises:
        ValueError: it is not written like that.
    """
    if not COLOUR.fullmatch(colour.strip()):
        raise ValueError(f"The colour of {name!r} is written as #RRGGBB, such as #E69F00. Got {colour.strip()!r}.")
    return colour.strip().upper()


def png_palette(classes: Iterable[Mapping[str, Any]] = ()) -> bytes:
    """Return the red, green and blue of each of 256 class indices, 768 bytes; background is black.

    Of two equal colours the later one's blue differs by a step: readers by colour need that to keep classes apart.
    """
    classes = list(classes)
    own = dict(zip((entry["index"] for entry in classes), class_colours(classes), strict=True))
    colours = {(0, 0, 0): 0}
    for index in range(1, 256):
        red, green, blue = bytes.fromhex(own.get(index, class_colour(index))[1:])
        step = 1 if blue < 128 else -1
        while (red, green, blue) in colours:
            blue = (blue + step) % 256
        colours[red, green, blue] = index
    return b"".join(map(bytes, colours))
