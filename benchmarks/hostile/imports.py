"""Attempts with what is imported: folders, zips, images and annotations that mean harm, lie or are broken."""

from __future__ import annotations

import json
import os
import random
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.hostile.rig import Outcome, Rig, files_of, tried
from tests.assets import annotation_files, bad_images, bad_zips
from tests.assets.bad_files import disk, encoded, picture, png_claiming, zipped
from tests.assets.mutations import mutated
from tests.assets.structured_mutations import mutated_json

PRIVATE = (11, 22, 33)
"""The colour of the picture outside, which no import may take."""
Build = Callable[[random.Random, Path], object]


def imports(rig: Rig) -> Iterator[Outcome]:
    """Folders, zips and annotations that mean harm, lie or are broken, imported by the command line."""
    root, rng = rig.copy("imports"), rig.rng
    private = root.parent / "private.png"
    private.write_bytes(encoded(np.full((64, 64, 3), PRIVATE, np.uint8)))
    around = files_of(root.parent, root)
    for number, (name, build) in enumerate(_sources(rng).items()):

        def attempt(number: int = number, build: Build = build) -> list[str]:
            place = rig.place / f"source-{number}"
            (place / "images").mkdir(parents=True)
            made = build(rng, place)
            source = place
            if isinstance(made, bytes):
                source = place / rng.choice(("all.zip", "ALL.ZIP", "a b.zip"))
                source.write_bytes(made)
            said = rig.command("import", source, "--name", f"import {number}", root=root)
            if rng.random() < 0.3:
                said = rig.command("import", source, "--into", "discs", "--as", "truth", root=root)
            broken = said.broken() + rig.doctor(root)
            if files_of(root.parent, root) != around:
                broken.append("a file outside of DATA_ROOT was changed")
            if any(_is_private(path) for path in root.glob("datasets/*/images/*.png")):
                broken.append("a picture from outside was imported")
            shutil.rmtree(place)
            return broken

        yield tried(name, attempt)


def _is_private(path: Path) -> bool:
    with Image.open(path) as image:
        return image.size == (64, 64) and image.getpixel((5, 5)) == PRIVATE


