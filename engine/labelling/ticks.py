"""Ticks: the regions that a person says are foreground, and of which class, as text.

`2 5 7=2` ticks regions 2 and 5 as class 1, and region 7 as class 2; `none` ticks none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from engine.core.network_parameters import MOST_CLASSES

NONE = "none"
_FORM = re.compile(r"none|( *[0-9]+(=[1-9][0-9]*)?(?= |$))* *")


def read_ticks(text: str) -> dict[int, int]:
    """Return {region: class} of ticks, with classes from 1."""
    words = [] if text == NONE else text.split()
    return {int(region): int(index or 1) for region, _, index in (word.partition("=") for word in words)}


def ticks_text(ticks: Mapping[int, int]) -> str:
    """Return {region: class} as text, in the order of the regions; `none` if there is none."""
    return " ".join(_word(region, index) for region, index in sorted(ticks.items())) or NONE


def numbered_classes(known: Sequence[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """Return at least `count` classes, {"index", "name", "value"}, after background: those of a dataset if it has
    several, and "class 1", "class 2" … for others."""
    classes = list(known) if len(known) > 2 else [{"index": 0, "name": "background", "value": 0}]
    taken = {entry["name"] for entry in classes}
    for index in range(len(classes), count + 1):
        name = f"class {index}"
        while name in taken:
            name += "+"
        taken.add(name)
        classes.append({"index": index, "name": name, "value": index})
    return classes


def _word(region: int, index: int) -> str:
    return str(region) if index == 1 else f"{region}={index}"


def _checked(text: str) -> str:
    """Return ticks with class 1 unwritten, so that a recipe of one class is the same however it is written."""
    if not _FORM.fullmatch(text):
        raise ValueError("it lists numbers, such as `2 5`, or `2 5=2` where 5 is of class 2, or says `none`")
    seen: dict[int, int] = {}
    for word in [] if text == NONE else text.split():
        [(region, index)] = read_ticks(word).items()
        if index > MOST_CLASSES:
            raise ValueError(f"it names class {index}, but there are at most {MOST_CLASSES} classes")
        if seen.setdefault(region, index) != index:
            raise ValueError(f"it gives {region} two classes, {seen[region]} and {index}")
    return " ".join(word.removesuffix("=1") for word in text.split(" "))


Ticks = Annotated[
    str,
    Field(max_length=1000, json_schema_extra={"pattern": "^(none|[0-9= ]*)$"}),
    AfterValidator(_checked),
]
