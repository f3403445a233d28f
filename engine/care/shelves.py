"""Shelves: folders that hold one file for each row of a kind. Files are compared with rows one shelf at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from engine.care.inventory import Inventory
from engine.imaging import codec
from engine.store import keys as stored
from engine.store.base import Store

THREADS = min(4, os.cpu_count() or 1)
"""OpenCV decodes outside of Python's lock."""


@dataclass(frozen=True)
class Shelf:
    """One folder and the files that rows say are in it.

    `shapes` is {image id: (height, width)}; `exact` says that the file's own shape must be that one. `owner` is the
    row that the folder belongs to, in words ("dataset 'discs'"), and `datasets` what must not be at work when
    something on the shelf is changed.
    """

    kind: str
    folder: str
    suffix: str
    owner: str
    owner_id: str
    datasets: frozenset[str]
    shapes: Mapping[str, tuple[int, int]]
    exact: bool = True
    read: Callable[[], Mapping[str, tuple[int, int]]] | None = field(default=None, repr=False)

    def key(self, image_id: str) -> str:
        return f"{self.folder}/{image_id}{self.suffix}"


@dataclass(frozen=True)
class Compared:
    """What a shelf lacks, what on it does not decode (both image ids), and the names of files that no row knows."""

    missing: tuple[str, ...]
    damaged: tuple[str, ...]
    unknown: tuple[str, ...]


def shelves(inventory: Inventory) -> Iterator[Shelf]:
    """Yield every shelf, those of one dataset, label set or prediction set together."""
    for dataset in inventory.datasets():
        yield from dataset_shelves(inventory, dataset)
    for found in inventory.label_sets():
        yield label_shelf(inventory, found)
    for found in inventory.prediction_sets():
        yield from prediction_shelves(inventory, found)


def dataset_shelves(inventory: Inventory, dataset: object) -> Iterator[Shelf]:
    folder, owner = stored.dataset_folder(dataset.id), f"dataset {dataset.name!r}"
    rows = inventory.images(dataset.id)
    every = {row.id: (row.height, row.width) for row in rows}
    truth = {row.id: (row.height, row.width) for row in rows if row.has_truth}
    for kind, name, suffix, shapes in (
        ("image", "images", ".png", every),
        ("thumbnail", "thumbs", ".webp", every),
        ("truth", "truth", ".png", truth),
    ):
        at_work = frozenset({dataset.id})
        yield Shelf(kind, f"{folder}/{name}", suffix, owner, dataset.id, at_work, shapes, exact=kind != "thumbnail")


def label_shelf(inventory: Inventory, found: object) -> Shelf:
    def read() -> dict[str, tuple[int, int]]:
        return {row.id: (row.height, row.width) for row in inventory.labels(found.id)}

    owner, at_work = f"label set {found.name!r}", frozenset({found.dataset_id})
    return Shelf("label", stored.label_folder(found.id), ".png", owner, found.id, at_work, read(), read=read)


def prediction_shelves(inventory: Inventory, found: object) -> Iterator[Shelf]:
    def read(unsure: bool) -> dict[str, tuple[int, int]]:
        rows = inventory.predictions(found.id)
        return {row.id: (row.height, row.width) for row in rows if row.has_uncertainty or not unsure}

    owner, at_work = f"predictions of {found.name!r}", frozenset({found.dataset_id, found.run_dataset_id})
    folder = stored.prediction_folder(found.id)
    for kind, place, unsure in (("prediction", folder, False), ("uncertainty", f"{folder}/uncertainty", True)):

        def again(unsure: bool = unsure) -> dict[str, tuple[int, int]]:
            return read(unsure)

        yield Shelf(kind, place, ".png", owner, found.id, at_work, again(), read=again)


def compared(shelf: Shelf, files: Store, quick: bool, seen: Callable[[int], None]) -> Compared:
    """Return how a shelf's files differ from its rows; `seen(count)` is told how far it is.

    Rows were read before the folder is, so a job that writes meanwhile makes nothing missing; what was deleted
    meanwhile is asked for again.
    """
    names = {entry.name for entry in scanned(files.root / shelf.folder) if not entry.is_dir(follow_symlinks=False)}
    wanted = {f"{image_id}{shelf.suffix}": image_id for image_id in shelf.shapes}
    missing = [image_id for name, image_id in wanted.items() if name not in names]
    there = [image_id for name, image_id in wanted.items() if name in names]
    damaged = [] if quick else _damaged(shelf, files, there, seen)
    if quick:
        seen(len(there))
    if (missing or damaged) and shelf.read is not None:
        still = shelf.read()
        missing, damaged = [i for i in missing if i in still], [i for i in damaged if i in still]
    unknown = sorted(name for name in names if name not in wanted)
    return Compared(tuple(sorted(missing)), tuple(sorted(damaged)), tuple(unknown))


def _damaged(shelf: Shelf, files: Store, there: list[str], seen: Callable[[int], None]) -> list[str]:
    def whole(image_id: str) -> bool:
        return decodes(files.root / shelf.key(image_id), shelf.shapes[image_id] if shelf.exact else None)

    damaged = []
    with ThreadPoolExecutor(THREADS) as pool:
        for image_id, good in zip(there, pool.map(whole, there), strict=True):
            seen(1)
            if not good:
                damaged.append(image_id)
    return damaged


def decodes(path: Path, shape: tuple[int, int] | None = None) -> bool:
    """Whether a stored picture decodes, to (height, width) `shape` where one is given."""
    try:
        data = path.read_bytes()
        if path.suffix == ".png":
            pixels = codec.decode_png(data)
        else:
            pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) if data else None
    except (OSError, codec.UnreadableImage, cv2.error):
        return False
    return pixels is not None and (shape is None or pixels.shape[:2] == tuple(shape))


def scanned(folder: Path) -> list[os.DirEntry[str]]:
    """Return the entries of a folder, sorted by name; none where there is no such folder."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return []
