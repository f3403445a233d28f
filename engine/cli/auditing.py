"""`python -m engine audit`: how good every label set and run of a dataset is, from a few images corrected wholly."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Annotated, Any

import numpy as np
import typer
from sqlalchemy import select

from db import corrections, runs
from db.models import Dataset, LabelSet, Run
from db.names import by_id_or_name
from engine.cli.commands import AsJson, CommandFailed, Installation, app, print_result
from engine.datasets import corrections as stored_corrections
from engine.imaging.codec import decode_png
from engine.imaging.left_out import LeftOut
from engine.prediction import audit
from engine.store import keys as stored
from engine.store.base import MissingFile


@app.command("audit")
def audit_(
    dataset: str,
    images: Annotated[int, typer.Option(min=2, help="How many images to draw, if fewer are drawn yet.")] = 20,
    as_json: AsJson = False,
):
    """Draw images at random to correct wholly, and estimate from them how good label sets and runs are.

    They are never trained on. Correct them as `correct` does, without --strokes, then run this again.
    """
    installation = Installation()
    with installation.database.writing() as session:
        row = by_id_or_name(session, Dataset, dataset)
        drawn = corrections.draw_audit(session, row.id, images)
        current = corrections.current(session, row.id, [image.id for image in drawn])
    if not drawn:
        raise CommandFailed(
            f"No image of {row.name!r} is left to draw: those that have a correction cannot test what was learned from "
            "them."
        )
    names = {image.id: image.name for image in drawn}
    pixels = {image.id: image.width * image.height for image in drawn}
    finished = {
        image_id: each
        for image_id, each in current.items()
        if each.finished and sum(count for _, count in each.pixels) == pixels[image_id]  # nothing is untouched
    }
    missing = [name for image_id, name in names.items() if image_id not in finished]
    result: dict[str, Any] = {"dataset": row.id, "name": row.name, "images": list(names.values()), "missing": missing}
    lines = [f"The audit of {row.name!r} has {len(names)} images; {len(missing)} are still to be corrected wholly."]
    if missing:
        print_result(result, as_json, "\n".join([*lines, *(f"  {name}" for name in missing)]))
        return
    left_out = LeftOut(installation.files, stored.left_out_key(row.id, row.left_out_id))
    truth = {id_: stored_corrections.read(installation.files, each, left_out) for id_, each in finished.items()}
    result |= _scored(installation, row.id, truth)
    for kind, entries in (("label set", result["labels"]), ("run", result["runs"])):
        lines += [_line(kind, entry) for entry in entries]
    print_result(result, as_json, "\n".join(lines))


def _scored(installation: Installation, dataset_id: str, truth: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Return {"labels": [...], "runs": [...]}, each with its scores, of those that have a mask for every image."""
    with installation.database.reading() as session:
        labels = session.scalars(select(LabelSet).where(LabelSet.dataset_id == dataset_id).order_by(LabelSet.name))
        sets = [({"label_set": each.id, "name": each.name}, partial(stored.label_key, each.id)) for each in labels]
        networks = []
        for run in session.scalars(select(Run).where(Run.dataset_id == dataset_id).order_by(Run.name)):
            own = runs.own_prediction_set(session, run)
            learned = {each.image_id for each in runs.split(session, run.id) if each.split == "train"}
            seen = len(learned & truth.keys())
            entry = {"run": run.id, "name": run.name, "trained_on": seen}
            networks += [(entry, partial(stored.prediction_key, own.id))] if own else []

    def entries(found: Sequence[tuple[Mapping[str, Any], Callable[[str], str]]]) -> list[dict[str, Any]]:
        scored = [(entry, audit.score(truth, partial(_levels, installation, key_of))) for entry, key_of in found]
        return [{**entry, **_numbers(scores)} for entry, scores in scored if scores is not None]

    return {"labels": entries(sets), "runs": entries(networks)}


def _levels(installation: Installation, key_of: Callable[[str], str], image_id: str) -> np.ndarray | None:
    try:
        return decode_png(installation.files.read(key_of(image_id)))
    except MissingFile:
        return None


def _numbers(scores: audit.Scores) -> dict[str, Any]:
    dice, iou = asdict(scores.dice), asdict(scores.iou)
    return {
        "dice": dice["mean"],
        "low": dice["low"],
        "high": dice["high"],
        "iou": iou["mean"],
        "iou_low": iou["low"],
        "iou_high": iou["high"],
        "images": scores.images,
    }


def _line(kind: str, entry: dict[str, Any]) -> str:
    seen = entry.get("trained_on", 0)
    note = f" It was trained on {seen} of these images before they were drawn, so this is too high." if seen else ""
    return (
        f"  {kind} {entry['name']!r}: Dice {entry['dice']:.2f} against the audit, between {entry['low']:.2f} and "
        f"{entry['high']:.2f}, 95 % certain; IoU {entry['iou']:.2f}.{note}"
    )
