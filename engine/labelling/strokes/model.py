"""The classifier that strokes teach, and the masks that it draws.

Two parts. The first learns the classes from the strokes alone: the mean of a logistic regression, extremely randomised
trees and a Gaussian process; pixels do without the process, which would be slow. The second takes the mask of a method
without strokes as right and learns where it is wrong: a Gaussian process whose mean is that mask. Which mask, and how
much it counts, is decided by its agreement with the first part.

Sources: Geurts, Ernst and Wehenkel, "Extremely randomized trees", Machine Learning 63, 2006,
doi:10.1007/s10994-006-6226-1; Rasmussen and Williams, "Gaussian Processes for Machine Learning", MIT Press 2006,
sections 2.2 and 2.7.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from scipy.special import softmax
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import cohen_kappa_score
from sklearn.metrics.pairwise import rbf_kernel

from engine.imaging.corrections import LEFT_OUT
from engine.labelling.cues.refine import follow_edges
from engine.labelling.strokes.features import Features

REGULARISATION = 0.01
"""Inverse strength (scikit-learn's C) for features of unit variance."""

NOISE = 0.3
"""Variance of a stroke's value in the Gaussian process, where 1 is certain foreground and -1 background."""

STEEPNESS = 3.0
"""Of the logistic function that makes a probability of such a value."""

THIN_PX = 6.0
"""Strokes of the foreground up to this width mean thin structures, which superpixels would swallow."""

ROWS_PER_IMAGE = 400
"""Most pixels of one class that an image contributes, when pixels are classified."""

WHOLE_PX = 10
"""A superpixel of which strokes touch so many pixels counts fully."""

SPARSE = 17
"""Where pixels are classified, every so many are compared with the masks without strokes."""

MOST_ROWS = 1000
"""Most rows that the trees and the Gaussian processes learn from: the time of these grows with the cube."""

TREES = 60
"""They find what few features tell apart, such as a colour, which the regression over all features takes for little."""

LEAST_AGREEMENT, FULL_AGREEMENT = 0.18, 0.28
"""Cohen's kappa of a mask without strokes with that of the strokes alone, below and above which it counts not or fully.

On images whose automatic masks were useless it was at most .16 after 10 strokes, where they were good at least .29.
Dice separates these less, as large masks overlap by chance. How often a mask is right under the strokes says nothing,
because strokes are drawn on errors.
"""

VERSION = 2
"""Counted up when a stored model means something else."""

ARRAYS = ("centre", "scale", "weights", "rows", "kinds", "effects", "corrections")
"""What a model has as arrays."""


@dataclass(frozen=True)
class StrokeMask:
    """What a model draws of an image (H, W)."""

    probability: np.ndarray
    """float32 (H, W) in [0, 1]: foreground."""
    classes: np.ndarray
    """uint8 (H, W): the most likely class of the foreground, 1..K, everywhere."""
    doubt: np.ndarray
    """float32 (H, W) in [0, 1]: 0 where the model is certain, 1 where two classes are equally likely."""


@dataclass(frozen=True)
class StrokeModel:
    """What strokes taught. Arrays are float32."""

    classes: tuple[int, ...]
    """The classes that occur, ascending."""
    pixels: bool
    """Whether pixels are classified, not superpixels."""
    backbone: str
    """Digest of the ONNX file of the features; empty without one."""
    centre: np.ndarray
    """(D,), subtracted from features, which are then divided by `scale`."""
    scale: np.ndarray
    weights: np.ndarray
    """(D + 1, number of classes) of the logistic regression, the last row the intercept."""
    rows: np.ndarray
    """(R, D): what strokes touch, centred and scaled, of which the trees are grown again where they are needed."""
    kinds: np.ndarray
    """(R,): the class of each."""
    effects: np.ndarray
    """(R, number of classes): the weight of each row in the Gaussian process of the classes; (0, ...) without it."""
    start: str
    """The method whose mask is taken as a start; empty for none."""
    trust: float
    """In [0, 1]: how much it counts."""
    corrections: np.ndarray
    """(R,): the weight of each row in the Gaussian process that corrects the start; (0,) without it."""

    def to_state(self) -> dict[str, Any]:
        """Return the model as values that JSON can represent."""
        arrays = {name: _pack(getattr(self, name)) for name in ARRAYS}
        plain = {name: getattr(self, name) for name in ("pixels", "backbone", "start", "trust")}
        return {"version": VERSION, "classes": list(self.classes), **plain, **arrays}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> StrokeModel:
        """Return the model that `to_state` described.

        Raises:
            ValueError: another version of this code learned it.
        """
        if state.get("version") != VERSION:
            raise ValueError("Another version of Maskloom learned from these strokes. Learn from them again.")
        values = {name: _unpack(value) if isinstance(value, dict) else value for name, value in state.items()}
        del values["version"]
        return cls(**(values | {"classes": tuple(state["classes"])}))


def _pack(array: np.ndarray) -> dict[str, Any]:
    return {"shape": list(array.shape), "float32": base64.b64encode(array.astype("<f4").tobytes()).decode("ascii")}


def _unpack(packed: dict[str, Any]) -> np.ndarray:
    return np.frombuffer(base64.b64decode(packed["float32"]), "<f4").reshape(packed["shape"])


def fit(
    samples: Sequence[tuple[Features, np.ndarray]], rng: np.random.Generator, pixels: bool | None = None
) -> StrokeModel:
    """Return what strokes teach.

    Args:
        samples: the features of each image (H, W) with its corrections, uint8 (H, W).
        pixels: whether to classify pixels, not superpixels; None decides by the width of the strokes.

    Raises:
        ValueError: no pixel has a class.
    """
    samples = [(features, corrections) for features, corrections in samples if (corrections < LEFT_OUT).any()]
    if not samples:
        raise ValueError("There are no strokes yet. Mark at least one place.")
    if pixels is None:
        pixels = are_thin([corrections for _, corrections in samples])
    marked = [_marked(features, corrections, pixels, rng) for features, corrections in samples]
    x, y, w = (np.concatenate(each) for each in zip(*marked, strict=True))
    classes, kinds = np.unique(y, return_inverse=True)
    centre, scale = x.mean(0), x.std(0) + 1e-6
    x = ((x - centre) / scale).astype(np.float32)
    balanced = w * (w.sum() / len(classes) / np.bincount(kinds, w))[kinds]
    kept = rng.permutation(len(y))[:MOST_ROWS]
    covariance = None if pixels else _covariance(x[kept], x[kept])
    model = StrokeModel(
        classes=tuple(int(each) for each in classes),
        pixels=pixels,
        backbone=samples[0][0].backbone,
        centre=centre.astype(np.float32),
        scale=scale.astype(np.float32),
        weights=_weights(x, y, balanced),
        rows=x[kept],
        kinds=y[kept].astype(np.float32),
        effects=_effects(covariance, np.where(y[kept, None] == classes, 1.0, -1.0), balanced[kept]),
        start="",
        trust=0.0,
        corrections=np.empty(0, np.float32),
    )
    start, trust = _choose_start(model, samples)
    if not trust:
        return model
    gaps = np.zeros(len(y)) if pixels else _gaps(samples, start)
    corrections = _effects(covariance, gaps[kept, None], w[kept])[:, 0]
    return StrokeModel(**(vars(model) | {"start": start, "trust": trust, "corrections": corrections}))


def predict(model: StrokeModel, features: Features) -> StrokeMask:
    """Return the mask of an image, with its outline moved to edges of the image.

    Raises:
        ValueError: the features are of another backbone than the model's, or lack the mask that it starts from.
    """
    if features.backbone != model.backbone:
        raise ValueError("The strokes were learned with another ONNX file than the image's features. Learn them again.")
    shape = features.labels.shape
    likely = _class_probabilities(model, _rows(features, model.pixels))
    probability = _per_pixel(model, features, _foreground(model, likely))
    if model.trust:
        probability = (1 - model.trust) * probability + model.trust * _from_start(model, features)
    if not model.pixels:
        probability = follow_edges(features.image, probability.astype(np.float32))
    kinds = np.array([each for each in model.classes if each] or [1], np.uint8)
    inside = likely[:, -len(kinds) :]
    classes = _per_pixel(model, features, kinds[inside.argmax(1)])
    doubt = 1 - np.abs(2 * probability - 1)
    if len(kinds) > 1:
        best = np.sort(inside, axis=1)
        lead = (best[:, -1] - best[:, -2]) / np.maximum(inside.sum(1), 1e-6)
        doubt = np.maximum(doubt, probability * (1 - _per_pixel(model, features, lead)))
    return StrokeMask(np.clip(probability, 0, 1).astype(np.float32), classes.reshape(shape), doubt.astype(np.float32))


def are_thin(corrections: Sequence[np.ndarray]) -> bool:
    """Return whether the strokes of the foreground, in maps uint8 (H, W), are mostly at most THIN_PX wide."""
    widths: list[float] = []
    for each in corrections:
        inside = ((each > 0) & (each < LEFT_OUT)).astype(np.uint8)
        count, parts = cv2.connectedComponents(inside, connectivity=8)
        depth = cv2.distanceTransform(np.pad(inside, 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
        widths += [2 * float(depth[parts == part].max()) - 1 for part in range(1, count)]
    return bool(widths) and float(np.median(widths)) <= THIN_PX


def _rows(features: Features, pixels: bool) -> np.ndarray:
    return features.pixels if pixels else features.rows.astype(np.float32)


def _marked(
    features: Features, corrections: np.ndarray, pixels: bool, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the rows that strokes touch, the class of each, and in [0, 1] how much each counts."""
    flat = corrections.ravel()
    owners, counts = _touched(features, corrections)
    if pixels:
        chosen = [
            rng.permutation(np.flatnonzero(flat == each))[:ROWS_PER_IMAGE] for each in np.unique(flat[flat < LEFT_OUT])
        ]
        places = np.concatenate(chosen)
        share = len(owners) / len(places)  # pixels of a stroke are no independent examples; superpixels nearly are
        return features.pixels[places], flat[places], np.full(len(places), min(share, 1.0))
    shares = np.minimum(counts[owners].sum(1) / WHOLE_PX, 1)
    return features.rows[owners].astype(np.float32), counts[owners].argmax(1).astype(np.uint8), shares


def _touched(features: Features, corrections: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the superpixels that strokes touch, and int (N, classes): how many pixels of each class each has."""
    flat = corrections.ravel()
    marked = flat < LEFT_OUT
    kinds = int(flat[marked].max()) + 1
    keys = features.labels.ravel()[marked].astype(np.int64) * kinds + flat[marked]
    counts = np.bincount(keys, minlength=len(features.rows) * kinds).reshape(-1, kinds)
    return np.flatnonzero(counts.any(1)), counts


def _weights(x: np.ndarray, y: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Return `StrokeModel.weights` for rows x, classes y and the weight of each row."""
    if len(np.unique(y)) < 2:
        return np.zeros((x.shape[1] + 1, 1), np.float32)
    classifier = LogisticRegression(C=REGULARISATION, solver="newton-cholesky", max_iter=50)
    classifier.fit(x, y, sample_weight=w)
    weights = np.concatenate([classifier.coef_, classifier.intercept_[:, None]], axis=1).T
    if len(classifier.classes_) == 2:
        weights = np.concatenate([np.zeros_like(weights), weights], axis=1)
    return weights.astype(np.float32)


def _covariance(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return (A, B) of two sets of features (A, D) and (B, D), centred and scaled."""
    return np.asarray(rbf_kernel(rows, others, gamma=1 / (2 * rows.shape[1])), np.float32)


def _effects(covariance: np.ndarray | None, values: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Return float32 (R, V): the weights with which a Gaussian process takes `values` (R, V); (0, V) without one."""
    if covariance is None:
        return np.empty((0, values.shape[1]), np.float32)
    return np.linalg.solve(covariance + np.diag(NOISE / w), values).astype(np.float32)


def _class_probabilities(model: StrokeModel, rows: np.ndarray) -> np.ndarray:
    """Return float32 (rows, classes) for features (rows, D), from the strokes alone."""
    rows = (rows - model.centre) / model.scale
    found = [
        softmax(rows @ model.weights[:-1] + model.weights[-1], axis=1),
        _trees(model.rows.tobytes(), model.kinds.tobytes()).predict_proba(rows),
    ]
    if len(model.effects):
        found.append(softmax(STEEPNESS / 2 * (_covariance(rows, model.rows) @ model.effects), axis=1))
    return np.asarray(np.mean(found, axis=0), np.float32)


@lru_cache(maxsize=2)
def _trees(rows: bytes, kinds: bytes) -> ExtraTreesClassifier:
    """Return trees grown on float32 rows and their classes, the same in every process."""
    y = np.frombuffer(kinds, np.float32)
    trees = ExtraTreesClassifier(TREES, max_features=0.3, class_weight="balanced", random_state=0)
    return trees.fit(np.frombuffer(rows, np.float32).reshape(len(y), -1), y)


def _foreground(model: StrokeModel, likely: np.ndarray) -> np.ndarray:
    return 1 - likely[:, 0] if model.classes[0] == 0 else np.ones(len(likely), np.float32)


def _per_pixel(model: StrokeModel, features: Features, values: np.ndarray) -> np.ndarray:
    """Return (H, W) of one value for each row."""
    return values.reshape(features.labels.shape) if model.pixels else values[features.labels]


def _choose_start(model: StrokeModel, samples: Sequence[tuple[Features, np.ndarray]]) -> tuple[str, float]:
    """Return the method whose mask is taken as a start, and how much its masks count, in [0, 1].

    While all strokes are of one class, it is the method that contradicts them least; later the one that agrees best
    with the strokes alone.
    """
    starts = list(samples[0][0].starts)
    if len(np.unique(model.kinds)) < 2:
        wrong = {start: float(sum(np.abs(_gaps([each], start)).sum() for each in samples)) for start in starts}
        return (min(wrong, key=lambda start: wrong[start]), 1.0) if wrong else ("", 0.0)
    every = SPARSE if model.pixels else 1
    rows = np.concatenate([_rows(features, model.pixels)[::every] for features, _ in samples])
    likely = _foreground(model, _class_probabilities(model, rows))
    areas = np.ones(len(rows)) if model.pixels else np.concatenate([features.areas for features, _ in samples])
    best, agreement = "", 0.0
    for start in starts:
        levels = [_start_rows(features, start, model.pixels)[::every] for features, _ in samples]
        kappa = cohen_kappa_score(np.concatenate(levels) >= 0.5, likely >= 0.5, sample_weight=areas)
        if kappa > agreement:
            best, agreement = start, kappa
    trust = (agreement - LEAST_AGREEMENT) / (FULL_AGREEMENT - LEAST_AGREEMENT)
    return best, float(np.clip(trust, 0, 1))


def _start_rows(features: Features, start: str, pixels: bool) -> np.ndarray:
    """Return the foreground probability of each row in the mask of a method without strokes."""
    return features.starts[start].ravel() / 255 if pixels else features.start_shares[start]


def _gaps(samples: Sequence[tuple[Features, np.ndarray]], start: str) -> np.ndarray:
    """Return what strokes add to a start in each superpixel that they touch, where its values are from -1 to 1."""
    gaps = []
    for features, corrections in samples:
        owners, counts = _touched(features, corrections)
        marked = (corrections < LEFT_OUT).ravel()
        labels = features.labels.ravel()[marked]
        given = np.bincount(labels, features.starts[start].ravel()[marked] / 127.5 - 1, len(features.rows))[owners]
        gaps.append(np.where(counts[owners].argmax(1) > 0, 1.0, -1.0) - given / counts[owners].sum(1))
    return np.concatenate(gaps)


def _from_start(model: StrokeModel, features: Features) -> np.ndarray:
    """Return float32 (H, W): the foreground probability of the start, corrected by strokes."""
    if model.start not in features.starts:
        raise ValueError(f"The features lack the mask of '{model.start}', which the strokes correct.")
    values = features.starts[model.start] / np.float32(127.5) - 1
    if len(model.corrections):
        rows = (features.rows.astype(np.float32) - model.centre) / model.scale
        values = values + (_covariance(rows, model.rows) @ model.corrections)[features.labels]
    return 1 / (1 + np.exp(-STEEPNESS * values))
