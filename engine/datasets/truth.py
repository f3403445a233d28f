"""What the values of truth masks mean: facts about each mask, and the classes that they suggest for a whole set.

The store keeps one byte per pixel: a grey level, or the code of an id or colour (`truth_codes`). A dataset keeps a
lookup of 256 class indices, so the class map is `lookup[values]`, and another meaning is a change of one row.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from engine.core.network_parameters import MOST_CLASSES
from engine.datasets.truth_codes import OTHERS
from engine.datasets.truth_file import IGNORED, INDEX_LIMIT, Key, are_scattered, is_name, ragged
from engine.imaging.class_colours import COLOUR
from engine.imaging.class_maps import IGNORE, check_count

VOID, VOID_GAP = 255, 200
"""Beside class numbers below 200 in one mask, 255 marks what nobody labelled (Pascal VOC, Cityscapes)."""

FEW_VALUES = 8
MIN_DISTANCE = 8
"""Two classes are at least this many grey levels apart."""

MIN_SHARE, MIN_SHARE_OF_NONZERO = 0.0005, 0.02
"""A peak holds at least these shares of all pixels; edges that a resize or JPEG made grey hold less per value."""

ISOLATION = 4.0
"""A peak stands out from the values around it at least so many times."""

MOST_NUMBERED = 20
"""More ids than this are objects, not classes, unless the same ones return in image after image."""

FEWEST_OBJECTS = 5
RETURNING = 0.5
"""Ids of classes occur in at least this share of the masks, on average; those of objects, in few or in low numbers."""

MOSTLY_FOREGROUND = 0.75
IGNORE_NAMES = frozenset({"ignore", "void", "unlabelled", "unlabeled"})
"""Classes called so are left out of loss and scores."""

ValueRow = Sequence[int]
"""(value, pixels[, ragged pixels, border pixels, regions]) of one value in one mask; older rows have two numbers."""


class TruthClass(BaseModel):
    """One class: its index in class maps, a name to show, and the value that stands for it.

    `colour` is "#RRGGBB" where a person chose one (else see `engine.imaging.class_colours`).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    index: int
    name: str
    value: int
    colour: str | None = Field(None, pattern=f"^{COLOUR.pattern}$", exclude_if=lambda colour: colour is None)


