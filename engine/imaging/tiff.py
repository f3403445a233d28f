"""Decoding of TIFF files by tifffile and imagecodecs, one page at a time, in bounded memory.

Pages are what a person would page through: levels of a pyramid, thumbnails and masks of transparency are left out, and
a stack that its program stored behind one directory (ImageJ, MetaMorph) has as many pages as slices.
"""

from __future__ import annotations

import io
import json
import logging
import math
import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from engine.imaging.limits import MOST_PAGES, Limits, UnreadableImage, check_jpeg_scans, check_size
from engine.imaging.pixels import UM, Pixels, PixelSize, pixel_size, size_from_resolution, upright
from engine.imaging.tiff_directories import Directory, read_directories

BYTES_PER_PIXEL = 8
"""Memory allowed for each pixel of the limit: that of 16-bit RGBA."""

_PYRAMIDS = ("svs", "ndpi", "scn", "bif", "philips", "qpi", "ventana")
"""Scanners of slides, whose further pages are smaller levels and photographs of the label."""

_WHITE_IS_ZERO, _RGB, _PALETTE, _CMYK, _YCBCR, _LAB, _ICC_LAB = 0, 2, 3, 5, 6, 8, 9
_JPEG, _JPEG_2000, _PNG, _WEBP = (6, 7, 33007, 34892), (33003, 33004, 33005, 34712), (34933,), (50001,)
_CODED_SIZE = {**dict.fromkeys(_JPEG_2000, "JPEG2000"), **dict.fromkeys(_PNG, "PNG"), **dict.fromkeys(_WEBP, "WEBP")}
_BOUNDED = (1, 2, 3, 4, 5, 8, 32773, 32946, 34887, 34925, 34926, 50000, 50013)
"""Methods that unpack into a buffer of a given size: plain, fax, LZW, deflate, PackBits, LERC, LZMA, Zstandard."""


