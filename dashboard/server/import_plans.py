"""What an import would do, read before it is submitted: names, and the content of a few files."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from dashboard.server import resources
from engine.datasets import ingest
from engine.datasets.mask_plan import MaskPlan, plan_masks
from engine.datasets.source import Limits, Source, UnreadableSource
from engine.imaging import codec

KEEP_S = 120
"""A folder of the server may change; a plan is read again after this time."""


@dataclass(frozen=True)
class ImportPlan:
    """The facts of a plan: sentences, (image, truth) pairs, and (file, reason) of what is left out.

    `doubts` are sentences on images that look like masks. `uses` says how each picture is used, those in doubt first:
    (file, the image that it is or whose mask it is, or "" if it is left out); `images` are the images that can have
    masks. `error` is why the source cannot be read at all, or "".
    """

    sentences: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()
    left_out: tuple[tuple[str, str], ...] = ()
    uses: tuple[tuple[str, str], ...] = ()
    images: tuple[str, ...] = ()
    error: str = ""


def mask_plan(source: dict[str, Any], stamp: str, images: Sequence[tuple[str, str]]) -> ImportPlan:
    """Return the plan for masks of images that are there, given as (name, id); `stamp` as for `import_plan`."""
    return _read(source["kind"], _place(source), stamp, tuple(images), _belongs(source))


def import_plan(source: dict[str, Any], stamp: str) -> ImportPlan:
    """Return the plan for the source of an import job, which is not the sample set.

    Args:
        stamp: anything that changes when the files of the source do.
    """
    return _read(source["kind"], _place(source), stamp, None, _belongs(source))


def _belongs(source: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple(source.get("belongs", {}).items())


def _place(source: dict[str, Any]) -> str:
    return str(resources.upload_folder(source["token"])) if source["kind"] == "upload" else source["path"]


@st.cache_data(max_entries=20, ttl=KEEP_S, show_spinner="Looking at the files")
def _read(
    kind: str,
    place: str,
    stamp: str,
    images: tuple[tuple[str, str], ...] | None,
    belongs: tuple[tuple[str, str], ...],
) -> ImportPlan:
    current = resources.settings()
    limits = Limits(max_files=current.import_limit_files)
    open_source = ingest.open_upload if kind == "upload" else ingest.open_zip_or_folder
    sizes = codec.Limits(max_pixels=round(current.image_limit_megapixels * 1e6))
    try:
        with closing(open_source(Path(place), limits)) as source:
            if images is not None:
                return _of_masks(plan_masks(source, images, sizes, dict(belongs)), source, images)
            return _of_images(ingest.plan(source, sizes, dict(belongs)), source)
    except UnreadableSource as error:
        return ImportPlan(error=str(error))


def _of_images(planned: ingest.Plan, source: Source) -> ImportPlan:
    images = tuple(item.image.name for item in planned.items)
    use_of = {file.name: item.image.name for item in planned.items for file in (item.image, *item.truth)}
    return ImportPlan(
        sentences=(
            *(sentence for sentence in planned.sentences() if sentence not in planned.doubts),
            *(f"{entry.name}: {entry.reason}" for entry in planned.outlines.taken if entry.reason),
        ),
        doubts=tuple(planned.doubts),
        pairs=tuple((item.image.name, ", ".join(item.truth_names)) for item in planned.items),
        left_out=tuple((entry.name, entry.reason) for entry in planned.entries),
        uses=_uses(source, use_of, {suspect.name for suspect in planned.suspects}),
        images=images,
    )


def _of_masks(planned: MaskPlan, source: Source, images: Sequence[tuple[str, str]]) -> ImportPlan:
    use_of = {file.name: item.image_name for item in planned.items for file in item.files}
    return ImportPlan(
        sentences=tuple(planned.sentences),
        pairs=tuple((item.image_name, ", ".join(item.mask_names)) for item in planned.items),
        left_out=tuple((entry.name, entry.reason) for entry in planned.entries if not entry.taken),
        uses=_uses(source, use_of, set()),
        images=tuple(name for name, _ in images),
    )


def _uses(source: Source, use_of: dict[str, str], doubted: set[str]) -> tuple[tuple[str, str], ...]:
    uses = [(file.name, use_of.get(file.name, "")) for file in source.files]
    return tuple(sorted(uses, key=lambda use: (use[0] not in doubted, bool(use[1]), use[0])))
