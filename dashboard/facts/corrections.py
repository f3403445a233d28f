"""What people may draw on the images of a dataset."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.orm import Session

from db.models import Dataset
from engine.imaging.class_colours import class_colours


@dataclass(frozen=True)
class DrawnClasses:
    """The classes of a dataset, background first, and their colours; foreground alone if there is no truth."""

    names: tuple[str, ...]
    colours: tuple[str, ...]


def drawn_classes(session: Session, dataset_id: str) -> DrawnClasses:
    """Return the classes that may be drawn on the images of a dataset."""
    classes = session.get_one(Dataset, dataset_id).classes
    if len(classes) < 2:
        classes = [{"index": 0, "name": "background"}, {"index": 1, "name": "foreground"}]
    return DrawnClasses(tuple(str(entry["name"]) for entry in classes), tuple(class_colours(classes)))
