"""`python -m engine audit`: how good every mask set and run of a dataset is, from a few images corrected wholly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from typing import Annotated, Any

import typer

from db import corrections
from db.audit_set import AuditMasks, AuditSet, audit_masks, audit_set
from db.models import Dataset
from db.names import by_id_or_name
from engine.cli.commands import AsJson, CommandFailed, Installation, app, print_result
from engine.imaging.left_out import LeftOut
from engine.prediction import audit
from engine.store import keys as stored

FIRST = 20
"""Images of an audit, if nobody asks for another number."""


@app.command("audit")
def audit_(
    dataset: str,
    images: Annotated[
        int | None, typer.Option(min=2, help=f"How many images to draw, if fewer are drawn yet; {FIRST} if none are.")
    ] = None,
    as_json: AsJson = False,
):
    """Draw images at random to correct wholly, and estimate from them how good mask sets and runs are.

    They are never trained on. Correct them as `correct` does, without --strokes, then run this again.
    """
    installation = Installation()
    with installation.database.writing() as session:
        row = by_id_or_name(session, Dataset, dataset)
        first = 0 if corrections.audit_images(session, row.id) else FIRST  # an audit that is finished stays so
        corrections.draw_audit(session, row.id, images or first)
        drawn, masks = audit_set(session, row.id), audit_masks(session, row.id)
    if not drawn.images:
        raise CommandFailed(
            f"No image of {row.name!r} is left to draw: those that have a correction cannot test what was learned from "
            "them."
        )
    names = {image.id: image.name for image in drawn.images}
    missing = [name for image_id, name in names.items() if image_id not in drawn.finished]
    result: dict[str, Any] = {"dataset": row.id, "name": row.name, "images": list(names.values()), "missing": missing}
    lines = [f"The audit of {row.name!r} has {len(names)} images; {len(missing)} are still to be corrected wholly."]
    if missing:
        print_result(result, as_json, "\n".join([*lines, *(f"  {name}" for name in missing)]))
        return
    left_out = LeftOut(installation.files, stored.left_out_key(row.id, drawn.left_out_id))
    result |= {
        "labels": _scored(installation, drawn, left_out, [each for each in masks if each.kind == "mask set"]),
        "runs": _scored(installation, drawn, left_out, [each for each in masks if each.kind == "run"]),
    }
    for kind, entries in (("mask set", result["labels"]), ("run", result["runs"])):
        lines += [_line(kind, entry) for entry in entries]
    print_result(result, as_json, "\n".join(lines))


def _scored(
    installation: Installation, drawn: AuditSet, left_out: LeftOut, masks: Sequence[AuditMasks]
) -> list[dict[str, Any]]:
    """Return the scores of those that have a mask for every image, by name."""
    entries = []
    for each in sorted(masks, key=lambda each: each.name):
        key_of = partial(stored.label_key if each.kind == "mask set" else stored.prediction_key, each.set_id)
        scores = audit.score_stored(installation.files, drawn.finished, key_of, left_out)
        entry = {"run": each.id, "name": each.name, "trained_on": each.trained_on}
        entry = {"label_set": each.id, "name": each.name} if each.kind == "mask set" else entry
        entries += [entry | _numbers(scores)] if scores else []
    return entries


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
