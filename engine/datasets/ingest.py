"""From a source of files to decoded images with their truth, one after the other, with a report entry for each file."""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from engine.datasets.annotations.shapes import MAX_PIXELS
from engine.datasets.archive import Zip
from engine.datasets.foreign_formats import foreign_suffix
from engine.datasets.outlines import Outlines
from engine.datasets.plan import Item, Plan, plan
from engine.datasets.reading import Reading, page_name
from engine.datasets.source import (
    ARCHIVE_SUFFIXES,
    Entry,
    Folder,
    Joined,
    Limits,
    OneFile,
    Source,
    SourceFile,
    UnreadableSource,
    is_picture_name,
)
from engine.datasets.truth_file import TruthFile, join, read_truth, sharpened
from engine.imaging import codec
from engine.imaging.codec import UnreadableImage
from engine.imaging.pixels import PixelSize
from engine.store import keys as stored
from engine.store.base import Store

__all__ = [
    "Decoded",
    "Item",
    "Plan",
    "as_duplicate",
    "content_hash",
    "fit_truth",
    "open_upload",
    "open_zip_or_folder",
    "opened",
    "plan",
    "read",
    "read_masks",
    "readers",
]

ASPECT_TOLERANCE = 0.02
"""Truth of another size is brought to the image's size if width / height differs by no more than this share."""


@dataclass(frozen=True)
class Decoded:
    """One image read: RGB uint8 (H, W, 3), its truth of the same size or None, and what to report about both.

    `image` is None where the image could not be read; the entries then say why.
    """

    name: str
    image: np.ndarray | None
    truth: TruthFile | None
    content_hash: str
    entries: tuple[Entry, ...]
    pixel_size: PixelSize | None = None


@contextmanager
def opened(source: dict[str, Any], files: Store, max_files: int) -> Iterator[Source]:
    """Open the source of a job for as long as a block runs: {"kind": "folder" | "zip", "path"} or "upload" of "token".

    Raises:
        UnreadableSource: it cannot be read at all; the sentence says why.
    """
    limits = Limits(max_files=max_files)
    with ExitStack() as opening:
        if source["kind"] == "upload":
            folder = opening.enter_context(files.workspace(stored.upload_folder(source["token"])))
            yield opening.enter_context(closing(open_upload(folder, limits)))
        elif source["kind"] in ("folder", "zip"):
            yield opening.enter_context(closing(open_zip_or_folder(Path(source["path"]), limits)))
        else:
            kinds = "a folder, a zip, an upload or the sample"
            raise UnreadableSource(f"Files to import come from {kinds}. Got {source['kind']!r}.")


def open_zip_or_folder(path: Path, limits: Limits | None = None) -> Source:
    """Return a source for a folder, for a zip by content, whatever it is called, or for one picture.

    Zips in a folder are opened where it has no pictures beside them, such as images.zip and masks.zip.

    Raises:
        UnreadableSource: there is none of these; the sentence says why.
    """
    if path.is_dir():
        _refuse_own_data(path)
        folder = Folder(path, limits)
        return open_upload(path, limits) if folder.zips and not folder.files else folder
    if not path.is_file():
        raise UnreadableSource(f"There is no folder, zip or picture {str(path)!r}.")
    return Zip(path, limits) if _is_meant_as_zip(path) else OneFile(path, limits)


def _refuse_own_data(path: Path) -> None:
    """
    Raises:
        UnreadableSource: the folder is the data of a Maskloom, or has it in it.
    """
    if _is_own_data(path):
        raise UnreadableSource(f"{str(path)!r} is the data of a Maskloom. Choose the folder of your images.")
    with suppress(OSError), os.scandir(path) as entries:  # whoever lists the folder says so
        for name in (entry.name for entry in entries if entry.is_dir()):
            if _is_own_data(path / name):
                raise UnreadableSource(
                    f"{name!r} in {str(path)!r} is the data of a Maskloom. Choose a folder that has only your images."
                )


