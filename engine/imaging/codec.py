"""Decoding of uploaded images, encoding of stored images, and resizing.

Rules for decoding, the same for all formats:

- The EXIF orientation is applied, so that the result is upright. Of several frames or pages the first is used.
- Transparent parts of an image are composited over white, as a browser shows them on an empty page.
- Pixels of more than 8 bits are scaled. Integers that all fit into 8 bits are kept, and floats that all lie in [0, 1]
  are multiplied by 255. Other values are stretched so that their 0.1 % and 99.9 % quantiles become 0 and 255, all
  channels alike, because such images often use only the dark part of their range. NaN and infinity become 0.
- Limits are checked on the header, before a pixel is decoded.
"""

from __future__ import annotations

import io
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import cv2
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from engine.imaging.bit_depth import alpha_or_over_black, luma, over_white, to_8_bit, truth_to_8_bit
from engine.imaging.limits import Limits, UnreadableImage, check_jpeg_scans, check_size
from engine.imaging.tiff import decode_tiff

FORMATS = ("JPEG", "PNG", "TIFF", "WEBP", "BMP", "GIF")
THUMBNAIL_PX = 192
_TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_MAGIC = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM", b"RIFF")
_ARCHIVES = ((b"PK\3\4", "a zip archive"), (b"\x1f\x8b", "a gzip file"), (b"%PDF", "a PDF document"))
_DAMAGED = "It is damaged or cut short and cannot be decoded."


def decode_image(data: bytes, limits: Limits | None = None) -> np.ndarray:
    """Return an image file as RGB uint8 (H, W, 3). The module docstring defines the treatment of depth and alpha.

    Raises:
        UnreadableImage: not an image, damaged, or outside the limits.
    """
    pixels = _decode(data, limits or Limits())
    if pixels.shape[2] in (2, 4):
        pixels = over_white(pixels)
    pixels = to_8_bit(pixels)
    return np.ascontiguousarray(np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels)


def decode_truth(data: bytes, limits: Limits | None = None) -> np.ndarray:
    """Return a truth mask as grey values, uint8 (H, W), the same value for the same class in every file.

    Grey stays as it is. A palette with colours gives its indices (class maps are stored so); a palette of greys gives
    its greys. Colour gives its luma (ITU-R 601), so one colour is one value. Where only the alpha channel varies,
    alpha is the mask; otherwise transparent parts are black. 1 bit becomes 0 and 255. Deep integers up to 255 stay;
    above that 16-bit values are divided by 257, but never to 0. Floats in [0, 1] are multiplied by 255.

    Raises:
        UnreadableImage: not an image, damaged, or outside the limits.
    """
    pixels = _decode(data, limits or Limits(), palette_as_index=True)
    if pixels.shape[2] in (2, 4):
        pixels = alpha_or_over_black(pixels)
    if pixels.shape[2] == 3:
        same = (pixels[..., :1] == pixels).all()
        pixels = pixels[..., :1] if same else luma(pixels)
    return np.ascontiguousarray(truth_to_8_bit(pixels[..., 0]))


def encode_png(pixels: np.ndarray) -> bytes:
    """Return uint8 (H, W) or RGB uint8 (H, W, 3) as PNG: images, class maps, 8-bit probabilities."""
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3):
        raise ValueError(f"A PNG is encoded from uint8 (H, W) or (H, W, 3). Got {pixels.dtype} {pixels.shape}.")
    # Level 1 is several times faster than the default and a few per cent larger
    return _encode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 1])


def decode_png(data: bytes) -> np.ndarray:
    """Return the pixels that `encode_png` encoded, uint8 (H, W) or RGB (H, W, 3), unchanged.

    Raises:
        UnreadableImage: the data is damaged.
    """
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) if data else None
    if pixels is None:
        raise UnreadableImage(_DAMAGED)
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


