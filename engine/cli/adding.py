"""Adding to a dataset that exists: images, truth, or masks as a mask set; and removing its truth."""

from __future__ import annotations

import enum
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlalchemy.orm import Session

from db import dataset_truth, datasets, recipes, submissions
from db.models import Dataset, ImportEntry, Job, LabelSet
from db.names import by_id_or_name, free_name
from engine import VERSION
from engine.cli.commands import AsJson, CommandFailed, Installation, app, existing, print_result
from engine.core.settings import settings
from engine.datasets import ingest
from engine.datasets.by_hand import read_belongs
from engine.datasets.mask_plan import plan_masks
from engine.datasets.reading import Reading, with_reading
from engine.datasets.source import Limits, Source
from engine.imaging import codec
from engine.store import keys as stored


class What(enum.StrEnum):
    """What a folder holds for a dataset."""

    IMAGES = "images"
    TRUTH = "truth"
    LABELS = "labels"


def source_of(path: Path, pairs: Path | None = None) -> dict[str, Any]:
    """Return a folder, zip or picture of this machine as the source of an import job, with what a CSV decides."""
    source: dict[str, Any] = {"kind": "folder" if path.is_dir() else "zip", "path": str(path)}
    return source | ({"belongs": read_belongs(existing(pairs, "CSV file"))} if pairs else {})


@contextmanager
def opened(source: dict[str, Any]) -> Iterator[tuple[Source, codec.Limits]]:
    """Open what `source_of` returned for as long as a block runs, with the limits of images."""
    current = settings()
    limits = codec.Limits(max_pixels=round(current.image_limit_megapixels * 1e6))
    files_limit = Limits(max_files=current.import_limit_files)
    with closing(ingest.open_zip_or_folder(Path(source["path"]), files_limit)) as files:
        yield files, limits


def add_to_dataset(
    source: dict[str, Any], into: str, what: What, name: str | None, reading: Reading, dry_run: bool, as_json: bool
) -> None:
    """Add what a source holds to the dataset `into` (its id or name), or print what that would do."""
    installation = Installation()
    with installation.database.reading() as session:
        dataset = by_id_or_name(session, Dataset, into)
        named = datasets.named_images(session, dataset.id)
    if dry_run:
        _print_plan(source, named, as_json)
        return
    label_set: LabelSet | None = None
    with installation.database.writing() as session:
        if what is What.IMAGES:
            job = submissions.submit_more_images(session, dataset.id, with_reading(source, reading))
        elif what is What.TRUTH:
            job = submissions.submit_truth(session, dataset.id, source)
        else:
            path = Path(source["path"])
            chosen = name or free_name(session, LabelSet, f"{dataset.name} {path.stem}")
            label_set, job = submissions.submit_masks(session, dataset.id, chosen, source, path.name, VERSION)
    try:
        job = installation.finish(job.id, as_json)
    except CommandFailed:
        if label_set is not None:
            _free_name_of_empty(installation, label_set.id)
        raise
    with installation.database.reading() as session:
        result, sentence = _result(session, dataset.id, label_set.id if label_set else None, what)
        report = [entry for entry in datasets.report(session, dataset.id) if entry.job_id == job.id]
    result |= report_result(report, job)
    print_result(result, as_json, "\n".join([sentence, *report_lines(result)]))


def report_result(report: Sequence[ImportEntry], job: Job) -> dict[str, Any]:
    """Return the outcome of an import's files as JSON: notes on the whole, and files with a note or left out."""
    return {
        "notes": job.result.get("notes", []),
        "noted": [{"name": entry.name, "reason": entry.reason} for entry in report if entry.taken and entry.reason],
        "skipped": [{"name": entry.name, "reason": entry.reason} for entry in report if not entry.taken],
    }


def report_lines(result: dict[str, Any]) -> list[str]:
    """Return the outcome of an import's files as text: one line for each note, however many files it is about."""
    names: dict[str, list[str]] = defaultdict(list)
    for entry in result["noted"]:
        names[entry["reason"]].append(entry["name"])
    others = {reason: f" and {len(files) - 1:,} more" if len(files) > 1 else "" for reason, files in names.items()}
    noted = [f"  {files[0]}{others[reason]}: {reason}" for reason, files in names.items()]
    return [*result["notes"], *noted, *(f"  skipped {entry['name']}: {entry['reason']}" for entry in result["skipped"])]


def _result(session: Session, dataset_id: str, label_set_id: str | None, what: What) -> tuple[dict[str, Any], str]:
    dataset = session.get_one(Dataset, dataset_id)
    counts = f"{dataset.image_count:,} images, {dataset.truth_count:,} with truth"
    result = {
        "dataset": dataset.id,
        "name": dataset.name,
        "images": dataset.image_count,
        "truth": dataset.truth_count,
    }
    if label_set_id is None:
        return result, f"{dataset.name!r} has {counts}, after adding {what.value}."
    label_set = session.get_one(LabelSet, label_set_id)
    summary = recipes.summary(session, label_set_id)
    result |= {
        "label_set": label_set_id,
        "labels": label_set.name,
        "labelled": summary.images,
        "quality": summary.quality,
        "scored_against_truth": summary.scored,
        "dice": summary.dice,
        "iou": summary.iou,
    }
    sentence = f"Imported masks of {summary.images:,} of {dataset.image_count:,} images as the mask set "
    sentence += f"{label_set.name!r}."
    if summary.scored:
        sentence += f" Against truth ({summary.scored:,} images): Dice {summary.dice:.4f}, IoU {summary.iou:.4f}."
    return result, sentence


def _print_plan(source: dict[str, Any], named: list[tuple[str, str]], as_json: bool) -> None:
    with opened(source) as (files, limits):
        planned = plan_masks(files, named, limits, source.get("belongs"))
    left_out = [f"  skipped {entry.name}: {entry.reason}" for entry in planned.entries if not entry.taken]
    print_result(planned.as_json(), as_json, "\n".join([*planned.sentences, *left_out, "Nothing was stored."]))


def _free_name_of_empty(installation: Installation, label_set_id: str) -> None:
    with installation.database.reading() as session:
        if recipes.labelled_images(session, label_set_id):
            return
    with installation.database.writing() as session:
        recipes.delete_label_set(session, label_set_id)
    installation.files.delete(stored.label_folder(label_set_id))


@app.command("remove-truth")
def remove_truth(
    dataset: str,
    yes: Annotated[bool, typer.Option("--yes", help="Remove it; there is no way back.")] = False,
    as_json: AsJson = False,
):
    """Remove the truth of all images of a dataset, with its classes and the scores against it."""
    installation = Installation()
    with installation.database.reading() as session:
        row = by_id_or_name(session, Dataset, dataset)
    if not row.truth_count:
        raise CommandFailed(f"The dataset {row.name!r} has no truth.")
    if not yes:
        raise CommandFailed(
            f"This would remove the truth of {row.truth_count:,} images of {row.name!r} permanently. Add --yes."
        )
    with installation.database.writing() as session:
        images = dataset_truth.remove_truth(session, row.id)
    installation.files.delete(stored.truth_folder(row.id))
    result = {"dataset": row.id, "name": row.name, "removed": len(images)}
    print_result(result, as_json, f"Removed the truth of {len(images):,} images of {row.name!r}.")
