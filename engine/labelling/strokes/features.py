"""Features of an image for learning from strokes: superpixels with colour, texture and activations of a network.

Sources: Achanta et al., "SLIC superpixels", IEEE Trans. PAMI 34(11), 2012, doi:10.1109/TPAMI.2012.120; the texture is
that of scikit-image's `multiscale_basic_features`, as in Arganda-Carreras et al., "Trainable Weka Segmentation",
Bioinformatics 33(15), 2017, doi:10.1093/bioinformatics/btx180.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from scipy import sparse
from skimage.feature import multiscale_basic_features

from engine.core.parameters import parse
from engine.labelling.base import draw, find_method
from engine.labelling.cues.activations import activations, digest
from engine.labelling.cues.features import to_lab
from engine.labelling.cues.superpixels import slico

STARTS = ("saliency", "threshold", "lines")
"""Methods whose masks strokes may start from; the strokes decide which (see `model.fit`)."""

VERSION = 1
"""Counted up when the features of the same image change, so that stored ones are computed again."""


@dataclass(frozen=True)
class Features:
    """What is known of one image (H, W) before any stroke."""

    image: np.ndarray
    """uint8 RGB (H, W, 3), at its working size."""
    labels: np.ndarray
    """uint16 (H, W): N superpixels, 0..N-1."""
    rows: np.ndarray
    """float16 (N, D): colour, texture and activations of each superpixel."""
    starts: dict[str, np.ndarray]
    """The foreground probability of methods without strokes, uint8 (H, W), by their names."""
    backbone: str
    """Digest of the ONNX file that the activations are from; empty without one."""

    @cached_property
    def pixels(self) -> np.ndarray:
        """float32 (H * W, C): colour and texture of each pixel, for thin structures. Not stored."""
        return local_features(self.image, finest_px=0.5).reshape(self.labels.size, -1)

    @cached_property
    def areas(self) -> np.ndarray:
        """int64 (N,): size of each superpixel in pixels."""
        return np.bincount(self.labels.ravel(), minlength=len(self.rows))

    @cached_property
    def start_shares(self) -> dict[str, np.ndarray]:
        """float64 (N,): the mean probability of each superpixel, by the names of `starts`. Not stored."""
        owners, count = self.labels.ravel(), len(self.rows)
        return {
            name: np.bincount(owners, levels.ravel(), count) / (255 * self.areas)
            for name, levels in self.starts.items()
        }

    def to_bytes(self) -> bytes:
        """Return the features as one compressed NumPy archive."""
        file = io.BytesIO()
        arrays = {"version": np.array(VERSION), "backbone": np.array(self.backbone)}
        arrays |= {"image": self.image, "labels": self.labels, "rows": self.rows}
        arrays |= {f"start_{name}": levels for name, levels in self.starts.items()}
        np.savez_compressed(file, allow_pickle=False, **arrays)
        return file.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Features:
        """Return the features that `to_bytes` stored.

        Raises:
            ValueError: they were computed by another version of this code, or the archive is damaged.
        """
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
        except Exception as error:  # zipfile and NumPy raise many kinds
            raise ValueError(f"The stored features are damaged: {error}") from error
        if arrays.get("version") != VERSION:
            raise ValueError("The stored features are of another version. Compute them again.")
        starts = {name.removeprefix("start_"): each for name, each in arrays.items() if name.startswith("start_")}
        return cls(arrays["image"], arrays["labels"], arrays["rows"], starts, str(arrays["backbone"]))


def find_features(
    image: np.ndarray, superpixels: int, backbone: Path | None = None, starts: Sequence[str] = STARTS, seed: int = 0
) -> Features:
    """Return the features of a uint8 RGB image (H, W, 3), at this size.

    Args:
        superpixels: about how many.
        backbone: an ONNX file, as `activations` reads it. None: colour and texture alone.
        starts: the methods to draw a first mask with.

    Raises:
        BackboneError: the file is missing or is another network.
    """
    labels = slico(image, superpixels)
    lab = to_lab(image)
    means = RegionMeans(labels)
    colour = means.of(lab)
    spread = np.sqrt(np.maximum(means.of(lab**2) - colour**2, 0))
    parts = [colour, spread, means.of(local_features(image))]
    if backbone is not None:
        parts += [means.of(activation) for activation in activations(image, backbone)]
    masks = {name: _start(name, image, seed) for name in starts}
    rows = np.clip(np.concatenate(parts, axis=1), -6e4, 6e4).astype(np.float16)
    return Features(image, labels.astype(np.uint16), rows, masks, digest(backbone) if backbone else "")


def local_features(image: np.ndarray, finest_px: float = 1.0) -> np.ndarray:
    """Return float32 (H, W, C): intensity, edges and texture of each Lab channel at scales up to 16 px."""
    height, width = image.shape[:2]
    lab = np.pad(to_lab(image) / 100, ((0, max(3 - height, 0)), (0, max(3 - width, 0)), (0, 0)), "edge")
    found = multiscale_basic_features(lab, channel_axis=-1, sigma_min=finest_px, sigma_max=16, workers=1)
    return np.asarray(found[:height, :width], np.float32)


def _start(name: str, image: np.ndarray, seed: int) -> np.ndarray:
    method = find_method(name)
    probability = draw(method, image, parse(method.params, {}), seed)
    return np.rint(probability * 255).astype(np.uint8)


class RegionMeans:
    """Means over the regions of `labels` (H, W), integers from 0, each at least once."""

    def __init__(self, labels: np.ndarray) -> None:
        self._labels, self._areas = labels.ravel(), np.bincount(labels.ravel())
        self._shape = labels.shape

    def of(self, channels: np.ndarray) -> np.ndarray:
        """Return float32 (N, C): the mean of channels (h, w, C), enlarged to (H, W) by linear interpolation.

        Nothing is enlarged: the weight of each of the h * w cells in each mean is.
        """
        height, width = channels.shape[:2]
        (top, down), (left, right) = _between(self._shape[0], height), _between(self._shape[1], width)
        weights = sparse.csr_matrix((len(self._areas), height * width), dtype=np.float32)
        for row, share_y in ((top, 1 - down), (np.minimum(top + 1, height - 1), down)):
            for column, share_x in ((left, 1 - right), (np.minimum(left + 1, width - 1), right)):
                if share_y.any() and share_x.any():
                    cells = (row[:, None] * width + column).ravel()
                    shares = (share_y[:, None] * share_x).ravel()
                    weights += sparse.csr_matrix((shares, (self._labels, cells)), weights.shape)
        sums = weights @ channels.reshape(height * width, -1)
        return (sums / self._areas[:, None]).astype(np.float32)


def _between(count: int, cells: int) -> tuple[np.ndarray, np.ndarray]:
    """Return for each of `count` pixels the cell at or before its centre, and how far it is on the way to the next."""
    places = np.clip((np.arange(count) + 0.5) * cells / count - 0.5, 0, cells - 1)
    before = np.floor(places).astype(np.int64)
    return before, (places - before).astype(np.float32)
