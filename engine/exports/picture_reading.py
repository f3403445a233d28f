"""How `example.py` reads and resizes a picture; the source of this module is part of every exported example.

It gives the pixels that `engine.imaging.codec` gives, with Pillow and NumPy only, and ends with a sentence for pictures
that they cannot read so. It stands alone: all but the imports is copied, after the imports of the example.
"""

import sys

import numpy as np
from PIL import Image, ImageOps


def read_picture(path):
    """Return a picture as an upright RGB image: alpha over white, 16-bit and float values stretched to 8 bits."""
    try:
        opened = Image.open(path)
    except (OSError, SyntaxError) as error:
        refuse(path, f"Pillow cannot open it ({error})")
    head = np.fromfile(path, np.uint8, 26)
    if opened.format == "PNG" and head[24] == 16 and head[25] in (2, 4, 6):
        refuse(path, "it has 16 bits per channel, of which Pillow reads 8; save it with 8 bits")
    if opened.format == "TIFF":
        check_tiff(path, getattr(opened, "tag_v2", {}))
    picture = ImageOps.exif_transpose(opened)
    if picture.mode in ("F", "I") or picture.mode.startswith("I;16"):
        return Image.fromarray(to_8_bit(np.asarray(picture))).convert("RGB")
    if picture.has_transparency_data:
        values = np.asarray(picture.convert("LA" if picture.mode in ("L", "LA", "1") else "RGBA"), np.float32)
        alpha = values[..., -1:] / np.float32(255)
        colours = np.rint(values[..., :-1] * alpha + 255 * (1 - alpha)).astype(np.uint8)
        return Image.fromarray(colours[..., 0] if colours.shape[2] == 1 else colours).convert("RGB")
    return picture.convert("RGB")


def check_tiff(path, tags):
    """Refuse a TIFF whose pixels Pillow reads in another way than the network was trained on."""
    bits, colours, samples = set(tags.get(258, (1,))), tags.get(262, 1), tags.get(277, 1)
    extra = tuple(tags.get(338, ()))
    if 42113 in tags or tags.get(254, 0) & 1:
        refuse(path, "it marks pixels without data, or begins with a reduced copy; save it as a plain TIFF or PNG")
    if colours not in (0, 1, 2, 3) or samples - len(extra) not in (1, 3):
        refuse(path, f"it has {samples} channels of a kind that is not read here; save it as grey or RGB")
    if len(extra) > 1 or set(extra) - {1, 2}:
        refuse(path, f"it has {samples} channels; save the one or three to use as grey or RGB")
    if samples > 1 and (bits != {8} or tags.get(284, 1) != 1):
        refuse(path, "its colours have more than 8 bits or lie in separate planes; save it as 8-bit RGB")
    kind = set(tags.get(339, (1,)))
    one = (bits, kind) if colours == 1 else (bits & {1, 8}, kind & {1})
    if samples == 1 and one not in (({1}, {1}), ({8}, {1}), ({16}, {1}), ({32}, {2}), ({32}, {3})):
        refuse(path, "its values are of a kind that is not read here; save it as grey of 8 or 16 bits")


def to_8_bit(values):
    """Return grey values (H, W) of more than 8 bits as uint8: as they are if they fit, else stretched.

    Black and white are the 0.1 % and 99.9 % quantiles. Values that are not finite, and a lowest or greatest value that
    fills a border or marks missing data, become 0 and do not count.
    """
    floats = values.dtype.kind == "f"
    values, measured = values.astype(np.float64), np.isfinite(values)
    low, high = (values[measured].min(), values[measured].max()) if measured.any() else (0, 0)
    if low >= 0 and high <= (1 if floats else 255):
        return np.uint8(np.rint(np.where(measured, values, 0) * (255 if floats else 1)))
    step = max(1, int((values.size / 1e6) ** 0.5))
    sample = values[::step, ::step][measured[::step, ::step]]
    fill = fill_value(sample[:: 1 + len(sample) // 50_000])
    sample = sample if fill is None else sample[sample != fill]
    lower, upper = np.percentile(sample, (0.1, 99.9)) if sample.size else (low, high)
    if upper <= lower:
        lower, upper = low, high
    width = upper / 2 - lower / 2 or 1.0
    stretched = np.clip((np.where(measured, values, 0) / 2 - lower / 2) / width, 0, 1)
    return np.uint8(np.rint(np.where(measured & (values != fill), stretched, 0) * 255))


def fill_value(sample):
    """Return the value, of measured values (N,), that fills a border or marks missing data, or None."""
    if sample.size < 2:
        return None
    for value, gap in ((sample.min(), 3), (sample.max(), 1e4)):
        others = sample[sample != value]
        if len(others) < len(sample) / 20 or sample.size - len(others) < 2:
            continue
        near, middle, far = np.percentile(others, (1, 50, 99))
        edge = near if value == sample.min() else far
        if middle not in (near, far) and abs(edge - value) > gap * (far - near):
            return value
    return None


def scaled(pixels, size):
    """Return 8-bit pixels (H, W, 3) at (width, height), rounded as OpenCV does: halves to even, but up at half size."""
    halved = pixels.shape[:2] == (2 * size[1], 2 * size[0])
    return np.rint(resized(pixels, size) + (0.1 if halved else 0))


def resized(values, size):
    """Return values (H, W, C) at (width, height), float32: area averages down, linear up."""
    smaller = size[0] * size[1] < values.shape[0] * values.shape[1]
    layers = (values[..., n] for n in range(values.shape[2]))
    return np.stack([np.float32(lines(lines(one, size[1], smaller).T, size[0], smaller).T) for one in layers], axis=-1)


def lines(values, new, smaller):
    """Return `new` lines in place of the N of values (N, M): averages of their areas if `smaller`, else linear."""
    scale = len(values) / new
    if not smaller:
        return between(values, np.clip((np.arange(new) + 0.5) * scale - 0.5, 0, len(values) - 1))
    sums = np.cumsum(np.pad(values, ((1, 0), (0, 0))), axis=0, dtype=np.float64)
    return np.diff(between(sums, np.arange(new + 1) * scale), axis=0) / scale


def between(values, places):
    """Return values (N, M) at fractional places in their first axis, (P, M)."""
    before = np.minimum(np.int32(places), len(values) - 1)
    after, share = np.minimum(before + 1, len(values) - 1), (places - before)[:, None]
    share = share.astype(np.result_type(values, np.float32))  # half the memory where values are not sums
    return values[before] * (1 - share) + values[after] * share


def refuse(path, reason):
    """End the program with a sentence."""
    sys.exit(f"{path} is not read: {reason}.")
