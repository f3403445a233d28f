"""A run as the command line reports it: how it ended, its best scores and what they are measured against."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from db import jobs, rounds, runs
from db.models import Dataset, Run
from engine.training.run_details import LABEL_WEIGHTS, encoder_weights, label_weights, weights_note

MOST_NAMED = 20
"""So many classes are named in a sentence; JSON has all."""


def run_result(session: Session, run: Run) -> dict[str, Any]:
    """Return a run as JSON; with "classes", where it tells several apart, `val_dice` and `val_iou` are their means."""
    job = jobs.find(session, run.job_id)
    best = {m.name: m.value for m in runs.metrics(session, run.id) if m.epoch == run.best_epoch}
    epochs = max((m.epoch for m in runs.metrics(session, run.id)), default=0)
    masks = runs.validation_scores(session, run)
    result: dict[str, Any] = {
        "run": run.id,
        "name": run.name,
        "dataset": run.dataset_id,
        "labels": run.label_set_id,
        "status": job.status.value if job else "unknown",
        "notes": run.details.get("notes", []),
        "ended": run.ended_reason or (job.error if job else "") or "",
        "epochs": epochs,
        "best_epoch": run.best_epoch,
        "val_dice": best.get("val_dice"),
        "val_iou": best.get("val_iou"),
        "reference": "truth" if run.label_set_id is None else "agreement with the pseudo-label",
        "weights": encoder_weights(run.details),
        LABEL_WEIGHTS: label_weights(run.details),
        "label_share": rounds.label_share(run),
        "minutes": round(run.train_seconds / 60, 2) if run.train_seconds is not None else None,
        "parameters": run.parameter_count,
        "validation_masks_vs_truth": {
            "images": masks.truth_images if masks else 0,
            "dice": masks.truth_dice if masks else None,
            "iou": masks.truth_iou if masks else None,
        },
    }
    if run.classes:
        result["classes"] = [
            {"class": number, "name": name}
            | {f"val_{score}": best.get(f"val_{score}_{number}") for score in ("dice", "iou")}
            for number, name in class_names(run.classes)
        ]
        changed = runs.changed_classes(run, session.get_one(Dataset, run.dataset_id))
        result["notes"] = [*result["notes"], *([changed] if changed else [])]
    return result


def class_names(classes: Sequence[dict[str, Any]]) -> list[tuple[int, str]]:
    """Return (number, name) of each class beside background."""
    return [(entry["index"], entry["name"]) for entry in classes if entry["index"]]


def validation(result: dict[str, Any]) -> str:
    """Return a run's score on validation images in words, and that of each class."""
    score, classes = result["val_dice"], result.get("classes")
    if score is None:
        return "no score on validation images"
    if not classes:
        return f"validation soft Dice {score:.4f}"
    each = ", ".join(f"{entry['name']} {_number(entry['val_dice'])}" for entry in classes[:MOST_NAMED])
    each += f" and {len(classes) - MOST_NAMED} more" if len(classes) > MOST_NAMED else ""
    return f"mean validation Dice {score:.4f}: {each}"


def _number(score: float | None) -> str:
    return "none" if score is None else f"{score:.4f}"


def against(result: dict[str, Any]) -> str:
    """Return the reference of a run's score, and the pretrained weights that it owes something to."""
    note = weights_note(result)
    return f"{result['reference']}; {note}" if note else str(result["reference"])
