"""Activations of a network in an ONNX file, which describe an image: of convolutions, or tokens of a transformer."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

PATCH_SIDES_PX = (14, 16, 8)
"""Sides of the patches of known transformers; DINOv2 has 14 px."""

SIDE_STEP_PX = 112
"""Sides that are a multiple of this can be divided into all PATCH_SIDES_PX."""

OTHER_TOKENS = (1, 5, 0)
"""Tokens before those of the patches: one of the class, and up to four registers."""

MEAN, SPREAD = np.array([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]], np.float32)
"""Of the colours of ImageNet in [0, 1]: published networks with channels first expect colours in these units."""


class BackboneError(ValueError):
    """The ONNX file cannot describe images. The message is a sentence the user can act on."""


def activations(image: np.ndarray, backbone: Path) -> list[np.ndarray]:
    """Return float32 (h, w, C) of each output of an ONNX file for a uint8 RGB image (H, W, 3).

    The file has one input, of either form:

    - float32 (1, H, W, 3) from 0 to 255, and outputs (1, h, w, C);
    - float32 (1, 3, H, W) in units of MEAN and SPREAD, of a fixed or any size, and outputs (1, C, h, w) or tokens
      (1, N, C) in the order of rows, as DINOv2 is usually exported. Other outputs are ignored.

    Raises:
        BackboneError: the file is missing or is another network.
    """
    sha256 = digest(backbone)
    try:
        session = _session(backbone, sha256)
        given = session.get_inputs()[0]
        first = len(given.shape) == 4 and given.shape[1] == 3
        fed = _channels_first(image, given.shape) if first else image[None].astype(np.float32)
        found = [np.asarray(each) for each in session.run(None, {given.name: fed})]
    except Exception as error:  # onnxruntime has a dozen kinds of its own
        reason = str(error).partition("\n")[0][:200]
        raise BackboneError(f"The ONNX file '{backbone.name}' cannot describe an image: {reason}") from error
    maps = [each for output in found if (each := _map(output, fed.shape[2:] if first else None)) is not None]
    if not maps or (not first and len(maps) < len(found)) or any(not np.isfinite(each).all() for each in maps):
        shapes = ", ".join(str(each.shape) for each in found)
        raise BackboneError(
            f"The outputs of '{backbone.name}' must be activations (1, height, width, channels). Got {shapes}."
        )
    return maps


def digest(backbone: Path) -> str:
    """Return the SHA-256 of an ONNX file.

    Raises:
        BackboneError: there is none.
    """
    try:
        about = backbone.stat()
        return _digest(backbone, about.st_size, about.st_mtime_ns)
    except OSError as error:
        raise BackboneError(f"The ONNX file '{backbone}' cannot be read. {error.strerror or error}.") from error


@lru_cache(maxsize=4)
def _digest(path: Path, size: int, changed_ns: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@lru_cache(maxsize=2)
def _session(path: Path, sha256: str) -> InferenceSession:
    import onnxruntime  # only where a network describes images: it leaves files in the home folder

    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # images are described in several processes at once
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def _channels_first(image: np.ndarray, shape: list[int | str | None]) -> np.ndarray:
    """Return the image as float32 (1, 3, h, w), at the fixed sides of `shape` or at multiples of SIDE_STEP_PX."""
    sides = [
        wanted if isinstance(wanted, int) else max(round(side / SIDE_STEP_PX), 1) * SIDE_STEP_PX
        for wanted, side in zip(shape[2:], image.shape, strict=False)
    ]
    smaller = image.shape[0] * image.shape[1] > sides[0] * sides[1]
    resized = cv2.resize(image, sides[::-1], interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
    return ((resized.astype(np.float32) / 255 - MEAN) / SPREAD).transpose(2, 0, 1)[None]


def _map(output: np.ndarray, sides: tuple[int, ...] | None) -> np.ndarray | None:
    """Return an output as (h, w, C), or None if it is of another form. `sides`: of an image with channels first."""
    if len(output) != 1:
        return None
    if output.ndim == 4:
        return output[0] if sides is None else output[0].transpose(1, 2, 0)
    if output.ndim == 3 and sides is not None:
        for others in OTHER_TOKENS:
            for patch in PATCH_SIDES_PX:
                height, width = (side // patch for side in sides)
                if output.shape[1] == others + height * width:
                    return output[0, others:].reshape(height, width, -1)
    return None
