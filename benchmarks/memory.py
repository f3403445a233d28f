"""Peak memory of a training on ten thousand images, which are decoded into one file on disk.

    python -m benchmarks.memory                                    # 10,000 images of 512 px, network fast at 512 px
    python -m benchmarks.memory --images 2000 --size 256 --steps 50

Draws the images into a temporary folder (a few hundred different ones under many names; about 4 bytes a pixel are then
needed for the training's own file) and trains in a process of its own until `--steps` batches are done. All images are
decoded before the first batch. The figure is that process's peak resident memory, the network's included. Pages of the
file that the system keeps in its cache are not in it, as the system gives them up when memory is wanted.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from engine.core.run_config import config_from
from engine.imaging.codec import encode_png

DIFFERENT = 200
PEAK_UNIT = 1 if sys.platform == "darwin" else 1024  # bytes in a unit of ru_maxrss


def draw_images(folder: Path, count: int, size: int) -> None:
    """Write `count` pairs, image<n>.png and target<n>.png: a bright disc on a slope of grey."""
    slope = np.tile(np.linspace(20, 90, size).astype(np.uint8), (size, 1))
    for number in range(count):
        names = [folder / f"{kind}{number}.png" for kind in ("image", "target")]
        if number >= DIFFERENT:
            for name in names:
                os.link(folder / name.name.replace(f"{number}.", f"{number % DIFFERENT}."), name)
            continue
        rng = np.random.default_rng(number)
        centre = [int(value) for value in rng.integers(size // 4, 3 * size // 4, 2)]
        image, target = np.dstack([slope, slope.T, slope]), np.zeros((size, size), np.uint8)
        for picture, colour in ((image, (220, 180, 60)), (target, 255)):
            cv2.circle(picture, centre, size // 6, colour, -1)
        for name, picture in zip(names, (image, target), strict=True):
            name.write_bytes(encode_png(picture))


def train(folder: Path, count: int, size: int, steps: int) -> dict[str, float]:
    """Train until `steps` batches are done; return seconds and the peak memory of this process."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from engine.training.fit import Hooks, fit
    from engine.training.samples import Sample

    config = config_from("fast", {"model": {"image_size": size}})
    held = round(config.training.validation_split * count)
    samples = [
        Sample(
            str(number),
            folder / f"image{number}.png",
            folder / f"target{number}.png",
            "validation" if number < held else "train",
        )
        for number in range(count)
    ]
    began, done, decoded = time.monotonic(), [], []
    hooks = Hooks(
        on_start=lambda _: decoded.append(time.monotonic() - began),
        on_batch=lambda *_: done.append(1),
        should_stop=lambda: len(done) >= steps,
    )
    run = folder / "run"
    fit(config, samples, run, hooks)
    return {
        "images": count,
        "size_px": size,
        "steps": len(done),
        "batch_size": config.training.batch_size,
        "decode_s": round(decoded[0], 1),
        "seconds": round(time.monotonic() - began, 1),
        "peak_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * PEAK_UNIT / 2**30, 3),
    }


def main() -> None:
    """Draw the images, train in another process, print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--size", type=int, default=512, help="Side of the images and of the network, in pixels.")
    parser.add_argument("--steps", type=int, default=100, help="Batches to train before it stops.")
    parser.add_argument("--drawn", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.drawn:
        print(json.dumps(train(arguments.drawn, arguments.images, arguments.size, arguments.steps)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        draw_images(Path(temporary), arguments.images, arguments.size)
        command = [sys.executable, "-m", "benchmarks.memory", *sys.argv[1:], "--drawn", temporary]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
