"""Decoding of TIFF files that Pillow does not read, by tifffile: the first page, in bounded memory."""

from __future__ import annotations

import io
import logging
import zlib
from typing import Any

import numpy as np

from engine.imaging.limits import Limits, UnreadableImage, check_size

BYTES_PER_PIXEL = 8
"""Memory allowed for each pixel of the limit: that of 16-bit RGBA."""

_PLAIN, _DEFLATE, _PACKBITS = (1,), (8, 32946), (32773,)


def decode_tiff(data: bytes, limits: Limits) -> np.ndarray:
    """Return the first page of a TIFF (H, W, C): 32-bit integers, float colour, separate planes.

    Raises:
        UnreadableImage: outside the limits, or not a grey or colour image. A damaged file can raise any exception.
    """
    import tifffile  # rarely needed and slow to import

    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # we raise our own message
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = file.pages.first
        check_size(page.imagewidth, page.imagelength, limits)
        axes = page.axes
        if axes not in ("YX", "YXS", "SYX") or page.samplesperpixel > 4:
            raise UnreadableImage(f"It is a TIFF of shape {page.shape}, which is not a grey or colour image.")
        _check_memory(page, data, limits)
        pixels = page.asarray()
    if axes == "SYX":
        return np.moveaxis(pixels, 0, -1)
    return pixels if axes == "YXS" else pixels[..., np.newaxis]


def _check_memory(page: Any, data: bytes, limits: Limits) -> None:
    """Raise UnreadableImage if the pixels, or one of their strips or tiles, unpack to more memory than is allowed."""
    limit_bytes = limits.max_pixels * BYTES_PER_PIXEL
    piece_bytes = int(np.prod(page.chunks, dtype=object)) * page.dtype.itemsize
    if max(page.nbytes, piece_bytes) > limit_bytes:
        raise UnreadableImage(
            f"It unpacks to {max(page.nbytes, piece_bytes) / 1e6:,.0f} MB; the limit is {limit_bytes / 1e6:,.0f} MB."
        )
    compression = int(page.compression)
    if compression not in (*_PLAIN, *_DEFLATE, *_PACKBITS):
        raise UnreadableImage(f"Its pixels are compressed by TIFF method {compression}, which is not supported.")
    if compression in _DEFLATE:  # tifffile unpacks a piece at once, whatever its size
        for offset, length in zip(page.dataoffsets, page.databytecounts, strict=True):
            unpacking = zlib.decompressobj()
            unpacking.decompress(data[offset : offset + length], piece_bytes)
            if unpacking.unconsumed_tail:
                raise UnreadableImage("A piece of it unpacks to more than its header says.")
