"""What a person decides on files of an import where names and content were understood otherwise."""

from __future__ import annotations

import csv
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

from engine.datasets.pairing import Pair, Pairing
from engine.datasets.source import Entry, UnreadableSource

Belongs = Mapping[str, str]
"""{file: the image whose truth it is; itself, if it is an image; "" to leave it out}."""

OUT = "It was skipped by hand."
_COLUMNS = ["file", "image"]


class BadAssignment(UnreadableSource):
    """A file cannot be used as a person decided. The message is one sentence."""


def reassigned(paired: Pairing, belongs: Belongs, names: Collection[str]) -> Pairing:
    """Return a pairing of the files `names`, changed as a person decided. Truth that is given joins what is there.

    Raises:
        BadAssignment: a file is not there, or what it is to belong to is no image.
    """
    truth = {pair.image: list(pair.truth) for pair in paired.pairs}
    changed = {name: image for name, image in belongs.items() if name != image or name not in truth}
    check_names(changed, names)
    lost = {mask: image for image in changed for mask in truth.pop(image, ()) if mask not in changed}
    truth = {image: [mask for mask in masks if mask not in changed] for image, masks in truth.items()}
    truth |= {name: [] for name, image in changed.items() if image == name}
    given = {name: image for name, image in changed.items() if image not in (name, "")}
    for name, image in given.items():
        if image not in truth:
            raise BadAssignment(f"{name} cannot be truth of {image}, which is not used as an image.")
        truth[image].append(name)
    rules = {pair.image: pair.rule for pair in paired.pairs} | dict.fromkeys(given.values(), "by hand")
    entries = [entry for entry in paired.entries if entry.name not in changed]
    entries += [Entry(mask, False, f"It is truth, and its image {of} is not used as one.") for mask, of in lost.items()]
    entries += [Entry(name, False, OUT) for name, image in changed.items() if not image]
    return replace(
        paired,
        pairs=[Pair(image, tuple(truth[image]), rules.get(image, "")) for image in sorted(truth)],
        entries=entries,
        alone=tuple(name for name in (*paired.alone, *lost) if name not in changed),
    )


def check_names(belongs: Belongs, names: Collection[str]) -> None:
    """Check that all files are there.

    Raises:
        BadAssignment: one is not.
    """
    for name in belongs:
        if name not in names:
            raise BadAssignment(f"No picture of these files is called {name}, which was to be used otherwise.")


def read_belongs(path: Path) -> dict[str, str]:
    """Return what a CSV file decides: the columns `file` and `image`, as `Belongs` has them.

    Raises:
        BadAssignment: it is not such a file; the sentence says what is wrong.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            if list(rows.fieldnames or ()) != _COLUMNS:
                raise BadAssignment(f"{path.name} must have the columns file and image. Got {rows.fieldnames or []}.")
            return {row["file"]: row["image"] or "" for row in rows}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadAssignment(f"{path.name} cannot be read as CSV: {error}.") from None
