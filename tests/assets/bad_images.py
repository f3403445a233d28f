"""Pictures that lie, are broken, or are of a kind that few programs write; all made by code."""

from __future__ import annotations

import gzip
import io
import struct
import zlib
from functools import partial

import numpy as np
import tifffile
from PIL import Image

from tests.assets.bad_files import (
    _chunk,
    disk,
    encoded,
    picture,
    png_claiming,
    text_named_jpg,
    truncated_jpeg,
)

TOO_LARGE = "pixels \\(.* megapixels\\); the limit is 100 megapixels"


def with_exif(exif: bytes) -> bytes:
    """Return a JPEG with these bytes as its EXIF block."""
    plain, body = encoded(picture(), "JPEG"), b"Exif\0\0" + exif
    return plain[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + plain[2:]


def orientation(value: int) -> bytes:
    return b"II*\0\x08\0\0\0" + struct.pack("<HHHIHHI", 1, 0x0112, 3, 1, value, 0, 0)


def looping_exif() -> bytes:
    """Return an EXIF block whose directories, and the one for the camera, point at themselves."""
    return b"II*\0\x08\0\0\0" + struct.pack("<HHHIII", 1, 0x8769, 4, 1, 8, 8)


def huge_directory() -> bytes:
    return b"II*\0\x08\0\0\0" + struct.pack("<H", 65535) + b"\x12\x01\x03\0\xff\xff\xff\xff\0\0\0\x7f" * 100


def jpeg_claiming(width: int, height: int) -> bytes:
    data = bytearray(encoded(picture(), "JPEG"))
    at = data.index(b"\xff\xc0") + 5
    struct.pack_into(">HH", data, at, height, width)
    return bytes(data)


def many_scans(count: int) -> bytes:
    """Return a progressive JPEG of 8 megapixels in which one scan of little content is repeated `count` times."""
    data = encoded(np.zeros((2048, 4096, 3), np.uint8), "JPEG", progressive=True, quality=10)
    start = data.rindex(b"\xff\xda")
    return data[:start] + data[start:-2] * count + data[-2:]


def png_bomb(side_px: int = 20_000) -> bytes:
    """Return a true PNG of 400 megapixels in some 400 kB."""
    packing, rows = zlib.compressobj(9), b"\0" * (side_px + 1) * 100
    pixels = b"".join(packing.compress(rows) for _ in range(side_px // 100)) + packing.flush()
    header = struct.pack(">IIBBBBB", side_px, side_px, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", pixels) + _chunk(b"IEND", b"")


def png_with(*chunks: tuple[bytes, bytes]) -> bytes:
    """Return a good PNG with more chunks after its header."""
    data = encoded(picture())
    return data[:33] + b"".join(_chunk(kind, body) for kind, body in chunks) + data[33:]


def png_with_two_headers() -> bytes:
    """Return a PNG of 16 bits that first claims 30,000 pixels a side and then few."""
    data = encoded(picture())
    large = _chunk(b"IHDR", struct.pack(">IIBBBBB", 30_000, 30_000, 16, 2, 0, 0, 0))
    return data[:8] + large + data[8:]


def gif_claiming(width: int, height: int) -> bytes:
    data = bytearray(encoded(picture(), "GIF"))
    struct.pack_into("<HH", data, 6, width, height)
    return bytes(data)


def gif_frame_outside() -> bytes:
    """Return a GIF whose first frame claims to lie far outside of its screen."""
    data = bytearray(encoded(picture(), "GIF"))
    struct.pack_into("<HHHH", data, data.index(b"\x2c", 13 + 3 * 256) + 1, 60_000, 60_000, 5_000, 5_000)
    return bytes(data)


def webp_claiming_16383() -> bytes:
    """Return a WebP of 268 megapixels of one colour, in some kilobytes."""
    canvas = 16383 - 1
    body = b"VP8X" + struct.pack("<I", 10) + b"\0" * 4 + canvas.to_bytes(3, "little") * 2
    inner = encoded(picture(), "WEBP")[12:]
    return b"RIFF" + struct.pack("<I", len(body + inner) + 4) + b"WEBP" + body + inner


def tiff(pixels: np.ndarray, **options: object) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, **options)
    return buffer.getvalue()


def tiff_claiming(**tags: int) -> bytes:
    """Return a TIFF in which tags (by number: "t256") have other values than the pixels call for."""
    data = bytearray(tiff(picture()))
    at = struct.unpack_from("<I", data, 4)[0]
    for number in range(struct.unpack_from("<H", data, at)[0]):
        entry = at + 2 + 12 * number
        tag, kind = struct.unpack_from("<HH", data, entry)
        if f"t{tag}" in tags:
            struct.pack_into("<HIH" if kind == 3 else "<HII"[:4], data, entry + 2, kind, 1, tags[f"t{tag}"])
    return bytes(data)


def tiff_directories_in_a_loop() -> bytes:
    data = bytearray(tiff(picture()))
    at = struct.unpack_from("<I", data, 4)[0]
    count = struct.unpack_from("<H", data, at)[0]
    struct.pack_into("<I", data, at + 2 + 12 * count, at)
    return bytes(data)


def odd_tiff_bomb(megabytes: int = 400) -> bytes:
    """Return a TIFF of 32-bit float colour whose one strip unpacks to far more than its header says."""
    pixels = tiff(np.ones((32, 32, 3), np.float32), compression="zlib", photometric="rgb")
    return with_strip(pixels, zlib.compress(b"\0" * (megabytes << 20), 9))


def with_strip(tiff_file: bytes, strip: bytes) -> bytes:
    """Return a TIFF of one strip with another one in its place."""
    data = bytearray(tiff_file)
    at = struct.unpack_from("<I", data, 4)[0]
    for number in range(struct.unpack_from("<H", data, at)[0]):
        entry = at + 2 + 12 * number
        tag, _kind = struct.unpack_from("<HH", data, entry)
        if tag in (273, 279):
            struct.pack_into("<HII", data, entry + 2, 4, 1, len(data) if tag == 273 else len(strip))
    return bytes(data) + strip


COMPRESSIONS = ("lzw", "zlib", "packbits", "zstd", "lzma", "lerc", "jpeg", "jpeg2000", "png", "webp")


def packed_tiff(method: str) -> bytes:
    """Return a tiled TIFF of colours that is compressed."""
    options = {"predictor": True} if method in ("lzw", "zlib", "zstd") else {}
    return tiff(picture(), photometric="rgb", compression=method, tile=(32, 32), **options)


def coded_bomb() -> bytes:
    """Return a TIFF of 48 × 64 pixels whose one strip is a JPEG of 9 megapixels."""
    small, large = tiff(picture(), photometric="rgb", compression="jpeg"), np.zeros((3000, 3000, 3), np.uint8)
    return with_strip(small, encoded(large, "JPEG"))


def tiff_of_many_numbers() -> bytes:
    """Return a TIFF whose tags all point to the same 1 MB, as lists of 500,000 numbers each."""
    data = bytearray(tiff(picture()))
    place, directory = len(data), len(data) + (1 << 20)
    tags = [struct.pack("<HHII", 40_000 + number, 3, 500_000, place) for number in range(80)]
    struct.pack_into("<I", data, 4, directory)
    return bytes(data) + b"\1" * (1 << 20) + struct.pack("<H", len(tags)) + b"".join(tags) + bytes(4)


def tiff_pyramid() -> bytes:
    """Return a TIFF whose further pages are smaller levels of the first."""
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        for level in (1, 2, 4):
            pixels = np.ascontiguousarray(picture()[::level, ::level])
            writer.write(pixels, photometric="rgb", subfiletype=0 if level == 1 else 1)
    return buffer.getvalue()


def nifti_header() -> bytes:
    return struct.pack("<i", 348) + bytes(340) + b"n+1\0" + bytes(100)


def not_numbers() -> np.ndarray:
    values = np.linspace(0, 1, 48 * 64, dtype=np.float32).reshape(48, 64)
    values[:8], values[8:16], values[16:24] = np.nan, np.inf, -np.inf
    return values


def frames(kind: str, **options: object) -> bytes:
    """Return an animation of three frames."""
    first, *others = (Image.fromarray(picture(seed=seed)) for seed in range(3))
    return encoded(first, kind, save_all=True, append_images=others, **options)


def palette_with_alpha() -> bytes:
    image = Image.fromarray(picture()).quantize(16)
    return encoded(image, "PNG", transparency=bytes(range(0, 256, 16)))


TAKEN = {
    "animated GIF": lambda: frames("GIF", duration=50),
    "animated WebP": lambda: frames("WEBP", lossless=True),
    "animated PNG": lambda: frames("PNG"),
    "TIFF of three pages": lambda: frames("TIFF"),
    "TIFF directories in a loop": tiff_directories_in_a_loop,
    "CMYK JPEG": lambda: encoded(Image.fromarray(picture()).convert("CMYK"), "JPEG"),
    "CMYK TIFF": lambda: encoded(Image.fromarray(picture()).convert("CMYK"), "TIFF"),
    "1-bit PNG": lambda: encoded(Image.fromarray(disk() > 0), "PNG"),
    "1-bit TIFF, fax": lambda: encoded(Image.fromarray(disk() > 0), "TIFF", compression="group4"),
    "16-bit PNG": lambda: encoded(Image.fromarray(disk().astype(np.uint16) * 257), "PNG"),
    "16-bit TIFF": lambda: tiff(picture().astype(np.uint16) * 257, photometric="rgb"),
    "32-bit TIFF": lambda: tiff(disk().astype(np.uint32) << 20),
    "float TIFF": lambda: tiff(not_numbers()),
    "float TIFF beyond float32": lambda: tiff(np.linspace(-1e300, 1e300, 48 * 64).reshape(48, 64)),
    "float TIFF, greatest values": lambda: tiff(
        np.linspace(-3.4e38, 3.4e38, 48 * 64).astype(np.float32).reshape(48, 64)
    ),
    "float colour TIFF": lambda: tiff(picture().astype(np.float32) / 255, photometric="rgb", compression="zlib"),
    "half float TIFF": lambda: tiff(picture().astype(np.float16), photometric="rgb"),
    "TIFF of planes": lambda: tiff(np.moveaxis(picture(), -1, 0), photometric="rgb", planarconfig="separate"),
    "BigTIFF": lambda: tiff(picture(), bigtiff=True, photometric="rgb"),
    **{f"TIFF, {method}": partial(packed_tiff, method) for method in COMPRESSIONS},
    "TIFF, Lab": lambda: encoded(Image.fromarray(picture()).convert("LAB"), "TIFF"),
    "TIFF of five channels": lambda: tiff(
        np.zeros((5, 48, 64), np.float32), planarconfig="separate", photometric="minisblack"
    ),
    "TIFF pyramid": tiff_pyramid,
    "TIFF stack of ImageJ": lambda: tiff(np.stack([disk()] * 3), imagej=True),
    "TIFF stack behind one directory": lambda: tiff(np.stack([disk()] * 3), truncate=True, photometric="minisblack"),
    "AVIF": lambda: encoded(picture(), "AVIF"),
    "JPEG 2000": lambda: encoded(picture(), "JPEG2000"),
    "palette with alpha": palette_with_alpha,
    "EXIF orientation 9": lambda: with_exif(orientation(9)),
    "EXIF of noise": lambda: with_exif(bytes(range(256)) * 8),
    "EXIF cut short": lambda: with_exif(orientation(6)[:12]),
    "EXIF in a loop": lambda: with_exif(looping_exif()),
    "EXIF of 65,535 tags": lambda: with_exif(huge_directory()),
    "JPEG named PNG": lambda: encoded(picture(), "JPEG"),
    "trailing HTML": lambda: encoded(picture()) + b"<script>alert(1)</script>",
    "8 x 2,000 pixels": lambda: encoded(picture(8, 2000)),
}
"""Pictures that are good all the same."""

REFUSED = {
    "PNG claiming 65,535 a side": (lambda: png_claiming(65535, 65535), TOO_LARGE),
    "PNG claiming 2^31 a side": (lambda: png_claiming(2**31 - 1, 2**31 - 1), TOO_LARGE),
    "PNG of 0 pixels": (lambda: png_claiming(0, 0), "damaged|at least 8"),
    "PNG of 1 x 100,000": (
        lambda: encoded(np.zeros((100_000, 1), np.uint8)),
        "1 × 100000 pixels; the shorter side must",
    ),
    "PNG of 8 x 100,000": (lambda: encoded(np.zeros((100_000, 8), np.uint8)), "longer side may have at most 65,535"),
    "PNG bomb": (png_bomb, TOO_LARGE),
    "PNG with a text bomb": (lambda: png_with((b"zTXt", b"a\0\0" + zlib.compress(b"\0" * (80 << 20)))), "damaged"),
    "PNG with two headers": (png_with_two_headers, "damaged|limit"),
    "PNG claiming more rows than it has": (lambda: png_claiming(4000, 4000), "damaged"),
    "JPEG claiming 65,535 a side": (lambda: jpeg_claiming(65535, 65535), TOO_LARGE),
    "JPEG of 0 pixels": (lambda: jpeg_claiming(0, 0), "damaged|at least 8"),
    "JPEG of 2,000 scans": (lambda: many_scans(2000), "JPEG of more than 100 scans"),
    "JPEG cut short": (truncated_jpeg, "damaged or cut short"),
    "GIF claiming 65,535 a side": (lambda: gif_claiming(65535, 65535), TOO_LARGE),
    "GIF frame outside": (gif_frame_outside, TOO_LARGE),
    "WebP claiming 16,383 a side": (webp_claiming_16383, TOO_LARGE + "|damaged"),
    "TIFF claiming 65,535 a side": (lambda: tiff_claiming(t256=65535, t257=65535), TOO_LARGE),
    "TIFF bomb": (odd_tiff_bomb, "unpacks to more than its header says|damaged"),
    "TIFF of complex numbers": (lambda: tiff(np.ones((48, 64), np.complex64)), "complex"),
    "TIFF whose JPEG is larger than it says": (coded_bomb, "unpacks to more than its header says"),
    "TIFF of millions of numbers": (tiff_of_many_numbers, "directory lists 40,0.*more than it can hold"),
    "DICOM": (lambda: bytes(128) + b"DICM" + bytes(300), "DICOM is not read; export slices"),
    "NIfTI": (lambda: gzip.compress(nifti_header()), "NIfTI is not read; export slices"),
    "NIfTI, not packed": (nifti_header, "NIfTI is not read; export slices"),
    "video": (lambda: b"\0\0\0\x18ftypmp42" + bytes(300), "a video"),
    "AVIF cut short": (lambda: encoded(picture(), "AVIF")[:200], "damaged or cut short"),
    "HTML named JPEG": (lambda: b"<!doctype html><script>alert(1)</script>", "a text file"),
    "SVG named PNG": (lambda: b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>', "a text file"),
    "text named JPEG": (text_named_jpg, "a text file"),
    "zip named JPEG": (lambda: b"PK\x03\x04" + bytes(100), "a zip archive"),
    "PDF named JPEG": (lambda: b"%PDF-1.7\n%\xe2\xe3", "a PDF document"),
    "noise": (lambda: np.random.default_rng(0).bytes(5000), "not an image"),
    "nothing": (lambda: b"", "empty"),
}
"""What is wrong: (the file, a pattern of what the report says)."""
