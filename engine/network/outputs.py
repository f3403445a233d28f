"""What the values of a network's output mean. Imports only NumPy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def foreground(values: np.ndarray) -> np.ndarray:
    """Return the foreground probability, (H, W), of itself or of that of background and each class, (H, W, K + 1)."""
    return values if values.ndim == 2 else 1 - values[..., 0]


def entropy(probabilities: Sequence[np.ndarray]) -> np.ndarray:
    """Return the entropy of N ≥ 2 probabilities, float32 (H, W) each, divided by that of the uniform distribution."""
    tiny = np.finfo(np.float32).tiny  # 0 log 0 is 0
    bits = np.zeros_like(probabilities[0])
    for probability in probabilities:
        bits -= probability * np.log2(np.maximum(probability, tiny))
    return np.clip(bits / np.float32(np.log2(len(probabilities))), 0, 1)
