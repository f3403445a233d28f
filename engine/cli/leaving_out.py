"""`python -m engine leave-out`: a region of all images that is never foreground, learned from or scored."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from db import datasets
from db import left_out as rows
from db.models import Dataset, LeftOutRegion
from db.names import by_id_or_name
from engine.cli.commands import AsJson, CommandFailed, Installation, app, existing, print_result
from engine.datasets import left_out
from engine.imaging.codec import Limits, UnreadableImage, decode_pixels
from engine.imaging.left_out import checked
from engine.store import keys as stored


@app.command("leave-out")
def leave_out(
    dataset: str,
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE.png]", help="A mask: what is not 0 is left out of every image.")
    ] = None,
    find: Annotated[bool, typer.Option("--find", help="Leave out what is the same in all images of one size.")] = False,
    clear: Annotated[bool, typer.Option("--clear", help="Leave nothing out any more.")] = False,
    out: Annotated[Path | None, typer.Option(metavar="FILE.png", help="Write what is left out as such a mask.")] = None,
    as_json: AsJson = False,
):
    """Leave a region out of all images of a dataset: a frame, a time stamp, a scale bar, black corners.

    It is stretched to images of another size. Without FILE, --find or --clear this shows what is left out.
    Mask sets and runs keep the region that they began with.
    """
    if (file is not None) + find + clear > 1:
        raise CommandFailed("Give only one of FILE, --find and --clear.")
    installation = Installation()
    with installation.database.reading() as session:
        row = by_id_or_name(session, Dataset, dataset)
        images = datasets.images(session, row.id)
        before = rows.current(session, row.id)
    if clear:
        with installation.database.writing() as session:
            rows.clear(session, row.id, row.left_out_revision)
    elif find:
        region = left_out.find(installation.files, images)
        if region is None:
            count = len(left_out.typical_images(images))
            raise CommandFailed(f"Nothing is the same in all of the {count} images compared. Nothing was changed.")
        _store(installation, row, region, "found")
    elif file is not None:
        _store(installation, row, _read(existing(file, "mask"), installation), "imported")
    with installation.database.reading() as session:
        now, older = rows.current(session, row.id), rows.made_before(session, row.id)
    if out is not None:
        if now is None:
            raise CommandFailed(f"Nothing is left out of {row.name!r}, so there is nothing to write.")
        out.write_bytes(installation.files.read(stored.left_out_key(row.id, now.file_id)))
    result = {"dataset": row.id, "name": row.name, **_as_json(now)}
    result |= {"label_sets_before": older.label_sets, "runs_before": older.runs}
    lines = [_sentence(row.name, now)]
    if (now and now.file_id) != (before and before.file_id):
        lines += [f"  mask set {name!r} was made before: label again." for name in older.label_sets]
        lines += [f"  run {name!r} was trained before: train again." for name in older.runs]
    print_result(result, as_json, "\n".join(lines))


def _store(installation: Installation, dataset: Dataset, region: np.ndarray, source: str) -> None:
    def commit(values: dict[str, Any]) -> LeftOutRegion:
        with installation.database.writing() as session:
            return rows.add(session, dataset.id, dataset.left_out_revision, values)

    left_out.store(installation.files, commit, dataset.id, region, source)


def _read(path: Path, installation: Installation) -> np.ndarray:
    limits = Limits(max_pixels=round(installation.settings.image_limit_megapixels * 1e6), min_side_px=1)
    try:
        values = decode_pixels(path.read_bytes(), limits, keep_palette=True).values
    except UnreadableImage as error:
        raise CommandFailed(f"{path.name!r} cannot be read. {error} Nothing was stored.") from None
    return checked(values[..., 0] if values.shape[2] == 1 else values, repr(path.name))


def _as_json(now: LeftOutRegion | None) -> dict[str, Any]:
    names = ("revision", "source", "who", "at", "width", "height", "share")
    return {"left_out": now is not None} | ({name: getattr(now, name) for name in names} if now else {})


def _sentence(name: str, now: LeftOutRegion | None) -> str:
    if now is None:
        return f"Nothing is left out of {name!r}."
    return f"{now.share:.1%} of each image of {name!r} is left out: revision {now.revision}, {now.source} by {now.who}."
