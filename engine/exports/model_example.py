"""A short program that draws the mask of a picture with an exported model: it is packed beside the model.

It does what `engine.predict` does with plain means: scale, cut squares, ask, put together. Where squares overlap it
takes their mean, where we blend them smoothly.
"""

from __future__ import annotations

from engine.run_parameters import DataParams

PACKAGES = {"keras": "tensorflow keras", "savedmodel": "tensorflow", "onnx": "onnxruntime"}

_NETWORKS = {
    "keras": (
        "import keras",
        'model = keras.saving.load_model("model.keras", compile=False)',
        "model(batch, training=False).numpy()",
    ),
    "savedmodel": (
        "import tensorflow as tf",
        'model = tf.saved_model.load("model")',
        "model.serve(batch).numpy()",
    ),
    "onnx": (
        "import onnxruntime",
        'model = onnxruntime.InferenceSession("model.onnx", providers=["CPUExecutionProvider"])',
        'model.run(["probability"], {"image": batch})[0]',
    ),
}


def example(kind: str, data: DataParams, side_px: int, threshold: float = 0.5) -> str:
    """Return the program for a model of `kind`: "keras", "savedmodel" or "onnx"."""
    load, model, ask = _NETWORKS[kind]
    head = (
        f'"""Draw the mask of a picture: python example.py PICTURE MASK.png (needs {PACKAGES[kind]} numpy pillow)"""\n'
        "import sys\n\n"
        f"{_imports(load)}\n\n"
        f"SIDE, THRESHOLD = {side_px}, {threshold:g}\n"
        f"{model}\n"
        'picture = ImageOps.exif_transpose(Image.open(sys.argv[1])).convert("RGB")\n'
    )
    body = _one_square(data, ask) if data.framing in ("pad", "stretch") else _many_squares(data, ask)
    tail = (
        "whole = Image.fromarray(np.float32(probability)).resize(picture.size, Image.Resampling.BILINEAR)\n"
        "Image.fromarray(np.uint8(255 * (np.asarray(whole) >= THRESHOLD))).save(sys.argv[2])\n"
    )
    return head + body + tail


def _imports(load: str) -> str:
    return "\n".join(sorted(("import numpy as np", load, "from PIL import Image, ImageOps"), key=_import_order))


def _import_order(line: str) -> tuple[bool, str]:
    return line.startswith("from"), line


def _one_square(data: DataParams, ask: str) -> str:
    """Return the lines for a picture that fits into one square: stretched into it, or mirrored around its edge."""
    batch = "np.float32(np.asarray(small))[None]"
    if data.framing == "stretch":
        return (
            "small = picture.resize((SIDE, SIDE), Image.Resampling.BILINEAR)\n"
            f"batch = {batch}\n"
            f"probability = {ask}[0, ..., 0]\n"
        )
    return (
        "scale = SIDE / max(picture.size)\n"
        "size = [max(1, round(scale * side)) for side in picture.size]\n"
        "small = np.asarray(picture.resize(size, Image.Resampling.BILINEAR))\n"
        "around = [((SIDE - n) // 2, SIDE - n - (SIDE - n) // 2) for n in small.shape[:2]]\n"
        'batch = np.float32(np.pad(small, [*around, (0, 0)], mode="symmetric"))[None]\n'
        "(top, _), (left, _) = around\n"
        f"probability = {ask}[0, top : top + size[1], left : left + size[0], 0]\n"
    )


def _many_squares(data: DataParams, ask: str) -> str:
    """Return the lines for a picture that is read in several squares, overlapping by a fourth."""
    scale = "SIDE / min(picture.size)" if data.framing == "crop" else f"{data.tile_scale:g}"
    return (
        f"scale = {scale}\n"
        "size = [max(1, round(scale * side)) for side in picture.size]\n"
        "small = np.asarray(picture.resize(size, Image.Resampling.BILINEAR))\n"
        "around = [(max(SIDE - n, 0) // 2, max(SIDE - n, 0) - max(SIDE - n, 0) // 2) for n in small.shape[:2]]\n"
        'padded = np.float32(np.pad(small, [*around, (0, 0)], mode="symmetric"))\n'
        "total, hits = np.zeros((2, *padded.shape[:2]))\n"
        "tops, lefts = (np.unique([*range(0, n - SIDE, SIDE * 3 // 4), n - SIDE]) for n in total.shape)\n"
        "for top, left in ((top, left) for top in tops for left in lefts):\n"
        "    place = np.s_[top : top + SIDE, left : left + SIDE]\n"
        "    batch = padded[place][None]\n"
        f"    total[place] += {ask}[0, ..., 0]\n"
        "    hits[place] += 1\n"
        "(top, _), (left, _) = around\n"
        "probability = (total / hits)[top : top + size[1], left : left + size[0]]\n"
    )
