"""A short program that draws the mask or class map of a picture with an exported model: it is packed beside the model.

It does in a few lines what `engine.network.inference` does once, without mirror images: scale, cut squares, ask,
put together. It reads pictures as an import does, by the functions of `picture_reading`.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources

from engine.core.run_parameters import DataParams
from engine.exports.base import ModelFormat

_SCALED = "size = [max(1, round(scale * side)) for side in picture.size]\nsmall = scaled(np.asarray(picture), size)\n"


def example(
    what: ModelFormat, data: DataParams, side_px: int, threshold: float = 0.5, classes: Sequence[str] = ()
) -> str:
    """Return the program for a model in the format `what`, which tells `classes` apart, background first, if any."""
    ask = what.predict
    needed, (drawn, target) = what.packages, ("class map", "MAP") if classes else ("mask", "MASK")
    head = (
        f'"""Draw the {drawn} of a picture: python example.py PICTURE {target}.png (needs {needed} numpy pillow)"""\n'
        "import sys\n\n"
        f"{_imports(what.imports)}\n\n\n"
        f"{_reading()}\n\n"
        f"SIDE, THRESHOLD = {side_px}, {threshold:g}\n"
        f"{what.load}\n"
        "picture = read_picture(sys.argv[1])\n"
    )
    body = _one_square(data, ask) if data.framing in ("pad", "stretch") else _many_squares(data, ask, len(classes) or 1)
    return head + body + (_class_map(classes) if classes else _MASK)


_MASK = "Image.fromarray(np.uint8(255 * (resized(values, picture.size)[..., 0] >= THRESHOLD))).save(sys.argv[2])\n"


def _class_map(classes: Sequence[str]) -> str:
    """Return the lines that draw the most likely class where there is foreground."""
    names = ", ".join(f"{number} {name!r}" for number, name in enumerate(classes))
    return (
        f"# {names}\n"
        "foreground = 1 - resized(values[..., :1], picture.size)[..., 0] >= THRESHOLD\n"
        "found, most = np.uint8(1), np.float32(0)\n"
        "for number in range(1, values.shape[-1]):  # one by one: the picture may be far larger than `values`\n"
        "    level = resized(values[..., number : number + 1], picture.size)[..., 0]\n"
        "    found, most = np.where(level > most, np.uint8(number), found), np.maximum(level, most)\n"
        "Image.fromarray(np.where(foreground, found, np.uint8(0))).save(sys.argv[2])\n"
    )


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
        return f"batch = scaled(np.asarray(picture), (SIDE, SIDE))[None]\nvalues = {ask}[0]\n"
    return (
        "scale = SIDE / max(picture.size)\n"
        + _SCALED
        + "around = [((SIDE - n) // 2, SIDE - n - (SIDE - n) // 2) for n in small.shape[:2]]\n"
        'batch = np.pad(small, [*around, (0, 0)], mode="symmetric")[None]\n'
        "(top, _), (left, _) = around\n"
        f"values = {ask}[0, top : top + size[1], left : left + size[0]]\n"
    )


def _many_squares(data: DataParams, ask: str, outputs: int) -> str:
    """Return the lines for a picture that is read in several squares, which overlap and are blended."""
    scale = "SIDE / min(picture.size)" if data.framing == "crop" else f"{data.tile_scale:g}"
    return (
        f"scale = {scale}\n"
        + _SCALED
        + "around = [(max(SIDE - n, 0) // 2, max(SIDE - n, 0) - max(SIDE - n, 0) // 2) for n in small.shape[:2]]\n"
        'padded = np.pad(small, [*around, (0, 0)], mode="symmetric")\n'
        "fade = 0.001 + np.sin(np.pi * (np.arange(SIDE) + 0.5) / SIDE) ** 2\n"
        "weight = np.outer(fade, fade)[..., None]\n"
        f"total, weights = (np.zeros((*padded.shape[:2], n), np.float32) for n in ({outputs}, 1))\n"
        "step = SIDE - SIDE // 4\n"
        "tops, lefts = (np.int32(np.linspace(0, n - SIDE, 1 - (SIDE - n) // step).round()) for n in total.shape[:2])\n"
        "for top, left in ((top, left) for top in tops for left in lefts):\n"
        "    place = np.s_[top : top + SIDE, left : left + SIDE]\n"
        "    batch = padded[place][None]\n"
        f"    total[place] += weight * {ask}[0]\n"
        "    weights[place] += weight\n"
        "(top, _), (left, _) = around\n"
        "values = (total / weights)[top : top + size[1], left : left + size[0]]\n"
    )
