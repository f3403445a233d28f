"""Files that an import must refuse or survive, made by code so that none is kept in the repository."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib

import numpy as np
from PIL import Image


def picture(height: int = 48, width: int = 64, seed: int = 0) -> np.ndarray:
    """Return an RGB image of random but smooth colour, so that no two seeds give the same pixels."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def disk(height: int = 48, width: int = 64, value: int = 255) -> np.ndarray:
    """Return a truth mask, uint8, with a disk of `value` in the middle."""
    y, x = np.mgrid[:height, :width]
    inside = (y - height / 2) ** 2 + (x - width / 2) ** 2 < (min(height, width) / 4) ** 2
    return np.where(inside, value, 0).astype(np.uint8)


def encoded(pixels: np.ndarray | Image.Image, kind: str = "PNG", **options: object) -> bytes:
    """Return pixels written by Pillow as a file of `kind`."""
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def truncated_jpeg() -> bytes:
    whole = encoded(picture(200, 300), "JPEG", quality=95)
    return whole[: len(whole) // 2]


def text_named_jpg() -> bytes:
    return "Здравствуйте, this is no picture.\n".encode()


def png_claiming(width: int, height: int) -> bytes:
    """Return a few hundred bytes of PNG whose header claims any size: only who checks the header first survives it."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(b"\0" * 1000)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", rows) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def zipped(members: dict[str, bytes]) -> bytes:
    """Return a zip with these members, names as given."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def zip_with_symlink(name: str, target: str) -> bytes:
    entry = zipfile.ZipInfo(name)
    entry.create_system = 3
    entry.external_attr = 0o120777 << 16
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(entry, target)
    return buffer.getvalue()


def zip_bomb(megabytes: int = 20) -> bytes:
    """Return a zip of some kilobytes with one member that unpacks to `megabytes` of zeros."""
    return zipped({"images/bomb.bmp": b"\0" * (megabytes << 20)})


def encrypted_zip(name: str = "images/secret.png") -> bytes:
    """Return a zip whose one member is marked as encrypted."""
    data = bytearray(zipped({name: encoded(picture())}))
    data[6] |= 1  # general purpose flag of the local header
    data[data.rindex(b"PK\x01\x02") + 8] |= 1  # and of the central directory
    return bytes(data)


def zip_lying_about_size() -> bytes:
    """Return a zip whose directory says 10 bytes for a member that unpacks to more."""
    data = bytearray(zipped({"images/liar.png": encoded(picture(200, 200))}))
    start = data.rindex(b"PK\x01\x02")
    data[start + 24 : start + 28] = struct.pack("<I", 10)
    return bytes(data)