class TruthClasses(BaseModel):
    """Classes by index (0 is background), and for each of the 256 values the index of its class, or `IGNORE`."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    classes: tuple[TruthClass, ...]
    lookup: tuple[int, ...]

    @model_validator(mode="after")
    def _complete(self) -> TruthClasses:
        if [entry.index for entry in self.classes] != list(range(len(self.classes))) or not self.classes:
            raise ValueError("The classes must be numbered 0, 1, 2 … without gaps.")
        if len(self.lookup) != 256 or not set(self.lookup) <= {*range(len(self.classes)), IGNORE}:
            raise ValueError(f"The lookup must give one of {len(self.classes)} classes for each of 256 values.")
        return self


@dataclass(frozen=True)
class ValueFacts:
    """The sums over all masks of a set, each int64 (256,), and the values of each mask."""

    counts: np.ndarray
    ragged: np.ndarray
    border: np.ndarray
    regions: np.ndarray
    masks: tuple[frozenset[int], ...]


def value_rows(values: np.ndarray) -> list[list[int]]:
    """Return a `ValueRow` for each value of a mask, uint8 (H, W). Regions are counted where there are few enough."""
    counts = np.bincount(values.ravel(), minlength=256)
    edges = np.concatenate([values[0], values[-1], values[:, 0], values[:, -1]])
    border = np.bincount(edges, minlength=256)
    rough, regions = np.zeros(256, int), np.zeros(256, int)
    if np.count_nonzero(counts) > 2:
        rough = np.bincount(values[ragged(values)], minlength=256)
        if not are_scattered(counts, rough):
            regions = _count_regions(values, counts)
    found = np.flatnonzero(counts)
    return np.column_stack([found, counts[found], rough[found], border[found], regions[found]]).tolist()


def _count_regions(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    regions = np.zeros(256, int)
    for value in np.flatnonzero(counts):
        if value:
            rows, columns = np.flatnonzero((values == value).any(axis=1)), np.flatnonzero((values == value).any(axis=0))
            part = values[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] == value
            regions[value] = cv2.connectedComponents(part.astype(np.uint8))[0] - 1
    return regions


def facts(masks: Iterable[Sequence[ValueRow]]) -> ValueFacts:
    """Return the facts about a set, from the rows of each of its masks."""
    sums = np.zeros((4, 256), np.int64)
    found = []
    for rows in masks:
        for value, *numbers in rows:
            # Nothing is known about where the values of older rows lie, so no label map is seen in them.
            sums[:, value] += numbers if len(numbers) == 4 else [numbers[0], numbers[0], 0, 0]
        found.append(frozenset(row[0] for row in rows))
    return ValueFacts(sums[0], sums[1], sums[2], sums[3], tuple(found))


def propose_classes(
    found: ValueFacts, keys: Mapping[int, Key] | None = None, objects: bool | None = None
) -> TruthClasses:
    """Return the classes that the facts about a set suggest.

    Args:
        keys: the id, colour or name of each code.
        objects: whether values are objects (True) or classes (False); None finds out.

    Classes that have names are classes by these. Codes, few values that lie apart, class indices and the ids of a label
    map are classes as they are; many ids that are one region each are objects, all of one class. Otherwise the classes
    are peaks of the histogram, and each value belongs to the nearest, so that stray greys at edges make none. Value 0
    is background where it occurs; elsewhere, it is the value that touches the borders most.
    """
    keys = keys or {}
    if any(map(is_name, keys.values())):
        return _named(found, keys)
    counts = found.counts
    values = [int(value) for value in np.flatnonzero(counts)]
    if keys or objects is not None:
        return _exact(found, keys, objects)
    if _is_binary_mix(found):
        return TruthClasses(classes=from_peaks([0, values[-1]]).classes, lookup=(0, *[1] * 255))
    few_and_apart = len(values) <= FEW_VALUES and (np.diff(values) >= MIN_DISTANCE).all()
    if few_and_apart or holds_indices(found) or holds_label_map(found):
        return _exact(found, keys)
    inside = counts - found.ragged  # without edges; nothing is left of rows that do not say where their values lie
    return _with_background(found, from_peaks(_peaks(inside if inside.sum() * 2 > counts.sum() else counts)))


def concerns(found: ValueFacts, lookup: Sequence[int], keys: Mapping[int, Key] | None = None) -> list[str]:
    """Return sentences on what is doubtful about the classes of a set and should be looked at before training."""
    total = int(found.counts.sum())
    if not total or len(lookup) != 256:
        return []
    classes = np.asarray(lookup)
    sentences = []
    background = classes == 0
    if not found.counts[background].any():
        return ["The truth masks have no background: every pixel is foreground. Choose which value is background."]
    if not found.counts[0]:
        value = int(np.argmax(np.where(background, found.counts, 0)))
        touches = found.border.any() and found.border[value] == found.border.max()
        why = ", because it touches the borders most" if touches else ""
        what = "A negative number" if _is_negative(value, keys or {}) else _shown(value, keys or {})
        sentences.append(f"No truth mask contains the value 0. {what} is taken as background{why}: check this.")
    values = np.flatnonzero(found.counts).tolist()
    if len(values) > 1 + MOST_CLASSES and classes[classes != IGNORE].max() == 1 and not _are_objects(found, values[1:]):
        what = f"The truth masks have {len(values)} values. They are taken as objects of one class"
        sentences.append(f"{what}, as at most {MOST_CLASSES} classes can be told apart.")
    share = found.counts[~background & (classes != IGNORE)].sum() / total
    if share > MOSTLY_FOREGROUND:
        sentences.append(
            f"Foreground covers {share:.0%} of the truth masks. If it should be the background, exchange the classes."
        )
    return sentences


def from_peaks(peaks: Sequence[int], names: Sequence[str] | None = None) -> TruthClasses:
    """Return classes at these grey levels, ascending; every other value belongs to the nearest, ties upwards."""
    peaks = list(peaks)
    if peaks != sorted(set(peaks)) or not peaks or not 0 <= peaks[0] <= peaks[-1] <= 255:
        raise ValueError(f"The class values must ascend within 0 to 255. Got {peaks}.")
    borders = [(low + high) / 2 for low, high in itertools.pairwise(peaks)]
    lookup = np.searchsorted(borders, np.arange(256), side="right")
    names = names or _names(len(peaks))
    return TruthClasses(
        classes=tuple(
            TruthClass(index=index, name=name, value=value)
            for index, (name, value) in enumerate(zip(names, peaks, strict=True))
        ),
        lookup=tuple(lookup.tolist()),
    )


def from_names(names: Mapping[int, str], occurring: Iterable[int]) -> TruthClasses:
    """Return the classes that give each value of `names` its class; values without one belong to the nearest.

    "background" is class 0, names of `IGNORE_NAMES` are ignored, and values of one name are one class.

    Raises:
        ValueError: nothing is called background, nothing else is named, or there are too many classes.
    """
    order = list(dict.fromkeys(name for _, name in sorted(names.items()) if name.lower() not in IGNORE_NAMES))
    background = next((name for name in order if name.lower() == "background"), None)
    given = ", ".join(f"{value}={name}" for value, name in sorted(names.items())) or "nothing"
    if background is None:
        raise ValueError(f"One value must be called background. Got {given}.")
    order.remove(background)
    if not order:
        raise ValueError(f"At least one value must have a class other than background and ignore. Got {given}.")
    check_count(len(order))
    index = {background: 0} | {name: number for number, name in enumerate(order, start=1)}
    known = sorted(names)
    nearest = np.abs(np.arange(256)[:, np.newaxis] - known).argmin(axis=1)
    lookup = [index.get(names[known[place]], IGNORE) for place in nearest]
    common = {value: value in set(occurring) for value in known}
    classes = []
    for name, number in index.items():
        values = [value for value in known if names[value] == name]
        classes.append(TruthClass(index=number, name=name, value=max(values, key=common.__getitem__)))
    return TruthClasses(classes=tuple(classes), lookup=tuple(lookup))


def with_names(classes: TruthClasses, added: Mapping[str, int]) -> TruthClasses:
    """Return classes in which each of the codes `added`, by name, is the class of this name; of a new one if needed."""
    entries, lookup = list(classes.classes), list(classes.lookup)
    for name, code in added.items():
        index = next((entry.index for entry in entries if entry.name.casefold() == name.casefold()), None)
        if name.lower() in IGNORE_NAMES:
            index = IGNORE
        elif index is None:
            index = len(entries)
            entries.append(TruthClass(index=index, name=name, value=code))
        lookup[code] = index
    return TruthClasses(classes=tuple(entries), lookup=tuple(lookup))


def _named(found: ValueFacts, keys: Mapping[int, Key]) -> TruthClasses:
    """Return the classes that annotation files name, in the order of their codes, and what stands beside them."""
    values = [int(value) for value in np.flatnonzero(found.counts)]
    others = [value for value in values if value and not is_name(keys.get(value, value))]
    names = {0: "background"} | {code: str(key) for code, key in keys.items() if is_name(key)}
    if VOID in others and VOID not in keys:
        others.remove(VOID)
        names[VOID] = IGNORED
    objects = _are_objects(found, others)
    names |= {value: "object" if objects else _shown(value, keys) for value in others}
    ignored = [value for value, name in names.items() if name.lower() in IGNORE_NAMES]
    if len(ignored) < len(names) - 1:
        return from_names(names, values)
    lookup = [IGNORE if value in ignored else 0 for value in range(256)]
    return TruthClasses(classes=from_peaks([0]).classes, lookup=tuple(lookup))


def _exact(found: ValueFacts, keys: Mapping[int, Key], objects: bool | None = None) -> TruthClasses:
    """Return one class for each value that occurs, or one for all objects and for more values than classes."""
    values = [int(value) for value in np.flatnonzero(found.counts)]
    void = _void(found, keys)
    if 0 not in values and void and (len(values) < 3 or _is_negative_background(found, keys)):
        void = set()
    if len(values) == 1 and values != [0]:
        return from_peaks([0, *values])
    background = 0 if 0 in values or not values else _border_value(found, set(values) - void)
    others = [value for value in values if value != background and value not in void]
    lookup = np.zeros(256, int)
    if len(others) > MOST_CLASSES or (others and (_are_objects(found, others) if objects is None else objects)):
        classes = [("background", background), ("object", others[0])]
        lookup[others] = 1
    else:
        names = [_shown(value, keys) for value in others] if keys else _names(len(others) + 1)[1:]
        classes = [("background", background), *zip(names, others, strict=True)]
        levels = from_peaks(sorted({background, *others}))
        order = {value: index for index, (_, value) in enumerate(classes)}
        lookup = np.array([order[levels.classes[index].value] for index in levels.lookup])
    lookup[list(void)] = IGNORE
    return TruthClasses(
        classes=tuple(TruthClass(index=index, name=name, value=value) for index, (name, value) in enumerate(classes)),
        lookup=tuple(lookup.tolist()),
    )


def _with_background(found: ValueFacts, classes: TruthClasses) -> TruthClasses:
    """Return peaks with the one first that is background: the darkest, unless nothing is dark."""
    if found.counts[:MIN_DISTANCE].any() or len(classes.classes) < 3:
        return classes
    values = [entry.value for entry in classes.classes if entry.value]
    background = _border_value(found, set(values))
    others = [value for value in values if value != background]
    levels = from_peaks(values)
    order = {value: index for index, value in enumerate([background, *others])}
    return TruthClasses(
        classes=tuple(
            TruthClass(index=index, name=name, value=value)
            for (value, index), name in zip(order.items(), _names(len(order)), strict=True)
        ),
        lookup=tuple(order[levels.classes[index].value] for index in levels.lookup),
    )


def _border_value(found: ValueFacts, values: set[int]) -> int:
    touching = found.border if found.border.any() else found.counts
    return max(sorted(values), key=lambda value: touching[value])


def _shown(value: int, keys: Mapping[int, Key]) -> str:
    key = keys.get(value, value)
    return key if isinstance(key, str) else f"Value {key}"


def _names(count: int) -> list[str]:
    if count <= 2:
        return ["background", "foreground"][:count]
    return ["background", *(f"class {index}" for index in range(1, count))]


def holds_label_map(found: ValueFacts) -> bool:
    """Return whether there are more than FEW_VALUES values and they form regions: ids, not levels."""
    return int(np.count_nonzero(found.counts)) > FEW_VALUES and not are_scattered(found.counts, found.ragged)


def _void(found: ValueFacts, keys: Mapping[int, Key]) -> set[int]:
    """Return {255} if it means that nobody decided: beside class numbers in one mask, not as one of many ids."""
    if not found.counts[VOID] or (keys and VOID not in keys):  # a negative id, or a colour that means this
        return {VOID} if found.counts[VOID] else set()
    numbers = {int(value) for value in np.flatnonzero(found.counts) if 0 < value < VOID}
    if any(value > VOID_GAP for value in numbers) or _are_objects(found, [*numbers, VOID]):
        return set()
    marked = [mask if len(mask) > 1 else numbers for mask in found.masks if VOID in mask]  # or nobody labelled it
    beside = any(0 < value < INDEX_LIMIT for mask in marked for value in mask)
    return {VOID} if beside else set()


def _is_negative_background(found: ValueFacts, keys: Mapping[int, Key]) -> bool:
    """Return whether negative numbers, which share the code of what is ignored, lie around the ids: -1, 1, 2, 3 …"""
    values = {int(value) for value in np.flatnonzero(found.counts)}
    return _is_negative(_border_value(found, values), keys)


def _is_negative(value: int, keys: Mapping[int, Key]) -> bool:
    ids = bool(keys) and all(isinstance(key, int) for key in keys.values())
    return value == VOID and ids and VOID not in keys


def _is_binary_mix(found: ValueFacts) -> bool:
    """Return whether some masks are 0/1 and the others 0 and a level, such as 255 or 128: one class in all of them."""
    values = {value for mask in found.masks for value in mask} - {0}
    levels = values - {1}
    binary = all(len(mask - {0}) <= 1 for mask in found.masks)
    return binary and values != levels and bool(levels) and min(levels) >= INDEX_LIMIT


def holds_indices(found: ValueFacts) -> bool:
    """Return whether all values are small, but for 255 where it is rarer than what it could edge, or alone in masks."""
    counts = found.counts
    if counts[INDEX_LIMIT:VOID].any() or not counts[VOID]:
        return not counts[INDEX_LIMIT:].any()
    indices = int(counts[1:INDEX_LIMIT].sum())
    return indices > 0 if all(len(mask) == 1 for mask in found.masks if VOID in mask) else indices * 2 >= counts[VOID]


def _are_objects(found: ValueFacts, values: Sequence[int]) -> bool:
    """Return whether ids are objects, one region each, and not classes that return from image to image."""
    masks = [mask & set(values) for mask in found.masks]
    masks = [mask for mask in masks if mask]
    if len(values) < FEWEST_OBJECTS or not masks:
        return False
    in_masks = sum(len(mask) for mask in masks)
    regions = sum(found.regions[value] for value in values if value != OTHERS)
    if regions > 1.5 * in_masks:
        return False
    dense = sum(max(mask) <= 1.5 * len(mask) for mask in masks) >= 0.9 * len(masks)
    returning = in_masks / (len(values) * len(masks))
    return len(values) > MOST_NUMBERED or dense or returning < RETURNING


def _peaks(counts: np.ndarray) -> list[int]:
    peaks = [0]
    least = max(MIN_SHARE * counts.sum(), MIN_SHARE_OF_NONZERO * counts[1:].sum())
    for value in np.argsort(-counts, kind="stable").tolist():
        if counts[value] < least:
            break
        if min(abs(value - peak) for peak in peaks) >= MIN_DISTANCE and _stands_out(counts, value):
            peaks.append(value)
    if len(peaks) == 1:  # a foreground too small to be a peak, or one without clear values
        highest = int(np.flatnonzero(counts)[-1])
        half = (highest + 1) // 2
        peaks.append(half + int(np.argmax(counts[half : highest + 1])))
    return sorted(peaks)


def _stands_out(counts: np.ndarray, value: int) -> bool:
    distance = np.abs(np.arange(256) - value)
    return bool(counts[distance <= 2].mean() >= ISOLATION * np.median(counts[(distance > 4) & (distance <= 12)]))
