"""`python -m engine queue`: which images to correct next, why, and where to begin."""

from __future__ import annotations

from typing import Annotated

import typer
from sqlalchemy import select
from sqlalchemy.orm import Session

from db import datasets, runs
from db.correction_queue import Masks, queue_rows
from db.models import Dataset, LabelSet, Run
from db.names import by_id_or_name
from engine.cli.commands import AsJson, CommandFailed, Installation, app, print_result
from engine.prediction.correction_queue import CorrectionQueue


@app.command()
def queue(
    dataset: str,
    labels: Annotated[str | None, typer.Option(metavar="LABEL_SET", help="Where these masks are in doubt.")] = None,
    run: Annotated[str | None, typer.Option(help="Where this run's masks are in doubt.")] = None,
    as_json: AsJson = False,
):
    """List the images to correct next, with a reason and the place to begin; by default for the newest masks."""
    if labels is not None and run is not None:
        raise CommandFailed("Give either --labels or --run.")
    installation = Installation()
    with installation.database.reading() as session:
        row = by_id_or_name(session, Dataset, dataset)
        masks = _masks(session, row, labels, run)
        names = {image.id: image.name for image in datasets.images(session, row.id)}
        rows = queue_rows(session, row.id, masks)
    found = [
        {"name": names[each.image_id], "reason": each.reason, "x": each.place[0], "y": each.place[1]}
        for each in CorrectionQueue(installation.files, masks).suggestions(rows)
    ]
    lines = [f"{entry['name']}: {entry['reason']}, at x {entry['x']}, y {entry['y']}" for entry in found]
    result = {"dataset": row.id, "name": row.name, "images": found}
    print_result(result, as_json, "\n".join(lines) or "No image with a mask is left to correct.")


def _masks(session: Session, dataset: Dataset, labels: str | None, run: str | None) -> Masks:
    """Return the masks that were named, or the newest: those of a run that has some, else of a mask set."""
    if labels is not None:
        label_set = by_id_or_name(session, LabelSet, labels)
        _require_dataset(label_set, dataset)
        return Masks(label_set.id)
    newest = select(Run).where(Run.dataset_id == dataset.id).order_by(Run.created_at.desc())
    chosen = [by_id_or_name(session, Run, run)] if run is not None else session.scalars(newest).all()
    for each in chosen:
        _require_dataset(each, dataset)
        if (own := runs.own_prediction_set(session, each)) is not None:
            return Masks(each.label_set_id, own.id)
    if run is not None:
        raise CommandFailed(f"The run {chosen[0].name!r} has no masks of {dataset.name!r} yet. Let it finish first.")
    newest_labels = select(LabelSet).where(LabelSet.dataset_id == dataset.id).order_by(LabelSet.created_at.desc())
    label_set = session.scalars(newest_labels).first()
    if label_set is None:
        raise CommandFailed(f"The dataset {dataset.name!r} has no masks yet. Run `label` first.")
    return Masks(label_set.id)


def _require_dataset(row: LabelSet | Run, dataset: Dataset) -> None:
    if row.dataset_id != dataset.id:
        raise CommandFailed(f"{row.name!r} belongs to another dataset than {dataset.name!r}.")
