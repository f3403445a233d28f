"""Image folders: they hold one file for each row of a kind, named after the image or, of what people drew, the row.

Files are compared with rows one folder at a time.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from engine.imaging import codec
from engine.store import keys as stored
from engine.store.base import Store, StoreFailed

if TYPE_CHECKING:
    from db.inventory import Inventory

THREADS = min(4, os.cpu_count() or 1)
"""OpenCV decodes outside of Python's lock."""


@dataclass(frozen=True)
class ImageFolder:
    """One folder and the files that rows say are in it.

    `shapes` is {image id: (height, width)}; `exact` says that the file's own shape must be that one. `owner` is the
    row that the folder belongs to, in words ("dataset 'discs'"), and `datasets` what must not be at work when
    something in it is changed.
    """

    kind: str
    key: Callable[[str], str]
    owner: str
    owner_id: str
    datasets: frozenset[str]
    shapes: Mapping[str, tuple[int, int]]
    exact: bool = True
    read: Callable[[], Mapping[str, tuple[int, int]]] | None = field(default=None, repr=False)

    @property
    def path(self) -> str:
        return self.key("0" * 32).rpartition("/")[0]

    @property
    def suffix(self) -> str:
        return PurePosixPath(self.key("0" * 32)).suffix


@dataclass(frozen=True)
class Compared:
    """What a folder lacks, what in it does not decode (both image ids), and the names of files that no row knows."""

    missing: tuple[str, ...]
    damaged: tuple[str, ...]
    unknown: tuple[str, ...]


def image_folders(inventory: Inventory) -> Iterator[ImageFolder]:
    """Yield every image folder, those of one dataset, mask set or prediction set together."""
    for dataset in inventory.datasets():
        yield from dataset_folders(inventory, dataset)
    for found in inventory.label_sets():
        yield from label_folders(inventory, found)
    for found in inventory.prediction_sets():
        yield from prediction_folders(inventory, found)


def dataset_folders(inventory: Inventory, dataset: Any) -> Iterator[ImageFolder]:
    owner, at_work = f"dataset {dataset.name!r}", frozenset({dataset.id})
    rows = inventory.images(dataset.id)
    every = {row.id: (row.height, row.width) for row in rows}
    truth = {row.id: (row.height, row.width) for row in rows if row.has_truth}
    for kind, key, shapes in (
        ("image", stored.image_key, every),
        ("thumbnail", stored.thumb_key, every),
        ("truth", stored.truth_key, truth),
    ):
        exact = kind != "thumbnail"
        yield ImageFolder(kind, partial(key, dataset.id), owner, dataset.id, at_work, shapes, exact)

    def read() -> dict[str, tuple[int, int]]:
        return {row.id: (row.height, row.width) for row in inventory.corrections(dataset.id)}

    key = partial(stored.correction_key, dataset.id)
    yield ImageFolder("correction", key, owner, dataset.id, at_work, read(), read=read)

    def regions() -> dict[str, tuple[int, int]]:
        return {row.id: (row.height, row.width) for row in inventory.left_out(dataset.id)}

    key = partial(stored.left_out_key, dataset.id)
    yield ImageFolder("region", key, owner, dataset.id, at_work, regions(), read=regions)


def label_folders(inventory: Inventory, found: Any) -> Iterator[ImageFolder]:
    def read() -> dict[str, tuple[int, int]]:
        return {row.id: (row.height, row.width) for row in inventory.labels(found.id)}

    owner, at_work = f"mask set {found.name!r}", frozenset({found.dataset_id})
    kinds = [("label", stored.label_key), *([("label_class", stored.label_classes_key)] if found.classes else [])]
    for kind, key in kinds:
        yield ImageFolder(kind, partial(key, found.id), owner, found.id, at_work, read(), read=read)


def prediction_folders(inventory: Inventory, found: Any) -> Iterator[ImageFolder]:
    def read(unsure: bool) -> dict[str, tuple[int, int]]:
        rows = inventory.predictions(found.id)
        return {row.id: (row.height, row.width) for row in rows if row.has_uncertainty or not unsure}

    owner, at_work = f"predictions of {found.name!r}", frozenset({found.dataset_id, found.run_dataset_id})
    for kind, key, unsure in (
        ("prediction", stored.prediction_key, False),
        ("uncertainty", stored.uncertainty_key, True),
        *([("prediction_class", stored.prediction_classes_key, False)] if found.classes else []),
    ):
        again = partial(read, unsure)
        yield ImageFolder(kind, partial(key, found.id), owner, found.id, at_work, again(), read=again)


def compared(folder: ImageFolder, files: Store, quick: bool, on_checked: Callable[[int], None]) -> Compared:
    """Return how a folder's files differ from its rows; `on_checked` gets how many more files were checked.

    Rows were read before the folder is, so a job that writes meanwhile makes nothing missing; what was deleted
    meanwhile is asked for again.
    """
    names = set(files.listing(folder.path).files)
    wanted = {f"{image_id}{folder.suffix}": image_id for image_id in folder.shapes}
    missing = [image_id for name, image_id in wanted.items() if name not in names]
    there = [image_id for name, image_id in wanted.items() if name in names]
    damaged = [] if quick else _damaged(folder, files, there, on_checked)
    if quick:
        on_checked(len(there))
    if (missing or damaged) and folder.read is not None:
        still = folder.read()
        missing, damaged = [i for i in missing if i in still], [i for i in damaged if i in still]
    unknown = sorted(name for name in names if name not in wanted)
    if unknown and folder.read is not None:  # a correction is stored without a job, its file first
        since = {f"{id_}{folder.suffix}" for id_ in folder.read()}
        unknown = [name for name in unknown if name not in since]
    return Compared(tuple(sorted(missing)), tuple(sorted(damaged)), tuple(unknown))


def _damaged(folder: ImageFolder, files: Store, there: list[str], on_checked: Callable[[int], None]) -> list[str]:
    def whole(image_id: str) -> bool:
        return decodes(files, folder.key(image_id), folder.shapes[image_id] if folder.exact else None)

    damaged = []
    with ThreadPoolExecutor(THREADS) as pool:
        for image_id, good in zip(there, pool.map(whole, there), strict=True):
            on_checked(1)
            if not good:
                damaged.append(image_id)
    return damaged


def decodes(files: Store, key: str, shape: tuple[int, int] | None = None) -> bool:
    """Whether a stored picture decodes, to (height, width) `shape` where one is given."""
    try:
        data = files.read(key)
        webp = np.frombuffer(data, np.uint8)
        pixels = codec.decode_png(data) if key.endswith(".png") else cv2.imdecode(webp, cv2.IMREAD_UNCHANGED)
    except StoreFailed:  # which says nothing about the picture
        raise
    except (OSError, codec.UnreadableImage, cv2.error):
        return False
    return pixels is not None and (shape is None or pixels.shape[:2] == tuple(shape))
