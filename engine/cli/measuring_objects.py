"""`python -m engine measure-objects`: one row for each object of the masks of a run, a mask set or a folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from sqlalchemy.orm import Session

from db import corrections, datasets, predictions, recipes, runs
from db.models import Dataset, Image, LabelSet, Run
from db.names import NotFound, by_id_or_name
from engine.cli.commands import AsJson, Assignments, CommandFailed, Installation, app, print_result
from engine.core.parameters import from_assignments, parse
from engine.datasets.corrections import laid_over
from engine.datasets.left_out import cleared_masks
from engine.imaging import class_maps, codec
from engine.imaging.left_out import LeftOut
from engine.measuring.mask_folder import mask_folder
from engine.measuring.measurements import Scale
from engine.measuring.objects import ObjectParams
from engine.measuring.table import MaskedPicture, MaskSource, parse_scale, write_table
from engine.store import keys as stored
from engine.store.base import Store


@app.command("measure-objects")
def measure_objects(
    masks: Annotated[str, typer.Argument(metavar="RUN|LABEL_SET|FOLDER", help="Whose masks to measure.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="The table to write: .csv or .parquet.")],
    split: Annotated[bool, typer.Option("--split", help="Separate objects that touch.")] = False,
    pixel_size: Annotated[
        str, typer.Option(help="Size of a pixel, such as 0.65um or 0.65x0.8um; default: as the files say.")
    ] = "",
    label_maps: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Also write a 16-bit PNG an image, one number an object.")
    ] = None,
    param: Assignments = None,
    as_json: AsJson = False,
):
    """Measure the objects of masks: one row an object, with size, shape, place and intensity."""
    params = parse(ObjectParams, {"split": split} | from_assignments(param or []))
    scale = parse_scale(pixel_size) if pixel_size else None
    folder = Path(masks)
    if folder.is_dir():
        sources, names = mask_folder(folder, params.threshold, scale)
    else:
        installation = Installation()
        with installation.database.reading() as session:
            sources, names = _stored(session, installation.files, masks, params.threshold, scale)
    count = write_table(sources, out, params, names, label_maps)
    result = {"images": len(sources), "objects": count}
    print_result(result | {"out": str(out)}, as_json, f"Wrote {count:,} objects of {len(sources):,} images to {out}.")


def _stored(
    session: Session, files: Store, name: str, threshold: float, scale: Scale | None
) -> tuple[list[MaskSource], list[str]]:
    """Return the masks of a run on its own dataset, or of a mask set, and the names of their classes."""
    try:
        owner: Run | LabelSet = by_id_or_name(session, Run, name)
    except NotFound:
        try:
            owner = by_id_or_name(session, LabelSet, name)
        except NotFound:
            raise CommandFailed(f"There is no run, mask set or folder {name!r}.") from None
    dataset = session.get_one(Dataset, owner.dataset_id)
    names: Sequence[str]
    if isinstance(owner, Run):
        found = runs.own_prediction_set(session, owner)
        if found is None:
            raise CommandFailed(f"The run {owner.name!r} has predicted no masks yet.")
        masked, folder = runs.predicted_images(session, found.id), stored.prediction_folder(found.id)
        key_of, likely_key_of = (
            partial(stored.prediction_key, found.id),
            partial(stored.prediction_classes_key, found.id),
        )
        names = predictions.class_names(session, found.id)[1:]
    else:
        masked, folder = recipes.labelled_images(session, owner.id), stored.label_folder(owner.id)
        files = laid_over(files, owner.id, corrections.current(session, dataset.id))
        key_of = partial(stored.label_key, owner.id)
        likely_key_of = partial(stored.label_classes_key, owner.id)
        names = [str(entry["name"]) for entry in owner.classes[1:]]
    files = cleared_masks(files, folder, LeftOut(files, stored.left_out_key(dataset.id, dataset.left_out_id)))
    images = [image for image in datasets.images(session, dataset.id) if image.id in masked]
    if not images:
        raise CommandFailed(f"{name!r} has no masks.")
    likely: Callable[[str], str] | None = likely_key_of if names else None
    sources = [
        MaskSource(
            image.name,
            partial(_picture, files, image.id, dataset.id, key_of, likely, threshold),
            scale or _scale(image),
        )
        for image in images
    ]
    return sources, list(names) or [str(entry["name"]) for entry in dataset.classes if entry["index"] == 1]


def _picture(
    files: Store,
    image_id: str,
    dataset_id: str,
    key_of: Callable[[str], str],
    likely_key_of: Callable[[str], str] | None,
    threshold: float,
) -> MaskedPicture:
    image = codec.decode_png(files.read(stored.image_key(dataset_id, image_id)))
    levels = codec.resize_image(codec.decode_png(files.read(key_of(image_id))), image.shape[:2])
    likely: np.ndarray | None = None
    if likely_key_of:
        likely = class_maps.resize_classes(codec.decode_png(files.read(likely_key_of(image_id))), image.shape[:2])
    return MaskedPicture(class_maps.to_classes(levels, likely, threshold), levels, image)


def _scale(image: Image) -> Scale | None:
    if image.pixel_width_um is None or image.pixel_height_um is None:
        return None
    return Scale(image.pixel_width_um, image.pixel_height_um, image.pixel_size_source or "file")
