"""Objects against ground: light parted from dark at a level, cleaned up object by object.

The level is found on one channel, over the whole image or against the ground nearby (engine.labelling.cues.levels),
then moved at each place to halfway between object and ground there. What comes out is cleaned by size, filled and split
(engine.labelling.cues.objects).
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
    # Another default than elsewhere: a single grey level suits even grounds, where objects may well touch the border.
    foreground: Rule = Field("minority", description=RegionParams.model_fields["foreground"].description)
    channel: Channel = Field(
        "contrast",
        description=(
            "What is light and what is dark: grey, one colour of the camera, how colourful a pixel is, or the mix "
            "of colours that parts the image best (grey, where no mix is far better)."
        ),
    )
    smoothing_px: float = number(
        1.0, 0, 10, "Blur before the threshold: more of it ignores texture and noise, less keeps fine parts.", unit="px"
    )
    ground: Literal["even", "uneven"] = Field(
        "even", description="Uneven takes the ground nearby away first: for shading, stains and thin structures."
    )
    ground_radius_px: float = number(
        75.0,
        2,
        200,
        "How far around a pixel its ground is looked for: wider than the widest object is thick.",
        unit="px",
    )
    level: Literal["otsu", "minimum_error"] = Field(
        "otsu",
        description="How the level is found: Otsu's suits objects that cover much, minimum error also what is rare.",
    )
    offset: int = number(
        0,
        -100,
        100,
        "Moves the level that was found: above 0 fewer pixels count as light, below 0 more do.",
        unit="grey levels",
    )
    adaptation_radius_px: float = number(
        8.0,
        0,
        100,
        "Moves the level to halfway between object and ground within this radius; 0 keeps one level.",
        unit="px",
    )
    softness: int = number(
        8,
        0,
        64,
        "Grey levels from the threshold within which a pixel is called uncertain; 0 gives a hard mask.",
        unit="grey levels",
    )
    least_area_percent: float = number(
        0.02, 0, 5, "Objects smaller than this share of the image are dropped.", unit="%"
    )
    greatest_area_percent: float = number(
        100.0, 0.1, 100, "Objects larger than this share of the image are dropped.", unit="%"
    )
    greatest_hole_percent: float = number(
        0.1, 0, 10, "Holes in objects up to this share of the image are filled.", unit="%"
    )
    split_neck: float = number(
        0.0,
        0,
        0.99,
        "Touching objects are parted by a line of ground where they are thinner than this share of the thinner "
        "one; 0 parts nothing.",
    )
    drop_at_border: bool = Field(False, description="Drop objects that the image border cuts.")


def label(image: np.ndarray, params: ThresholdParams, rng: np.random.Generator) -> np.ndarray:
    """Return the probability (H, W) in [0, 1] that a pixel lies on the object's side of the level at its place."""
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
    """Return the probability (H, W), 0 where an object of the mask is dropped or parted, 1 where a hole is filled."""
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
    "Threshold (objects against ground)",
    ThresholdParams,
    label,
    summary="Objects darker or lighter than their ground: cells, coins, parts on a table, cracks and other defects.",
)
