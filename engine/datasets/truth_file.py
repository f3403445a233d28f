"""What one truth file says about each pixel: a grey level, the id of a label map, or a colour.

- Grey of 8 bits stays as it is; 1 bit becomes 0 and 255; floats in [0, 1] and 16-bit levels are brought to 0 … 255.
- Integers above 255 are ids, unless they are levels of a 16-bit picture: few of its neighbours are equal then.
- Colours of which one is all but black are ids: r + 256 g + 65536 b.
- A palette of colours, and RGB, give the colours themselves: the same colour means the same in every file, and the
  number of a palette entry does not. Colours that JPEG or smooth edges blurred belong to the nearest main colour.
- Where only opacity says what is meant, opacity is the mask; elsewhere transparent parts are black.
- Several pages are joined: each is usually one object.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from engine.imaging import codec
from engine.imaging.bit_depth import truth_to_8_bit
from engine.imaging.limits import Limits, UnreadableImage
from engine.imaging.pixels import Pixels

Key = int | str
"""The id of a label map, a colour "#rrggbb", or the name of a class of an annotation file."""

IGNORED = "ignore"
"""The name of what is neither a class nor background."""

COLOUR = re.compile(r"#[0-9a-f]{6}")

BLACK = "#000000"
INDEX_LIMIT = 64
"""Masks whose values all lie below this hold class indices (0/1, or 0 to 20), not grey levels."""

MOST_PARTS = 1000
"""Pages of one file that are joined as objects."""

FEW_COLOURS = 32
MOST_COLOURS_ON_CLEAR = 24
"""An object cut out in its own colours has more; then opacity is the mask."""
MOST_COLOURS = 4096
SCATTERED_PIXELS, SCATTERED_VALUES = 0.05, 0.1
"""In a label map at most these shares of what is not its most frequent value have fewer than two equal neighbours."""

LOSSY_DISTANCE, SMOOTH_DISTANCE = 40, 16
"""Main colours of one file differ by more than this in some channel, after JPEG or with smooth edges."""

MAIN_SHARE = 0.0005
"""A main colour fills at least this share of an image, away from edges."""

FLAT_SHARE = 0.2
"""A photograph has less that is flat."""

DARKEST = 8
"""A colour of a class has more than this in some channel."""

NEAR, FEW_LEVELS = 48, 8
"""Noise of JPEG in a black and white mask is this near to one of the two; masks of fewer values have no soft edges."""

GREY_SPREAD = 24
"""JPEG gives grey this much colour."""


@dataclass(frozen=True)
class TruthFile:
    """The content of a truth file.

    Attributes:
        values: uint8 (H, W), levels, if `keys` is None; else integers (H, W), indices of `keys`.
        keys: the ids, colours or names that may occur.
        numbers: for each key the palette index that it had, or -1.
        lossy: whether the colours went through a lossy compression.
        note: what was done that may surprise, or "".
    """

    values: np.ndarray
    keys: tuple[Key, ...] | None = None
    numbers: tuple[int, ...] = ()
    lossy: bool = False
    note: str = ""


def read_truth(data: bytes, limits: Limits | None = None, page: int | None = None) -> TruthFile:
    """Return the content of a truth file: all of its pages, joined, or one, counted from 0.

    Raises:
        UnreadableImage: not an image, damaged, or outside the limits.
    """
    first = codec.decode_pixels(data, limits, page=page or 0, keep_palette=True)
    lossy = _is_lossy(data)
    if first.pages == 1 or page is not None or lossy:  # a JPEG's further pages are previews
        return _of_page(first, lossy)
    pages = [_of_page(first, lossy)]
    for number in range(1, min(first.pages, MOST_PARTS)):
        pages.append(_of_page(codec.decode_pixels(data, limits, page=number, keep_palette=True), lossy))
        if pages[-1].values.shape != pages[0].values.shape:  # a preview or another resolution
            pages.pop()
    return replace(join(pages), note=f"Its {len(pages)} pages were joined.") if len(pages) > 1 else pages[0]


def _of_page(pixels: Pixels, lossy: bool) -> TruthFile:
    values = pixels.values
    if pixels.palette is not None:
        return _of_palette(values[..., 0], pixels.palette)
    if pixels.alpha:
        values = _without_alpha(values)
    if values.shape[2] == 1:
        return of_numbers(values[..., 0])
    if values.shape[2] == 3:
        return _of_colours(np.dstack([truth_to_8_bit(values[..., channel]) for channel in range(3)]), lossy)
    channels = np.zeros(values.shape[:2], np.int32)
    for number in range(values.shape[2]):
        channels[np.nan_to_num(values[..., number]) > 0] = number + 1
    return replace(of_numbers(channels), note=f"Each of its {values.shape[2]} channels is one class.")


def join(parts: Sequence[TruthFile]) -> TruthFile:
    """Return several masks of one image, of one shape, as one: the later above the earlier.

    Masks of one value besides background are all the same class, and the result is 0 and 255.
    """
    if len(parts) == 1:
        return parts[0]
    foreground = [_foreground(part) for part in parts]
    if all(len(np.unique(part.values[inside])) <= 1 for part, inside in zip(parts, foreground, strict=True)):
        return TruthFile(np.logical_or.reduce(foreground).astype(np.uint8) * 255)
    keys: dict[Key, int] = {}
    joined = np.zeros(parts[0].values.shape, np.int32)
    for part, inside in zip(parts, foreground, strict=True):
        own: tuple[Key, ...] = tuple(range(256)) if part.keys is None else part.keys
        place = np.array([keys.setdefault(key, len(keys)) for key in (0, *own)], np.int32)[1:]
        joined[inside] = place[part.values[inside]]
    return TruthFile(joined, tuple(keys), (-1,) * len(keys), any(part.lossy for part in parts))


def _foreground(part: TruthFile) -> np.ndarray:
    if part.keys is None:
        return part.values > (0 if part.values.max() < 128 else 127)
    return ~np.isin(part.values, [place for place, key in enumerate(part.keys) if key in (0, BLACK)])


def named_levels(file: TruthFile, foreground: str) -> TruthFile:
    """Return levels with keys, to stand beside truth with named classes: `foreground` for what is not background.

    Class indices and the ids of a label map stay ids; 255 beside them is what nobody labelled.
    """
    values = np.unique(file.values).tolist()
    if len(values) > 2 and is_label_map(file.values):
        index = np.searchsorted(values, np.arange(256)).astype(np.uint8)
        indices = any(0 < value < INDEX_LIMIT for value in values)
        keys = tuple(IGNORED if indices and value == 255 else value for value in values)
        return TruthFile(index[file.values], keys, (-1,) * len(keys), note=file.note)
    return TruthFile(_foreground(file).astype(np.uint8), (0, foreground), (-1, -1), note=file.note)


def sharpened(file: TruthFile) -> TruthFile:
    """Return a black and white mask whose edges JPEG or smoothing made grey as 0 and 255, split at the middle.

    So it means the same beside masks of 0 and 1. Any other content is returned as it is: values between black and white
    that lie in flat areas, or are few, are meant.
    """
    if file.keys is not None or file.values.dtype != np.uint8:
        return file
    counts = np.bincount(file.values.ravel(), minlength=256)
    between = counts[NEAR : 256 - NEAR]
    if not (counts[:NEAR].any() and counts[-NEAR:].any()) or np.count_nonzero(counts) <= FEW_LEVELS:
        return file
    square = np.ones((3, 3), np.uint8)
    grey = (file.values >= NEAR) & (file.values < 256 - NEAR)
    flat = grey & (cv2.dilate(file.values, square) - cv2.erode(file.values, square) <= GREY_SPREAD)
    meant = flat.sum() > MAIN_SHARE * flat.size or between.max() * 2 > max(between.sum(), 1)
    if meant or is_label_map(file.values):
        return file
    return replace(file, values=np.where(file.values > 127, 255, 0).astype(np.uint8))


def is_name(key: Key) -> bool:
    """Return whether a key is the name of a class."""
    return isinstance(key, str) and not COLOUR.fullmatch(key)


def of_numbers(values: np.ndarray) -> TruthFile:
    """Return levels or ids of any real dtype, (H, W), as the content of a truth file."""
    if values.dtype == bool or values.dtype == np.uint8:
        return TruthFile(truth_to_8_bit(values))
    if values.dtype.kind == "f":
        values = np.nan_to_num(values, nan=0, posinf=0, neginf=0)
        if (
            (values.max() <= 1 and values.min() >= 0)
            or float(np.abs(values).max()) >= 2**31  # which float16 does not reach
            or (values != values.round()).any()
        ):
            return TruthFile(truth_to_8_bit(values))
    deep = values.dtype == np.uint16
    if deep:  # sorting tens of millions of pixels would take several times the memory
        ids = np.flatnonzero(np.bincount(values.ravel(), minlength=2**16))
        places = np.zeros(2**16, np.int32)
        places[ids] = np.arange(len(ids))
        index = places[values]
    else:
        ids, index = np.unique(values.astype(np.int64), return_inverse=True)
        index = index.reshape(values.shape).astype(np.int32)
    if ids[0] >= 0 and ids[-1] <= 255:
        return TruthFile(values.astype(np.uint8))
    if deep and ((ids % 257 == 0).all() or (len(ids) > FEW_COLOURS and not is_label_map(index))):
        return TruthFile(truth_to_8_bit(values))
    return TruthFile(index, tuple(int(key) for key in ids), (-1,) * len(ids))


def is_label_map(values: np.ndarray) -> bool:
    """Return whether integers (H, W) form regions with sharp edges, as ids do, and levels of smooth edges do not."""
    _, index, counts = np.unique(values, return_inverse=True, return_counts=True)
    rough = np.bincount(index.reshape(values.shape)[ragged(values)], minlength=len(counts))
    return not are_scattered(counts, rough)


def are_scattered(counts: np.ndarray, rough: np.ndarray) -> bool:
    """Return whether values lie scattered or along edges, as JPEG and smooth edges leave them, and not in regions.

    Args:
        counts: pixels of each value, (N,).
        rough: those of them that are `ragged`.
    """
    others = (counts > 0) & (np.arange(len(counts)) != counts.argmax())
    if rough[others].sum() > SCATTERED_PIXELS * counts[others].sum():
        return True
    return bool((rough[others] * 2 > counts[others]).sum() > max(1, SCATTERED_VALUES * others.sum()))


def ragged(values: np.ndarray) -> np.ndarray:
    """Return which pixels of (H, W) have fewer than two equal neighbours among the four, bool (H, W)."""
    equal = np.zeros(values.shape, np.uint8)
    down, right = values[1:] == values[:-1], values[:, 1:] == values[:, :-1]
    equal[1:] += down
    equal[:-1] += down
    equal[:, 1:] += right
    equal[:, :-1] += right
    return equal < 2


def _is_lossy(data: bytes) -> bool:
    webp = data[:4] == b"RIFF" and data[12:16] == b"VP8 "
    return webp or data[:3] == b"\xff\xd8\xff" or data[4:8] == b"ftyp"


def _of_palette(index: np.ndarray, palette: np.ndarray) -> TruthFile:
    used = np.unique(index)
    colours = np.zeros((max(int(used[-1]) + 1, len(palette)), 3), np.uint8)
    colours[: len(palette)] = palette
    if (colours[used] == colours[used, :1]).all():
        return TruthFile(np.ascontiguousarray(colours[index, 0]))
    place = np.zeros(len(colours), np.int32)
    place[used] = np.arange(len(used))
    return TruthFile(place[index], tuple(_hex(colour) for colour in colours[used]), tuple(used.tolist()))


def _without_alpha(values: np.ndarray) -> np.ndarray:
    """Return alpha (H, W, 1) where the colour says nothing, else the colour (H, W, 1 or 3), black where transparent."""
    colour, alpha = values[..., :-1], values[..., -1:]
    if alpha.min() == alpha.max():
        return colour
    visible = colour[alpha[..., 0] > 0]
    first = visible[: 1 << 20]
    if (visible == visible[:1]).all() or len(np.unique(first, axis=0)) > MOST_COLOURS_ON_CLEAR:
        return alpha
    return np.where(alpha > 0, colour, 0).astype(colour.dtype)


def _of_colours(rgb: np.ndarray, lossy: bool) -> TruthFile:
    spread = rgb.max(axis=2).astype(np.int16) - rgb.min(axis=2)
    if spread.max() <= (GREY_SPREAD if lossy else 0):
        return TruthFile(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY) if lossy else np.ascontiguousarray(rgb[..., 0]))
    packed = rgb.astype(np.int32) @ np.array([1 << 16, 1 << 8, 1], np.int32)
    found, index = np.unique(packed, return_inverse=True)
    index = index.reshape(packed.shape).astype(np.int32)
    if lossy or (len(found) > FEW_COLOURS and not is_label_map(index)):
        found, index = _main_colours(rgb, packed, found, index, lossy)
    elif _are_ids(found) and is_label_map(index):
        return of_numbers(rgb.astype(np.int32) @ np.array([1, 1 << 8, 1 << 16], np.int32))
    if len(found) > MOST_COLOURS:
        raise UnreadableImage(f"It has {len(found):,} colours, so it is no mask; the image is kept without.")
    keys = tuple(f"#{colour:06x}" for colour in found.tolist())
    return TruthFile(index, keys, (-1,) * len(keys), lossy)


def _are_ids(found: np.ndarray) -> bool:
    """Return whether packed colours, int (N,), are ids: nobody chooses one that cannot be told from black."""
    brightest = np.maximum.reduce([found >> 16, found >> 8 & 255, found & 255])
    return bool(((brightest > 0) & (brightest <= DARKEST)).any())


def _main_colours(
    rgb: np.ndarray, packed: np.ndarray, found: np.ndarray, index: np.ndarray, lossy: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return the main colours, packed int (N,), and the nearest of them for each pixel, int32 (H, W)."""
    square = np.ones((3, 3), np.uint8)
    spread = (cv2.dilate(rgb, square).astype(np.int16) - cv2.erode(rgb, square)).max(axis=2)
    flat = spread <= (GREY_SPREAD if lossy else 0)
    if len(found) > MOST_COLOURS and flat.mean() < FLAT_SHARE:
        raise UnreadableImage(f"It has {len(found):,} colours, so it is no mask; the image is kept without.")
    counts = np.bincount(index[flat], minlength=len(found))
    colours = np.stack([found >> 16, found >> 8 & 255, found & 255], axis=1)
    distance = LOSSY_DISTANCE if lossy else SMOOTH_DISTANCE
    least = max(4, MAIN_SHARE * packed.size)
    order = np.argsort(-counts, kind="stable")[:MOST_COLOURS]
    mains = sorted(_clusters(colours, counts, order.tolist(), distance, least))
    chosen = np.array(mains or [int(order[0])])
    nearest = np.empty(len(found), np.int32)
    for start in range(0, len(found), 4096):
        gaps = colours[start : start + 4096, np.newaxis] - colours[chosen]
        nearest[start : start + 4096] = (gaps**2).sum(axis=2).argmin(axis=1)
    return found[chosen], nearest[index]


def _clusters(colours: np.ndarray, counts: np.ndarray, order: list[int], distance: int, least: float) -> Iterator[int]:
    """Yield the most frequent colour of each group that has at least `least` flat pixels within `distance`."""
    left = np.ones(len(colours), bool)
    for place in order:
        if not counts[place]:
            return
        if left[place]:
            group = left & (np.abs(colours - colours[place]).max(axis=1) <= distance)
            left &= ~group
            if counts[group].sum() >= least:
                yield place


def _hex(colour: np.ndarray) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour.tolist())
