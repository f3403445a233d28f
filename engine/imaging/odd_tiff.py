"""TIFFs that Pillow does not read, through tifffile: the first page, in bounded memory."""

from __future__ import annotations

import io
import logging
import zlib
from typing import Any

import numpy as np

from engine.imaging.limits import Limits, UnreadableImage, check_size

BYTES_PER_PIXEL = 8
"""A picture may take so many bytes for each pixel of the limit: as much as 16-bit RGBA does."""

_PLAIN, _DEFLATE, _PACKBITS = (1,), (8, 32946), (32773,)


def decode_odd_tiff(data: bytes, limits: Limits) -> np.ndarray:
    """Return the first page of a TIFF (H, W, C): 32-bit integers, float colour, separate planes.

    Raises:
        UnreadableImage: outside the limits, or no grey or colour picture. What is damaged raises anything.
    """
    import tifffile  # rarely needed and slow to import

    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # what is wrong with a file is said in our own sentence
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = file.pages.first
        check_size(page.imagewidth, page.imagelength, limits)
        axes = page.axes
        if axes not in ("YX", "YXS", "SYX") or page.samplesperpixel > 4:
            raise UnreadableImage(f"It is a TIFF of shape {page.shape}, which is no grey or colour picture.")
        _check_memory(page, data, limits)
        pixels = page.asarray()
    if axes == "SYX":
        return np.moveaxis(pixels, 0, -1)
    return pixels if axes == "YXS" else pixels[..., np.newaxis]


def _check_memory(page: Any, data: bytes, limits: Limits) -> None:
    """Raise UnreadableImage if the pixels, or one of the pieces they come in, unpack to more than they may take."""
    limit_bytes = limits.max_pixels * BYTES_PER_PIXEL
    piece_bytes = int(np.prod(page.chunks, dtype=object)) * page.dtype.itemsize
    if max(page.nbytes, piece_bytes) > limit_bytes:
        raise UnreadableImage(
            f"It unpacks to {max(page.nbytes, piece_bytes) / 1e6:,.0f} MB; the limit is {limit_bytes / 1e6:,.0f} MB."
        )
    compression = int(page.compression)
    if compression not in (*_PLAIN, *_DEFLATE, *_PACKBITS):
        raise UnreadableImage(f"Its pixels are packed by TIFF method {compression}, which is not read here.")
    if compression in _DEFLATE:  # tifffile unpacks a piece at one go, however much comes out of it
        for offset, length in zip(page.dataoffsets, page.databytecounts, strict=True):
            unpacking = zlib.decompressobj()
            unpacking.decompress(data[offset : offset + length], piece_bytes)
            if unpacking.unconsumed_tail:
                raise UnreadableImage("A piece of it unpacks to more than its header says.")
