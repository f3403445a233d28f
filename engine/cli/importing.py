"""`python -m engine import`: images, with truth where there is any, into a new dataset; or what that would do."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from sqlalchemy import select
from sqlalchemy.orm import Session

from db import datasets, jobs, submissions
from db.models import Dataset, Job, JobKind
from engine.cli.adding import What, add_to_dataset, opened, report_lines, report_result, source_of
from engine.cli.commands import AsJson, CommandFailed, Installation, app, existing, print_result
from engine.cli.reading_options import Channels, Pages
from engine.datasets import ingest
from engine.datasets.reading import Reading, with_reading
from engine.store import keys as stored


@app.command("import")
def import_(
    folder: Path,
    name: Annotated[str | None, typer.Option(help="Name of the new dataset, or of the mask set.")] = None,
    into: Annotated[
        str | None, typer.Option(metavar="DATASET", help="Add to this dataset, in place of a new one.")
    ] = None,
    what: Annotated[
        What, typer.Option("--as", help="With --into: images, or masks as truth or as a mask set.")
    ] = What.IMAGES,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be imported; store nothing.")] = False,
    pairs: Annotated[
        Path | None,
        typer.Option(
            metavar="CSV",
            help="Files that are used otherwise than --dry-run says: columns file and image, whose truth the file is. "
            "The file's own name makes it an image, an empty cell leaves it out.",
        ),
    ] = None,
    channels: Channels = "",
    pages: Pages = "first",
    as_json: AsJson = False,
):
    """Import a folder, a zip or one picture, with truth masks beside the images where there are any.

    With --into, add images, truth or masks of another tool to a dataset that exists. Masks are paired with its images
    by name.
    """
    source = source_of(existing(folder, "folder, zip or picture"), pairs)
    reading = Reading.chosen(channels, pages)
    if what is not What.IMAGES and into is None:
        raise CommandFailed(f"--as {what.value} adds to a dataset: name it by --into DATASET.")
    if into is not None and name is not None and what is not What.LABELS:
        raise CommandFailed("--name names a new dataset or, with --as labels, a mask set. Leave it out with --into.")
    if into is not None and not (dry_run and what is What.IMAGES):
        add_to_dataset(source, into, what, name, reading, dry_run, as_json)
        return
    if dry_run:
        _print_plan(source, as_json)
        return
    if name is None:
        raise CommandFailed("Give the dataset a name: --name NAME. To see what would be imported, add --dry-run.")
    installation = Installation()
    source = with_reading(source, reading)
    with installation.database.writing() as session:
        dataset, job = _unfinished_import(session, name, source) or submissions.submit_import(session, name, source)
    try:
        job = installation.finish(job.id, as_json)
    except CommandFailed:
        _free_name_of_empty(installation, dataset.id)
        raise
    with installation.database.reading() as session:
        dataset = session.get_one(Dataset, dataset.id)
        report = datasets.report(session, dataset.id)
    result: dict[str, Any] = {
        "dataset": dataset.id,
        "name": dataset.name,
        "images": dataset.image_count,
        "truth": dataset.truth_count,
        **report_result(report, job),
    }
    lines = [f"Imported {dataset.image_count} images, {dataset.truth_count} with truth, as {dataset.name!r}."]
    print_result(result, as_json, "\n".join([*lines, *report_lines(result)]))


def _print_plan(source: dict[str, Any], as_json: bool) -> None:
    with opened(source) as (files, limits):
        planned = ingest.plan(files, limits, source.get("belongs"))
    lines = [
        *planned.sentences(),
        *(f"  {entry.name}: {entry.reason}" for entry in planned.outlines.taken if entry.reason),
        *(f"  skipped {entry.name}: {entry.reason}" for entry in planned.entries),
    ]
    print_result(planned.as_json(), as_json, "\n".join([*lines, "Nothing was stored."]))


def _unfinished_import(session: Session, name: str, source: dict[str, Any]) -> tuple[Dataset, Job] | None:
    """Requeue the same import if it failed or was stopped before: repeating the command resumes it."""
    dataset = session.scalar(select(Dataset).where(Dataset.name == name))
    job = jobs.find(session, dataset.job_id) if dataset else None
    if dataset is None or job is None or job.kind != JobKind.IMPORT:
        return None
    if job.payload.get("source") != source or not jobs.requeue(session, job.id):
        return None
    return dataset, job


def _free_name_of_empty(installation: Installation, dataset_id: str) -> None:
    # Count rows: the dataset's own image count is set only when an import has finished.
    with installation.database.reading() as session:
        if datasets.images(session, dataset_id, limit=1):
            return
    with installation.database.writing() as session:
        datasets.delete_dataset(session, dataset_id)
    installation.files.delete(stored.dataset_folder(dataset_id))
