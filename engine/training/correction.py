"""Masks of a round's network for its training images, their quality, and the labels of the next round."""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.core.run_config import RunConfig
from engine.imaging import corrections, metrics
from engine.imaging.class_maps import resize_classes, to_classes
from engine.imaging.codec import decode_png, encode_png, resize_probability
from engine.labelling.quality import appearance
from engine.network.inference import Prediction, load_model, predict_many
from engine.prediction.refine_masks import refined
from engine.store.disk import replacing
from engine.store.keys import classes_path, label_path, mask_path
from engine.training.callbacks import Hooks
from engine.training.samples import Sample

SEED = 0  # of GrabCut, so that an image always gets the same mask


@dataclass(frozen=True)
class Correction:
    """Means over the images: quality of the labels and of the network's masks, and their agreement.

    `agreement` is the mean Dice between the network's masks and its labels on validation images, or on all images if
    there are no validation images; that of an image is the mean over the classes that occur in it.
    """

    labels_quality: float
    masks_quality: float
    agreement: float


@dataclass(frozen=True)
class _Scores:
    labels_quality: float
    masks_quality: float
    new_quality: float
    agreement: float


def correct(
    config: RunConfig, samples: Sequence[Sample], model: Path, masks: Path, ahead: Path | None, hooks: Hooks
) -> Correction | None:
    """Predict every sample with a stored network; None if a stop was requested.

    The masks, refined at the edges of the image, are written to `masks`/masks. With `ahead`, labels for the next round
    are written to `ahead`/labels: a moving average of the old label and the network's probability, refined likewise,
    with their quality in `ahead`/quality.json. With several classes, those of masks and labels are in classes/ below:
    a pixel of a new label has the class that contributes more to its average. What a person drew is as drawn in every
    label.
    """
    scores: list[_Scores] = []
    images = (decode_png(sample.image.read_bytes()) for sample in samples)
    predictions = predict_many(load_model(model), images, config.data, flips=True)
    workers = os.cpu_count() or 1
    waiting: deque[Future[_Scores]] = deque()
    with ThreadPoolExecutor(workers) as pool, closing(predictions):
        for sample, prediction in zip(samples, predictions, strict=True):
            if hooks.should_stop():
                return None
            waiting.append(pool.submit(_correct_one, config, sample, prediction, masks, ahead))
            if len(waiting) > 2 * workers:
                scores.append(waiting.popleft().result())
            hooks.on_judge(len(scores), len(samples))
        scores += [each.result() for each in waiting]
    if ahead:
        quality = {sample.id: each.new_quality for sample, each in zip(samples, scores, strict=True)}
        with replacing(ahead / "quality.json") as beside:
            beside.write_text(json.dumps(quality))
    held_out = [each for sample, each in zip(samples, scores, strict=True) if sample.split == "validation"]
    return Correction(
        labels_quality=float(np.mean([each.labels_quality for each in scores])),
        masks_quality=float(np.mean([each.masks_quality for each in scores])),
        agreement=float(np.mean([each.agreement for each in held_out or scores])),
    )


def _correct_one(config: RunConfig, sample: Sample, prediction: Prediction, masks: Path, ahead: Path | None) -> _Scores:
    image, probability = prediction.image, prediction.probability
    params = config.self_training
    label = metrics.u8_to_probability(decode_png(sample.target.read_bytes()))
    if label.shape != probability.shape:
        label = resize_probability(label, probability.shape)
    drawn = None if sample.correction is None else decode_png(sample.correction.read_bytes())
    label, taught = _as_drawn(label, drawn), None
    if prediction.classes is not None and sample.classes is not None:
        taught = resize_classes(decode_png(sample.classes.read_bytes()), probability.shape)
        taught = taught if drawn is None else corrections.over_classes(taught, drawn)
    label, probability = sample.region.cleared(label), sample.region.cleared(probability)
    agreement = _agreement(
        to_classes(probability, prediction.classes, 0.5),
        to_classes(label, taught, 0.5),
        max(config.model.outputs - 1, 1),
    )
    mask = sample.region.cleared(refined(image, probability, params.refine, np.random.default_rng(SEED)))
    _write(masks, mask_path(sample.id), mask, prediction.classes)
    new_quality = 0.0
    if ahead:
        blend = params.keep * label + (1 - params.keep) * probability
        new = _as_drawn(refined(image, blend, params.refine, np.random.default_rng(SEED)), drawn)
        new = sample.region.cleared(new)
        classes = prediction.classes
        if classes is not None and taught is not None:
            kept = (params.keep * label > (1 - params.keep) * probability) & (taught > 0)
            classes = np.where(kept, taught, classes)
            classes = classes if drawn is None else corrections.over_classes(classes, drawn)
        _write(ahead, label_path(sample.id), new, classes)
        new_quality = appearance(image, new)
    return _Scores(appearance(image, label), appearance(image, mask), new_quality, agreement)


def _as_drawn(label: np.ndarray, drawn: np.ndarray | None) -> np.ndarray:
    """Return a label, float32 (H, W) in [0, 1], certain where a person drew something that is not to be ignored."""
    if drawn is None:
        return label
    return metrics.u8_to_probability(corrections.over_levels(metrics.probability_to_u8(label), drawn))


def _agreement(masks: np.ndarray, labels: np.ndarray, classes: int) -> float:
    """Return the mean Dice over the classes that occur in either class map, uint8 (H, W); 1 if none does."""
    scores = metrics.class_scores(metrics.confusion_matrix(metrics.confusion(masks, labels), classes))
    return float(scores.dice[scores.occurs].mean()) if scores.occurs.any() else 1.0


def _write(folder: Path, path: str, probability: np.ndarray, classes: np.ndarray | None) -> None:
    """Write an 8-bit probability and, with several classes, their numbers."""
    files = {path: metrics.probability_to_u8(probability)}
    if classes is not None:
        files[classes_path(path)] = classes
    for name, pixels in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        with replacing(folder / name) as beside:
            beside.write_bytes(encode_png(pixels))
