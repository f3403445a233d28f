"""Zips that mean harm, lie or are broken, and other archives that call themselves zips; all made by code."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import stat
import struct
import tarfile
import zipfile
import zlib

from tests.assets.bad_files import encoded, encrypted_zip, picture, zip_bomb, zip_lying_about_size, zipped

GOOD = "images/good.png"
_ENTRY, _LOCAL = b"PK\x01\x02", b"PK\x03\x04"


def good() -> bytes:
    """Return the picture that lies beside every bad file."""
    return encoded(picture(seed=1234))


def beside(name: str, data: bytes, **fields: int) -> bytes:
    """Return a zip of the good picture and one more member."""
    return members([(GOOD, good(), {}), (name, data, fields)])


def members(entries: list[tuple[str | bytes, bytes, dict[str, int]]]) -> bytes:
    """Return a zip of (name, data, fields) written byte for byte, with names and doubles that zipfile would not write.

    The fields are `method` (8 is deflate), `mode` (of Unix), `size` (what both headers state) and `flags`.
    """
    body, listed = b"", b""
    for name, data, fields in entries:
        text = name.encode() if isinstance(name, str) else name
        method = fields.get("method", zipfile.ZIP_DEFLATED)
        packed = _PACKERS[method](data)
        flags = fields.get("flags", 0) | (0 if text.isascii() else 0x800)
        sizes = (zlib.crc32(data), len(packed), fields.get("size", len(data)), len(text), 0)
        common = struct.pack("<HHHHIIIHH", flags, method, 0, 33, *sizes)
        at = len(body)
        body += _LOCAL + struct.pack("<H", 20) + common + text + packed
        made_by = (3 << 8 | 20, 20)  # 3 is Unix
        tail = struct.pack("<HHHII", 0, 0, 0, fields.get("mode", 0o100644) << 16, at)
        listed += _ENTRY + struct.pack("<HH", *made_by) + common + tail + text
    end = struct.pack("<HHHHIIH", 0, 0, len(entries), len(entries), len(listed), len(body), 0)
    return body + listed + b"PK\x05\x06" + end


def _deflated(data: bytes) -> bytes:
    return zlib.compress(data)[2:-4]


_PACKERS = {0: bytes, 8: _deflated, 12: bz2.compress, 14: lzma.compress, 99: bytes}


def special(kind: int, target: bytes = b"/etc/passwd") -> bytes:
    """Return a zip with a member of a Unix file type such as stat.S_IFLNK."""
    return beside("images/special.png", target, mode=kind | 0o644)


def with_entry(data: bytes, field_at: int, form: str, value: int, last: bool = True) -> bytes:
    """Return a zip with one number of its last (or first) entry in the central directory replaced."""
    changed = bytearray(data)
    at = changed.rindex(_ENTRY) if last else changed.index(_ENTRY)
    struct.pack_into(form, changed, at + field_at, value)
    return bytes(changed)


def with_end(data: bytes, field_at: int, form: str, value: int) -> bytes:
    """Return a zip with one number of its end record replaced."""
    changed = bytearray(data)
    struct.pack_into(form, changed, changed.rindex(b"PK\x05\x06") + field_at, value)
    return bytes(changed)


def many_entries(count: int) -> bytes:
    """Return a zip that truly lists `count` empty files, and states that there is one."""
    local = _LOCAL + struct.pack("<HHHHHIIIHH", 20, 0, 0, 0, 33, 0, 0, 0, 1, 0) + b"a"
    entry = _ENTRY + struct.pack("<HHHHHHIIIHHHHHII", 20, 20, 0, 0, 0, 33, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"a"
    end = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(entry) * count, len(local), 0)
    return local + entry * count + end


def long_list(megabytes: int) -> bytes:
    """Return a zip of few files whose list of files is `megabytes` long, by comments."""
    entry = _ENTRY + struct.pack("<HHHHHHIIIHHHHHII", 20, 20, 0, 0, 0, 33, 0, 0, 0, 1, 0, 65535, 0, 0, 0, 0) + b"a"
    listed = (entry + b" " * 65535) * (megabytes * 16)
    return listed + b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(listed), 0, 0)


def overlapping(names: int = 200, megabytes: int = 8) -> bytes:
    """Return a quadratic bomb: every entry of the list is the same packed member (after Fifield, WOOT 2019)."""
    return _listed_again(zipped({"a": b"\0" * (megabytes << 20)}), names)


def overlapping_noise(names: int = 50) -> bytes:
    """Return a zip whose entries are all one member that does not pack, so that no ratio gives it away."""
    return _listed_again(zipped({"a": os.urandom(300_000)}), names)


def _listed_again(data: bytes, times: int) -> bytes:
    at, end = data.index(_ENTRY), data.index(b"PK\x05\x06")
    listed = data[at:end] * times
    return data[:at] + listed + b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, times, times, len(listed), at, 0)


def bomb_that_says_little(megabytes: int = 300, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return a zip with a member that says 1,000 bytes and unpacks to many megabytes: stating no ratio at all."""
    return beside("images/small.png", b"\0" * (megabytes << 20), method=method, size=1000)