def _is_own_data(folder: Path) -> bool:
    try:
        return (folder / stored.DATASETS).is_dir() and any(
            (folder / name).exists() for name in ("app.db", stored.mark_key())
        )
    except OSError:  # a folder that cannot be entered, or a link to itself
        return False


def _is_meant_as_zip(path: Path) -> bool:
    if foreign_suffix(path.name):  # such as .nii.gz
        return False
    with path.open("rb") as file:
        head = file.read(2)
    if head == b"PK" or path.suffix.lower() in ARCHIVE_SUFFIXES:
        return True
    return not is_picture_name(path.name) and zipfile.is_zipfile(path)


def open_upload(folder: Path, limits: Limits | None = None) -> Source:
    """Return a source for what came in through the browser: files as they are, and the content of every zip.

    A zip that cannot be read is skipped with its reason where anything else came with it.

    Raises:
        UnreadableSource: the only thing that came is a zip that cannot be read; the sentence names it.
    """
    loose = Folder(folder, limits)
    zips = {entry for entry, _ in loose.zips}
    loose.skipped = [entry for entry in loose.skipped if entry not in zips]
    parts: list[tuple[str, Source]] = []
    for entry, path in loose.zips:
        try:
            opened = Zip(path, limits)
        except UnreadableSource as error:
            if len(zips) == 1 and not loose.files:
                raise UnreadableSource(f"{entry.name}: {error}") from None
            loose.skipped.append(Entry(entry.name, False, str(error)))
        else:
            alone = len(zips) == 1 and not loose.files
            parts.append(("" if alone else str(PurePosixPath(entry.name).with_suffix("")) + "/", opened))
    if loose.files or loose.documents or loose.skipped or not parts:
        parts.insert(0, ("", loose))
    return parts[0][1] if len(parts) == 1 else Joined(parts)


def readers(
    source: Source, items: Sequence[Item], limits: codec.Limits | None = None, reading: Reading | None = None
) -> Iterator[Callable[[], Decoded]]:
    """Yield a call for each image of a plan that returns it by `read`; one for each page where all are wanted.

    A file of several pages is read once, when the first of its calls is wanted.
    """
    reading = reading or Reading()
    for item in items:
        held = _Held(source)
        pages = _page_count(held, item) if reading.pages == "all" else 1
        if pages == 1:
            yield partial(read, source, item, limits, reading)
        for page in range(pages) if pages > 1 else ():
            yield partial(read, held, replace(item, page=page), limits, reading)


