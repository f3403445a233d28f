"""Refining a network's probability at the edges of the image, for predictions and for self-training labels."""

from __future__ import annotations

from typing import Literal

import numpy as np

from engine.labelling.cues.refine import cut_again, follow_edges

Refine = Literal["none", "guided_filter", "grabcut"]

GRABCUT_SIDE_PX = 200
"""GrabCut runs on the image at this longest side, as by default for pseudo-labels."""


def refined(image: np.ndarray, probability: np.ndarray, how: Refine, rng: np.random.Generator) -> np.ndarray:
    """Return the probability, float32 (H, W) in [0, 1], with its outline moved to the edges of a uint8 image (H, W, 3).

    "guided_filter" smooths between the image's edges; "grabcut" first segments again by the colours of foreground and
    background, and is skipped where its result is implausible. Only GrabCut uses `rng`.
    """
    if how == "none":
        return probability
    if how == "grabcut":
        probability = cut_again(image, probability, GRABCUT_SIDE_PX, rng)
    return follow_edges(image, probability)
