"""Job: train a run's network, then predict its own dataset for the gallery."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

from db import corrections, datasets, recipes, retraining, rounds, runs, sweeps
from db.models import Correction, Dataset, Image, Job, JobKind, LabelSet, Run
from engine.core import machine
from engine.core.parameters import parse
from engine.core.run_config import RunConfig
from engine.core.run_parameters import SelfTrainingParams
from engine.datasets import truth
from engine.datasets.split import split
from engine.imaging import class_maps
from engine.imaging.corrections import leaves_out
from engine.imaging.left_out import NOTHING, LeftOut
from engine.labelling import job as label
from engine.labelling.strokes.backbones import weights_of
from engine.network.loaded import load_best
from engine.prediction import old_and_new
from engine.prediction.job import DROPPED, predict_dataset
from engine.store import keys as stored
from engine.store.base import MissingFile, Store, StoredFile
from engine.sweeps.study import should_prune
from engine.training.classes_taught import missing_classes, refuse_unknown_classes
from engine.training.probe_choice import choose_probes
from engine.training.round_records import round_values
from engine.training.run_details import LABEL_WEIGHTS
from engine.work.context import CannotSucceed, JobContext, JobFailed, JobStopped, JobType
from engine.work.pace import Pace

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from engine.training.samples import Sample
    from engine.training.self_training import Round

log = logging.getLogger("maskloom.training")

AUDIT = "audit"
"""The side of an image of the dataset's audit."""


