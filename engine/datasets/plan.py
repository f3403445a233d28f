"""What an import would do, before anything is stored: which files are images, which are their truth, and why."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from engine.datasets.by_hand import Belongs, reassigned
from engine.datasets.content_rules import spread
from engine.datasets.mask_likeness import mask_likeness
from engine.datasets.naming import stem
from engine.datasets.outlines import Outlines, OutlineSet, read_outlines
from engine.datasets.pairing import Pairing, pair
from engine.datasets.source import Entry, Source, SourceFile, UnreadableSource
from engine.imaging import codec
from engine.imaging.codec import UnreadableImage

MOST_LOOKS = 400
"""So many files are decoded for a plan at most …"""
MOST_PIXELS = 400_000_000
"""… and not another one after so many pixels: a few seconds."""
_SHOWN = 3
OUTLINES = "outlines"
"""What the truth of an image is called in a plan that comes from annotation files."""


@dataclass(frozen=True)
class Item:
    """One image to read, the files that are its truth, and a note for the report.

    `outlines` are its truth where no file is: what annotation files say of it.
    `page`, counted from 0, is the one page of the image file to read, where each is an image of its own.
    """

    image: SourceFile
    truth: tuple[SourceFile, ...] = ()
    note: str = ""
    page: int | None = None
    outlines: Outlines | None = None

    @property
    def truth_names(self) -> list[str]:
        """What its truth is, to show."""
        return [file.name for file in self.truth] or ([OUTLINES] if self.outlines else [])


@dataclass(frozen=True)
class Suspect:
    """An image that looks like a mask, and why, as in "two grey values, same stem as an image"."""

    name: str
    why: str


@dataclass(frozen=True)
class Plan:
    """What an import will read, and the facts that a person can check before it.

    `entries` are the files that are out already; `rules` counts images by how they were paired with their truth;
    `alternatives` counts files that hold the same truth in another coding; `suspects` are images that look like masks,
    of which there may be more than were looked at unless `every_suspect`; `outlines` is what annotation files give, and
    `alone` is truth of no image.
    """

    items: tuple[Item, ...]
    entries: tuple[Entry, ...]
    rules: dict[str, int]
    alternatives: dict[str, int]
    suspects: tuple[Suspect, ...]
    every_suspect: bool = True
    outlines: OutlineSet = field(default_factory=lambda: OutlineSet({}))
    alone: tuple[SourceFile, ...] = ()

    @property
    def with_truth(self) -> int:
        """How many images have truth."""
        return sum(bool(item.truth or item.outlines) for item in self.items)

    @property
    def notes(self) -> list[str]:
        """What to know about the pairs, in sentences."""
        notes = []
        if self.rules:
            notes.append("Paired: " + "; ".join(f"{rule} ({count:,})" for rule, count in self.rules.items()) + ".")
        notes += self.outlines.notes
        joined = sum(len(item.truth) > 1 for item in self.items)
        if joined:
            notes.append(f"{_count(joined, 'image has', 'images have')} several masks, which are joined.")
        if self.alternatives:
            notes.append("Left out: " + "; ".join(f"{name} ({n:,})" for name, n in self.alternatives.items()) + ".")
        return [*notes, *self.doubts]

    @property
    def doubts(self) -> list[str]:
        """What looks wrong about the pairs, in sentences: images that look like masks."""
        doubts = []
        of_why: dict[str, list[str]] = defaultdict(list)
        for suspect in self.suspects:
            of_why[suspect.why].append(suspect.name)
        for why, names in of_why.items():
            some = "" if self.every_suspect else "At least "
            what = _count(len(names), "file looks like a mask", "files look like masks")
            them, are = ("it", "it is") if len(names) == 1 else ("them", "they are")
            examples = ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
            doubts.append(
                f"{some}{what}: {why} ({examples}). No name or folder pairs {them} with an image, so {are} imported "
                f"as {'an image' if len(names) == 1 else 'images'}."
            )
        return doubts

    def sentences(self) -> list[str]:
        """Return all facts in sentences, the counts first."""
        counts = f"{_count(len(self.items), 'image', 'images')}, {self.with_truth:,} with truth."
        out = [f"{_count(len(self.entries), 'file is', 'files are')} skipped."] if self.entries else []
        return [counts, *self.notes, *out]

    def as_json(self) -> dict[str, Any]:
        """Return all facts as JSON values."""
        return {
            "images": len(self.items),
            "truth": self.with_truth,
            "rules": self.rules,
            "alternatives": self.alternatives,
            "annotations": {
                "images": len(self.outlines.of_image),
                "classes": list(self.outlines.classes),
                "files": [{"name": entry.name, "note": entry.reason} for entry in self.outlines.taken],
            },
            "look_like_masks": [{"name": suspect.name, "why": suspect.why} for suspect in self.suspects],
            "pairs": [{"image": item.image.name, "truth": item.truth_names} for item in self.items],
            "left_out": [{"name": entry.name, "reason": entry.reason} for entry in self.entries],
            "sentences": self.sentences(),
        }


def plan(source: Source, limits: codec.Limits | None = None, belongs: Belongs | None = None) -> Plan:
    """Return what an import of a source would read. Reads a few files where names leave open what they are.

    Raises:
        BadAssignment: `belongs`, what a person decided, does not fit the files.
    """
    by_name = {file.name: file for file in source.files}
    looks = _Looks(source, by_name, limits)
    paired = pair(by_name, looks.like_mask, [entry.name for entry in source.skipped])
    if belongs:
        paired = reassigned(paired, belongs, by_name)
    suspects, every = _suspects(paired, looks, belongs or {})
    notes = {suspect.name: f"It looks like a mask: {suspect.why}." for suspect in suspects}
    outlines = read_outlines(source, {found.image: next(iter(found.truth), "") for found in paired.pairs})
    items = [
        Item(
            by_name[found.image],
            tuple(by_name[name] for name in found.truth),
            notes.get(found.image, ""),
            outlines=outlines.of_image.get(found.image),
        )
        for found in paired.pairs
    ]
    entries = (*source.skipped, *paired.entries, *outlines.left_out)
    alone = tuple(by_name[name] for name in paired.alone)
    return Plan(tuple(items), entries, paired.rules, paired.alternatives, tuple(suspects), every, outlines, alone)


class _Looks:
    """What files look like, each decoded once, within the limits of a plan."""

    def __init__(self, source: Source, files: dict[str, SourceFile], limits: codec.Limits | None) -> None:
        self._source, self._files, self._limits = source, files, limits
        self._likeness: dict[str, str | None] = {}
        self._sizes: dict[str, tuple[int, int]] = {}
        self._pixels = 0

    @property
    def exhausted(self) -> bool:
        return len(self._likeness) >= MOST_LOOKS or self._pixels >= MOST_PIXELS

    def like_mask(self, name: str) -> bool | None:
        likeness = self.likeness(name)
        return None if likeness is None else bool(likeness)

    def likeness(self, name: str) -> str | None:
        """Return why a file looks like a mask, "" if it does not; None if that cannot be told."""
        if name not in self._likeness:
            if self.exhausted:
                return None
            self._likeness[name] = self._look(name)
        return self._likeness[name]

    def size(self, name: str) -> tuple[int, int] | None:
        """Return (height, width) of a file that was looked at."""
        return self._sizes.get(name)

    def _look(self, name: str) -> str | None:
        try:
            image = codec.decode_image(self._source.read(self._files[name]), self._limits)
        except (UnreadableImage, UnreadableSource):
            return None
        self._sizes[name] = image.shape[:2]
        self._pixels += image.shape[0] * image.shape[1]
        return mask_likeness(image)


def _suspects(paired: Pairing, looks: _Looks, decided: Collection[str]) -> tuple[list[Suspect], bool]:
    """Return images without truth that look like masks and are not decided on, and whether all were looked at.

    A few images of each folder are looked at, and all of a folder where one of these looks like a mask.
    """
    folders: dict[str, list[str]] = defaultdict(list)
    for found in paired.pairs:
        if not found.truth and found.image not in decided:
            folders[str(PurePosixPath(found.image).parent)].append(found.image)
    likely: dict[str, str] = {}
    every = True
    for names in folders.values():
        if any(looks.likeness(name) for name in spread(names)):
            likely |= {name: likeness for name in names if (likeness := looks.likeness(name))}
            every = every and not looks.exhausted
    if not likely:
        return [], True
    others = [found.image for found in paired.pairs if found.image not in likely]
    stems = Counter(map(stem, others))
    sizes = {looks.size(name) for name in spread(others) if looks.likeness(name) is not None}
    return [
        Suspect(name, _why(name, likeness, others, stems, sizes, looks)) for name, likeness in likely.items()
    ], every


def _why(
    name: str,
    likeness: str,
    others: Sequence[str],
    stems: Counter[str],
    sizes: set[tuple[int, int] | None],
    looks: _Looks,
) -> str:
    if not others:
        return f"{likeness}, as all files of this import"
    if stems[stem(name)]:
        return f"{likeness}, same stem as an image"
    return f"{likeness}, same size as an image" if looks.size(name) in sizes else likeness


def _count(number: int, one: str, several: str) -> str:
    return f"{number:,} {one if number == 1 else several}"
