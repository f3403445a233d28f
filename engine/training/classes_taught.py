"""The classes that a run is to learn: which it can, and which people drew though it does not know them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from engine.imaging.corrections import classes_drawn
from engine.work.context import JobFailed

if TYPE_CHECKING:
    from db.models import Correction, Image, Run

MOST_NAMED = 6
"""So many classes are named in one sentence."""


def missing_classes(run: Run, images: Sequence[Image], rows: Sequence[dict[str, Any]]) -> list[str]:
    """Return a sentence on the classes of a run that only images to validate with have, and one on those of none."""
    if not run.classes or run.label_set_id:
        return []
    splits = {row["image_id"]: row["split"] for row in rows}
    found: dict[str, set[int]] = {"train": set(), "validation": set()}
    for image in images:
        if image.id in splits:
            occurring = (run.lookup[value] for value, pixels, *_ in image.truth_values or () if pixels)
            found[splits[image.id]].update(occurring)
    missing = [entry for entry in run.classes[1:] if entry["index"] not in found["train"]]
    notes = []
    for validated, where in ((True, "only in images to validate with"), (False, "in no image of this run")):
        names = [f"“{each['name']}”" for each in missing if (each["index"] in found["validation"]) is validated]
        if names:
            more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
            which = f"classes {', '.join(names[:MOST_NAMED])}{more} occur" if names[1:] else f"class {names[0]} occurs"
            notes.append(f"The {which} {where}, so the network cannot learn {'them' if names[1:] else 'it'}.")
    return notes


def refuse_unknown_classes(run: Run, drawn: Mapping[str, Correction]) -> None:
    """
    Raises:
        JobFailed: a correction, {image id: correction}, names a class that the run does not tell apart.
    """
    known = len(run.classes) - 1
    unknown = {value for row in drawn.values() for value in classes_drawn(row.pixels) if value > known}
    if run.classes and unknown:
        raise JobFailed(
            f"Corrections of this dataset name class {min(unknown)}, and the masks to train on tell {known} classes "
            "apart. Train on masks that have it, merge the classes (model.classes=1), or leave corrections out."
        )
