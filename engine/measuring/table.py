"""The table of all objects of a set of masks, one row an object, and label maps; computed on all cores."""

from __future__ import annotations

import errno
import math
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from engine.core import fan_out
from engine.core.fan_out import ProcessKilled
from engine.core.filenames import safe_stems
from engine.imaging import codec
from engine.imaging.pixels import UM, pixel_size
from engine.measuring.csv_file import write_csv
from engine.measuring.intervals import spread
from engine.measuring.measurements import Scale, measure
from engine.measuring.objects import ObjectParams, Objects, find_objects, given_objects

MOST_IN_LABEL_MAP = 65_535
AHEAD = 2
"""Masks for each process that are read before the oldest is measured: each holds its pixels."""
SUFFIXES = (".csv", ".parquet")


class CannotMeasure(ValueError):
    """The masks cannot be measured. The message is a sentence that names the file or value."""


@dataclass(frozen=True)
class MaskedPicture:
    """A mask to measure, and what lies beside it.

    `class_map` is uint8 (H, W), or, with `numbered`, the number of the object of each pixel, integers (H, W).
    `probability` is uint8 (H, W), `image` uint8 (H, W, 3); each is None where there is none.

    For the interval of the count, `as_made` is the probability with the most likely classes, before a correction of the
    whole image, and `known` the objects as they are known to be: `finished` if a person drew them all over the mask,
    `calibrates` if the mask was made without knowing them.
    """

    class_map: np.ndarray
    probability: np.ndarray | None = None
    image: np.ndarray | None = None
    numbered: bool = False
    as_made: tuple[np.ndarray, np.ndarray | None] | None = None
    known: MaskedPicture | None = None
    calibrates: bool = False
    finished: bool = False


@dataclass(frozen=True)
class MaskSource:
    """An image by name, and how to read its mask. `image_id` is empty for one that is not stored."""

    name: str
    read: Callable[[], MaskedPicture]
    scale: Scale | None = None
    image_id: str = ""


@dataclass(frozen=True)
class MeasuredImage:
    """The objects of one image: a table with one row each, facts about the image, and the number map as PNG.

    Columns and facts as in docs/how-to/measure-objects.md; the map is empty unless it was asked for.
    """

    source: MaskSource
    objects: pd.DataFrame
    facts: dict[str, Any]
    number_map: bytes = b""


@dataclass(frozen=True)
class _Task:
    name: str
    image_id: str
    picture: MaskedPicture
    scale: Scale | None
    params: ObjectParams
    class_names: tuple[str, ...]
    number_map: bool


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
    rows = []
    for done, (stem, found) in enumerate(
        zip(stems, measured(sources, params, class_names, bool(label_maps)), strict=True), start=1
    ):
        rows.append(found.objects)
        if label_maps:
            with _writing_to(label_maps / f"{stem}.png"):
                (label_maps / f"{stem}.png").write_bytes(found.number_map)
        progress(done)
    table = joined(rows)
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
        CannotMeasure: it is no length, or no possible one (see `engine.imaging.pixels.pixel_size`).
    """
    number = r"(\d+(?:\.\d*)?(?:e-?\d+)?|\.\d+)"
    found = re.fullmatch(rf"\s*{number}\s*(?:[x×*]\s*{number}\s*)?([a-zµμå]+)\s*", text, re.IGNORECASE)
    if not found or found[3].lower() not in UM:
        raise CannotMeasure(
            f"A pixel size is a number with a unit, such as 0.65um, 0.65x0.8um or 0.01in (um, nm, mm, cm, m, in). "
            f"Got {text!r}."
        )
    unit = UM[found[3].lower()]
    size = pixel_size([float(side) * unit for side in (found[1], found[2] or found[1])], "user")
    if size is None:
        raise CannotMeasure(f"A pixel size is above 0 and below 10 km. Got {text!r}.")
    return Scale(size.width_um, size.height_um, size.source)


def joined(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return tables below each other; where none has a row, the columns of the first."""
    return pd.concat([found for found in tables if len(found)] or tables[:1], ignore_index=True)


def measured(
    sources: Sequence[MaskSource], params: ObjectParams, class_names: Sequence[str], number_maps: bool
) -> Iterator[MeasuredImage]:
    """Yield the objects of each image in the order of `sources`, measured on all cores.

    Raises:
        CannotMeasure: a mask has more objects than a number map has numbers, and those are asked for, or a process was
            killed.
    """
    tasks = (
        _Task(source.name, source.image_id, source.read(), source.scale, params, tuple(class_names), number_maps)
        for source in sources
    )
    for source, (objects, facts, number_map) in zip(sources, _on_all_cores(tasks, len(sources)), strict=True):
        yield MeasuredImage(source, objects, facts, number_map)