def read_tiff(data: bytes, limits: Limits, page: int = 0, keep_palette: bool = False) -> Pixels:
    """Return a page of a TIFF; with `keep_palette`, indices and palette where it has one.

    Raises:
        UnreadableImage: outside the limits, or of a kind that is not read. A damaged file can raise any exception.
    """
    directories = read_directories(data)
    with _opened(data) as file:
        indices, slices = _layout(file, directories, len(data))
        pages = min(len(indices) * slices, MOST_PAGES)
        if page >= pages:
            raise UnreadableImage(f"It has no page {page + 1}; it has {pages}.")
        directory = file.pages[indices[page // slices]]
        check_size(directory.imagewidth, directory.imagelength, limits)
        _check_memory(directory, data, limits)
        values = _samples(directory, data, page % slices)
        orientation = directory.tags.valueof(274, 1)
        size = None
        with suppress(Exception):  # the metadata may be damaged though the pixels are not
            size = _pixel_size(file, directory, orientation)
        nodata = float(directory.nodata) if 42113 in directory.tags else None
        values, alpha, palette = _as_light(directory, values, keep_palette)
    return Pixels(upright(values, orientation), alpha, palette, pages, size, nodata)


def count_pages(data: bytes) -> int:
    """Return how many pages a TIFF has. A damaged file can raise any exception."""
    directories = read_directories(data)
    with _opened(data) as file:
        indices, slices = _layout(file, directories, len(data))
        return min(len(indices) * slices, MOST_PAGES)


def _opened(data: bytes) -> Any:
    import tifffile  # slow to import

    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # we raise our own message
    return tifffile.TiffFile(io.BytesIO(data))


def _layout(file: Any, directories: Sequence[Directory], length: int) -> tuple[list[int], int]:
    """Return the indices of the directories that are pages, and how many slices each has."""
    indices = [directory.index for directory in directories if not directory.reduced] or [0]
    if any(getattr(file, f"is_{kind}", False) for kind in _PYRAMIDS):
        indices = [0]
    return indices, _slices(file, file.pages[indices[0]], length) if len(indices) == 1 else 1


def _slices(file: Any, page: Any, length: int) -> int:
    """Return how many images of the shape of `page` follow each other behind its directory."""
    if page.imagedepth > 1:
        return int(page.imagedepth)
    if not page.is_contiguous or not page.nbytes:
        return 1
    count = 1
    with suppress(Exception):
        if file.is_imagej:
            count = int(file.imagej_metadata.get("images", 1))
        elif file.is_stk:
            count = int(page.tags[33629].count)
        elif page.shaped_description:
            count = math.prod(json.loads(page.shaped_description)["shape"]) // math.prod(page.shape)
    return count if 0 < count <= (length - page.dataoffsets[0]) // page.nbytes else 1


def _samples(page: Any, data: bytes, index: int) -> np.ndarray:
    """Return one slice of a directory as stored, (H, W, C)."""
    if index and page.imagedepth == 1:
        dtype = np.dtype(page.parent.byteorder + page.dtype.char)
        offset = page.dataoffsets[0] + index * page.nbytes
        values = np.frombuffer(data, dtype, math.prod(page.shaped), offset).reshape(page.shaped)
        values = values.astype(dtype.newbyteorder("="))
    else:
        values = page.asarray(squeeze=False, maxworkers=1)
    planes = values[:, index if page.imagedepth > 1 else 0]  # (planes, H, W, C)
    return planes[0] if len(planes) == 1 else np.moveaxis(planes[..., 0], 0, -1)


def _check_memory(page: Any, data: bytes, limits: Limits) -> None:
    """Raise UnreadableImage if the pixels, or one of their strips or tiles, unpack to more memory than is allowed."""
    limit_bytes = limits.max_pixels * BYTES_PER_PIXEL
    if page.dtype is None or page.dtype.kind not in "buif":
        raise UnreadableImage(
            f"Its values are of a kind that is not read: {page.bitspersample} bits, complex or mixed."
        )
    samples = math.prod(page.chunks)
    most = max(page.nbytes, samples * page.dtype.itemsize)
    if most > limit_bytes:
        raise UnreadableImage(f"It unpacks to {most / 1e6:,.0f} MB; the limit is {limit_bytes / 1e6:,.0f} MB.")
    method = int(page.compression)
    if method in _BOUNDED:
        return
    if method not in _JPEG and method not in _CODED_SIZE:
        name = getattr(page.compression, "name", "unknown")
        raise UnreadableImage(f"Its pixels are compressed by TIFF method {method} ({name}), which is not read.")
    for offset, length in zip(page.dataoffsets, page.databytecounts, strict=True):
        if length:
            _check_coded_size(data[offset : offset + length], method, samples)


def _check_coded_size(piece: bytes, method: int, most_samples: int) -> None:
    """Raise UnreadableImage if a coded strip or tile has more pixels than the directory says."""
    if method in _JPEG:
        from tifffile.tifffile import jpeg_shape

        check_jpeg_scans(piece)
        _, height, width, _ = jpeg_shape(piece)
    else:
        with Image.open(io.BytesIO(piece), formats=(_CODED_SIZE[method],)) as coded:
            width, height = coded.size
    # Tiles at the edge of a JPEG may be whole blocks of 16 × 16
    if width * height > most_samples + 32 * (width + height):
        raise UnreadableImage("A piece of it unpacks to more than its header says.")


def _as_light(page: Any, values: np.ndarray, keep_palette: bool) -> tuple[np.ndarray, bool, np.ndarray | None]:
    """Return (values of grey or colour where higher is brighter, whether the last is alpha, palette)."""
    kind, bits = int(page.photometric), page.bitspersample
    extra = tuple(page.extrasamples)
    if kind == _PALETTE and page.colormap is not None:
        palette = np.asarray(page.colormap).T
        palette = (palette if palette.max() < 256 else palette // 256).astype(np.uint8)
        if not values.size or values.max() >= len(palette):
            raise UnreadableImage("Its palette has fewer colours than it uses.")
        return (values[..., :1], False, palette) if keep_palette else (palette[values[..., 0]], False, None)
    if isinstance(bits, int) and 1 < bits < 8 and values.dtype == np.uint8:
        values = values * np.uint8(255 // (2**bits - 1))
    if kind == _WHITE_IS_ZERO:
        values = _inverted(values, bits)
    coded = int(page.compression) in (*_JPEG, *_CODED_SIZE)  # these give RGB
    if kind == _CMYK and values.shape[2] >= 4:
        return _converted(values[..., :4], "CMYK"), False, None
    if kind in (_LAB, _ICC_LAB) and values.shape[2] >= 3:
        return _lab_to_rgb(values[..., :3], offset=kind == _ICC_LAB), False, None
    if kind == _YCBCR and values.shape[2] >= 3 and not coded:
        return _converted(values[..., :3], "YCbCr"), False, None
    return _with_alpha(values, extra)


def _with_alpha(values: np.ndarray, extra: tuple[int, ...]) -> tuple[np.ndarray, bool, None]:
    """Return the colours, and last the first of the extra samples that is opacity, if any."""
    count = values.shape[2]
    colours = count - len(extra)
    opaque = next((index for index, kind in enumerate(extra) if kind in (1, 2)), None)
    if opaque is None or colours not in (1, 3):
        return values, False, None
    values = values[..., [*range(colours), colours + opaque]]
    if extra[opaque] == 1:  # the colours were multiplied by it
        values = _unmultiplied(values)
    return values, True, None


def _unmultiplied(values: np.ndarray) -> np.ndarray:
    if values.dtype == np.uint8 and values.shape[2] == 4:
        return np.asarray(Image.frombytes("RGBa", values.shape[1::-1], values.tobytes()).convert("RGBA"))
    alpha = values[..., -1:].astype(np.float64)
    full = np.iinfo(values.dtype).max if values.dtype.kind in "ui" else 1.0
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        colours = np.where(alpha > 0, np.minimum(values[..., :-1] * (full / alpha), full), 0)
    return np.concatenate([colours.astype(values.dtype), values[..., -1:]], axis=2)


def _inverted(values: np.ndarray, bits: Any) -> np.ndarray:
    if values.dtype.kind == "f":
        finite = values[np.isfinite(values)]
        inside = finite.size and finite.min() >= 0 and finite.max() <= 1
        return 1 - values if inside else -values
    if values.dtype.kind == "u" and isinstance(bits, int) and 8 < bits < values.dtype.itemsize * 8:
        return (2**bits - 1) - values
    return ~values


def _eight_bits(values: np.ndarray) -> np.ndarray:
    """Return CMYK, YCbCr or Lab samples, which have no contrast to stretch, as uint8 (H, W, C)."""
    if values.dtype.kind == "f":
        return np.rint(np.clip(np.nan_to_num(values), 0, 1) * 255).astype(np.uint8)
    return (values >> (8 * (values.dtype.itemsize - 1))).astype(np.uint8)


def _converted(values: np.ndarray, mode: str) -> np.ndarray:
    return np.asarray(Image.frombytes(mode, values.shape[1::-1], _eight_bits(values).tobytes()).convert("RGB"))


def _lab_to_rgb(values: np.ndarray, offset: bool) -> np.ndarray:
    """Return CIE Lab as RGB uint8 (H, W, 3). a and b are signed, or stored with an `offset` of 128."""
    lab = _eight_bits(values)
    if offset:
        lab = lab ^ np.array([0, 128, 128], np.uint8)
    image = Image.frombytes("LAB", lab.shape[1::-1], lab.tobytes())
    profiles = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    return np.asarray(ImageCms.profileToProfile(image, *profiles, outputMode="RGB"))


def _pixel_size(file: Any, page: Any, orientation: int) -> PixelSize | None:
    description = file.pages.first.description
    if file.is_ome:
        found = re.search(r"<(?:\w+:)?Pixels\b[^>]*>", description[:1_000_000])
        attributes = dict(re.findall(r"(\w+)=[\"']([^\"']*)[\"']", found[0])) if found else {}
        sides = [(attributes[f"PhysicalSize{axis}"], attributes.get(f"PhysicalSize{axis}Unit", "µm")) for axis in "XY"]
        return pixel_size([float(number) * UM[unit.lower()] for number, unit in sides], "OME", orientation)
    resolution = page.get_resolution()
    if file.is_imagej:
        unit_um = UM.get(str(file.imagej_metadata.get("unit", "")).lower())
        if unit_um is not None and 282 in page.tags:
            return pixel_size([unit_um / number for number in resolution], "ImageJ", orientation)
    return size_from_resolution(resolution, page.tags.valueof(296, 2), "TIFF resolution", orientation)
