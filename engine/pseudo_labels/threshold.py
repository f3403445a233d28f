"""One grey level between object and ground, found by Otsu's method.

Source: Otsu, "A threshold selection method from gray-level histograms", IEEE Trans. Systems, Man, and Cybernetics
9(1), 1979, doi:10.1109/TSMC.1979.4310076.
"""

from __future__ import annotations

import cv2
import numpy as np
from pydantic import Field
from scipy.special import expit

from engine.pseudo_labels.base import Method
from engine.pseudo_labels.foreground import RegionParams, Rule, choose


class ThresholdParams(RegionParams):
    # Another default than elsewhere: a single grey level suits even grounds, where objects may well touch the border.
    foreground: Rule = Field("minority", description=RegionParams.model_fields["foreground"].description)
    smoothing_px: float = Field(
        1.0,
        ge=0,
        le=10,
        description="Blur before the threshold: more of it ignores texture and noise, less keeps fine parts.",
        json_schema_extra={"unit": "px"},
    )
    offset: int = Field(
        0,
        ge=-100,
        le=100,
        description="Moves the level that was found: above 0 fewer pixels count as light, below 0 more do.",
        json_schema_extra={"unit": "grey levels"},
    )
    softness: int = Field(
        8,
        ge=0,
        le=64,
        description="Grey levels from the threshold within which a pixel is called uncertain; 0 gives a hard mask.",
        json_schema_extra={"unit": "grey levels"},
    )


def label(image: np.ndarray, params: ThresholdParams, rng: np.random.Generator) -> np.ndarray:
    """Return the probability (H, W) in [0, 1] that a pixel lies on the object's side of the grey level."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    if params.smoothing_px:
        grey = cv2.GaussianBlur(grey, (0, 0), params.smoothing_px)
    level = cv2.threshold(grey, 0, 255, cv2.THRESH_OTSU)[0] + params.offset
    light = grey > level
    chosen = choose(light.astype(np.uint8), grey, params.foreground)
    if not chosen.any():
        return np.zeros(grey.shape, np.float32)
    # Half a level up: grey values are whole numbers, so the border lies between `level` and the next.
    height = grey.astype(np.float32) - (level + 0.5)
    lightness = expit(height / (params.softness / 4)) if params.softness else light.astype(np.float32)
    return lightness if chosen[-1] else 1 - lightness


METHOD = Method(
    "threshold",
    "Threshold (Otsu)",
    ThresholdParams,
    label,
    summary="Objects darker or lighter than an even ground: microscopy, scans, parts on a table.",
)
