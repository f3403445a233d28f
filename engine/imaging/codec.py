"""Decoding of uploaded images, encoding of stored images, and resizing.

Rules for decoding, the same for all formats:

- The EXIF orientation is applied, so that the result is upright. Of several frames or pages the first is used, unless
  another one or their maximum is asked for.
- Transparent parts of an image are composited over white, as a browser shows them on an empty page. A channel is
  opacity only where the file says so.
- Of other than 1 or 3 channels the first three, or the first of two, are used, unless others are asked for.
- Pixels of more than 8 bits are scaled. Integers that all fit into 8 bits are kept, and floats that all lie in [0, 1]
  are multiplied by 255. Other values are stretched so that their 0.1 % and 99.9 % quantiles become 0 and 255, all
  channels alike, because such images often use only the dark part of their range. NaN, infinity and the value that
  the file or a large gap in the values marks as no data become 0 and do not count; hot pixels become 255.
- Limits are checked on the header, before a pixel is decoded.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import cv2
import numpy as np
from PIL import UnidentifiedImageError

from engine.imaging.bit_depth import over_white, to_8_bit
from engine.imaging.limits import MOST_PAGES, Limits, UnreadableImage
from engine.imaging.pictures import count_frames, read_picture
from engine.imaging.pixels import Pixels, PixelSize
from engine.imaging.refusal import DAMAGED, refusal
from engine.imaging.tiff import count_pages as count_directories
from engine.imaging.tiff import read_tiff
from engine.imaging.tiff_directories import MAGIC as TIFF_MAGIC

THUMBNAIL_PX = 192


@dataclass(frozen=True)
class ImageOptions:
    """What to take of a file: channels (0-based, one to three, or "mix", the mean of all) and a page.

    `channels` None means the default. `page` counts from 0, or is "max", the greatest value of all pages; None means
    the first, with a note if there are others.
    """

    channels: tuple[int, ...] | Literal["mix"] | None = None
    page: int | Literal["max"] | None = None


def decode_pixels(data: bytes, limits: Limits | None = None, *, page: int = 0, keep_palette: bool = False) -> Pixels:
    """Return one page of an image file as it is, upright. With `keep_palette`, indices and palette where it has one.

    Raises:
        UnreadableImage: not an image, damaged, or outside the limits.
    """
    limits = limits or Limits()
    if not data:
        raise UnreadableImage("It is empty (0 bytes).")
    try:
        pixels = _decoded(data, limits, page, keep_palette)
    except UnreadableImage:
        raise
    except UnidentifiedImageError:
        raise UnreadableImage(refusal(data)) from None
    except MemoryError:
        raise UnreadableImage("It needs more memory than this machine has.") from None
    except Exception as error:  # decoders raise anything from SyntaxError to struct.error on damaged files
        raise UnreadableImage(DAMAGED) from error
    values = pixels.values
    if values.ndim != 3 or not values.size or values.dtype.kind not in "buif":
        raise UnreadableImage(DAMAGED)
    return pixels


def _decoded(data: bytes, limits: Limits, page: int, keep_palette: bool) -> Pixels:
    if data[:4] not in TIFF_MAGIC:
        return read_picture(data, limits, page, keep_palette)
    try:
        return read_tiff(data, limits, page, keep_palette)
    except (UnreadableImage, MemoryError):
        raise
    except Exception as error:  # libtiff, which Pillow uses, tolerates some of what tifffile does not
        try:
            return read_picture(data, limits, page, keep_palette)
        except UnidentifiedImageError:
            raise error from None


def decode_image(data: bytes, limits: Limits | None = None, options: ImageOptions | None = None) -> np.ndarray:
    """Return an image file as RGB uint8 (H, W, 3). The module docstring defines the treatment of depth and alpha.

    Raises:
        UnreadableImage: not an image, damaged, outside the limits, or without the channels or page asked for.
    """
    return read_image(data, limits, options)[0]


def read_image(
    data: bytes, limits: Limits | None = None, options: ImageOptions | None = None
) -> tuple[np.ndarray, str, PixelSize | None]:
    """Return an image file as RGB uint8 (H, W, 3), a note on what was taken of it ("" if all), and its pixel size.

    Raises:
        UnreadableImage: not an image, damaged, outside the limits, or without the channels or page asked for.
    """
    options = options or ImageOptions()
    pixels = _projected(data, limits) if options.page == "max" else decode_pixels(data, limits, page=options.page or 0)
    notes = []
    if pixels.pages > 1 and options.page is None:
        at_least = "at least " if pixels.pages >= MOST_PAGES else ""
        notes.append(f"It has {at_least}{pixels.pages:,} pages; page 1 was taken.")
    values, note = _chosen_channels(pixels, options.channels)
    image = to_8_bit(values, pixels.nodata)
    image = np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image
    return np.ascontiguousarray(image), " ".join([*notes, *([note] if note else [])]), pixels.pixel_size


def count_pages(data: bytes) -> int:
    """Return how many pages a file has, by its headers; 1 where it cannot be read, which reading it will explain."""
    count = count_directories if data[:4] in TIFF_MAGIC else count_frames
    try:
        return min(max(count(data), 1), MOST_PAGES)
    except Exception:
        return 1


def _projected(data: bytes, limits: Limits | None) -> Pixels:
    """Return the greatest value of each pixel over all pages of one shape."""
    first = decode_pixels(data, limits)
    values = first.values
    for page in range(1, min(first.pages, MOST_PAGES)):
        other = decode_pixels(data, limits, page=page).values
        if other.shape != values.shape or other.dtype != values.dtype:
            raise UnreadableImage(f"Its pages differ in size or depth (page {page + 1}), so they have no maximum.")
        values = np.fmax(values, other)
    return replace(first, values=values)


def _chosen_channels(pixels: Pixels, channels: tuple[int, ...] | Literal["mix"] | None) -> tuple[np.ndarray, str]:
    """Return values (H, W, 1 or 3) and a note, if something was left out that nobody asked to leave out."""
    values, count = pixels.values, pixels.values.shape[2]
    if channels is None:
        if pixels.alpha:
            return over_white(values), ""
        if count in (1, 3):
            return values, ""
        kept = "channel 1 was taken as grey" if count == 2 else "channels 1, 2 and 3 were taken as red, green and blue"
        return values[..., : 1 if count == 2 else 3], f"It has {count} channels; {kept}. Choose others when importing."
    if channels == "mix":
        colours = values[..., :-1] if pixels.alpha else values
        mean = colours.mean(axis=2, keepdims=True, dtype=np.float32)
        return (mean if values.dtype.kind == "f" else np.rint(mean).astype(values.dtype)), ""
    absent = [channel + 1 for channel in channels if not 0 <= channel < count]
    if absent:
        raise UnreadableImage(f"It has no channel {absent[0]}; it has {count}.")
    chosen = values[..., list(channels)]
    if len(channels) == 2:  # the third colour stays dark
        chosen = np.concatenate([chosen, np.zeros_like(chosen[..., :1])], axis=2)
    return chosen, ""


def encode_png(pixels: np.ndarray) -> bytes:
    """Return uint8 (H, W) or RGB uint8 (H, W, 3) as PNG: images, class maps, 8-bit probabilities."""
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3):
        raise ValueError(f"A PNG is encoded from uint8 (H, W) or (H, W, 3). Got {pixels.dtype} {pixels.shape}.")
    # Level 1 is several times faster than the default and a few per cent larger. One filter for all rows, rather than
    # a choice for each, saves another third, and a quarter of decoding, for files of the same size.
    return _encode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP])


def encode_label_map(labels: np.ndarray) -> bytes:
    """Return the number of the object of each pixel, integers (H, W) up to 65,535, as a 16-bit PNG."""
    return _encode(".png", labels.astype(np.uint16), [])


def decode_png(data: bytes) -> np.ndarray:
    """Return the pixels that `encode_png` encoded, uint8 (H, W) or RGB (H, W, 3), unchanged.

    Raises:
        UnreadableImage: the data is damaged.
    """
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) if data else None
    if pixels is None:
        raise UnreadableImage(DAMAGED)
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB) if pixels.ndim == 3 else pixels


def thumbnail(image: np.ndarray, longest_side_px: int = THUMBNAIL_PX) -> bytes:
    """Return an RGB image as WebP with its longest side at most `longest_side_px`; smaller images are not enlarged."""
    shape = fit_longest_side(image.shape[:2], longest_side_px)
    return _encode(".webp", resize_image(image, shape), [cv2.IMWRITE_WEBP_QUALITY, 80])


def fit_longest_side(shape: tuple[int, int], longest_side_px: int) -> tuple[int, int]:
    """Return (height, width) in the proportions of `shape` with the longest side at most `longest_side_px`."""
    scale = min(1.0, longest_side_px / max(shape))
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))


def resize_image(image: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return an image or grey values, uint8 (H, W[, 3]), at (height, width): area averages down, linear up."""
    return _resize(image, shape)


def resize_probability(probability: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return a probability, float32 (H, W), at (height, width): area averages down, linear up."""
    return np.clip(_resize(np.asarray(probability, np.float32), shape), 0, 1)


def resize_mask(mask: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return a mask, bool (H, W), at (height, width): foreground where at least half of the area was."""
    return _resize(mask.astype(np.float32), shape) >= 0.5


def resize_class_map(class_map: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return class indices or truth values, uint8 (H, W), at (height, width): nearest, so that no new value appears."""
    return cv2.resize(class_map, shape[::-1], interpolation=cv2.INTER_NEAREST_EXACT)


def _resize(pixels: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    if pixels.shape[:2] == tuple(shape):
        return pixels
    smaller = shape[0] * shape[1] < pixels.shape[0] * pixels.shape[1]
    return cv2.resize(pixels, shape[::-1], interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)


def _encode(extension: str, pixels: np.ndarray, options: list[int]) -> bytes:
    if pixels.ndim == 3:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    done, encoded = cv2.imencode(extension, pixels, options)
    if not done:
        raise ValueError(f"OpenCV could not write {pixels.shape} as {extension}.")
    return encoded.tobytes()
