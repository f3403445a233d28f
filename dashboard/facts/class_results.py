"""How well a run tells its classes apart: the confusion of its masks with truth, and the images it comes from."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cached_property

from sqlalchemy.orm import Session

from db import predictions
from db.models import PredictionSet, Run
from engine.imaging.class_confusion import ClassConfusion, Rows, class_confusion
from engine.training.run_details import class_names


@dataclass(frozen=True)
class ImageResult:
    """The confusion of one image, and the side of the run's split that it is on."""

    image_id: str
    name: str
    split: str
    rows: Rows


@dataclass(frozen=True)
class ImagePixels:
    """How many pixels of a cell of the confusion matrix are from one image."""

    image_id: str
    name: str
    pixels: int


@dataclass(frozen=True)
class ClassResults:
    """The masks of a run at threshold 0.5, against truth. `names` has background first."""

    names: tuple[str, ...]
    images: tuple[ImageResult, ...]

    @cached_property
    def confusion(self) -> ClassConfusion:
        return class_confusion(self.names, [image.rows for image in self.images])

    @property
    def validation(self) -> ClassResults:
        """The results on the run's validation images alone."""
        return replace(self, images=tuple(image for image in self.images if image.split == "validation"))

    def of_images(self, image_ids: Collection[str]) -> ClassResults:
        """Return the results on these images alone."""
        return replace(self, images=tuple(image for image in self.images if image.image_id in image_ids))

    def most_of(self, truth: int, predicted: int, most: int) -> tuple[ImagePixels, ...]:
        """Return at most `most` images with pixels of a class in truth and one in the masks, most pixels first."""
        found = [
            ImagePixels(image.image_id, image.name, pixels)
            for image in self.images
            for row_truth, row_predicted, pixels in image.rows
            if (row_truth, row_predicted) == (truth, predicted)
        ]
        return tuple(sorted(found, key=lambda each: -each.pixels)[:most])


def class_results(session: Session, prediction_set_id: str) -> ClassResults | None:
    """Return how well a run tells its classes apart on those predicted images that have truth with these classes.

    None for a run of foreground alone.
    """
    run = session.get_one(Run, session.get_one(PredictionSet, prediction_set_id).run_id)
    if not run.classes:
        return None
    rows = predictions.confusions(session, prediction_set_id)
    images = tuple(ImageResult(row.image_id, row.name, row.split, row.truth_confusion) for row in rows)
    return ClassResults(class_names(run.classes), images)
