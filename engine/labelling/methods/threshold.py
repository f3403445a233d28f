"""Threshold between light and dark, followed by operations on the objects.

The level is computed for one channel, over the whole image or relative to the background nearby
(engine.labelling.cues.levels), then moved for each pixel to halfway between object and background there. Objects are
then removed by size, filled and split (engine.labelling.cues.objects).
"""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
from pydantic import Field
from scipy.special import expit

from engine.core.parameters import number
from engine.labelling.base import Method
from engine.labelling.cues.channels import Channel, one_channel
from engine.labelling.cues.foreground import RegionParams, Rule, choose
from engine.labelling.cues.levels import adapt, local_median, minimum_error, otsu
from engine.labelling.cues.objects import drop_at_border, drop_by_area, fill_holes, split_at_necks


class ThresholdParams(RegionParams):
    # Another default than elsewhere: a threshold suits even backgrounds, where objects may touch the border.
    foreground: Rule = Field("minority", description=RegionParams.model_fields["foreground"].description)
    channel: Channel = Field(
        "contrast",
        description=(
            "The channel to threshold: grey, one colour of the camera, how colourful a pixel is, or the mix of colours "
            "that separates the image best (grey, if no mix is much better)."
        ),
    )
    smoothing_px: float = number(
        1.0,
        0,
        10,
        "Blur before the threshold: a stronger blur ignores texture and noise, a weaker one keeps fine parts.",
        unit="px",
    )
    ground: Literal["even", "uneven"] = Field(
        "even",
        title="Background",
        description="Uneven subtracts the background nearby first: for shading, stains and thin structures.",
    )
    ground_radius_px: float = number(
        75.0,
        2,
        200,
        "Radius in which the background of a pixel is estimated: more than the thickness of the widest object.",
        title="Background radius",
        unit="px",
    )
    level: Literal["otsu", "minimum_error"] = Field(
        "otsu",
        description="How the level is computed: Otsu's suits objects that cover much, minimum error also rare objects.",
    )
    offset: int = number(
        0, -100, 100, "Moves the computed level: above 0 fewer pixels count as light, below 0 more.", unit="grey levels"
    )
    adaptation_radius_px: float = number(
        8.0,
        0,
        100,
        "Moves the level to halfway between object and background within this radius; 0 keeps one level.",
        unit="px",
    )
    softness: int = number(
        8,
        0,
        64,
        "Grey levels around the threshold within which a pixel is uncertain; 0 gives a hard mask.",
        unit="grey levels",
    )
    least_area_percent: float = number(
        0.02, 0, 5, "Objects smaller than this share of the image are removed.", title="Smallest object", unit="%"
    )
    greatest_area_percent: float = number(
        100.0, 0.1, 100, "Objects larger than this share of the image are removed.", title="Largest object", unit="%"
    )
    greatest_hole_percent: float = number(
        0.1, 0, 10, "Holes in objects up to this share of the image are filled.", title="Largest filled hole", unit="%"
    )
    split_neck: float = number(
        0.0,
        0,
        0.99,
        "Touching objects are separated by a line of background where they are thinner than this share of the thinner "
        "one; 0: never.",
        title="Split at necks",
    )
    drop_at_border: bool = Field(
        False, title="Drop objects at the border", description="Remove objects that touch the image border."
    )


def label(image: np.ndarray, params: ThresholdParams, rng: np.random.Generator) -> np.ndarray:
    """Return the probability (H, W) in [0, 1] that a pixel is on the object's side of the level at its position."""
    if params.smoothing_px:
        image = cv2.GaussianBlur(image, (0, 0), params.smoothing_px)
    values = one_channel(image, params.channel)
    if params.ground == "uneven":
        values = values - local_median(values, params.ground_radius_px)
    level = otsu(values) if params.level == "otsu" else minimum_error(values)
    if level is None:
        return np.zeros(values.shape, np.float32)
    levels = adapt(values, level, params.adaptation_radius_px) if params.adaptation_radius_px else level
    height = values - (levels + params.offset)
    chosen = choose((height > 0).astype(np.uint8), values, params.foreground)
    if not chosen.any():
        return np.zeros(values.shape, np.float32)
    height = height if chosen[-1] else -height
    mask = height > 0
    probability = expit(height / (params.softness / 4)) if params.softness else mask.astype(np.float32)
    return clean(probability, mask, params)


def clean(probability: np.ndarray, mask: np.ndarray, params: ThresholdParams) -> np.ndarray:
    """Return the probability (H, W), 0 where an object of the mask is removed or split, 1 where a hole is filled."""
    kept, percent = mask, mask.size / 100
    if params.greatest_hole_percent:
        kept = fill_holes(kept, params.greatest_hole_percent * percent)
    if params.split_neck:
        kept = split_at_necks(kept, params.split_neck)
    if params.least_area_percent or params.greatest_area_percent < 100:
        kept = drop_by_area(kept, params.least_area_percent * percent, params.greatest_area_percent * percent)
    if params.drop_at_border:
        kept = drop_at_border(kept)
    return np.where(mask & ~kept, 0, np.where(kept & ~mask, 1, probability)).astype(np.float32)


METHOD = Method(
    "threshold",
    "Bright or dark objects (threshold)",
    ThresholdParams,
    label,
    summary="Objects darker or lighter than the background: cells, coins, parts on a table, cracks and other defects.",
)
