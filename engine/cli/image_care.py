"""`python -m engine images`: the images of a dataset, to exclude, include again or remove."""

from __future__ import annotations

from typing import Annotated

import typer

from db import datasets, image_care
from db.models import Dataset
from db.names import by_id_or_name
from engine.cli.commands import AsJson, CommandFailed, Installation, app, print_result
from engine.datasets.removal import delete_files


@app.command("images")
def images(
    dataset: str,
    exclude: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Leave it out of masks, trainings and scores from now on.")
    ] = None,
    include: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Include an excluded image again.")] = None,
    remove: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Delete it, with its truth, corrections and masks.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Remove without asking: it cannot be undone.")] = False,
    as_json: AsJson = False,
):
    """List the images of a dataset; exclude some, include them again or remove them. NAME may be an id.

    Each option can be given several times. Masks and scores that exist already stay as they are, except of removed
    images.
    """
    installation = Installation()
    with installation.database.reading() as session:
        row = by_id_or_name(session, Dataset, dataset)
        wanted = {*(exclude or ()), *(include or ()), *(remove or ())}
        known = image_care.named(session, row.id, wanted)
    if missing := sorted(wanted - set(known)):
        raise CommandFailed(f"{row.name!r} has no image {missing[0]!r}. Nothing was changed.")
    if remove and not yes:
        raise CommandFailed(f"This would delete {len(remove)} image(s) of {row.name!r} permanently. Add --yes.")
    for names, excluded in ((exclude, True), (include, False)):
        if names:
            with installation.database.writing() as session:
                image_care.exclude_images(session, row.id, {known[name] for name in names}, excluded)
    if remove:
        with installation.database.writing() as session:
            removed = image_care.remove_images(session, row.id, {known[name] for name in remove})
        delete_files(installation.files, removed)
    with installation.database.reading() as session:
        there = datasets.images(session, row.id, excluded=True)
    listed = [{"id": image.id, "name": image.name, "excluded": image.excluded} for image in there]
    lines = [f"{image.name}{'  excluded' if image.excluded else ''}" for image in there]
    print_result({"dataset": row.id, "name": row.name, "images": listed}, as_json, "\n".join(lines) or "No images.")
