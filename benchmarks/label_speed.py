"""Processor seconds per image of a label method on one core, beside scikit-image's normalised cut on the same images.

    python -m benchmarks.label_speed ../shared/data/ecssd                       # the recipe for photographs
    python -m benchmarks.label_speed ../shared/data/ecssd --images 40 --peer-images 8

Both run in turn in one process held to one thread, on decoded images. The peer is the recipe of scikit-image's own
example: SLIC with 400 pieces of compactness 30, mean-colour graph, `cut_normalized`. The peer is slow, so it sees fewer
images; the ratio is over those that both saw. The peer then does the same images again with as many threads as its
libraries take by themselves, which is how it runs for somebody who sets nothing: wall time, on all cores.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from skimage import graph, segmentation
from threadpoolctl import threadpool_limits

from engine.imaging import codec
from engine.labelling.base import draw, find_method


def peer(image: np.ndarray) -> np.ndarray:
    """Return the regions int (H, W) that scikit-image's normalised cut parts an image into."""
    pieces = segmentation.slic(image, compactness=30, n_segments=400, start_label=1)
    adjacency = graph.rag_mean_color(image, pieces, mode="similarity")
    return graph.cut_normalized(pieces, adjacency)


def timed(work: Callable[[], object], clock: Callable[[], float]) -> float:
    """Return the seconds of `work` by a clock."""
    began = clock()
    work()
    return clock() - began


def measure(files: list[Path], name: str, peer_images: int) -> dict[str, Any]:
    """Return what the method `name` and the peer take for the images."""
    every = max(1, len(files) // peer_images)
    method = find_method(name)
    params = method.params()
    cv2.setNumThreads(1)
    own, pairs, shared = [], [], []
    with threadpool_limits(limits=1):
        draw(method, codec.decode_image(files[0].read_bytes()), params, 0)  # imports and tables, once
        for index, path in enumerate(files):
            image = codec.decode_image(path.read_bytes())
            own.append(timed(lambda image=image: draw(method, image, params, 0), time.process_time))
            if index % every == 0:
                pairs.append((own[-1], timed(lambda image=image: peer(image), time.process_time)))
                shared.append(image)
    as_it_comes = [timed(lambda image=image: peer(image), time.perf_counter) for image in shared]
    ours = sum(ours for ours, _ in pairs)
    return {
        "method": name,
        "images": len(own),
        "mean_seconds": round(statistics.fmean(own), 4),
        "median_seconds": round(statistics.median(own), 4),
        "peer_images": len(pairs),
        "peer_mean_seconds": round(statistics.fmean(theirs for _, theirs in pairs), 3),
        "times_faster": round(sum(theirs for _, theirs in pairs) / ours, 1),
        "peer_threads_mean_seconds": round(statistics.fmean(as_it_comes), 3),
        "times_faster_than_threads": round(sum(as_it_comes) / ours, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with images/")
    parser.add_argument("--method", default="saliency")
    parser.add_argument("--images", type=int, default=60, help="evenly spread over the folder")
    parser.add_argument("--peer-images", type=int, default=6)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    files = sorted((arguments.data / "images").iterdir())
    files = files[:: max(1, len(files) // arguments.images)][: arguments.images]
    result = measure(files, arguments.method, arguments.peer_images)
    if arguments.json:
        print(json.dumps(result))
        return
    print(f"{arguments.method}: mean {result['mean_seconds']:.3f} s, median {result['median_seconds']:.3f} s per image")
    print(f"  ({result['images']} images, one core)")
    print(f"cut_normalized of scikit-image: {result['peer_mean_seconds']:.2f} s per image,")
    print(f"  {result['times_faster']:.1f} times as long on the same {result['peer_images']} images")
    print(f"  with its own choice of threads: {result['peer_threads_mean_seconds']:.2f} s of wall time,")
    print(f"  {result['times_faster_than_threads']:.1f} times as long")


if __name__ == "__main__":
    main()
