"""`python -m engine export`: export files by the same job as in the browser."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy import select
from sqlalchemy.orm import Session

from db import runs, submissions
from db.models import Dataset, JobStatus, LabelSet, PredictionSet, Run
from db.names import by_id_or_name
from engine.cli.commands import AsJson, CommandFailed, Installation, app, print_result
from engine.exports.base import Format, ObjectFormat, find_format, formats
from engine.store.disk import replacing


def _offered() -> list[str]:
    return [name for name, what in formats().items() if not isinstance(what, ObjectFormat)]


@app.command("export")
def export_(
    name: Annotated[str, typer.Argument(metavar="RUN", help="A run, or a mask set with --labels.")],
    format_: Annotated[str, typer.Option("--format", help=f"One of {', '.join(_offered())}.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="The file to write.")],
    on: Annotated[str | None, typer.Option(metavar="DATASET", help="Masks of another dataset than its own.")] = None,
    labels: Annotated[bool, typer.Option("--labels", help="Export the masks of a mask set instead of a run.")] = False,
    threshold: Annotated[float, typer.Option(min=0, max=1, help="Probability from which a pixel is foreground.")] = 0.5,
    as_json: AsJson = False,
):
    """Write masks as COCO or YOLO, a run as a report, or its model as Keras, SavedModel or ONNX."""
    what = find_format(format_)
    if isinstance(what, ObjectFormat):
        raise CommandFailed(f"{what.name!r} is of measured objects: download it on the page Measure.")
    if out.is_dir():
        raise CommandFailed(
            f"{str(out)!r} is a folder. Name the file to write, such as {out / f'{what.name}.{what.suffix}'}."
        )
    installation = Installation()
    with installation.database.writing() as session:
        owner, owner_id = _owner(session, name, what, on, labels)
        asked = threshold if what.thresholded else None
        job = submissions.submit_export(session, owner, owner_id, what.name, asked)
    job = installation.finish(job.id, as_json)
    if job.status == JobStatus.STOPPED:
        raise CommandFailed("Stopped. Nothing was written.")
    out.parent.mkdir(parents=True, exist_ok=True)
    with installation.files.local(job.result["key"]) as stored, replacing(out) as beside:
        shutil.copyfile(stored, beside)
    facts = {name: value for name, value in job.result.items() if name not in ("key", "suffix")}
    print_result(
        {"format": what.name, "out": str(out)} | facts, as_json, f"Wrote {out} ({job.result['bytes']:,} bytes)."
    )


def _owner(session: Session, name: str, what: Format, on: str | None, labels: bool) -> tuple[str, str]:
    """Return the source of the exported file: (kind, id)."""
    if not what.thresholded:
        if labels or on is not None:
            raise CommandFailed(f"{what.name!r} is exported from a run. Leave --labels and --on out.")
        return "run", by_id_or_name(session, Run, name).id
    if labels:
        return "label_set", by_id_or_name(session, LabelSet, name).id
    run = by_id_or_name(session, Run, name)
    if on is None:
        prediction_set = runs.own_prediction_set(session, run)
    else:
        dataset = by_id_or_name(session, Dataset, on)
        query = select(PredictionSet).where(PredictionSet.run_id == run.id, PredictionSet.dataset_id == dataset.id)
        prediction_set = session.scalar(query)
    if prediction_set is None:
        raise CommandFailed(f"The run {run.name!r} has predicted no masks of that dataset. Predict it first.")
    return "prediction_set", prediction_set.id
