"""A short program that draws the mask of a picture with an exported model: it is packed beside the model.

It does in a few lines what `engine.network.inference` does once, without mirror images: scale, cut squares, ask,
put together. It reads pictures as an import does, by the functions of `picture_reading`.
"""

from __future__ import annotations

from importlib import resources

from engine.core.run_parameters import DataParams
from engine.exports.base import ModelFormat

_SCALED = (
    "size = [max(1, round(scale * side)) for side in picture.size]\n"
    "way = Image.Resampling.BOX if scale < 1 else Image.Resampling.BILINEAR\n"
    "small = np.asarray(picture.resize(size, way))\n"
)


def example(what: ModelFormat, data: DataParams, side_px: int, threshold: float = 0.5) -> str:
    """Return the program for a model in the format `what`."""
    ask = what.predict
    head = (
        f'"""Draw the mask of a picture: python example.py PICTURE MASK.png (needs {what.packages} numpy pillow)"""\n'
        "import sys\n\n"
        f"{_imports(what.imports)}\n\n\n"
        f"{_reading()}\n\n"
        f"SIDE, THRESHOLD = {side_px}, {threshold:g}\n"
        f"{what.load}\n"
        "picture = read_picture(sys.argv[1])\n"
    )
    body = _one_square(data, ask) if data.framing in ("pad", "stretch") else _many_squares(data, ask)
    tail = (
        "whole = Image.fromarray(np.float32(probability)).resize(picture.size, Image.Resampling.BILINEAR)\n"
        "Image.fromarray(np.uint8(255 * (np.asarray(whole) >= THRESHOLD))).save(sys.argv[2])\n"
    )
    return head + body + tail


def _reading() -> str:
    """Return the functions that read a picture, without the docstring and the imports of their module."""
    source = resources.files("engine.exports").joinpath("picture_reading.py").read_text("utf-8")
    return source[source.index("def read_picture") :].rstrip() + "\n"


def _imports(load: str) -> str:
    return "\n".join(sorted(("import numpy as np", load, "from PIL import Image, ImageOps"), key=_import_order))


def _import_order(line: str) -> tuple[bool, str]:
    return line.startswith("from"), line


def _one_square(data: DataParams, ask: str) -> str:
    """Return the lines for a picture that fits into one square: stretched into it, or mirrored around its edge."""
    if data.framing == "stretch":
        return (
            "way = Image.Resampling.BOX if SIDE**2 < picture.width * picture.height else Image.Resampling.BILINEAR\n"
            "batch = np.float32(np.asarray(picture.resize((SIDE, SIDE), way)))[None]\n"
            f"probability = {ask}[0, ..., 0]\n"
        )
    return (
        "scale = SIDE / max(picture.size)\n"
        + _SCALED
        + "around = [((SIDE - n) // 2, SIDE - n - (SIDE - n) // 2) for n in small.shape[:2]]\n"
        'batch = np.float32(np.pad(small, [*around, (0, 0)], mode="symmetric"))[None]\n'
        "(top, _), (left, _) = around\n"
        f"probability = {ask}[0, top : top + size[1], left : left + size[0], 0]\n"
    )


def _many_squares(data: DataParams, ask: str) -> str:
    """Return the lines for a picture that is read in several squares, which overlap and are blended."""
    scale = "SIDE / min(picture.size)" if data.framing == "crop" else f"{data.tile_scale:g}"
    return (
        f"scale = {scale}\n"
        + _SCALED
        + "around = [(max(SIDE - n, 0) // 2, max(SIDE - n, 0) - max(SIDE - n, 0) // 2) for n in small.shape[:2]]\n"
        'padded = np.float32(np.pad(small, [*around, (0, 0)], mode="symmetric"))\n'
        "fade = 0.001 + np.sin(np.pi * (np.arange(SIDE) + 0.5) / SIDE) ** 2\n"
        "total, weights = np.zeros((2, *padded.shape[:2]))\n"
        "step = SIDE - SIDE // 4\n"
        "tops, lefts = (np.int32(np.linspace(0, n - SIDE, 1 - (SIDE - n) // step).round()) for n in total.shape)\n"
        "for top, left in ((top, left) for top in tops for left in lefts):\n"
        "    place = np.s_[top : top + SIDE, left : left + SIDE]\n"
        "    batch = padded[place][None]\n"
        f"    total[place] += np.outer(fade, fade) * {ask}[0, ..., 0]\n"
        "    weights[place] += np.outer(fade, fade)\n"
        "(top, _), (left, _) = around\n"
        "probability = (total / weights)[top : top + size[1], left : left + size[0]]\n"
    )
