"""Which images teach and which validate: decided by a hash, so it holds wherever and in whatever order it is asked."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence


def split(keys: Sequence[str], validation_fraction: float, seed: int = 0) -> tuple[list[str], list[str]]:
    """Return (training keys, validation keys), each in the order given.

    Images are ranked by a hash of seed and key, and the lowest `validation_fraction` of them validate, rounded to
    whole images, but at least one on each side from two images on. One image alone trains. Keys are content hashes
    or ids; the same key falls on the same side on every machine, and adding images moves few.

    Raises:
        ValueError: the fraction lies outside (0, 1), or a key occurs twice.
    """
    if not 0 < validation_fraction < 1:
        raise ValueError(f"The 'validation_fraction' parameter must lie between 0 and 1. Got {validation_fraction}.")
    if len(set(keys)) != len(keys):
        raise ValueError("Each key of a split must occur once.")
    if len(keys) < 2:
        return list(keys), []
    ranked = sorted(keys, key=lambda key: hashlib.sha256(f"{seed}:{key}".encode()).hexdigest())
    count = min(max(round(len(keys) * validation_fraction), 1), len(keys) - 1)
    validation = set(ranked[:count])
    return [key for key in keys if key not in validation], [key for key in keys if key in validation]
