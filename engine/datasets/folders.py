"""Which folders of an import hold truth, and which place of the data set each folder is.

The place of a folder is its path without what says that it holds images or truth: train/images, train/masks,
images/train and train_masks are all the place ("train",). An image and its truth are in one place.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from engine.datasets.naming import FolderName, folder_name

Path = tuple[str, ...]
Place = tuple[str, ...]


@dataclass(frozen=True)
class Source:
    """Where truth of one kind comes from: a folder of truth, or names of one kind.

    `words` say how it is coded. `part` is what else the folder's name says: "left" of left_mask.
    """

    parent: Path
    folder: str
    words: tuple[str, ...]
    part: str


@dataclass(frozen=True)
class Folder:
    """One folder: its place, and where its truth is from, if it holds truth. `label` is a name to show."""

    place: Place
    source: Source | None
    label: str


class Folders:
    """All folders of an import."""

    def __init__(self, names: Iterable[str], *, not_truth: frozenset[Path], forced: frozenset[Path]) -> None:
        """Look at the folders of files.

        Args:
            names: relative paths of files, with forward slashes.
            not_truth: folders whose names say truth, and are known to hold none.
            forced: folders that are known to hold truth, whatever they are called.
        """
        self._not_truth, self._forced = not_truth, forced
        ways = {name.rpartition("/")[0]: name for name in names}
        paths = {path[:depth] for path in set(map(folder_of, ways.values())) for depth in range(len(path) + 1)}
        self._said: dict[Path, FolderName] = {path: folder_name(path[-1]) for path in paths if path}
        known = {path[:-1] for path, said in self._said.items() if said.kind in ("image", "truth")}
        self._truths = {path for path in self._said if self._says_truth(path, known)}
        inner: dict[Path, set[str]] = defaultdict(set)
        for path, said in self._said.items():
            kind = "truth" if path in self._truths else "" if said.words == ("rgb",) else said.kind
            for depth in range(1, len(path)):
                inner[path[:depth]].add(kind)
        # labels/images beside labels/masks: labels is the name of a data set
        self._truths -= {path for path in self._truths if {"truth", "image"} <= inner[path]}
        self._folders: dict[str, Folder] = {}

    def of(self, name: str) -> Folder:
        """Return the folder of a file."""
        path = name.rpartition("/")[0]
        if path not in self._folders:
            self._folders[path] = self._folder(folder_of(name))
        return self._folders[path]

    def truths(self) -> list[Path]:
        """Return the folders that hold truth."""
        return sorted(self._truths)

    def compound(self) -> list[Path]:
        """Return the folders that hold truth by a word of their name beside which there are others."""
        return [path for path in self.truths() if self._said[path].compound and path not in self._forced]

    def perhaps(self) -> list[Path]:
        """Return the folders that hold truth by a name that may mean something else, such as target/ and y/."""
        of_kind = [path for path in self.truths() if self._said[path].kind == "perhaps truth"]
        return [path for path in of_kind if path not in self._forced]

    def _says_truth(self, path: Path, known: set[Path]) -> bool:
        if path in self._forced:
            return True
        kind = self._said[path].kind
        beside = path[:-1] in known  # y beside x, instances beside labels
        return path not in self._not_truth and (kind == "truth" or (kind == "perhaps truth" and beside))

    def _folder(self, path: Path) -> Folder:
        steps = [path[:depth] for depth in range(1, len(path) + 1)]
        truths = [step for step in steps if step in self._truths]
        below = [step for step in steps if truths and len(step) >= len(truths[0])]
        place: list[str] = []
        for step in steps:
            coding = step in below and not self._said[step].kind and self._said[step].words  # GT/COLOR
            rest = "" if coding else self._rest(step)
            if rest and (not place or place[-1] != rest):  # train.zip with a folder train in it
                place.append(rest)
        source = None
        if truths:
            words = dict.fromkeys(word for step in below for word in self._said[step].words)
            folder = truths[0][-1] if truths[0] in self._forced else ""
            source = Source(truths[0][:-1], folder, tuple(words), self._rest(truths[0]))
        kinds = truths or [step for step in steps if self._said[step].kind == "image"] or steps
        return Folder(tuple(place), source, kinds[-1][-1] if kinds else "")

    def _rest(self, path: Path) -> str:
        said = self._said[path]
        if path in self._forced:
            return ""
        if said.kind == "perhaps truth" and path not in self._truths:
            return path[-1].casefold()
        return said.rest


def folder_of(name: str) -> Path:
    """Return the folders on the way to a file."""
    return tuple(step for step in name.split("/")[:-1] if step not in ("", "."))
