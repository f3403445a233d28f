"""Job: train a run's network, then predict its own dataset for the gallery."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import psutil

from engine.core.parameters import parse
from engine.core.run_config import RunConfig
from engine.core.run_parameters import SelfTrainingParams
from engine.datasets.split import split
from engine.prediction.job import predict_dataset
from engine.store import keys as stored
from engine.store.base import Store, StoredFile
from engine.training.round_records import Rounds
from engine.work.context import Job, JobContext, JobFailed, JobStopped
from engine.work.pace import Pace

PROBES = {"validation": 6, "train": 2}
"""Unseen images tell more; two that are trained on show what the network can do at best."""

DROPPED = "dropped"
"""The side of an image that a person does not want learned from: neither trained on nor validated with."""


def run(job: Job, context: JobContext) -> dict[str, Any]:
    """Train the run that the payload names: {"dataset", "run"}.

    Returns {"ended", "reason", "epochs", "best_epoch", "val_dice", "val_iou", "train_seconds"} and the result of the
    prediction. A run that was interrupted or stopped goes on after its last finished epoch. A stopped run is predicted
    too, so that its gallery is complete.

    Raises:
        JobFailed: there is nothing to learn from, or learning broke down before any epoch was done.
        JobStopped: a person stopped it; the best model so far is kept.
    """
    # TensorFlow: only once there is something to train
    from engine.training.callbacks import Hooks
    from engine.training.compiled import pretrained_weights
    from engine.training.hardware import hardware
    from engine.training.samples import TrainingError
    from engine.training.self_training import train_rounds

    chosen = context.records.run(job.payload["run"])
    config = parse(RunConfig, chosen.config)
    context.artifacts.delete_unfinished(stored.run_folder(chosen.id))  # a killed attempt's: all decoded images
    rows = _split_rows(context, chosen, config)
    samples = _weighed(context, chosen, config, training_samples(context, chosen, rows))
    if not chosen.label_set_id:  # truth is not to be corrected
        config = config.model_copy(update={"self_training": SelfTrainingParams(rounds=1)})
    report = _Report(context, chosen.id, config)
    machine = hardware(config.training.precision)
    details = {"hardware": machine.stored(), "weights": _named(pretrained_weights(config))}
    context.records.update_run(chosen.id, details={**chosen.details, **details})
    hooks = Hooks(
        on_prepare=report.prepared,
        on_start=report.started,
        on_batch=report.batch,
        on_best=report.best,
        on_epoch=lambda epoch, metrics: context.records.save_metrics(chosen.id, epoch, metrics),
        on_judge=report.judged,
        should_stop=context.should_stop,
    )
    rounds = Rounds(context, chosen)
    try:
        with context.artifacts.workspace(stored.run_folder(chosen.id)) as folder:
            result = train_rounds(config, samples, folder, hooks, rounds.finished)
    except TrainingError as error:
        context.records.update_run(chosen.id, ended_reason=str(error))
        raise JobFailed(str(error)) from None

    summary = {
        "ended": result.ended,
        "reason": result.reason,
        "epochs": result.epochs_done,
        "best_epoch": result.best_epoch,
        "val_dice": result.best_metrics.get("val_dice"),
        "val_iou": result.best_metrics.get("val_iou"),
        "train_seconds": round(result.seconds, 1),
    }
    context.records.update_run(
        chosen.id,
        ended_reason=result.reason,
        best_epoch=result.best_epoch,
        best_val_dice=summary["val_dice"],
        train_seconds=result.seconds,
        parameter_count=result.parameter_count,
        details={**details, "best_metrics": result.best_metrics, "best_score": result.best_score},
    )
    if result.best_epoch is not None:
        # Whoever stops a run does not want to wait: its gallery is drawn once, and anew when it goes on
        quick = result.ended == "stopped"
        how = config.prediction.model_copy(update={"flips": False}) if quick else config.prediction
        set_id = context.records.ensure_prediction_set(chosen.id, chosen.dataset_id, job.id, how.flips, how.refine)
        context.records.clear_predictions(set_id)  # an earlier attempt's model may have made them
        summary |= predict_dataset(
            context, chosen, chosen.dataset_id, set_id, how, should_stop=lambda: False, compare_mirror=not quick
        )
    if result.ended == "stopped":
        raise JobStopped(summary)
    return summary


class _Report:
    """Turns what the training says into progress and rows."""

    def __init__(self, context: JobContext, run_id: str, config: RunConfig) -> None:
        self._context, self._run_id = context, run_id
        self._per_round, self._rounds = config.training.epochs, config.self_training.rounds
        self._pace, self._epoch = Pace(), 0

    def prepared(self, done: int, total: int) -> None:
        self._context.progress(done, total, "Preparing images")

    def started(self, epochs_done: int) -> None:
        self._context.records.drop_metrics_after(self._run_id, epochs_done)
        self._context.records.update_run(self._run_id, ended_reason="")  # of an earlier attempt

    def batch(self, epoch: int, done: int, total: int) -> None:
        epochs = self._per_round * self._rounds
        self._epoch = epoch
        behind = (epoch - 1) * total + done
        where = f"Round {(epoch - 1) // self._per_round + 1} of {self._rounds}, epoch" if self._rounds > 1 else "Epoch"
        text = (
            f"{where} {epoch} of {epochs}: {done} of {total} images{self._pace.words(behind)}, {memory_gib():.1f} GiB"
        )
        self._context.progress(behind, epochs * total, text)

    def judged(self, done: int, total: int) -> None:
        # The bar stays where training left it
        epochs = self._per_round * self._rounds
        self._context.progress(self._epoch, epochs, f"Judging the masks of this round: {done} of {total}")

    def best(self, epoch: int, metrics: dict[str, float]) -> None:
        self._context.records.update_run(self._run_id, best_epoch=epoch, best_val_dice=metrics.get("val_dice"))


def training_samples(context: JobContext, run: Any, rows: Sequence[dict[str, Any]]) -> list[Any]:
    """Return one `engine.training.samples.Sample` for each row {image_id, split, probe} of a run."""
    from engine.training.samples import Sample

    files: Store = context.artifacts
    lookup = None if run.label_set_id else tuple(run.lookup)

    def target(image_id: str) -> str:
        if run.label_set_id:
            return stored.label_key(run.label_set_id, image_id)
        return stored.truth_key(run.dataset_id, image_id)

    return [
        Sample(
            id=row["image_id"],
            image=StoredFile(files, stored.image_key(run.dataset_id, row["image_id"])),
            target=StoredFile(files, target(row["image_id"])),
            split=row["split"],
            lookup=lookup,
            probe=row["probe"],
        )
        for row in rows
    ]


def _weighed(context: JobContext, run: Any, config: RunConfig, samples: Sequence[Any]) -> list[Any]:
    """Return the samples weighed by how their pseudo-labels look; weight 0 does not teach. Truth counts fully."""
    from engine.training.self_training import weighed

    if not run.label_set_id:
        return list(samples)
    quality = context.records.label_quality(run.label_set_id)
    return weighed(samples, quality, config.data.quality_weights == "weighted", config.data.drop_worst)


def memory_gib() -> float:
    """Return the resident memory of this process in GiB."""
    return psutil.Process().memory_info().rss / 2**30


def _named(weights: str) -> str:
    return f"MobileNetV2 encoder: {weights}" if weights else ""


def _split_rows(context: JobContext, run: Any, config: RunConfig) -> list[dict[str, Any]]:
    """Return {image_id, split, probe} of every image that teaches or validates.

    Decided once and stored, so a resumed run keeps its split even if the dataset has grown since.
    """
    images = context.records.images(run.dataset_id)
    before = {row.image_id: row for row in context.records.split(run.id)}
    if before:
        return [
            {"image_id": image.id, "split": before[image.id].split, "probe": before[image.id].probe}
            for image in images
            if image.id in before and before[image.id].split != DROPPED
        ]
    images, dropped = teachable(context, run, images)
    validation: set[str] = set()
    if config.training.validation_split:
        keys = [image.content_hash for image in images]
        validation = set(split(keys, config.training.validation_split, config.training.seed)[1])
    rows = [
        {"image_id": image.id, "split": "validation" if image.content_hash in validation else "train", "probe": False}
        for image in images
    ]
    _choose_probes(rows)
    aside = [{"image_id": image.id, "split": DROPPED, "probe": False} for image in dropped]
    context.records.set_split(run.id, [*rows, *aside])
    return rows


def teachable(context: JobContext, run: Any, images: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """Return the images that have a mask to learn from, and those whose mask a person dropped.

    Raises:
        JobFailed: nothing is left to learn from.
    """
    if not run.label_set_id:
        taught, dropped = [image for image in images if image.has_truth], []
        if taught and not any(run.lookup):
            raise JobFailed(
                "The truth masks mark nothing as foreground, so there is nothing to learn from them. Check the "
                "dataset's classes, then train anew."
            )
    else:
        known = context.records.labelled_images(run.label_set_id)
        marked = context.records.dropped_images(run.label_set_id)
        taught = [image for image in images if image.id in known - marked]
        dropped = [image for image in images if image.id in known & marked]
    if not taught and dropped:
        raise JobFailed("Every image of the label set is dropped, so there is nothing to learn from. Keep some first.")
    if not taught:
        what = "pseudo-label masks" if run.label_set_id else "truth masks"
        raise JobFailed(f"The dataset has no images with {what}, so there is nothing to learn from.")
    return taught, dropped


def _choose_probes(rows: list[dict[str, Any]]) -> None:
    """Mark a few images of each side, spread evenly over the dataset."""
    for side, count in PROBES.items():
        members = [row for row in rows if row["split"] == side]
        for index in np.linspace(0, len(members) - 1, min(count, len(members))).astype(int):
            members[index]["probe"] = True