def run(job: Job, context: JobContext) -> dict[str, Any]:
    """Train the run that the payload names: {"dataset", "run", "start"?, "label_set"?}.

    `start` is the run with whose best weights the first epoch begins, in place of random or pretrained ones.
    `label_set` is to be computed first: the run's own, which has no masks yet.
    Returns {"ended", "reason", "epochs", "best_epoch", "val_dice", "val_iou", "train_seconds"} and the result of the
    prediction. A run that was interrupted or stopped goes on after its last finished epoch. A stopped run is predicted
    too, so that its gallery is complete.

    Raises:
        JobFailed: there is nothing to learn from, or learning broke down before any epoch was done.
        JobStopped: a person stopped it; the best model so far is kept.
    """
    # TensorFlow: only once there is something to train
    from engine.training.callbacks import Hooks
    from engine.training.compiled import weights_details
    from engine.training.hardware import hardware
    from engine.training.samples import OtherNetwork, TrainingError
    from engine.training.self_training import train_rounds

    with context.reading() as session:
        chosen = session.get_one(Run, job.payload["run"])
        dataset = session.get_one(Dataset, chosen.dataset_id)
        images = datasets.images(session, dataset.id)
    if "label_set" in job.payload:
        with context.reading() as session:
            taught = corrections.teaching(session, dataset.id)
        refuse_unknown_classes(chosen, taught)  # before labels are computed in vain
        label.run(job, context)
        with context.writing() as session:
            session.get_one(LabelSet, job.payload["label_set"]).job_id = None  # whole, while this job goes on
    config = parse(RunConfig, chosen.config)
    context.artifacts.delete_unfinished(stored.run_folder(chosen.id))  # a killed attempt's: all decoded images
    rows = _split_rows(context, chosen, config, images)
    with context.reading() as session:
        drawn = corrections.of_run(session, chosen.id)
    refuse_unknown_classes(chosen, drawn)
    left_out = LeftOut(context.artifacts, stored.left_out_key(dataset.id, chosen.left_out_id))
    samples = _weighed(context, chosen, config, training_samples(context, chosen, rows, drawn, left_out))
    if not chosen.label_set_id:  # a network is not to correct truth
        config = config.model_copy(update={"self_training": SelfTrainingParams(rounds=1)})
    report = _Report(context, chosen.id, config)
    details: dict[str, Any] = chosen.details | {"hardware": hardware(config.training.precision).stored()}
    details |= weights_details(config)
    with context.reading() as session:
        if chosen.label_set_id:
            label_set = session.get_one(LabelSet, chosen.label_set_id)
            details[LABEL_WEIGHTS] = weights_of(label_set.params, label_set.state or {})
        used = {sample.id for sample in samples}
        notes = concerns(session, context.artifacts, chosen, [image for image in images if image.id in used], config)
    notes += missing_classes(chosen, images, rows)
    for note in notes:
        log.warning(note)
    details["notes"] = notes
    report.update(details=details)
    hooks = Hooks(
        on_prepare=report.prepared,
        on_start=report.started,
        on_batch=report.batch,
        on_best=report.best,
        on_epoch=report.epoch_ended,
        on_judge=report.judged,
        should_stop=lambda: context.should_stop() or bool(report.pruned),
    )

    def store_round(finished: Round) -> None:
        report.publish()
        values = round_values(context.artifacts, chosen, images, dataset.lookup, finished, left_out)
        with context.writing() as session:
            rounds.save_round(session, chosen.id, finished.number, **values)

    start = partial(load_best, job.payload["start"], context.artifacts) if "start" in job.payload else None
    try:
        with context.artifacts.workspace(stored.run_folder(chosen.id)) as folder:
            result = train_rounds(config, samples, folder, hooks, store_round, start)
    except TrainingError as error:
        report.update(ended_reason=str(error))
        raise (CannotSucceed if isinstance(error, OtherNetwork) else JobFailed)(str(error)) from None

    summary = {
        "ended": result.ended,
        "reason": (report.pruned if result.ended == "stopped" else "") or result.reason,
        "epochs": result.epochs_done,
        "best_epoch": result.best_epoch,
        "val_dice": result.best_metrics.get("val_dice"),
        "val_iou": result.best_metrics.get("val_iou"),
        "train_seconds": round(result.seconds, 1),
    }
    details |= {"best_metrics": result.best_metrics, "best_score": result.best_score}
    details[rounds.LABEL_SHARE] = result.label_share
    report.update(
        ended_reason=summary["reason"],
        best_epoch=result.best_epoch,
        best_val_dice=summary["val_dice"],
        train_seconds=result.seconds,
        parameter_count=result.parameter_count,
        details=details,
    )
    if result.best_epoch is not None:
        # A stopped run should end soon: its gallery is predicted without flips, and again when the run is resumed
        quick = result.ended == "stopped"
        how = config.prediction.model_copy(update={"flips": False}) if quick else config.prediction
        with context.writing() as session:
            set_id = runs.ensure_prediction_set(session, chosen.id, dataset.id, job.id, how.flips, how.refine)
            runs.clear_predictions(session, set_id)  # an earlier attempt's model may have made them
        summary |= predict_dataset(
            context, chosen, dataset.id, set_id, how, should_stop=lambda: False, compare_mirror=not quick
        )
        if changes := _changes(context, chosen, drawn, left_out):
            report.update(details=details | {"retrained": details["retrained"] | changes})
    if result.ended == "stopped":
        raise JobStopped(summary)
    return summary


def _changes(context: JobContext, run: Run, drawn: Mapping[str, Correction], left_out: LeftOut) -> dict[str, Any]:
    """Return how the masks of a run differ from those of the run that it was trained again from, if there is one."""
    with context.reading() as session:
        pair = retraining.pair(session, run)
        images = retraining.both_predicted(session, pair) if pair else []
    if pair is None:
        return {}
    try:
        return old_and_new.changes(context.artifacts, pair.old_set_id, pair.new_set_id, images, drawn, left_out)
    except MissingFile as error:  # the other run was deleted meanwhile
        log.warning("The masks cannot be compared with those before. %s", error)
        return {}


