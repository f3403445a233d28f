"""`python -m engine correct` and `corrections`: what people drew on the images of a dataset, in and out as PNG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from db import corrections as rows
from db import datasets
from db.models import Correction, Dataset, Image
from db.names import by_id_or_name
from engine.cli.commands import AsJson, CommandFailed, Installation, app, existing, print_result, write_files
from engine.datasets import corrections as stored_corrections
from engine.datasets.correction_files import drawn_by_file, paired
from engine.datasets.naming import stem
from engine.imaging.codec import Limits
from engine.store import keys as stored


@app.command()
def correct(
    dataset: str,
    folder: Path,
    strokes: Annotated[
        bool, typer.Option("--strokes", help="These are strokes: the images are not finished by them.")
    ] = False,
    as_json: AsJson = False,
):
    """Correct images by a folder of PNGs with their names: class numbers, 254 to ignore, 255 where nothing is said.

    A pixel that is given again replaces what was there. All files are checked before anything is stored.
    """
    installation = Installation()
    with installation.database.reading() as session:
        row = by_id_or_name(session, Dataset, dataset)
        images = {image.id: image for image in datasets.images(session, row.id, excluded=True)}
        named = datasets.named_images(session, row.id)
        classes = max(len(row.classes) - 1, 1)
        before = rows.current(session, row.id)
    limits = Limits(max_pixels=round(installation.settings.image_limit_megapixels * 1e6), min_side_px=1)
    paths = _pngs(existing(folder, "folder"))
    drawn = [
        drawn_by_file(
            installation.files, before, name, paths[name].read_bytes(), image, classes, limits, finished=not strokes
        )
        for name, image in paired(list(paths), images, named)
    ]
    added = stored_corrections.store(installation.files, rows.committing(installation.database.writing), drawn)
    what = "strokes" if strokes else "corrections"
    result = {"dataset": row.id, "name": row.name, "corrected": len(added), "images": _as_json(added, images)}
    print_result(result, as_json, f"Stored {what} of {len(added)} images of {row.name!r}.")


def _pngs(folder: Path) -> dict[str, Path]:
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() == ".png") if folder.is_dir() else [folder]
    if not found:
        raise CommandFailed(f"The folder {str(folder)!r} has no PNG files.")
    return {path.name: path for path in found}


@app.command("corrections")
def corrections_(
    dataset: str,
    out: Annotated[Path | None, typer.Option(help="Write them into this folder, as `correct` reads them.")] = None,
    withdraw: Annotated[
        str | None, typer.Option(metavar="IMAGE", help="Take back the newest correction of this image.")
    ] = None,
    as_json: AsJson = False,
):
    """List the corrected images of a dataset, write the corrections as PNG, or take one back."""
    installation = Installation()
    with installation.database.reading() as session:
        row = by_id_or_name(session, Dataset, dataset)
        images = {image.id: image for image in datasets.images(session, row.id, excluded=True)}
    if withdraw is not None:
        chosen = [image for image in images.values() if withdraw in (image.id, image.name)]
        chosen = chosen or [image for image in images.values() if stem(image.name) == stem(withdraw)]
        if len(chosen) != 1:
            raise CommandFailed(f"{len(chosen)} images of {row.name!r} are called {withdraw!r}. Name exactly one.")
        with installation.database.writing() as session:
            rows.withdraw(session, chosen[0], chosen[0].correction_revision)
    with installation.database.reading() as session:
        current = list(rows.current(session, row.id).values())
    if out is not None:
        keyed = [(images[each.image_id].name, stored.correction_key(row.id, each.file_id)) for each in current]
        write_files(keyed, out, installation.files.read)
    result = {"dataset": row.id, "name": row.name, "images": _as_json(current, images)}
    lines = [
        f"{entry['name']}: revision {entry['revision']} by {entry['who']}, {entry['pixels']:,} pixels"
        f"{', finished' if entry['finished'] else ''}"
        for entry in result["images"]
    ]
    print_result(result, as_json, "\n".join(lines) or f"No image of {row.name!r} is corrected.")


def _as_json(found: Sequence[Correction], images: dict[str, Image]) -> list[dict[str, Any]]:
    return [
        {
            "name": images[each.image_id].name,
            "revision": each.revision,
            "who": each.who,
            "at": each.at,
            "source": each.source,
            "finished": each.finished,
            "pixels": sum(count for _, count in each.pixels),
        }
        for each in found
    ]
