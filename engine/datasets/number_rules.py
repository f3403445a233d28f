"""Pairs without a common name: the only image of a folder, and names that have nothing in common but a number."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable

from engine.datasets.folders import Folders, Place
from engine.datasets.image_index import Group, ImageIndex
from engine.datasets.naming import stem

_NUMBER = re.compile(r"\d+")


def by_only_image(truths: Iterable[str], folders: Folders, index: ImageIndex) -> dict[str, Group]:
    """Return truth that lies beside the only image of its place, one folder for each image.

    So it is in the Data Science Bowl of 2018: id/images/id.png has id/masks/*.png.
    """
    places: dict[Place, list[str]] = defaultdict(list)
    for truth in truths:
        places[folders.of(truth).place].append(truth)
    alone = {place: index.in_places[place][0] for place in places if place and len(index.in_places.get(place, ())) == 1}
    found: dict[str, Group] = {}
    for place, group in alone.items():
        if len(alone) > 1 or group[1] == place[-1]:
            found |= dict.fromkeys(places[place], group)
    return found


def by_number(truths: Iterable[str], folders: Folders, index: ImageIndex, claimed: set[Group]) -> dict[str, Group]:
    """Return truth that has the number of an image, where names differ only by their numbers: scan12 and result_012.

    Only for places in which no image has truth by its name.
    """
    places: dict[Place, list[str]] = defaultdict(list)
    for truth in truths:
        places[folders.of(truth).place].append(truth)
    found: dict[str, Group] = {}
    for place, names in places.items():
        groups = index.in_places.get(place, [])
        if not claimed.isdisjoint(groups):
            continue
        images = _numbered([group[1] for group in groups])
        masks = _numbered([stem(name) for name in names])
        of_number = dict(zip(images, groups, strict=True)) if images else {}
        for number, name in zip(masks, names, strict=False):
            if number in of_number:
                found[name] = of_number[number]
    return found


def _numbered(stems: list[str]) -> list[tuple[int, ...]]:
    """Return what numbers tell the names apart, or [] if something else does as well."""
    if len({_NUMBER.sub("#", text) for text in stems}) != 1:
        return []
    numbers = [tuple(map(int, _NUMBER.findall(text))) for text in stems]
    varying = [at for at, values in enumerate(zip(*numbers, strict=True)) if len(set(values)) > 1]
    told = [tuple(values[at] for at in varying) for values in numbers]
    return told if varying and len(set(told)) == len(told) else []