class _Report:
    """Turns what the training says into progress and rows."""

    def __init__(self, context: JobContext, run_id: str, config: RunConfig) -> None:
        self._context, self._run_id = context, run_id
        self._per_round, self._rounds = config.training.epochs, config.self_training.rounds
        self._epochs = self._per_round * self._rounds
        self._pace, self._epoch = Pace(), 0
        self.pruned = ""
        self.publish = partial(context.artifacts.publish, stored.run_folder(run_id))  # before rows name files

    def update(self, **values: Any) -> None:
        with self._context.writing() as session:
            runs.update_run(session, self._run_id, **values)

    def prepared(self, done: int, total: int) -> None:
        self._context.progress(done, total, phase="preparing_images")

    def started(self, epochs_done: int) -> None:
        with self._context.writing() as session:
            runs.drop_metrics_after(session, self._run_id, epochs_done)
            runs.update_run(session, self._run_id, ended_reason="")  # of an earlier attempt

    def batch(self, epoch: int, done: int, total: int) -> None:
        self._epoch = epoch
        finished = (epoch - 1) * total + done
        self._context.progress(
            finished,
            self._epochs * total,
            phase="training",
            rate=self._pace.rate(finished),
            part_done=done,
            part_total=total,
            epoch=epoch,
            epochs=self._epochs,
            round=(epoch - 1) // self._per_round + 1,
            rounds=self._rounds,
            memory_gib=machine.memory_bytes() / 2**30,
        )

    def judged(self, done: int, total: int) -> None:
        # The bar stays where training left it
        self._context.progress(
            self._epoch, self._epochs, unit="epochs", phase="checking_masks", part_done=done, part_total=total
        )

    def epoch_ended(self, epoch: int, metrics: dict[str, float]) -> None:
        self.publish()
        with self._context.writing() as session:
            runs.save_metrics(session, self._run_id, epoch, metrics)
            found = sweeps.curves(session, self._run_id)
        if found and epoch < self._epochs and should_prune(found.own, found.others, self._epochs):
            with self._context.writing() as session:
                sweeps.mark_pruned(session, found.trial, epoch)
            self.pruned = f"Pruned after epoch {epoch}: it was below the median of the other trials of its sweep."

    def best(self, epoch: int, metrics: dict[str, float]) -> None:
        self.publish()
        self.update(best_epoch=epoch, best_val_dice=metrics.get("val_dice"))


class Teacher(Protocol):
    """What a run is trained on: a mask set of a dataset, or its truth where `label_set_id` is None."""

    @property
    def dataset_id(self) -> str: ...
    @property
    def label_set_id(self) -> str | None: ...
    @property
    def lookup(self) -> list[Any]: ...


def training_samples(
    context: JobContext,
    run: Teacher,
    rows: Sequence[dict[str, Any]],
    drawn: Mapping[str, Correction] = MappingProxyType({}),
    left_out: LeftOut = NOTHING,
) -> list[Sample]:
    """Return one `engine.training.samples.Sample` for each row {image_id, split, probe} of a run.

    `drawn`, {image id: correction}, is laid over the masks, and `left_out` over both.
    """
    from engine.training.samples import Sample

    files: Store = context.artifacts
    lookup = None if run.label_set_id else tuple(run.lookup)
    with context.reading() as session:
        label_set = session.get_one(LabelSet, run.label_set_id) if run.label_set_id else None

    def classes_of(image_id: str) -> StoredFile | None:
        if label_set is None or not label_set.classes:
            return None
        return StoredFile(files, stored.label_classes_key(label_set.id, image_id))

    def correction_of(image_id: str) -> StoredFile | None:
        found = drawn.get(image_id)
        return StoredFile(files, stored.correction_key(run.dataset_id, found.file_id)) if found else None

    return [
        Sample(
            id=row["image_id"],
            image=StoredFile(files, stored.image_key(run.dataset_id, row["image_id"])),
            target=StoredFile(files, _target_key(run, row["image_id"])),
            split=row["split"],
            lookup=lookup,
            probe=row["probe"],
            classes=classes_of(row["image_id"]),
            correction=correction_of(row["image_id"]),
            left_out=row["image_id"] in drawn and leaves_out(drawn[row["image_id"]].pixels),
            region=left_out,
        )
        for row in rows
    ]


def _target_key(teacher: Teacher, image_id: str) -> str:
    if teacher.label_set_id:
        return stored.label_key(teacher.label_set_id, image_id)
    return stored.truth_key(teacher.dataset_id, image_id)


def concerns(session: Session, files: Store, teacher: Teacher, images: Sequence[Image], config: RunConfig) -> list[str]:
    """Return what a person should know of the masks before a network is trained on `images`, as sentences."""
    from engine.training.vanishing import vanishing_note

    lookup = None if teacher.label_set_id else teacher.lookup
    found = []
    if lookup is not None:
        keys = dict(datasets.truth_codes(session, teacher.dataset_id))
        values = truth.facts(image.truth_values for image in images if image.truth_values)
        found += truth.concerns(values, lookup, keys)
    targets = [StoredFile(files, _target_key(teacher, image.id)) for image in images]
    if note := vanishing_note(targets, [(image.height, image.width) for image in images], lookup, config):
        found.append(note)
    return found


