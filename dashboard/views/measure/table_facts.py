"""The table of a measurement's objects, filtered, sorted, grouped and summed up; all on columns in memory."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd

MOST_POINTS = 2_000
"""Points of a scatter plot; more are sampled."""

MOST_GROUPS = 60
NO_GROUP = "(none)"
TEXT = ("image", "image_id", "class_name", "pixel_size_source", "group")
USUAL = (
    *("image", "object", "class_name", "area_um2", "area_px", "perimeter_um", "perimeter_px", "circularity"),
    *("feret_max_um", "feret_max_px", "aspect_ratio", "solidity", "mean_probability"),
)
HIDDEN = ("image_id", "class")


class BadFilter(ValueError):
    """A filter cannot be read. The sentence says why."""


class BadGroups(ValueError):
    """Images cannot be grouped so. The sentence says why."""


@dataclass(frozen=True)
class Measured:
    """The stored tables of a measurement: one row an object, and one row an image."""

    objects: pd.DataFrame
    images: pd.DataFrame

    @property
    def numeric(self) -> list[str]:
        """Return the columns of objects that are numbers, in their order."""
        return [name for name in self.objects.columns if name not in (*TEXT, *HIDDEN, "object", "touches_border")]

    @property
    def usual(self) -> list[str]:
        """Return the columns of objects to show at first, physical ones instead of those in pixels."""
        there = [name for name in USUAL if name in self.objects]
        physical = {name.removesuffix("_um2").removesuffix("_um") for name in there if name.endswith(("_um", "_um2"))}
        shown = [name for name in there if not (name.endswith("_px") and name.removesuffix("_px") in physical)]
        several = self.objects["class_name"].nunique() > 1
        return [name for name in shown if several or name != "class_name"]

    @property
    def area(self) -> str:
        """Return the column of the area, physical where every object has it."""
        known = "area_um2" in self.objects and bool(self.objects["area_um2"].notna().all())
        return "area_um2" if known and len(self.objects) else "area_px"


@dataclass(frozen=True)
class Region:
    """A polygon drawn in a scatter plot of two columns: objects inside of it are kept."""

    x: str
    y: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class ObjectFilter:
    """Which objects are kept: in all ranges, {column: (at least, at most)}, and of these classes and images, if any."""

    ranges: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    region: Region | None = None

    @property
    def count(self) -> int:
        """Return how many filters are set."""
        return len(self.ranges) + bool(self.classes) + bool(self.images) + (self.region is not None)

    def values(self) -> dict[str, Any]:
        """Return JSON values; empty without a filter."""
        found: dict[str, Any] = {}
        if self.ranges:
            found["ranges"] = {name: list(limits) for name, limits in self.ranges.items()}
        if self.classes:
            found["classes"] = list(self.classes)
        if self.images:
            found["images"] = list(self.images)
        if self.region:
            points = [[float(f"{value:.6g}") for value in point] for point in self.region.points]
            found["region"] = {"x": self.region.x, "y": self.region.y, "points": points}
        return found


def filter_from(values: Any) -> ObjectFilter:
    """Return a filter from the values of `ObjectFilter.values`, which may come from an address.

    Raises:
        BadFilter: they are none.
    """
    try:
        ranges = {str(name): (_limit(low), _limit(high)) for name, (low, high) in values.get("ranges", {}).items()}
        region = values.get("region")
        points = tuple((float(x), float(y)) for x, y in region["points"]) if region else ()
        return ObjectFilter(
            ranges,
            tuple(map(str, values.get("classes", ()))),
            tuple(map(str, values.get("images", ()))),
            Region(str(region["x"]), str(region["y"]), points) if region else None,
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        raise BadFilter("The filter in the address cannot be read. All objects are shown.") from None


def _limit(value: Any) -> float | None:
    if value is None:
        return None
    number = float(value)
    if not math.isfinite(number):
        raise ValueError
    return number


def kept(table: pd.DataFrame, chosen: ObjectFilter) -> np.ndarray:
    """Return which objects a filter keeps, bool (N,). Columns that are not there keep nothing back."""
    keep = np.ones(len(table), bool)
    for name, (low, high) in chosen.ranges.items():
        if name in table:
            column = table[name].to_numpy(float, na_value=math.nan)
            keep &= ~np.isnan(column)
            keep &= True if low is None else column >= low
            keep &= True if high is None else column <= high
    for name, wanted in (("class_name", chosen.classes), ("image", chosen.images)):
        if wanted:
            keep &= table[name].isin(wanted).to_numpy()
    if chosen.region and {chosen.region.x, chosen.region.y} <= set(table):
        x, y = (table[name].to_numpy(float, na_value=math.nan) for name in (chosen.region.x, chosen.region.y))
        keep &= inside(x, y, np.array(chosen.region.points))
    return keep


def inside(x: np.ndarray, y: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Return which points, float (N,), lie in a polygon, float (K, 2), by the even-odd rule (Shimrat, CACM 5, 1962)."""
    found = np.zeros(len(x), bool)
    if len(corners) < 3:
        return found
    with np.errstate(invalid="ignore", divide="ignore"):
        for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
            if y0 != y1:
                found ^= ((y0 > y) != (y1 > y)) & (x < (x1 - x0) * (y - y0) / (y1 - y0) + x0)
    return found


