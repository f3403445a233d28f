"""How long it takes to make the masks of a whole dataset, from what the previews of a few images took."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

START_S = 4.0
"""A worker, and its processes with the libraries that they load."""
STORED_S = 0.02
"""Reading an image, and writing its mask and its row, in addition to the method itself."""
STORED_S_PER_MEGAPIXEL = 0.1
"""Decoding and reducing an image, enlarging and encoding its mask."""
SIZE_EXPONENT = 1.2
"""How time grows with the side of an image. From 256 to 400 px our methods take 1.2 to 2.3 times as long, this 1.7."""


@dataclass(frozen=True)
class MaskTime:
    """Processor seconds of one mask at `drawn_px`, the longest side of its preview.

    `full_px` is the longest side at which the job computes it, and `pixels` the size of the image.
    """

    drawn_s: float
    judged_s: float
    drawn_px: int
    full_px: int
    pixels: int

    @property
    def full_s(self) -> float:
        """Seconds at full size. To judge a mask takes as long at any size."""
        larger = max(self.full_px / self.drawn_px, 1.0)
        stored_s = STORED_S + STORED_S_PER_MEGAPIXEL * self.pixels / 1e6
        return self.drawn_s * larger**SIZE_EXPONENT + self.judged_s + stored_s


def seconds_per_image(times: Sequence[MaskTime]) -> float | None:
    """Return the mean processor seconds of an image in a label job; None without any measurement."""
    return statistics.fmean(each.full_s for each in times) if times else None


def labelling_seconds(times: Sequence[MaskTime], images: int, cores: int) -> float | None:
    """Return how long a label job of `images` takes on that many idle cores, from the click to the last mask."""
    per_image_s = seconds_per_image(times)
    return None if per_image_s is None else START_S + per_image_s * images / max(min(cores, images), 1)