def nested(depth: int = 6) -> bytes:
    """Return a zip in a zip in a zip …"""
    data = zipped({"bomb.bmp": b"\0" * (1 << 20)})
    for level in range(depth):
        data = zipped({f"{level}-{copy}.zip": data for copy in range(4)})
    return beside("inner.zip", data)


def quine_like() -> bytes:
    """Return a zip that holds itself, cut short."""
    data = zipped({"self.zip": b""})
    return beside("self.zip", data + data)


def with_descriptor(claimed: int) -> bytes:
    """Return a streamed zip, whose sizes follow the data, with another size for the last member in its descriptor."""

    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self.data = bytearray()

        def writable(self) -> bool:
            return True

        def write(self, piece: bytes) -> int:
            self.data += piece
            return len(piece)

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(GOOD, good())
        archive.writestr("images/streamed.png", encoded(picture(seed=77)))
    at = pipe.data.rindex(b"PK\x07\x08")
    struct.pack_into("<I", pipe.data, at + 12, claimed)
    return bytes(pipe.data)


def zip64(extra_size: int) -> bytes:
    """Return a zip with a ZIP64 field of `extra_size` bytes where the size says "see there"."""
    name, data = b"images/large.png", good()
    packed = zlib.compress(data)[2:-4]
    local = _LOCAL + struct.pack("<HHHHHIIIHH", 45, 0, 8, 0, 33, zlib.crc32(data), len(packed), len(data), len(name), 0)
    extra = struct.pack("<HH", 1, extra_size) + struct.pack("<QQ", len(data), len(packed))[:extra_size]
    entry = _ENTRY + struct.pack(
        *("<HHHHHHIIIHHHHHII", 45, 45, 0, 8, 0, 33, zlib.crc32(data)),
        *(0xFFFFFFFF, 0xFFFFFFFF, len(name), len(extra), 0, 0, 0, 0, 0),
    )
    listed = entry + name + extra
    start = len(local + name + packed)
    end = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(listed), start, 0)
    return local + name + packed + listed + end


def zip64_end(list_bytes: int) -> bytes:
    """Return a zip whose ZIP64 end record claims a list of files of so many bytes."""
    data = zipped({GOOD: good()})
    at, end = data.index(_ENTRY), data.index(b"PK\x05\x06")
    record = b"PK\x06\x06" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, 1, 1, list_bytes, at)
    locator = b"PK\x06\x07" + struct.pack("<IQI", 0, end, 1)
    return data[:end] + record + locator + data[end:]


def tar(compressed: bool = False) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo("good.png")
        entry.size = len(good())
        archive.addfile(entry, io.BytesIO(good()))
    return gzip.compress(buffer.getvalue()) if compressed else buffer.getvalue()


