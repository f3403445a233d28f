"""Finding the image of a name: in its place, in a place that differs by one folder, or anywhere."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator

from engine.datasets.folders import Folders, Place
from engine.datasets.naming import FileName, stem

_UNLABELLED = re.compile(r"un-?_?labell?ed", re.IGNORECASE)

Group = tuple[Place, str]
"""Images of one stem in one place: images/a.jpg and images/a.tif, which have the same truth."""


class ImageIndex:
    """The images of an import by place and name. What is asked for and is not unique is not returned."""

    def __init__(self, images: Iterable[str], folders: Folders, said: Callable[[str], FileName]) -> None:
        self.groups: dict[Group, list[str]] = defaultdict(list)
        self.in_places: dict[Place, list[Group]] = defaultdict(list)
        self._in_place: dict[tuple[Place, str], list[Group]] = defaultdict(list)
        self._near: dict[tuple[Place, str], list[Group]] = defaultdict(list)
        self._anywhere: dict[str, list[Group]] = defaultdict(list)
        self._unlabelled: dict[str, list[Group]] = defaultdict(list)
        for image in images:
            place = folders.of(image).place
            group = place, stem(image)
            self.groups[group].append(image)
            if len(self.groups[group]) > 1:
                continue
            self.in_places[place].append(group)
            unlabelled = any(_UNLABELLED.fullmatch(part) for part in image.split("/"))
            for key in dict.fromkeys([stem(image), *said(image).image_keys]):
                _note(self._in_place[place, key], group)
                _note((self._unlabelled if unlabelled else self._anywhere)[key], group)
                if not unlabelled:
                    for shorter in _shorter(place):
                        _note(self._near[shorter, key], group)

    def add_name(self, key: str, group: Group) -> None:
        """Let an image be found in its place by another name."""
        _note(self._in_place[group[0], key], group)

    def in_place(self, place: Place, key: str) -> Group | None:
        """Return the image of a name in a place."""
        if (place, key) in self.groups:
            return place, key
        return _only(self._in_place.get((place, key), []))

    def near(self, place: Place, key: str) -> Group | None:
        """Return the only image of a name in a place that has one folder more or less."""
        found = list(self._near.get((place, key), []))
        for shorter in _shorter(place):
            found += [group for group in [self.in_place(shorter, key)] if group and group not in found]
        return _only(found)

    def anywhere(self, key: str) -> Group | None:
        """Return the only image of a name."""
        return _only(self._anywhere.get(key, [])) if key else None

    def of_name(self, key: str) -> list[Group]:
        """Return images of a name, as many as make clear that there are several."""
        return self._anywhere.get(key) or self._unlabelled.get(key, [])


def _shorter(place: Place) -> Iterator[Place]:
    for at in range(len(place)):
        yield place[:at] + place[at + 1 :]


def _note(groups: list[Group], group: Group) -> None:
    if len(groups) < 2 and group not in groups:  # a third says no more than the second: it is not unique
        groups.append(group)


def _only(groups: list[Group]) -> Group | None:
    return groups[0] if len(groups) == 1 else None
