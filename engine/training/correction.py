"""What a network makes of the labels that taught it: its masks, how they look, and the labels of the next round."""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.core.run_config import RunConfig
from engine.imaging import metrics
from engine.imaging.codec import decode_png, encode_png, resize_probability
from engine.labelling.quality import appearance
from engine.network.inference import load_model, predict_many
from engine.prediction.refine_masks import refined
from engine.store.disk import replacing
from engine.store.keys import label_path, mask_path
from engine.training.callbacks import Hooks
from engine.training.samples import Sample

SEED = 0  # GrabCut draws; the same image always gets the same mask


@dataclass(frozen=True)
class Correction:
    """Means over the images: quality of the labels that taught and of the network's masks, and their agreement.

    `agreement` is the mean Dice between the network's own masks and its labels on validation images; on all where there
    are none.
    """

    labels_quality: float
    masks_quality: float
    agreement: float


@dataclass(frozen=True)
class _One:
    labels_quality: float
    masks_quality: float
    new_quality: float
    agreement: float


def correct(
    config: RunConfig, samples: Sequence[Sample], model: Path, masks: Path, ahead: Path | None, hooks: Hooks
) -> Correction | None:
    """Draw every sample with a stored network; None if a person asked to stop.

    Its masks, moved to the edges of the image, go into `masks`/masks. With `ahead`, labels for the next round go into
    `ahead`/labels: a moving average of the old label and the network's probability, moved to the edges, with their
    quality in `ahead`/quality.json.
    """
    found: list[_One] = []
    network = load_model(model)
    asked: deque[np.ndarray] = deque()

    def pictures() -> Iterator[np.ndarray]:
        for sample in samples:
            asked.append(decode_png(sample.image.read_bytes()))
            yield asked[-1]

    workers = os.cpu_count() or 1
    waiting: deque[Future[_One]] = deque()
    drawn = predict_many(network, pictures(), config.data, flips=True)
    with ThreadPoolExecutor(workers) as pool, closing(drawn):
        for sample, prediction in zip(samples, drawn, strict=True):
            if hooks.should_stop():
                return None
            waiting.append(pool.submit(_one, config, sample, asked.popleft(), prediction.probability, masks, ahead))
            if len(waiting) > 2 * workers:
                found.append(waiting.popleft().result())
            hooks.on_judge(len(found), len(samples))
        found += [each.result() for each in waiting]
    if ahead:
        quality = {sample.id: one.new_quality for sample, one in zip(samples, found, strict=True)}
        with replacing(ahead / "quality.json") as beside:
            beside.write_text(json.dumps(quality))
    held_out = [one for sample, one in zip(samples, found, strict=True) if sample.split == "validation"]
    return Correction(
        labels_quality=float(np.mean([one.labels_quality for one in found])),
        masks_quality=float(np.mean([one.masks_quality for one in found])),
        agreement=float(np.mean([one.agreement for one in held_out or found])),
    )


def _one(
    config: RunConfig, sample: Sample, image: np.ndarray, probability: np.ndarray, masks: Path, ahead: Path | None
) -> _One:
    params = config.self_training
    label = metrics.u8_to_probability(decode_png(sample.target.read_bytes()))
    if label.shape != probability.shape:
        label = resize_probability(label, probability.shape)
    agreement = metrics.dice(metrics.to_mask(probability, 0.5), metrics.to_mask(label, 0.5))
    mask = refined(image, probability, params.refine, np.random.default_rng(SEED))
    _write(masks / mask_path(sample.id), mask)
    new_quality = 0.0
    if ahead:
        blend = params.keep * label + (1 - params.keep) * probability
        new = refined(image, blend, params.refine, np.random.default_rng(SEED))
        _write(ahead / label_path(sample.id), new)
        new_quality = appearance(image, new)
    return _One(appearance(image, label), appearance(image, mask), new_quality, agreement)


def _write(path: Path, probability: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as beside:
        beside.write_bytes(encode_png(metrics.probability_to_u8(probability)))
