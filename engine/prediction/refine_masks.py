"""A network's probability moved to the edges of its image, the same way for pictures to look at and for new labels."""

from __future__ import annotations

from typing import Literal

import numpy as np

from engine.labelling.cues.refine import cut_again, follow_edges

Refine = Literal["none", "guided_filter", "grabcut"]

GRABCUT_SIDE_PX = 200
"""GrabCut runs on the image at this longest side, as it does by default where pseudo-labels are drawn."""


def refined(image: np.ndarray, probability: np.ndarray, how: Refine, rng: np.random.Generator) -> np.ndarray:
    """Return the probability, float32 (H, W) in [0, 1], with its outline moved to the edges of a uint8 image (H, W, 3).

    "guided_filter" smooths within the image's edges; "grabcut" first cuts again by the colours of object and ground,
    and is left out where it runs away. Only GrabCut draws from `rng`.
    """
    if how == "none":
        return probability
    if how == "grabcut":
        probability = cut_again(image, probability, GRABCUT_SIDE_PX, rng)
    return follow_edges(image, probability)