_Measured = tuple[pd.DataFrame, dict[str, Any], bytes]


def _on_all_cores(tasks: Iterator[_Task], count: int) -> Iterator[_Measured]:
    with fan_out.pool() as pool:
        try:
            yield from pool.map(_measure, tasks, count, AHEAD)
        except ProcessKilled:
            raise CannotMeasure(
                "A process that measures was killed, most likely because memory ran out. End other programs, then try "
                "again."
            ) from None


def objects_of(picture: MaskedPicture, params: ObjectParams) -> Objects:
    """Return the objects of a mask, which may hold their numbers already."""
    return (given_objects if picture.numbered else find_objects)(picture.class_map, params)


def _measure(task: _Task) -> _Measured:
    picture = task.picture
    objects = objects_of(picture, task.params)
    number_map = _number_map(objects, task.name) if task.number_map else b""
    table = pd.DataFrame(measure(objects, picture.image, picture.probability, task.scale))
    table.insert(0, "image", task.name)
    if task.image_id:
        table.insert(1, "image_id", task.image_id)
    names = dict(enumerate(task.class_names, start=1))
    of_object = [names.get(int(index), "foreground") for index in objects.classes]
    table.insert(table.columns.get_loc("class") + 1, "class_name", of_object)
    if task.scale:
        table["pixel_size_source"] = task.scale.source
    facts = image_facts(task.name, task.image_id, objects, task.scale, task.class_names)
    return table, facts | _interval_facts(picture, objects, task.params), number_map


def _interval_facts(picture: MaskedPicture, objects: Objects, params: ObjectParams) -> dict[str, Any]:
    """Return what `intervals.with_intervals` needs of an image; nothing where the mask is no probability."""
    if picture.as_made is None:
        return {}
    found = spread(*picture.as_made, params, None if picture.finished else objects)
    facts = {"calibrates": picture.calibrates, "finished": picture.finished}
    known = objects_of(picture.known, params) if picture.known is not None else None
    return facts | {
        "count_at_least": found.count.low,
        "count_at_most": found.count.high,
        "covered_share_at_least": found.covered.low,
        "covered_share_at_most": found.covered.high,
        "known_count": known.count if known else math.nan,
        "known_covered_share": float((known.labels > 0).mean()) if known else math.nan,
    }


def image_facts(
    name: str, image_id: str, objects: Objects, scale: Scale | None, class_names: Sequence[str]
) -> dict[str, Any]:
    """Return what is known of an image's objects together, as in docs/how-to/measure-objects.md.

    A density is the count for each megapixel, and for each mm² where the size of a pixel is known. Counts and shares of
    each class are there where there are several.
    """
    height, width = objects.labels.shape
    pixels = height * width
    areas = np.bincount(objects.labels.ravel(), minlength=len(objects.classes) + 1)[1:]
    facts: dict[str, Any] = {"image": name, "image_id": image_id, "width_px": width, "height_px": height}
    facts |= {
        "count": objects.count,
        "covered_share": areas.sum() / pixels,
        "mean_area_px": float(areas.mean()) if len(areas) else math.nan,
        "density_per_mpx": objects.count / pixels * 1e6,
    }
    if scale:
        mm2 = pixels * scale.width_um * scale.height_um / 1e6
        facts |= {"image_mm2": mm2, "density_per_mm2": objects.count / mm2, "pixel_size_source": scale.source}
        facts |= {"pixel_width_um": scale.width_um, "pixel_height_um": scale.height_um}
    if len(class_names) > 1:
        for index, of_class in enumerate(class_names, start=1):
            mine = objects.classes == index
            facts[f"count_{of_class}"] = float(objects.weights[mine].sum())
            facts[f"covered_share_{of_class}"] = areas[mine].sum() / pixels
    return facts


def _number_map(objects: Objects, name: str) -> bytes:
    count = len(objects.classes)
    if count > MOST_IN_LABEL_MAP:
        raise CannotMeasure(
            f"{name} has {count:,} objects, and a 16-bit label map has room for {MOST_IN_LABEL_MAP:,}. "
            "Raise the smallest object's area."
        )
    return codec.encode_label_map(objects.labels)
