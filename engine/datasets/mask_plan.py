"""Which files of a source are masks of which images of a dataset, by names, and which it has outlines of.

Where the source has images of its own beside their masks, the masks belong to the image of the dataset that bears the
name of theirs; other masks bear it themselves, as in an import (`pairing.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from engine.datasets import ingest
from engine.datasets.by_hand import OUT, BadAssignment, Belongs, check_names
from engine.datasets.outlines import Outlines, OutlineSet, read_outlines
from engine.datasets.pairing import pair_known
from engine.datasets.plan import OUTLINES, plan
from engine.datasets.source import Entry, Source, SourceFile, UnreadableSource
from engine.datasets.truth_file import FEW_COLOURS, TruthFile
from engine.imaging import codec

_NOT_A_MASK = "It is an image, not a mask; images are added without --as or by 'Add images or masks'."
_OWN_IMAGE = "It is the image of masks; only the masks are taken."


@dataclass(frozen=True)
class MaskItem:
    """One image of a dataset, by its id and name, and the files that are its mask, or else its outlines."""

    image_id: str
    image_name: str
    files: tuple[SourceFile, ...] = ()
    outlines: Outlines | None = None

    @property
    def mask_names(self) -> list[str]:
        """What its mask is, to show."""
        return [file.name for file in self.files] or [OUTLINES]


@dataclass(frozen=True)
class MaskPlan:
    """The masks that a source has for a dataset of `images` images, and a line of the report for other files.

    `outlines` is what annotation files give.
    """

    items: tuple[MaskItem, ...]
    entries: tuple[Entry, ...]
    images: int
    outlines: OutlineSet = field(default_factory=lambda: OutlineSet({}))

    @property
    def sentences(self) -> list[str]:
        """How many images get a mask, and what else is to know."""
        with_files = [item for item in self.items if item.files]
        files = sum(len(item.files) for item in with_files)
        masks = f"{files:,} mask file{'' if files == 1 else 's'}"
        counts = f"{masks} for {len(with_files):,} of {self.images:,} images of the dataset, paired by name."
        return [*([counts] if with_files or not self.outlines.of_image else []), *self.outlines.notes]

    def as_json(self) -> dict[str, Any]:
        """Return all facts as JSON values."""
        return {
            "images": self.images,
            "with_mask": len(self.items),
            "pairs": [{"image": item.image_name, "masks": item.mask_names} for item in self.items],
            "left_out": [{"name": entry.name, "reason": entry.reason} for entry in self.entries if not entry.taken],
            "sentences": self.sentences,
        }


def plan_masks(
    source: Source,
    images: Sequence[tuple[str, str]],
    limits: codec.Limits | None = None,
    belongs: Belongs | None = None,
) -> MaskPlan:
    """Return which masks a source has for images, given as (name, id); an image may have several names.

    Reads a few files where names leave open what they are. A file that a person decided on is a mask of no other image
    than the one that `belongs` names, which is one of `images` here.

    Raises:
        BadAssignment: a file or an image that `belongs` names is not there.
    """
    planned = plan(source, limits)
    alone = {file.name for file in planned.alone}
    documents = {file.name for file in source.documents}
    entries = [entry for entry in planned.entries if entry.name not in alone and entry.name not in documents]
    with_own = {item.image.name: item.truth for item in planned.items if item.truth}
    units: dict[str, tuple[SourceFile, ...]] = {file.name: (file,) for file in planned.alone} | with_own
    suspects = {suspect.name for suspect in planned.suspects}
    for item in planned.items:
        if item.outlines:
            entries.append(Entry(item.image.name, False, _OWN_IMAGE))
        elif (not with_own and not alone) or (item.image.name in suspects and not item.truth):
            units[item.image.name] = (item.image,)
        elif not item.truth:
            entries.append(Entry(item.image.name, False, _NOT_A_MASK))
    for name in belongs or {}:
        units.pop(name, None)
    with_own = {image: truth for image, truth in with_own.items() if image in units}
    matched = _matched(images, units, with_own, entries)
    return _with_outlines(source, images, _given(source, images, matched, belongs) if belongs else matched)


def _given(source: Source, images: Sequence[tuple[str, str]], masks: MaskPlan, belongs: Belongs) -> MaskPlan:
    """Return a plan with the masks that a person gave to images, joined with what these have already."""
    by_name, ids = {file.name: file for file in source.files}, dict(images)
    check_names(belongs, by_name)
    items = {
        item.image_id: replace(item, files=tuple(file for file in item.files if file.name not in belongs))
        for item in masks.items
    }
    entries = [entry for entry in masks.entries if entry.name not in belongs]
    for name, image in belongs.items():
        if image and image not in ids:
            raise BadAssignment(f"{name} cannot be a mask of {image}, which is not an image of this dataset.")
        if not image:
            entries.append(Entry(name, False, OUT))
            continue
        item = items.setdefault(ids[image], MaskItem(ids[image], image))
        items[ids[image]] = replace(item, files=(*item.files, by_name[name]))
    return replace(masks, items=tuple(item for item in items.values() if item.files), entries=tuple(entries))


def _with_outlines(source: Source, images: Sequence[tuple[str, str]], masks: MaskPlan) -> MaskPlan:
    """Return a plan with what annotation files say of the images that have no mask file; these come first."""
    with_mask = {item.image_id: item.files[0].name for item in masks.items}
    found = read_outlines(source, {name: with_mask.get(image_id, "") for name, image_id in images})
    ids = dict(images)
    items = {ids[name]: MaskItem(ids[name], name, outlines=outlines) for name, outlines in found.of_image.items()}
    entries = (*masks.entries, *found.taken, *found.left_out)
    return replace(masks, items=(*items.values(), *masks.items), entries=entries, outlines=found)


def read_mask(
    source: Source, item: MaskItem, shape: tuple[int, int], content_hash: str, limits: codec.Limits | None = None
) -> tuple[TruthFile | None, list[Entry]]:
    """Return the mask of an image of (height, width), or None, and an entry for each file.

    A file that is the image itself, by its `content_hash`, is no mask.
    """
    if item.outlines:
        drawn, note = ingest.draw_outlines(item.outlines, shape)
        return drawn, [Entry(item.image_name, True, note)] if note else []
    mask, entries = ingest.read_masks(source, item.files, shape, limits)
    if mask is None or len(item.files) > 1 or not _may_be_photograph(mask):
        return mask, entries
    (file,) = item.files
    try:
        image = codec.decode_image(source.read(file), limits)
    except (codec.UnreadableImage, UnreadableSource):
        return mask, entries
    if image.shape[:2] == shape and ingest.content_hash(image) == content_hash:
        return None, [Entry(file.name, False, f"It is the image {item.image_name} itself, not a mask of it.")]
    return mask, entries


def _may_be_photograph(mask: TruthFile) -> bool:
    if mask.keys is None:
        return len(np.unique(mask.values)) > FEW_COLOURS
    return isinstance(mask.keys[0], str)


def _matched(
    images: Sequence[tuple[str, str]],
    units: dict[str, tuple[SourceFile, ...]],
    with_own: dict[str, tuple[SourceFile, ...]],
    entries: list[Entry],
) -> MaskPlan:
    ids = dict(images)
    paired = pair_known(ids, units)
    for entry in paired.entries:
        if entry.name in ids and entry.name not in units:
            continue  # another channel of an image
        reason = entry.reason
        if entry.name in with_own:
            entries.append(Entry(entry.name, False, _OWN_IMAGE))
            reason = f"Its image {entry.name} has no counterpart of that name in the dataset."
        entries += [Entry(file.name, False, reason) for file in units.get(entry.name, ())]
    items: dict[str, MaskItem] = {}
    for pair in paired.pairs:
        files = tuple(file for unit in pair.truth for file in units[unit])
        entries += [Entry(unit, False, _OWN_IMAGE) for unit in pair.truth if unit in with_own]
        image_id = ids[pair.image]
        if image_id in items:
            reason = f"{pair.image} is the same picture as {items[image_id].image_name}, which has its mask already."
            entries += [Entry(file.name, False, reason) for file in files]
        elif files:
            items[image_id] = MaskItem(image_id, pair.image, files)
    return MaskPlan(tuple(items.values()), tuple(entries), len(set(ids.values())))