def _weighed(context: JobContext, run: Run, config: RunConfig, samples: Sequence[Sample]) -> list[Sample]:
    """Return the samples weighted by the quality of their pseudo-labels; 0 leaves one out. Truth counts fully."""
    from engine.training.self_training import weighed

    if not run.label_set_id:
        return list(samples)
    with context.reading() as session:
        quality = recipes.label_quality(session, run.label_set_id)
    return weighed(samples, quality, config.data.quality_weights == "weighted", config.data.drop_worst)


def _split_rows(context: JobContext, run: Run, config: RunConfig, images: Sequence[Image]) -> list[dict[str, Any]]:
    """Return {image_id, split, probe} of every image that is trained on or validates.

    Decided once and stored, so a resumed run keeps its split even if the dataset has grown since.
    """
    with context.reading() as session:
        before = {row.image_id: row for row in runs.split(session, run.id)}
    if before:
        if not run.label_set_id and not all(image.has_truth for image in images if image.id in before):
            raise JobFailed("The truth that this run is trained on was removed, so it cannot go on. Start a new run.")
        rows = [
            {"image_id": image.id, "split": before[image.id].split, "probe": before[image.id].probe}
            for image in images
            if image.id in before and before[image.id].split not in (DROPPED, AUDIT)
        ]
        if not any(row["split"] == "train" for row in rows):
            raise JobFailed("No image that this run was trained on is left, so it cannot go on. Start a new run.")
        return rows
    with context.reading() as session:
        images, dropped = teachable(session, run, images)
        audited = corrections.audit_images(session, run.dataset_id)
        drawn = corrections.teaching(session, run.dataset_id) if config.data.corrections else {}
    validation: set[str] = set()
    if config.training.validation_split:
        keys = [image.content_hash for image in images if image.id not in drawn]
        validation = set(split(keys, config.training.validation_split, config.training.seed)[1])
    rows = [
        {
            "image_id": image.id,
            "split": "validation" if image.content_hash in validation else "train",
            "probe": False,
            "correction_id": drawn[image.id].id if image.id in drawn else None,
        }
        for image in images
    ]
    choose_probes(rows)
    aside = [{"image_id": image.id, "split": DROPPED, "probe": False} for image in dropped]
    aside += [{"image_id": image_id, "split": AUDIT, "probe": False} for image_id in sorted(audited)]
    with context.writing() as session:
        runs.set_split(session, run.id, [*rows, *aside])
    return rows


def teachable(session: Session, run: Teacher, images: Sequence[Image]) -> tuple[list[Image], list[Image]]:
    """Return the images that have a mask to learn from, and those whose mask a person dropped.

    Images of the dataset's audit are in neither: they are only to be tested on.

    Raises:
        JobFailed: nothing is left to learn from.
    """
    outside = " outside of its audit" if any(image.in_audit for image in images) else ""
    images = [image for image in images if not image.in_audit]
    if not run.label_set_id:
        chosen, dropped = [image for image in images if image.has_truth], []
        if chosen and not class_maps.has_foreground(run.lookup):
            raise JobFailed(
                "The truth masks mark nothing as foreground, so there is nothing to learn from them. Check the "
                "dataset's classes, then start a new run."
            )
    else:
        known = recipes.labelled_images(session, run.label_set_id)
        marked = recipes.dropped_images(session, run.label_set_id)
        chosen = [image for image in images if image.id in known - marked]
        dropped = [image for image in images if image.id in known & marked]
    if not chosen and dropped:
        raise JobFailed("Every mask of the mask set is dropped, so there is nothing to learn from. Keep some first.")
    if not chosen:
        what = "pseudo-label masks" if run.label_set_id else "truth masks"
        raise JobFailed(f"The dataset has no images with {what}{outside}, so there is nothing to learn from.")
    return chosen, dropped


JOB = JobType(JobKind.TRAIN, run)