def order(table: pd.DataFrame, keep: np.ndarray, column: str, descending: bool) -> np.ndarray:
    """Return the positions of the kept rows, int (M,), sorted by a column; rows without a value come last.

    A categorical column has the order of its categories: images that of the dataset.
    """
    rows = np.flatnonzero(keep)
    if column not in table:
        return rows
    values = table[column].iloc[rows]
    if isinstance(values.dtype, pd.CategoricalDtype):
        places = values.cat.codes.to_numpy(int)
    elif values.dtype.name in ("object", "str", "string"):
        places = values.astype(str).rank(method="dense").to_numpy()
    else:
        places = values.to_numpy(float, na_value=math.nan)
    return rows[np.argsort(-places if descending else places, kind="stable")]


@dataclass(frozen=True)
class GroupRule:
    """How the images are grouped: by a part of their name, by a regular expression, or by the rows of a table.

    `position` counts parts from 1, and from the end where it is negative. `values` is {image: group}.
    """

    kind: Literal["none", "part", "pattern", "table"] = "none"
    separator: str = "_"
    position: int = 1
    pattern: str = ""
    values: Mapping[str, str] = field(default_factory=dict)


def groups(names: Iterable[str], rule: GroupRule) -> dict[str, str]:
    """Return {image: group}; images without one are in the group "(none)".

    Raises:
        BadGroups: the expression is none, or the separator is empty.
    """
    if rule.kind == "part" and not rule.separator:
        raise BadGroups("Give a separator: the characters between the parts of a name, such as _ or -.")
    if rule.kind == "part" and rule.position == 0:
        raise BadGroups("Parts of a name are counted from 1, or from -1 at the end. Got 0.")
    try:
        pattern = re.compile(rule.pattern)
    except re.error as error:
        raise BadGroups(f"The regular expression {rule.pattern!r} cannot be read: {error}.") from None
    return {name: _group(name, rule, pattern) or NO_GROUP for name in names}


def _group(name: str, rule: GroupRule, pattern: re.Pattern[str]) -> str:
    if rule.kind == "part":
        parts = stem(name).split(rule.separator)
        index = rule.position - 1 if rule.position > 0 else rule.position
        return parts[index] if -len(parts) <= index < len(parts) else ""
    if rule.kind == "pattern":
        found = pattern.search(name) if rule.pattern else None
        return "" if found is None else str(found[1] if pattern.groups else found[0])
    if rule.kind == "table":
        file = name.rpartition("/")[2]
        return next((rule.values[key] for key in (name, file, stem(name), stem(file)) if key in rule.values), "")
    return ""


def stem(name: str) -> str:
    """Return a file's name without its ending, with its folders."""
    head, _, ending = name.rpartition(".")
    return head if head and "/" not in ending else name