def _sources(rng: random.Random) -> dict[str, Build]:
    """Return what is imported: a function that returns a zip, or fills a folder."""
    folder, climb = f"f{rng.getrandbits(20):x}", "../" * rng.randrange(1, 12)
    good = encoded(picture(seed=rng.getrandbits(16)))

    def zip_of(name: str, data: bytes = good, **fields: int) -> Build:
        return lambda rng, place: bad_zips.beside(name, data, **fields)

    def file(name: str, data: bytes) -> Build:
        return lambda rng, place: (place / "images" / "good.png").write_bytes(good) + (place / name).write_bytes(data)

    def link(name: str, target: str) -> Build:
        return lambda rng, place: (place / name).symlink_to(target)

    found: dict[str, Build] = {
        f"zip: name {name[:40]!r}": zip_of(name)
        for name in (
            *(f"{climb}private.png", f"/{folder}/x.png", f"images/{climb}{climb}etc/x.png", f"D:\\{folder}\\x.png"),
            *(
                f"images\\..\\{climb}x.png",
                "images//../../x.png",
                "~/x.png",
                f"\\\\?\\C:\\{folder}.png",
                "images/./../x.png",
            ),
            *("images/" * rng.randrange(30, 300) + "x.png", "images/" + "é" * 300 + ".png", "images/a\n=cmd|x.png"),
            *(
                "images/\x1b]0;title\x07.png",
                "images/\u202egnp.exe",
                "images/con.png",
                "images/x.png:stream",
                "images/ .png",
            ),
            *("__MACOSX/._x.png", ".git/config", "images/.htaccess.png", "images/x.png/y.png", "images/x.png\0.exe"),
        )
    }
    found |= {
        "zip: link to the picture outside": zip_of("images/l.png", b"../../private.png", mode=stat.S_IFLNK | 0o777),
        "zip: a folder as link": lambda r, p: bad_zips.members(
            [("images", b"/", {"mode": stat.S_IFLNK | 0o777}), ("images/etc/x.png", good, {})]
        ),
        "zip: setuid": zip_of("images/x.png", good, mode=0o104777),
        "zip: bomb": lambda r, p: zipped({"images/b.png": b"\0" * (r.randrange(40, 90) << 20)}),
        "zip: bomb beside a picture": zip_of("images/b.bmp", b"\0" * (60 << 20), size=rng.randrange(2000)),
        "zip: overlapping": lambda r, p: bad_zips.overlapping(r.randrange(100, 300), r.randrange(4, 9)),
        "zip: nested": lambda r, p: bad_zips.nested(r.randrange(3, 6)),
        "zip: encrypted": zip_of("images/x.png", good, flags=1),
        "zip: encrypted strongly": zip_of("images/x.png", good, flags=0x41),
        "zip: unknown method": zip_of("images/x.png", good, method=99),
        "zip: size 2^32": lambda r, p: bad_zips.with_entry(bad_zips.beside("images/x.png", good), 24, "<I", 2**32 - 1),
        "zip: many names": lambda r, p: bad_zips.many_entries(r.randrange(100_001, 150_000)),
        "zip: names that differ by case": lambda r, p: bad_zips.members(
            [(f"images/{name}.png", encoded(picture(seed=n)), {}) for n, name in enumerate(("a", "A", "á", "a\u0301"))]
        ),
        "zip: noise after the start": lambda r, p: (
            zipped({"images/x.png": good})[: r.randrange(30, 90)] + r.randbytes(500)
        ),
        "a link to the picture outside": link("images/l.png", "../../imports/private.png"),
        "a link to a folder above": link("images/all", "../.."),
        "a link to itself": link("images/loop.png", "loop.png"),
        "a link to /dev/zero": link("images/zero.png", "/dev/zero"),
        "a pipe": lambda r, p: os.mkfifo(p / "images" / "pipe.png"),
        "a folder named like a picture": lambda r, p: (p / "images" / "x.png").mkdir(),
        "nothing": lambda r, p: (p / "images").rmdir(),
        "an empty picture": file("images/x.png", b""),
        "a text": file("images/x.jpg", "=cmd|' /C calc'!A0".encode("utf-16")),
        "a picture of another kind": file("images/x.tif", encoded(picture(), "WEBP")),
        "a zip named .png": file("images/x.png", zipped({"images/y.png": good})),
        "one pixel": file("images/x.png", encoded(np.zeros((1, 1, 3), np.uint8))),
        "16 bits with truth of 16 bits": lambda r, p: _pair(
            p, encoded(Image.fromarray(disk().astype(np.uint16) * 257))
        ),
        "a claim of 60,000 pixels": file("images/x.png", png_claiming(r := rng.randrange(40_000, 65_000), r)),
        "CMYK": file("images/x.jpg", encoded(Image.fromarray(picture()).convert("CMYK"), "JPEG")),
        "animated": file("images/x.gif", bad_images.frames("GIF", duration=rng.randrange(10, 90))),
        "EXIF of 1 MB nonsense": file("images/x.jpg", bad_images.with_exif(rng.randbytes(60_000))),
        "a JSON of 50,000 levels": file("coco.json", b'{"images":' + b"[" * 50_000),
        "numbers of 5,000 digits": file("labels.json", b'{"images": [{"id": ' + b"9" * 5000 + b"}]}"),
        "a UTF-16 CSV": file("labels.csv", "a;b\n=1;2".encode("utf-16")),
        "an XML of entities": file("images/good.xml", _XML),
    }
    for turn in rng.sample((0, 2, 3, 4, 5, 6, 7, 8, 77, 65535), 4):
        found[f"EXIF orientation {turn}"] = file("images/x.jpg", bad_images.with_exif(bad_images.orientation(turn)))
    pictures = list(bad_images.TAKEN.items())
    for name, make in rng.sample(pictures, 14):
        found[f"mutated {name}"] = lambda r, p, make=make: file("images/x.png", mutated(make(), good, r))(r, p)  # type: ignore[misc]
    for number in range(14):
        found[f"mutated COCO {number}"] = lambda r, p: _annotated(p, "coco.json", mutated_json(_COCO, r))
    for number in range(6):
        found[f"mutated zip {number}"] = lambda r, p: mutated(
            zipped({"images/x.png": good, "masks/x.png": good}), good, r
        )
    return found


_COCO = json.dumps(annotation_files.coco()).encode()
_XML = (
    b'<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">'
    + b"".join(b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 20) for n in range(9))
    + b'<!ENTITY f SYSTEM "file:///etc/passwd">]><annotation><object><name>&j;&f;</name></object></annotation>'
)


def _pair(place: Path, data: bytes) -> None:
    (place / "masks").mkdir()
    (place / "images" / "x.png").write_bytes(encoded(picture()))
    (place / "masks" / "x.png").write_bytes(data)


def _annotated(place: Path, name: str, data: bytes) -> None:
    for image in annotation_files.IMAGES:
        (place / image).write_bytes(encoded(picture(12, 20, seed=len(image))))
    (place / name).write_bytes(data)