class _Held:
    """The files of one item, read once for all of its pages."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._contents: dict[str, bytes] = {}

    def read(self, file: SourceFile) -> bytes:
        if file.name not in self._contents:
            self._contents[file.name] = self._source.read(file)
        return self._contents[file.name]


def _page_count(source: _Held, item: Item) -> int:
    try:
        return codec.count_pages(source.read(item.image))
    except UnreadableSource:
        return 1  # `read` says why


def read(
    source: Source | _Held, item: Item, limits: codec.Limits | None = None, reading: Reading | None = None
) -> Decoded:
    """Return one image of a plan with its truth. Never raises for what is wrong with a file: the entries say it."""
    name = page_name(item.image.name, item.page)
    try:
        options = (reading or Reading()).options(item.page)
        image, note, pixel_size = codec.read_image(source.read(item.image), limits, options)
    except (UnreadableImage, UnreadableSource) as error:
        return Decoded(name, None, None, "", tuple(_without_image(item, str(error))))
    truth, entries = read_masks(source, item.truth, image.shape[:2], limits, item.page)
    drawn, size_note = draw_outlines(item.outlines, image.shape[:2]) if item.outlines else (None, "")
    entries = [Entry(name, True, " ".join(filter(None, (item.note, note, size_note)))), *entries]
    truth = sharpened(truth) if truth else drawn
    return Decoded(name, image, truth, content_hash(image), tuple(entries), pixel_size)


def read_masks(
    source: Source | _Held,
    files: Sequence[SourceFile],
    shape: tuple[int, int],
    limits: codec.Limits | None = None,
    page: int | None = None,
) -> tuple[TruthFile | None, list[Entry]]:
    """Return the masks of one image of (height, width), joined, or None, and an entry for each file.

    `page`, counted from 0, is taken of files that have several pages.
    """
    masks: list[TruthFile] = []
    entries = []
    for file in files:
        try:
            data = source.read(file)
            own = page if page is not None and codec.count_pages(data) > 1 else None
            mask, note = fit_truth(read_truth(data, limits, own), shape)
        except (UnreadableImage, UnreadableSource) as error:
            entries.append(Entry(page_name(file.name, page), False, str(error)))
        else:
            masks.append(mask)
            entries.append(Entry(page_name(file.name, page), True, note))
    return (join(masks) if masks else None), entries


def fit_truth(truth: TruthFile, shape: tuple[int, int]) -> tuple[TruthFile, str]:
    """Return truth at the image's (height, width), and a note if it had another size or was joined.

    Raises:
        UnreadableImage: the proportions differ, so the mask cannot be of this picture.
    """
    height, width = truth.values.shape
    if (height, width) == tuple(shape):
        return truth, truth.note
    sizes = f"{width} × {height} pixels and the image {shape[1]} × {shape[0]}"
    if not same_proportions((height, width), shape):
        raise UnreadableImage(f"It has {sizes}, so it is no truth of it; the image is kept without.")
    note = f"{truth.note} It has {sizes}; it was resized to fit.".lstrip()
    return replace(truth, values=codec.resize_class_map(truth.values, shape)), note


def draw_outlines(outlines: Outlines, shape: tuple[int, int]) -> tuple[TruthFile, str]:
    """Return the truth that outlines are at (height, width), and a note if they were drawn for another size."""
    declared = outlines.size or shape
    if declared == tuple(shape) or not same_proportions(declared, shape) or declared[0] * declared[1] > MAX_PIXELS:
        return outlines.truth(shape), outlines.found.size_note(outlines.image, shape)
    truth, _ = fit_truth(outlines.truth(declared), shape)
    sizes = f"{declared[1]} × {declared[0]} pixels, and it has {shape[1]} × {shape[0]}"
    return truth, f"Its annotations are for an image of {sizes}; they were resized to fit."


def same_proportions(shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Return whether the width / height of two (height, width, …) differ by no more than ASPECT_TOLERANCE."""
    ratio = (shape[1] * wanted[0]) / (shape[0] * wanted[1])
    return 1 / (1 + ASPECT_TOLERANCE) <= ratio <= 1 + ASPECT_TOLERANCE


def content_hash(image: np.ndarray) -> str:
    """Return the SHA-256 of the decoded pixels and their shape, 64 hex digits.

    Of the pixels and not of the file, so that one picture saved as PNG and as BMP is found to be the same.
    """
    digest = hashlib.sha256(str(image.shape).encode())
    digest.update(np.ascontiguousarray(image).data)
    return digest.hexdigest()


def as_duplicate(decoded: Decoded, first: str) -> tuple[Entry, ...]:
    """Return the entries of an image whose pixels `first` brought already."""
    reason = f"It is the same picture as {first}, pixel for pixel."
    others: Sequence[Entry] = decoded.entries[1:]
    return (
        Entry(decoded.name, False, reason, same_as=first),
        *(Entry(entry.name, False, f"Its image is the same as {first}, pixel for pixel.") for entry in others),
    )


def _without_image(item: Item, reason: str) -> list[Entry]:
    name = page_name(item.image.name, item.page)
    lost = [page_name(file.name, item.page) for file in item.truth]
    return [Entry(name, False, reason), *(Entry(mask, False, f"Its image {name} could not be read.") for mask in lost)]
