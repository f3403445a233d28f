"""Objects of masks: connected pieces of each class, split where they touch, without what is too small or too large."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

import cv2
import numpy as np
from pydantic import Field, model_validator

from engine.core.parameters import Params, number
from engine.labelling.cues.objects import fill_holes, parts

Border = Literal["keep", "drop", "half"]


class ObjectParams(Params):
    """What counts as one object."""

    threshold: float = number(0.5, 0, 1, "Probability from which a pixel is foreground.", title="Mask threshold")
    split: bool = Field(
        False,
        title="Split touching objects",
        description="Separate objects that touch where the neck between them is narrow. For "
        "compact ones, such as cells: long, thin objects would be cut into pieces.",
    )
    neck: float = number(
        0.9,
        0.3,
        0.99,
        "Touching objects are separated where they are thinner than this share of the thinner one; more splits more.",
        only_with={"split": [True]},
    )
    least_area_px: int = number(10, 1, 10_000_000, "Smaller objects are left out.", title="Smallest object", unit="px²")
    greatest_area_px: int = number(
        0, 0, 1_000_000_000, "Larger objects are left out; 0: none.", title="Largest object", unit="px²"
    )
    fill_holes: bool = Field(False, description="Fill holes inside objects before they are split and measured.")
    border: Border = Field(
        "keep",
        description="Objects that touch the image border are kept, dropped, or counted half.",
    )

    @model_validator(mode="after")
    def _sizes_in_order(self) -> Self:
        if self.greatest_area_px and self.greatest_area_px < self.least_area_px:
            raise ValueError(
                f"greatest_area_px must be 0 or at least least_area_px. Got {self.greatest_area_px} and "
                f"{self.least_area_px}"
            )
        return self


@dataclass(frozen=True)
class Objects:
    """The objects of one image.

    `labels`, int32 (H, W), has the number of the object that each pixel belongs to: 1 to N, 0 for none. Row by row of
    the image, objects are numbered by where their highest pixels lie. `classes`, uint8 (N,), has the class of each,
    `at_border`, bool (N,), which touch the border of the image, and `weights`, float (N,), what each counts: 1, or 0.5.
    """

    labels: np.ndarray
    classes: np.ndarray
    at_border: np.ndarray
    weights: np.ndarray

    @property
    def count(self) -> float:
        """Return the number of objects; those at the border may count half."""
        return float(self.weights.sum())


def find_objects(class_map: np.ndarray, params: ObjectParams) -> Objects:
    """Return the objects of a class map, uint8 (H, W), 0 for background.

    Pixels that touch at a corner belong to one object. Objects of different classes are apart even where they touch.
    """
    labels = np.zeros(class_map.shape, np.int32)
    classes = [np.zeros(1, np.uint8)]
    for index in (np.flatnonzero(np.bincount(class_map.ravel(), minlength=1)[1:]) + 1).tolist():
        found = _numbered(class_map == index, params)
        count = int(found.max())
        # Filling holes of one class must not paint over another class that lies in them.
        free = (found > 0) & ((class_map == 0) | (class_map == index))
        labels[free] = found[free] + (sum(map(len, classes)) - 1)
        classes.append(np.full(count, index, np.uint8))
    return _kept(labels, np.concatenate(classes), params)


def given_objects(numbers: np.ndarray, params: ObjectParams) -> Objects:
    """Return the objects of a label map, integers (H, W): one object for each number above 0, of class 1."""
    known, labels = np.unique(numbers, return_inverse=True)
    labels = (labels.reshape(numbers.shape) + (known[0] != 0)).astype(np.int32)
    return _kept(labels, np.ones(int(labels.max()) + 1, np.uint8), params)


def _numbered(mask: np.ndarray, params: ObjectParams) -> np.ndarray:
    """Return the number of the piece of each pixel, int32 (H, W)."""
    if params.fill_holes:
        mask = fill_holes(mask, mask.size)
    if params.split and mask.any():
        return parts(mask, params.neck).astype(np.int32)
    return cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)[1]


def _kept(labels: np.ndarray, classes: np.ndarray, params: ObjectParams) -> Objects:
    """Return the objects of the sizes and places that are wanted, numbered anew from the top row down."""
    areas = np.bincount(labels.ravel(), minlength=len(classes))
    border = np.zeros(len(areas), bool)
    border[np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])] = True
    keep = (areas > 0) & (areas >= params.least_area_px)
    if params.greatest_area_px:
        keep &= areas <= params.greatest_area_px
    if params.border == "drop":
        keep &= ~border
    keep[0] = False
    first = np.full(len(areas), labels.size)
    np.minimum.at(first, labels.ravel(), np.arange(labels.size))
    order = np.flatnonzero(keep)[np.argsort(first[keep], kind="stable")]
    number_of = np.zeros(len(areas), np.int32)
    number_of[order] = np.arange(1, len(order) + 1)
    half = border[order] & (params.border == "half")
    return Objects(number_of[labels], classes[order], border[order], np.where(half, 0.5, 1.0))
