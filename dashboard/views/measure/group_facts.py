"""The groups of images: by a part of their names, by a regular expression, or by a column of a CSV file."""

from __future__ import annotations

import csv
import io
import json
import math
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import pandas as pd

MOST_GROUPS = 60
LONGEST_GROUP = 200
NO_GROUP = "(none)"
PATTERN_S = 5.0
_SEARCH = """
import json, re, sys
pattern, names = json.load(sys.stdin)
try:
    search = re.compile(pattern)
    found = [search.search(name) for name in names]
    json.dump([match and (match[1] if search.groups else match[0]) for match in found], sys.stdout)
except (re.error, OverflowError, RecursionError) as error:
    json.dump(str(error), sys.stdout)
"""


class BadGroups(ValueError):
    """Images cannot be grouped so. The sentence says why."""


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
        BadGroups: the expression is none or takes too long, the separator is empty, or the name of a group too long.
    """
    if rule.kind == "part" and not rule.separator:
        raise BadGroups("Give a separator: the characters between the parts of a name, such as _ or -.")
    if rule.kind == "part" and rule.position == 0:
        raise BadGroups("Parts of a name are counted from 1, or from -1 at the end. Got 0.")
    names = tuple(names)
    found = _matches(rule.pattern, names) if rule.kind == "pattern" else [_group(name, rule) for name in names]
    longest = max(map(len, found), default=0)
    if longest > LONGEST_GROUP:
        raise BadGroups(f"The name of a group has at most {LONGEST_GROUP} characters. Got {longest:,}.")
    return {name: group or NO_GROUP for name, group in zip(names, found, strict=True)}


@lru_cache(maxsize=8)
def _matches(pattern: str, names: tuple[str, ...]) -> list[str]:
    """Return what an expression finds in each name: its first group, or else all that matches; "" for nothing.

    In a process of its own: an expression can take years, and would stop every page meanwhile.
    """
    if not pattern:
        return [""] * len(names)
    command = [sys.executable, "-I", "-S", "-W", "ignore", "-c", _SEARCH]
    try:
        done = subprocess.run(
            command, input=json.dumps([pattern, names]), capture_output=True, text=True, check=True, timeout=PATTERN_S
        )
    except subprocess.SubprocessError:
        raise BadGroups(f"The regular expression {pattern!r} takes too long. Use fewer * and + in it.") from None
    found = json.loads(done.stdout)
    if isinstance(found, str):
        raise BadGroups(f"The regular expression {pattern!r} cannot be read: {found}.")
    return [match or "" for match in found]


def _group(name: str, rule: GroupRule) -> str:
    if rule.kind == "part":
        parts = stem(name).split(rule.separator)
        index = rule.position - 1 if rule.position > 0 else rule.position
        return parts[index] if -len(parts) <= index < len(parts) else ""
    file = name.rpartition("/")[2]
    return next((rule.values[key] for key in (name, file, stem(name), stem(file)) if key in rule.values), "")


def stem(name: str) -> str:
    """Return a file's name without its ending, with its folders."""
    head, _, ending = name.rpartition(".")
    return head if head and "/" not in ending else name


def read_groups(data: bytes) -> dict[str, dict[str, str]]:
    """Return {column: {image: value}} of a CSV file with a column `image`; cells without a value are left out.

    Raises:
        BadGroups: it has no such column, no other, is no text, or has two rows of an image that differ.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadGroups("The file is no text in UTF-8. Save it as CSV (UTF-8).") from None
    lines = text.splitlines(keepends=True)
    while lines and (not lines[0].strip() or lines[0].startswith("sep=")):  # Excel writes the latter
        del lines[0]
    delimiter = max(",;\t", key=lines[0].count) if lines else ","
    try:
        rows = list(csv.reader(io.StringIO("".join(lines), newline=""), delimiter=delimiter))
    except csv.Error as error:
        raise BadGroups(f"The file cannot be read as CSV: {error}.") from None
    header = [name.strip() for name in rows[0]] if rows else []
    lowered = [name.lower() for name in header]
    if "image" not in lowered or not any(name and name.lower() != "image" for name in header):
        shown = ", ".join(name[:30] for name in header[:6]) or "nothing"
        raise BadGroups(f"The file needs a column 'image' with the names of the images, and another. Got {shown}.")
    at = lowered.index("image")
    filled = [row for row in rows[1:] if len(row) > at and row[at].strip()]
    return {
        name: _cells(filled, at, number, name)
        for number, name in enumerate(header)
        if name and lowered[number] != "image"
    }


def _cells(rows: Iterable[list[str]], at: int, number: int, column: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for row in rows:
        image, value = row[at].strip(), row[number].strip() if len(row) > number else ""
        if value and found.setdefault(image, value) != value:
            two = f"{found[image][:40]!r} and {value[:40]!r}"
            raise BadGroups(f"The file has two rows for {image[:80]!r}, with {two} as {column[:40]!r}.")
    return found


def group_of(images: pd.Series[Any], of: Mapping[str, str]) -> np.ndarray:
    """Return the group of each row, text (N,), from {image: group}; `images` is categorical."""
    names = np.array([of.get(str(name), NO_GROUP) for name in images.cat.categories], str)
    return names[images.cat.codes.to_numpy()]


def group_names(owners: np.ndarray) -> list[str]:
    """Return the groups that occur, sorted as people count, at most `MOST_GROUPS`."""

    def natural(name: str) -> list[tuple[int, int, str, str]]:
        parts = [part for part in re.split(r"([0-9]+)", name) if part]
        numbers = [part.lstrip("0") if part[0] in "0123456789" else None for part in parts]
        return [
            (1, 0, "", part.casefold()) if digits is None else (0, len(digits), digits, "")
            for part, digits in zip(parts, numbers, strict=True)
        ]

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
