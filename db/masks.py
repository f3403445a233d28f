"""The masks that can be measured and exported: of a prediction set, of a mask set, or the truth of a dataset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from sqlalchemy.orm import Session

from db import corrections, datasets, predictions, recipes, runs
from db.models import Correction, Dataset, Image, LabelSet, PredictionSet, Run

MasksOf = Literal["prediction_set", "label_set", "truth"]


@dataclass(frozen=True)
class MaskRows:
    """The rows of a set of masks at one moment.

    `images` are those with a mask, in the dataset's order, without what a person excluded. `classes` are the names of
    class 1, 2, … that the masks tell apart, empty for foreground alone. `drawn` are the corrections that are laid over
    the masks, {image id: correction}. `owner_id` is the id of the set, or of the dataset for its truth. `learned_from`
    are ids of images that the masks were made with, by training or strokes.
    """

    owner: MasksOf
    owner_id: str
    dataset: Dataset
    images: list[Image]
    classes: tuple[str, ...] = ()
    drawn: Mapping[str, Correction] = field(default_factory=dict)
    learned_from: frozenset[str] = frozenset()


def mask_rows(session: Session, owner: MasksOf, owner_id: str) -> MaskRows:
    """Return the rows of a set of masks."""
    if owner == "prediction_set":
        found = session.get_one(PredictionSet, owner_id)
        dataset = session.get_one(Dataset, found.dataset_id)
        masked = runs.predicted_images(session, owner_id)
        images = [image for image in datasets.images(session, dataset.id) if image.id in masked]
        run = session.get_one(Run, found.run_id)
        split = runs.split(session, run.id) if run.dataset_id == dataset.id else []
        learned_from = frozenset(row.image_id for row in split if row.split == "train")
        classes, drawn = predictions.class_names(session, owner_id)[1:], corrections.current(session, dataset.id)
        return MaskRows(owner, owner_id, dataset, images, classes, drawn, learned_from)
    if owner == "label_set":
        label_set = session.get_one(LabelSet, owner_id)
        dataset = session.get_one(Dataset, label_set.dataset_id)
        masked = recipes.labelled_images(session, owner_id)
        images = [image for image in datasets.images(session, dataset.id) if image.id in masked]
        classes = tuple(str(entry["name"]) for entry in label_set.classes[1:])
        drawn = corrections.current(session, dataset.id)
        learned_from = frozenset(image.id for image in images if image.id in drawn and not image.in_audit)
        return MaskRows(owner, owner_id, dataset, images, classes, drawn, learned_from)
    dataset = session.get_one(Dataset, owner_id)
    images = [image for image in datasets.images(session, dataset.id) if image.has_truth]
    several = datasets.class_count(dataset) > 1
    names = {entry["index"]: str(entry["name"]) for entry in dataset.classes}
    classes = tuple(names.get(index, f"class {index}") for index in range(1, datasets.class_count(dataset) + 1))
    return MaskRows(owner, owner_id, dataset, images, classes if several else ())
