"""`python -m engine measure-objects`: one row for each object of the masks of a run, a mask set or a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy.orm import Session

from db import runs
from db.masks import mask_rows
from db.models import LabelSet, Run
from db.names import NotFound, by_id_or_name
from engine.cli.commands import AsJson, Assignments, CommandFailed, Installation, app, print_result
from engine.core.parameters import from_assignments, parse
from engine.measuring.mask_folder import mask_folder
from engine.measuring.measurements import Scale
from engine.measuring.objects import ObjectParams
from engine.measuring.stored_masks import stored_masks
from engine.measuring.table import MaskSource, parse_scale, write_table
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
        run: Run = by_id_or_name(session, Run, name)
    except NotFound:
        try:
            rows = mask_rows(session, "label_set", by_id_or_name(session, LabelSet, name).id)
        except NotFound:
            raise CommandFailed(f"There is no run, mask set or folder {name!r}.") from None
    else:
        found = runs.own_prediction_set(session, run)
        if found is None:
            raise CommandFailed(f"The run {run.name!r} has predicted no masks yet.")
        rows = mask_rows(session, "prediction_set", found.id)
    if not rows.images:
        raise CommandFailed(f"{name!r} has no masks.")
    masks = stored_masks(files, rows)
    return masks.sources(threshold, scale), masks.class_names
