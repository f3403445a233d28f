"""The table of all objects of a set of masks, one row an object, and label maps; computed on all cores."""

from __future__ import annotations

import errno
import multiprocessing
import os
import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd

from engine.core.filenames import safe_stems
from engine.core.processes import prepare_process
from engine.imaging import codec
from engine.imaging.pixels import UM
from engine.measuring.csv_file import write_csv
from engine.measuring.measurements import Scale, measure
from engine.measuring.objects import ObjectParams, Objects, find_objects, given_objects

MOST_IN_LABEL_MAP = 65_535
SUFFIXES = (".csv", ".parquet")


class CannotMeasure(ValueError):
    """The masks cannot be measured. The message is a sentence that names the file or value."""


@dataclass(frozen=True)
class MaskedPicture:
    """A mask to measure, and what lies beside it.

    `class_map` is uint8 (H, W), or, with `numbered`, the number of the object of each pixel, integers (H, W).
    `probability` is uint8 (H, W), `image` uint8 (H, W, 3); each is None where there is none.
    """

    class_map: np.ndarray
    probability: np.ndarray | None = None
    image: np.ndarray | None = None
    numbered: bool = False


@dataclass(frozen=True)
class MaskSource:
    """An image by name, and how to read its mask."""

    name: str
    read: Callable[[], MaskedPicture]
    scale: Scale | None = None


@dataclass(frozen=True)
class _Task:
    name: str
    picture: MaskedPicture
    scale: Scale | None
    params: ObjectParams
    class_names: tuple[str, ...]
    label_map: Path | None


def write_table(
    sources: Sequence[MaskSource],
    out: Path,
    params: ObjectParams,
    class_names: Sequence[str] = (),
    label_maps: Path | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> int:
    """Write the objects of all images to `out`, CSV or Parquet by its suffix; return how many there are.

    Args:
        class_names: names of class 1, 2, …
        label_maps: a folder for one 16-bit PNG an image: 0 for no object, else its number.
        progress: called with the number of images done; may raise to end the work.

    Raises:
        CannotMeasure: `out` has another suffix, a file cannot be written, or a mask has more objects than a label map
            has numbers.
    """
    if out.suffix.lower() not in SUFFIXES:
        raise CannotMeasure(f"The table is written as {' or '.join(SUFFIXES)}. Got {out.name!r}.")
    stems = safe_stems([source.name for source in sources])
    for folder in (out.parent, label_maps):
        if folder:
            with _writing_to(folder):
                folder.mkdir(parents=True, exist_ok=True)
                if not os.access(folder, os.W_OK):
                    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    tasks = (
        _Task(
            source.name,
            source.read(),
            source.scale,
            params,
            tuple(class_names),
            label_maps / f"{stem}.png" if label_maps else None,
        )
        for source, stem in zip(sources, stems, strict=True)
    )
    rows = []
    for done, found in enumerate(_measured(tasks, len(sources)), start=1):
        rows.append(found)
        progress(done)
    table = pd.concat([found for found in rows if len(found)] or rows[:1], ignore_index=True)
    with _writing_to(out):
        if out.suffix.lower() == ".csv":
            write_csv([table], out)
        else:
            table.to_parquet(out, index=False)
    return len(table)


@contextmanager
def _writing_to(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CannotMeasure(f"{str(path)!r} cannot be written: {error.strerror or error}.") from None


def parse_scale(text: str) -> Scale:
    """Return the size of a pixel from "0.65um" or "0.65x0.8um", in any unit of length that image files name.

    Raises:
        CannotMeasure: it is no length, or not above 0.
    """
    number = r"(\d+(?:\.\d*)?(?:e-?\d+)?|\.\d+)"
    found = re.fullmatch(rf"\s*{number}\s*(?:[x×*]\s*{number}\s*)?([a-zµμå]+)\s*", text, re.IGNORECASE)
    if not found or found[3].lower() not in UM:
        raise CannotMeasure(
            f"A pixel size is a number with a unit, such as 0.65um, 0.65x0.8um or 0.01in (um, nm, mm, cm, m, in). "
            f"Got {text!r}."
        )
    width, height = float(found[1]), float(found[2] or found[1])
    if not (width > 0 and height > 0):
        raise CannotMeasure(f"A pixel size is above 0. Got {text!r}.")
    unit = UM[found[3].lower()]
    return Scale(width * unit, height * unit, "user")


def _measured(tasks: Iterator[_Task], count: int) -> Iterator[pd.DataFrame]:
    cores = min(os.cpu_count() or 1, count)
    if cores <= 1:
        yield from map(_measure, tasks)
        return
    spawned = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(cores, mp_context=spawned, initializer=prepare_process) as pool:
        # Few at a time, as each holds its pixels
        waiting = deque(pool.submit(_measure, task) for task in islice(tasks, 2 * cores))
        while waiting:
            yield waiting.popleft().result()
            waiting.extend(pool.submit(_measure, task) for task in islice(tasks, 1))


def _measure(task: _Task) -> pd.DataFrame:
    picture = task.picture
    find = given_objects if picture.numbered else find_objects
    objects = find(picture.class_map, task.params)
    if task.label_map:
        _write_label_map(objects, task)
    table = pd.DataFrame(measure(objects, picture.image, picture.probability, task.scale))
    table.insert(0, "image", task.name)
    names = dict(enumerate(task.class_names, start=1))
    table.insert(3, "class_name", [names.get(int(index), "foreground") for index in objects.classes])
    if task.scale:
        table["pixel_size_source"] = task.scale.source
    return table


def _write_label_map(objects: Objects, task: _Task) -> None:
    count = len(objects.classes)
    if count > MOST_IN_LABEL_MAP:
        raise CannotMeasure(
            f"{task.name} has {count:,} objects, and a 16-bit label map has room for {MOST_IN_LABEL_MAP:,}. "
            "Raise the smallest object's area."
        )
    if task.label_map:
        with _writing_to(task.label_map):
            task.label_map.write_bytes(codec.encode_label_map(objects.labels))
