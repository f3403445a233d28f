"""Drawn pairs for training tests: bright discs on dark ground, as files."""

from pathlib import Path

import numpy as np

from engine.core.run_config import RunConfig, config_from
from engine.imaging.codec import encode_png
from engine.training.samples import Sample
from tests.support.installation import disc

LOOKUP = tuple(int(value >= 128) for value in range(256))


def discs(folder: Path, train: int = 8, validation: int = 4, truth: bool = True, size_px: int = 64) -> list[Sample]:
    """Write discs into `folder` and return their samples; the first of each split is a probe."""
    folder.mkdir(parents=True, exist_ok=True)
    samples = []
    for index in range(train + validation):
        image, mask = disc(size_px, seed=index)
        levels = mask.astype(np.uint8) * (255 if truth else 230)
        paths = folder / f"image{index}.png", folder / f"target{index}.png"
        for path, pixels in zip(paths, (image, levels), strict=True):
            path.write_bytes(encode_png(pixels))
        split = "train" if index < train else "validation"
        lookup = LOOKUP if truth else None
        samples.append(Sample(f"{index:032x}", *paths, split, lookup, probe=index in (0, train)))
    return samples


def tiny(**groups: dict) -> RunConfig:
    """Return a configuration that trains in a second; `groups` are laid over it."""
    values: dict[str, dict] = {
        "training": {"epochs": 2, "batch_size": 4, "learning_rate": 0.01, "schedule": "constant"},
        "model": {"image_size": 32, "depth": 1, "base_filters": 4},
        "early_stopping": {"enabled": False},
    }
    for group, changes in groups.items():
        values[group] = values.get(group, {}) | changes
    return config_from("fast", values)