TAKES_GOOD = {
    **{
        f"climbing name {name!r}": (lambda name=name: beside(name, good()), "leads out of the zip")
        for name in ("../x.png", "a/../../x.png", "/etc/x.png", "C:/x.png", "C:\\x.png", "..\\x.png", "\\\\host\\x.png")
    },
    "name with NUL": (lambda: beside("a\0.png", b"no picture"), "text file"),
    "name that is empty": (lambda: beside("", good()), "no name"),
    "name that is a dot": (lambda: beside(".", good()), "no name"),
    "symbolic link": (lambda: special(stat.S_IFLNK), "a link or another special file"),
    "device": (lambda: special(stat.S_IFBLK), "a link or another special file"),
    "pipe": (lambda: special(stat.S_IFIFO), "a link or another special file"),
    "socket": (lambda: special(stat.S_IFSOCK), "a link or another special file"),
    "zip in a zip": (nested, "It is an archive"),
    "zip that holds itself": (quine_like, "It is an archive"),
    "bomb that says little (deflate)": (bomb_that_says_little, "damaged in the zip"),
    "bomb that says little (bzip2)": (
        lambda: bomb_that_says_little(20, zipfile.ZIP_BZIP2),
        "packed by bzip2; the methods",
    ),
    "bomb that says little (lzma)": (
        lambda: bomb_that_says_little(20, zipfile.ZIP_LZMA),
        "packed by lzma; the methods",
    ),
    "unknown method": (
        lambda: beside("images/x.png", good(), method=99),
        "packed by method 99",
    ),
    "encrypted member": (lambda: beside("images/secret.png", good(), flags=1), "encrypted"),
    "size too small": (lambda: with_entry(beside("images/x.png", good()), 24, "<I", 10), "damaged in the zip"),
    "size too large": (lambda: beside("images/x.png", encoded(picture(seed=3)), size=10_000_000), ""),
    "wrong checksum": (lambda: with_entry(beside("images/x.png", good()), 16, "<I", 1), "damaged in the zip"),
    "wrong offset": (lambda: with_entry(beside("images/x.png", good()), 42, "<I", 7), "damaged in the zip"),
    "three of one name": (
        lambda: members([(GOOD, good(), {}), (GOOD, b"x", {}), (GOOD, b"y", {})]),
        "Another file of the same name came first",
    ),
    "descriptor that lies": (lambda: with_descriptor(5), ""),
    "count that lies": (lambda: with_end(zipped({GOOD: good()}), 10, "<H", 60_000), ""),
    "ZIP64 size": (lambda: zip64(16), ""),
    "text before and after": (lambda: b"#!/bin/sh\n" + zipped({GOOD: good()}), ""),
}
"""What is wrong: (the zip, what the report says of it, "" if nothing). The good picture in it is taken."""


REFUSED = {
    "bomb": (zip_bomb, "times its size, as a zip bomb does; the limit is 200 times"),
    "overlapping bomb": (overlapping, "overlap"),
    "overlapping noise": (overlapping_noise, "overlap"),
    "200,000 files": (lambda: many_entries(200_000), "holds 200,000 files; the limit is 100,000"),
    "long list of files": (lambda: long_list(60), "lists its files in 63.0 MB"),
    "all encrypted": (encrypted_zip, "encrypted"),
    "only member lies": (zip_lying_about_size, "damaged in the zip"),
    "cut short": (lambda: zipped({GOOD: good()})[:-30], "damaged or cut short"),
    "cut at the start": (lambda: zipped({GOOD: good()})[60:], "damaged"),
    "ZIP64 size cut short": (lambda: zip64(4), "damaged"),
    "ZIP64 list of 2^60 bytes": (lambda: zip64_end(1 << 60), "lists its files in"),
    "list longer than the file": (lambda: with_end(zipped({GOOD: good()}), 12, "<I", 900_000), "damaged"),
    "name that is no UTF-8": (
        lambda: members([(b"images/go\xff\xfe.png", good(), {})]),
        "marked as UTF-8 and is not",
    ),
    "empty": (lambda: zipped({}), "The zip is empty"),
    "nothing": (lambda: b"", "damaged or cut short"),
    "tar": (tar, "a tar archive and no zip"),
    "tar.gz": (lambda: tar(compressed=True), "a gzip file and no zip"),
    "7z": (lambda: b"7z\xbc\xaf\x27\x1c\0\4" + os.urandom(200), "a 7-Zip archive and no zip"),
    "rar": (lambda: b"Rar!\x1a\x07\x01\0" + os.urandom(200), "a RAR archive and no zip"),
    "HTML": (lambda: b"<!doctype html><p>You must sign in to download this file.", "no zip at all"),
}
"""What is wrong: (the file that is called x.zip, what the import says)."""
