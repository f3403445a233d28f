"""Decoding of picture files by Pillow; of deep colour by OpenCV and imagecodecs, because Pillow reads it at 8 bits."""

from __future__ import annotations

import io
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import cv2
import imagecodecs
import numpy as np
from PIL import Image, ImageOps

from engine.imaging.limits import MOST_PAGES, Limits, UnreadableImage, check_jpeg_scans, check_size
from engine.imaging.pixels import Pixels, PixelSize, size_from_resolution, upright
from engine.imaging.refusal import DAMAGED, HEIC, is_heic

FORMATS = ("JPEG", "PNG", "TIFF", "WEBP", "BMP", "DIB", "GIF", "AVIF", "JPEG2000")
_ORIENTATION, _X_RESOLUTION, _Y_RESOLUTION, _UNIT = 274, 282, 283, 296


def read_picture(data: bytes, limits: Limits, page: int = 0, keep_palette: bool = False) -> Pixels:
    """Return a frame of a picture file; with `keep_palette`, indices and palette where it has one.

    Raises:
        PIL.UnidentifiedImageError: no decoder knows it.
        UnreadableImage: outside the limits, or of a kind that is not read. A damaged file can raise any exception.
    """
    with _pillow_settings():
        formats = (*FORMATS, "HEIF") if is_heic(data) and _register_heic() else FORMATS
        with Image.open(io.BytesIO(data), formats=formats) as image:
            check_size(image.width, image.height, limits)
            if image.format == "JPEG":
                check_jpeg_scans(data)
            pages = _frames(image, data)
            if page >= pages:
                raise UnreadableImage(f"It has no page {page + 1}; it has {pages}.")
            if page:
                image.seek(page)
                check_size(image.width, image.height, limits)
            return _pixels(image, data, pages, keep_palette)


def count_frames(data: bytes) -> int:
    """Return how many frames a picture file has. A damaged file can raise any exception."""
    with _pillow_settings(), Image.open(io.BytesIO(data), formats=FORMATS) as image:
        return _frames(image, data)


def _frames(image: Image.Image, data: bytes) -> int:
    if image.format == "GIF":
        return _gif_frames(data)
    # The further pictures of an MPO are previews and depth maps; a TIFF comes here only where tifffile reads none
    return 1 if image.format in ("MPO", "TIFF") else min(getattr(image, "n_frames", 1), MOST_PAGES)


def _gif_frames(data: bytes) -> int:
    """Return how many frames a GIF has, at most MOST_PAGES: Pillow takes a minute for a file of millions."""
    at, frames = 13 + _colour_table_bytes(data[10]), 0
    while at + 10 < len(data) and frames < MOST_PAGES:
        if data[at] == 0x2C:  # a frame
            frames += 1
            at += 11 + _colour_table_bytes(data[at + 9])
        elif data[at] == 0x21:  # an extension
            at += 2
        else:
            break
        while at < len(data) and data[at]:
            at += 1 + data[at]
        at += 1
    return max(frames, 1)


def _colour_table_bytes(flags: int) -> int:
    return 3 << (1 + (flags & 7)) if flags & 0x80 else 0


def _register_heic() -> bool:
    try:
        from pi_heif import register_heif_opener
    except ImportError:
        raise UnreadableImage(HEIC) from None
    register_heif_opener()
    return True


def _pixels(image: Image.Image, data: bytes, pages: int, keep_palette: bool) -> Pixels:
    deep_colour, size = _is_deep_colour(image, data), image.size
    orientation, scale = 1, None
    with suppress(Exception):  # the metadata may be damaged though the pixels are not
        orientation = image.getexif().get(_ORIENTATION, 1)
    with suppress(Exception):
        scale = _pixel_size(image, orientation)
    image.load()
    if deep_colour:  # `load` has just checked that the file is complete
        values = _deep_colour_pixels(image.format, data, orientation, size)
        return Pixels(values, values.shape[2] in (2, 4), None, pages, scale)
    with suppress(Exception):
        ImageOps.exif_transpose(image, in_place=True)
    palette = None
    mode = image.mode
    if mode == "P" and keep_palette and not _is_partly_clear(image):
        palette = np.asarray(image.getpalette("RGB"), dtype=np.uint8).reshape(-1, 3)
        image = Image.frombytes("L", image.size, image.tobytes())
    elif mode in ("F", "I") or mode.startswith("I;16"):
        pass  # grey of more than 8 bits
    elif image.has_transparency_data:
        image = image.convert("LA" if mode in ("L", "LA", "1") else "RGBA")
    else:
        image = image.convert("L" if mode in ("1", "L") else "RGB")  # palette, CMYK, YCbCr
    values = np.asarray(image)
    values = values if values.ndim == 3 else values[..., np.newaxis]
    return Pixels(values, image.mode in ("LA", "RGBA"), palette, pages, scale)


def _is_partly_clear(image: Image.Image) -> bool:
    """Return whether some pixel of a palette image is transparent."""
    return image.has_transparency_data and bool((np.asarray(image.convert("RGBA"))[..., 3] < 255).any())


def _is_deep_colour(image: Image.Image, data: bytes) -> bool:
    """Return whether a file has several channels of more than 8 bits, by its header."""
    if image.format == "PNG":
        return data[24] == 16 and data[25] in (2, 4, 6)
    if image.format == "JPEG2000":
        start = data.find(b"\xff\x4f\xff\x51")  # the codestream; 42 bytes on is the depth, less 1, of its first channel
        return data[start + 42] & 0x7F > 7 and image.mode in ("RGB", "RGBA", "LA")
    return False


def _deep_colour_pixels(kind: str | None, data: bytes, orientation: int, size: tuple[int, int]) -> np.ndarray:
    if kind == "JPEG2000":
        pixels: np.ndarray | None = imagecodecs.jpeg2k_decode(data)
    else:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        if pixels is not None and pixels.ndim == 3:
            pixels = cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGBA if pixels.shape[2] == 4 else cv2.COLOR_BGR2RGB)
    if pixels is None or sorted(pixels.shape[:2]) != sorted(size):  # compared without regard to orientation
        raise UnreadableImage(DAMAGED)
    return pixels[..., np.newaxis] if pixels.ndim == 2 else upright(pixels, orientation)


def _pixel_size(image: Image.Image, orientation: int) -> PixelSize | None:
    """Return the pixel size that EXIF gives; JFIF and pHYs hold print resolutions, which Pillow's `dpi` mixes in."""
    exif = image.getexif()
    if _X_RESOLUTION not in exif:
        return None
    return size_from_resolution((exif[_X_RESOLUTION], exif[_Y_RESOLUTION]), exif.get(_UNIT, 2), "EXIF", orientation)


_decoding = 0
_decoding_lock = threading.Lock()
_saved: list = []


@contextmanager
def _pillow_settings() -> Iterator[None]:
    """Silence Pillow's warnings and lift its own size limit (ours is checked instead) while any thread decodes.

    Both settings are process-wide: the first thread to decode sets them and the last one restores them.
    """
    global _decoding
    with _decoding_lock:
        if _decoding == 0:
            silence = warnings.catch_warnings()
            silence.__enter__()
            warnings.simplefilter("ignore")
            _saved.extend([silence, Image.MAX_IMAGE_PIXELS])
            Image.MAX_IMAGE_PIXELS = None
        _decoding += 1
    try:
        yield
    finally:
        with _decoding_lock:
            _decoding -= 1
            if _decoding == 0:
                Image.MAX_IMAGE_PIXELS = _saved.pop()
                _saved.pop().__exit__(None, None, None)