def _decode(data: bytes, limits: Limits, palette_as_index: bool = False) -> np.ndarray:
    """Return the upright pixels (H, W, C), C in 1 to 4 (grey, grey and alpha, RGB, RGBA), of any real dtype."""
    if not data:
        raise UnreadableImage("It is empty (0 bytes).")
    try:
        with _pillow_settings():
            try:
                image = Image.open(io.BytesIO(data), formats=FORMATS)
            except UnidentifiedImageError:
                if data[:4] not in _TIFF_MAGIC:
                    raise UnreadableImage(_refusal(data)) from None
                pixels = decode_tiff(data, limits)  # Pillow knows fewer kinds of TIFF than tifffile
            else:
                with image:
                    check_size(image.width, image.height, limits)
                    if image.format == "JPEG":
                        check_jpeg_scans(data)
                    pixels = _pillow_pixels(image, data, palette_as_index)
    except UnreadableImage:
        raise
    except MemoryError:
        raise UnreadableImage("It needs more memory than this machine has.") from None
    except Exception as error:  # decoders raise anything from SyntaxError to struct.error on damaged files
        raise UnreadableImage(_DAMAGED) from error
    if pixels.ndim != 3 or not 1 <= pixels.shape[2] <= 4 or not pixels.size or pixels.dtype.kind not in "buif":
        raise UnreadableImage(_DAMAGED)
    return pixels


def _pillow_pixels(image: Image.Image, data: bytes, palette_as_index: bool) -> np.ndarray:
    deep_colour, size = _is_deep_colour(image, data), image.size
    orientation = 1
    with suppress(Exception):  # the metadata may be damaged though the pixels are not
        orientation = image.getexif().get(0x0112, 1)
    image.load()
    if deep_colour:  # Pillow reads these at 8 bits; `load` has just checked that the file is complete
        return _deep_colour_pixels(image.format, data, orientation, size)
    with suppress(Exception):
        ImageOps.exif_transpose(image, in_place=True)
    mode = image.mode
    if mode == "P" and palette_as_index and not _palette_is_grey(image):
        image = Image.frombytes("L", image.size, image.tobytes())
    elif mode in ("F", "I") or mode.startswith("I;16"):
        pass  # grey of more than 8 bits
    elif image.has_transparency_data:
        image = image.convert("LA" if mode in ("L", "LA", "1") else "RGBA")
    elif mode in ("1", "L") or (mode == "P" and palette_as_index):
        image = image.convert("L")
    elif mode == "LAB":
        raise UnreadableImage("Its colours are CIE Lab, which is not supported; save it as RGB.")
    else:
        image = image.convert("RGB")  # palette, CMYK, YCbCr
    pixels = np.asarray(image)
    return pixels if pixels.ndim == 3 else pixels[..., np.newaxis]


def _palette_is_grey(image: Image.Image) -> bool:
    palette = np.asarray(image.getpalette("RGB"), dtype=np.uint8).reshape(-1, 3)
    used = np.flatnonzero(image.histogram()[:256])
    used = used[used < len(palette)]
    return bool((palette[used] == palette[used, :1]).all())


def _is_deep_colour(image: Image.Image, data: bytes) -> bool:
    """Return whether a file has several channels of more than 8 bits, by its header."""
    if image.format == "PNG":
        return data[24] == 16 and data[25] in (2, 4, 6)
    if isinstance(image, TiffImageFile):
        bits = image.tag_v2.get(258, (1,))
        return len(bits) > 1 and max(bits) > 8
    return False


def _deep_colour_pixels(format_name: str | None, data: bytes, orientation: int, size: tuple[int, int]) -> np.ndarray:
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or sorted(pixels.shape[:2]) != sorted(size):  # compared without regard to orientation
        raise UnreadableImage(_DAMAGED)
    if pixels.ndim == 2:
        return pixels[..., np.newaxis]
    pixels = cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGBA if pixels.shape[2] == 4 else cv2.COLOR_BGR2RGB)
    return pixels if format_name == "TIFF" else _upright(pixels, orientation)  # OpenCV turns TIFF itself


def _upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Return the pixels with the EXIF orientation, 1 to 8, applied."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


def _refusal(data: bytes) -> str:
    head = data[:512]
    if head.startswith(_MAGIC) and not _is_text(head):
        return _DAMAGED
    kind = "a text file" if _is_text(head) else "not an image in a supported format"
    kind = next((words for magic, words in _ARCHIVES if head.startswith(magic)), kind)
    return f"It is {kind}; images are JPEG, PNG, TIFF, WebP, BMP or GIF."


def _is_text(head: bytes) -> bool:
    text = head.decode("utf-8", errors="replace").rstrip("\ufffd")  # a character may be cut at the end
    return bool(text) and all(c.isprintable() or c in "\r\n\t" for c in text) and "\ufffd" not in text


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
