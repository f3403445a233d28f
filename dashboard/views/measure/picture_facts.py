"""The picture of an image with the outlines and numbers of its objects."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

LONGEST_PX = 1_200
"""Larger images are drawn smaller."""

LEAST_PX = 700
"""Smaller images are drawn larger, by a whole number, so that outlines are thinner than objects."""

MOST_NUMBERS = 150
LEAST_TEXT, MOST_TEXT = 0.4, 1.2
"""Of OpenCV's font, whose digits are 22 pixels high at 1."""

OUTLINE, CHOSEN, INK = (255, 176, 0), (0, 255, 255), (255, 255, 255)
ZOOM_MARGIN = 4.0
"""A zoomed picture is so many times as large as the object, at least `LEAST_ZOOM_PX`."""

LEAST_ZOOM_PX = 120


@dataclass(frozen=True)
class Window:
    """The part of an image that a picture shows, in pixels of the image."""

    top: int
    left: int
    height: int
    width: int

    def place(self, x: float, y: float) -> tuple[int, int]:
        """Return (row, column) of the image at shares (x, y) of the picture, both in [0, 1]."""
        row, column = self.top + int(y * self.height), self.left + int(x * self.width)
        return min(row, self.top + self.height - 1), min(column, self.left + self.width - 1)


def whole(labels: np.ndarray) -> Window:
    return Window(0, 0, labels.shape[0], labels.shape[1])


def around(labels: np.ndarray, number: int) -> Window:
    """Return a square window around an object, or the whole image if it has none of that number."""
    rows, columns = np.nonzero(labels == number)
    if not len(rows):
        return whole(labels)
    longest = max(np.ptp(rows), np.ptp(columns)) + 1
    side = int(max(longest * ZOOM_MARGIN, LEAST_ZOOM_PX))
    height, width = (min(side, length) for length in labels.shape)
    top = int(np.clip((rows.min() + rows.max()) // 2 - height // 2, 0, labels.shape[0] - height))
    left = int(np.clip((columns.min() + columns.max()) // 2 - width // 2, 0, labels.shape[1] - width))
    return Window(top, left, height, width)


def outlined(
    image: np.ndarray, labels: np.ndarray, chosen: int = 0, numbers: bool = True, window: Window | None = None
) -> np.ndarray:
    """Return an image, uint8 RGB (H, W, 3), with the outline of each object of `labels`, integers (H, W).

    Args:
        chosen: the number of the object that stands out; 0 for none.
        numbers: also write the number of each object, where there are not too many.
        window: the part of the image to show.
    """
    part = window or whole(labels)
    here = (slice(part.top, part.top + part.height), slice(part.left, part.left + part.width))
    image, labels = np.ascontiguousarray(image[here]), labels[here].astype(np.int32)
    longest = max(labels.shape)
    scale = LONGEST_PX / longest if longest > LONGEST_PX else max(1, -(-LEAST_PX // longest))
    shape = tuple(max(1, round(side * scale)) for side in labels.shape)
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
    drawn = cv2.resize(image, shape[::-1], interpolation=method)
    large = cv2.resize(labels.astype(np.float32), shape[::-1], interpolation=cv2.INTER_NEAREST).astype(np.int32)
    edge = _edge(large)
    drawn[edge] = OUTLINE
    if chosen:
        mine = (large == chosen).astype(np.uint8)
        ring = cv2.dilate(mine, np.ones((5, 5), np.uint8)) - cv2.erode(mine, np.ones((3, 3), np.uint8))
        drawn[ring > 0] = CHOSEN
    if numbers:
        _write_numbers(drawn, large)
    return drawn


def _edge(labels: np.ndarray) -> np.ndarray:
    """Return the pixels of objects that have a pixel of another object or of the background beside them."""
    edge = np.zeros(labels.shape, bool)
    down, across = labels[1:] != labels[:-1], labels[:, 1:] != labels[:, :-1]
    edge[1:] |= down
    edge[:-1] |= down
    edge[:, 1:] |= across
    edge[:, :-1] |= across
    return edge & (labels > 0)


def _write_numbers(drawn: np.ndarray, labels: np.ndarray) -> None:
    present = np.flatnonzero(np.bincount(labels.ravel()))
    present = present[present > 0]
    if len(present) > MOST_NUMBERS:
        return
    owner = labels.ravel()
    pixels = np.bincount(owner)
    rows, columns = np.divmod(np.arange(owner.size), labels.shape[1])
    middle_y, middle_x = (
        np.bincount(owner, rows) / np.maximum(pixels, 1),
        np.bincount(owner, columns) / np.maximum(pixels, 1),
    )
    size = _text_size(present, pixels[present], max(labels.shape))
    stroke = max(1, round(2 * size))
    for number in present.tolist():
        text, face = str(number), cv2.FONT_HERSHEY_SIMPLEX
        (width, height), _ = cv2.getTextSize(text, face, size, stroke)
        at = (int(middle_x[number] - width / 2), int(middle_y[number] + height / 2))
        cv2.putText(drawn, text, at, face, size, (0, 0, 0), stroke + 2, cv2.LINE_AA)
        cv2.putText(drawn, text, at, face, size, INK, stroke, cv2.LINE_AA)


def _text_size(numbers: np.ndarray, pixels: np.ndarray, longest_px: int) -> float:
    """Return a size at which the numbers of most objects lie inside of them, readable in a picture that is shrunk."""
    if not len(numbers):
        return MOST_TEXT
    (width, _), _ = cv2.getTextSize(str(numbers.max()), cv2.FONT_HERSHEY_SIMPLEX, 1.0, 2)
    most = MOST_TEXT * longest_px / LONGEST_PX
    return float(np.clip(0.8 * np.sqrt(np.median(pixels)) / width, LEAST_TEXT, max(most, LEAST_TEXT)))