def read_groups(data: bytes) -> dict[str, dict[str, str]]:
    """Return {column: {image: value}} of a CSV file with a column `image`.

    Raises:
        BadGroups: it has no such column, no other, or is no text.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadGroups("The file is no text in UTF-8. Save it as CSV (UTF-8).") from None
    first = text.partition("\n")[0]
    rows = list(csv.reader(io.StringIO(text), delimiter=max(",;\t", key=first.count)))
    header = [name.strip() for name in rows[0]] if rows else []
    lowered = [name.lower() for name in header]
    if "image" not in lowered or len(header) < 2:
        shown = ", ".join(header[:6]) or "nothing"
        raise BadGroups(f"The file needs a column 'image' with the names of the images, and another. Got {shown}.")
    at = lowered.index("image")
    filled = [row for row in rows[1:] if len(row) > at and row[at].strip()]
    return {
        name: {row[at].strip(): row[number].strip() for row in filled if len(row) > number}
        for number, name in enumerate(header)
        if number != at and name
    }


def group_of(images: pd.Series[Any], of: Mapping[str, str]) -> np.ndarray:
    """Return the group of each row, text (N,), from {image: group}; `images` is categorical."""
    names = np.array([of.get(str(name), NO_GROUP) for name in images.cat.categories], str)
    return names[images.cat.codes.to_numpy()]


@dataclass(frozen=True)
class Headline:
    """The numbers above the tabs: objects as counted, and over images their mean, least and most; the median area."""

    count: float
    images: int
    mean: float
    least: float
    most: float
    median_area: float


def headline(measured: Measured) -> Headline:
    counts = measured.images["count"].to_numpy(float)
    areas = measured.objects[measured.area].to_numpy(float)
    middle = float(np.nanmedian(areas)) if len(areas) else math.nan
    if not len(counts):
        return Headline(0, 0, math.nan, math.nan, math.nan, middle)
    return Headline(
        float(counts.sum()), len(counts), float(counts.mean()), float(counts.min()), float(counts.max()), middle
    )


@dataclass(frozen=True)
class Bins:
    """A histogram: counts, int (B,), between edges, float (B + 1,), for each group."""

    edges: np.ndarray
    counts: Mapping[str, np.ndarray]


def bins(values: np.ndarray, of: Sequence[str] | np.ndarray | None = None, most: int = 40) -> Bins:
    """Return a histogram of finite values, float (N,), for each of the groups `of` them, or together ("")."""
    known = np.isfinite(values)
    values = values[known]
    if not len(values):
        return Bins(np.array([0.0, 1.0]), {})
    low, high = float(values.min()), float(values.max())
    if low == high:
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, most + 1)
    if of is None:
        return Bins(edges, {"": np.histogram(values, edges)[0]})
    owners = np.asarray(of, str)[known]
    return Bins(edges, {name: np.histogram(values[owners == name], edges)[0] for name in group_names(owners)})


@dataclass(frozen=True)
class Box:
    """The five numbers of a box plot after Tukey; whiskers end at values within 1.5 times the box."""

    name: str
    count: int
    low: float
    q1: float
    median: float
    q3: float
    high: float
    mean: float


def boxes(values: np.ndarray, of: Sequence[str] | np.ndarray) -> list[Box]:
    """Return a box of the finite values, float (N,), for each of the groups `of` them, at most `MOST_GROUPS`."""
    found, owners = [], np.asarray(of, str)
    for name in group_names(owners):
        mine = values[(owners == name) & np.isfinite(values)]
        if not len(mine):
            continue
        q1, median, q3 = np.quantile(mine, [0.25, 0.5, 0.75])
        reach = 1.5 * (q3 - q1)
        low, high = mine[mine >= q1 - reach].min(), mine[mine <= q3 + reach].max()
        found.append(Box(name, len(mine), *map(float, (low, q1, median, q3, high, mine.mean()))))
    return found


def group_names(owners: np.ndarray) -> list[str]:
    """Return the groups that occur, sorted as people count, at most `MOST_GROUPS`."""

    def natural(name: str) -> list[tuple[int, int, str]]:
        parts = re.split(r"(\d+)", name)
        return [(0, int(part), "") if part.isdecimal() else (1, 0, part.casefold()) for part in parts if part]

    return sorted(np.unique(owners).tolist(), key=natural)[:MOST_GROUPS]


def group_table(images: pd.DataFrame, of: Mapping[str, str]) -> pd.DataFrame:
    """Return one row a group: images, count, mean and standard deviation of the count, mean covered share."""
    owners = images["image"].map(of).astype(str)
    rows = []
    for name in group_names(owners.to_numpy(str)):
        mine = images[(owners == name).to_numpy()]
        counts = mine["count"]
        spread = float(counts.std()) if len(counts) > 1 else math.nan
        rows.append(
            {
                "Group": name,
                "Images": len(mine),
                "Objects": float(counts.sum()),
                "Mean count": float(counts.mean()),
                "SD of counts": spread,
                "Mean covered share": float(mine["covered_share"].mean()),
            }
        )
    return pd.DataFrame(rows)


def sampled(count: int, most: int = MOST_POINTS) -> np.ndarray:
    """Return the positions of points to draw, int (M,), evenly drawn by chance where there are more than `most`."""
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(0).choice(count, most, replace=False))
