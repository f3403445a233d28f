"""Why a file is not read as an image, told from its first bytes."""

from __future__ import annotations

import zlib
from contextlib import suppress

READ = "images are JPEG, PNG, TIFF, WebP, AVIF, JPEG 2000, BMP or GIF"
DAMAGED = "It is damaged or cut short and cannot be decoded."
DICOM = "It is a DICOM file, and DICOM is not read; export slices as PNG or TIFF."
NIFTI = "It is a NIfTI volume, and NIfTI is not read; export slices as PNG or TIFF."
HEIC = (
    "It is a HEIC photograph, which is read only where pi-heif is installed: pip install 'pi-heif==1.4.0', "
    "or save the photograph as JPEG."
)
_IMAGES = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM", b"RIFF", b"\0\0\0\x0cjP", b"\xff\x4f\xff\x51")
_HEIC_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")
_AVIF_BRANDS = (b"avif", b"avis")
_OTHERS = (
    (b"PK\3\4", "a zip archive"),
    (b"\x1f\x8b", "a gzip file"),
    (b"%PDF", "a PDF document"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x89HDF", "an HDF5 file"),
    (b"ZISRAWFILE", "a Zeiss CZI file"),
)


def is_heic(data: bytes) -> bool:
    """Return whether a file says that it is HEIF coded as HEVC, which telephones write."""
    return data[4:8] == b"ftyp" and (data[8:12] in _HEIC_BRANDS) and not any(b in data[8:40] for b in _AVIF_BRANDS)


def refusal(data: bytes) -> str:
    """Return one sentence about "it": why a file, which no decoder accepts, is not read."""
    head = data[:512]
    if data[128:132] == b"DICM":
        return DICOM
    if _is_nifti(head if not head.startswith(b"\x1f\x8b") else _unzipped(data[:4096])):
        return NIFTI
    text = is_text(head)
    if not text and (head.startswith(_IMAGES) or is_heic(data) or head[8:12] in _AVIF_BRANDS):
        return DAMAGED
    kind = "a text file" if text else "not an image in a supported format"
    kind = "a video" if head[4:8] == b"ftyp" else kind
    kind = next((words for magic, words in _OTHERS if head.startswith(magic)), kind)
    return f"It is {kind}; {READ}."


def is_text(head: bytes) -> bool:
    """Return whether the first bytes of a file are UTF-8 text."""
    text = head.decode("utf-8", errors="replace").rstrip("\ufffd")  # a character may be cut at the end
    return bool(text) and all(c.isprintable() or c in "\r\n\t" for c in text) and "\ufffd" not in text


def _is_nifti(head: bytes) -> bool:
    return head[344:348] in (b"n+1\0", b"ni1\0") or head[4:8] in (b"n+2\0", b"ni2\0")


def _unzipped(start: bytes) -> bytes:
    with suppress(zlib.error):
        return zlib.decompressobj(wbits=31).decompress(start, 512)
    return b""
