"""Images a second that the presets fast and classic predict, framing and resizing included.

    python -m benchmarks.prediction ../shared/data/ecssd
    python -m benchmarks.prediction ../shared/data/ecssd --images 200 --classic-images 16 --flips

The images are decoded before; the networks are untrained, which costs the same. The clock starts with the first batch's
answers, after TensorFlow has compiled. Both presets run in one process, one after the other, on all cores; their ratio
says more than either figure, as machines differ.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from engine.core.run_config import config_from
from engine.imaging.codec import decode_image


def measure(preset: str, images: list[np.ndarray], flips: bool) -> dict[str, Any]:
    """Return how fast the network of a preset predicts `images`."""
    from engine.network.inference import BATCH_SIZE, predict_many
    from engine.network.networks import network

    config = config_from(preset)
    model = network(config.model)
    answers = predict_many(model, images, config.data, flips=flips)
    for _ in range(BATCH_SIZE):
        next(answers)
    began = time.perf_counter()
    done = sum(1 for _ in answers)
    seconds = time.perf_counter() - began
    return {
        "preset": preset,
        "parameters": model.count_params(),
        "size_px": config.model.image_size,
        "framing": config.data.framing,
        "flips": flips,
        "images": done,
        "images_per_s": round(done / seconds, 2),
    }


def main() -> None:
    """Measure both presets; print a line of JSON for each, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path, help="Folder with images/.")
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--classic-images", type=int, default=16, help="The classic network is slow: it sees fewer.")
    parser.add_argument("--flips", action="store_true", help="Predict the mirror images too.")
    arguments = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    files = sorted((arguments.data / "images").iterdir())[: arguments.images]
    images = [decode_image(file.read_bytes()) for file in files]
    fast = measure("fast", images, arguments.flips)
    print(json.dumps(fast), flush=True)
    classic = measure("classic", images[: arguments.classic_images], arguments.flips)
    print(json.dumps(classic))
    print(f"fast predicts {fast['images_per_s'] / classic['images_per_s']:.1f} times as many images as classic.")


if __name__ == "__main__":
    main()
