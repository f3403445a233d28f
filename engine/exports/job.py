"""Job: create a download: annotations of a set of masks, a report of a run, or its model in some format."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from db import datasets, rounds, runs
from db.exports import owner_name
from db.masks import mask_rows
from db.models import Dataset, Job, JobKind, LabelSet, Measurement, Run
from engine.exports import model_pack
from engine.exports.annotated import Annotated, Progress
from engine.exports.base import Format, MaskFormat, ModelFormat, ObjectFormat, RunFormat, find_format
from engine.exports.measured import measured_objects
from engine.exports.model_card import model_card
from engine.exports.model_example import example
from engine.exports.object_counts import object_counts
from engine.exports.run_facts import RunFacts
from engine.exports.sources import RunRows, label_note, masked_images, prediction_note, run_facts, tile_rows
from engine.imaging import codec
from engine.measuring.stored_masks import stored_masks
from engine.network.framing import cut, scaled_shape, windows
from engine.store import keys as stored
from engine.store.base import MissingFile, Store
from engine.store.disk import PART
from engine.work.context import JobContext, JobFailed, JobStopped, JobType
from engine.work.pace import Pace

FOLDERS = {
    "run": stored.run_folder,
    "prediction_set": stored.prediction_folder,
    "label_set": stored.label_folder,
    "measurement": stored.measurement_folder,
}
CHECKED_IMAGES = 4
"""On so many of the run's own images a converted model is compared with the Keras model."""


def run(job: Job, context: JobContext) -> dict[str, Any]:
    """Make what the payload names: {"owner", "what", "threshold", and the ids of what it is made of}.

    Returns {"key", "suffix", "bytes"} and what the format has to tell: "images", "annotations" or "difference". The
    file replaces the one of the same format that was made before.

    Raises:
        JobFailed: a stored file is gone, or the network cannot be converted.
        JobStopped: a user stopped it; nothing is kept.
    """
    payload, began = job.payload, time.time()
    what = find_format(payload["what"])
    folder = FOLDERS[payload["owner"]](payload[payload["owner"]])
    key = stored.export_key(folder, what.name, job.id, what.suffix)
    context.artifacts.delete_unfinished(stored.export_folder(folder, what.name), job.id)
    with context.artifacts.writing(key) as beside:
        details = _write(context, payload, what, beside)
    for other in context.artifacts.keys(stored.export_folder(folder, what.name)):
        # A newer file of another job has another threshold, and a user waits for it
        if other != key and context.artifacts.modified(other) < began:
            context.artifacts.delete(other)
    return {"key": key, "suffix": what.suffix, "bytes": context.artifacts.size(key)} | details


def _write(context: JobContext, payload: dict[str, Any], what: Format, target: Path) -> dict[str, Any]:
    if isinstance(what, MaskFormat):
        return _annotations(context, payload, what, target)
    if isinstance(what, ObjectFormat):
        return _objects(context, payload, what, target)
    rows = _run_rows(context, payload["run"])
    facts = run_facts(rows)
    if isinstance(what, RunFormat):
        counts = object_counts(rows, context.artifacts, _counted(context, len(rows.predictions), "counting_objects"))
        context.progress(0, 1, unit="reports", phase="writing_the_report")
        what.write(replace(facts, counts=counts), tile_rows(rows, context.artifacts), target)
        context.progress(1, 1, unit="reports", phase="writing_the_report")
        return {}
    if not isinstance(what, ModelFormat):
        raise TypeError(f"The format {what.name!r} is none of the four kinds in engine.exports.base.")
    prefix = f"{target.name.partition('.')[0]}{PART}"  # the job's id, as in the name of its file
    with TemporaryDirectory(prefix=prefix, dir=target.parent, ignore_cleanup_errors=True) as temporary:
        return _packed(context, rows, facts, what, Path(temporary), target)


def _annotations(context: JobContext, payload: dict[str, Any], what: MaskFormat, target: Path) -> dict[str, Any]:
    source = _masked_images(context, payload)
    progress = _counted(context, len(source.images), "tracing_outlines")
    return {"images": len(source.images), "annotations": what.write(source, target, progress)}


def _counted(context: JobContext, total: int, phase: str) -> Progress:
    """Return what to call with the number of images done: it reports that, and ends the job if that is asked for."""
    pace = Pace()
    context.progress(0, total, phase=phase)

    def progress(done: int) -> None:
        context.progress(done, total, phase=phase, rate=pace.rate(done))
        _end_if_asked(context)

    return progress


def _masked_images(context: JobContext, payload: dict[str, Any]) -> Annotated:
    """Return the images of a prediction set or a mask set that have masks, at the payload's threshold."""
    threshold, splits = payload["threshold"], {}
    with context.reading() as session:
        rows = mask_rows(session, payload["owner"], payload[payload["owner"]])
        if rows.owner == "prediction_set":
            run = session.get_one(Run, payload["run"])
            own = run.dataset_id == rows.dataset.id
            note = prediction_note(run, threshold, rounds.label_share(run) if own else 0.0)
            if own:
                splits = {row.image_id: row.split for row in runs.split(session, run.id)}
        else:
            note = label_note(session.get_one(LabelSet, rows.owner_id), threshold)
    masks = stored_masks(context.artifacts, rows)
    return masked_images(
        masks.files if rows.owner == "label_set" else masks.uncorrected,  # a prediction is exported as predicted
        rows.dataset,
        rows.images,
        {image.id for image in rows.images},
        masks.key_of,
        threshold,
        splits=splits,
        note=note,
        classes=rows.classes,
        likely_key_of=masks.likely_key_of,
    )


def _objects(context: JobContext, payload: dict[str, Any], what: ObjectFormat, target: Path) -> dict[str, Any]:
    """Write the objects of a measurement, as its job stored them."""
    files, id_ = context.artifacts, payload["measurement"]
    with context.reading() as session:
        measurement = session.get_one(Measurement, id_)
        name = owner_name(session, "measurement", id_)
    pace = Pace()
    try:
        with files.local(stored.objects_key(id_)) as objects, files.local(stored.measured_images_key(id_)) as images:
            found = measured_objects(files, measurement, name, objects, images)
            total = len(found.images)
            context.progress(0, total, phase="writing_objects")

            def progress(done: int) -> None:
                context.progress(done, total, phase="writing_objects", rate=pace.rate(done))
                _end_if_asked(context)

            what.write(found, target, progress)
    except (MissingFile, codec.UnreadableImage) as error:
        raise JobFailed(str(error)) from None
    return {"images": total, "objects": measurement.objects}


def _run_rows(context: JobContext, run_id: str) -> RunRows:
    with context.reading() as session:
        run = session.get_one(Run, run_id)
        own = runs.own_prediction_set(session, run)
        dataset = session.get_one(Dataset, run.dataset_id)
        return RunRows(
            run=run,
            dataset=dataset,
            truth_in_classes=runs.truth_in_classes(session, run, dataset),
            label_set=session.get_one(LabelSet, run.label_set_id) if run.label_set_id else None,
            images=datasets.images(session, run.dataset_id, excluded=True),
            splits=[row.split for row in runs.split(session, run.id)],
            metrics=runs.metrics(session, run.id),
            rounds=len(rounds.rounds(session, run.id)),
            predictions=runs.predictions(session, own.id) if own else [],
            left_out_id=own.left_out_id if own else None,
            label_share=rounds.label_share(run),
        )


def _packed(
    context: JobContext, rows: RunRows, facts: RunFacts, what: ModelFormat, folder: Path, target: Path
) -> dict[str, Any]:
    """Convert, compare and pack a run's model."""
    from engine.network import conversion  # TensorFlow: seconds that a report need not wait
    from engine.network.inference import ModelError
    from engine.network.loaded import load_best

    steps = _Steps(context, 4)
    steps.next("reading_the_model")
    try:
        model = load_best(rows.run.id, context.artifacts)
    except ModelError as error:
        raise JobFailed(str(error)) from None
    steps.next("converting_the_model")
    squares = _squares(context.artifacts, rows, facts, model.input_shape[1])
    try:
        answer = what.convert(model, folder / what.file, facts)
        steps.next("comparing_it_with_the_model")
        apart = conversion.checked_difference(answer(squares), conversion.keras_answer(model, squares))
    except conversion.ConversionError as error:
        raise JobFailed(str(error)) from None
    steps.next("packing")
    check = (
        f"Compared with the run's own model on {len(squares)} squares of its images: the largest difference of a "
        f"probability was {apart:.2g}."
    )
    program = example(what, facts.data, model.input_shape[1], classes=facts.classes)
    model_pack.write(target, folder / what.file, model_card(what, facts, check), program)
    steps.done()
    return {"difference": apart, "images": len(squares)}


def _squares(files: Store, rows: RunRows, facts: RunFacts, side: int) -> np.ndarray:
    """Return what the network sees of a few of the run's images, uint8 (B, S, S, 3); noise where none is left."""
    found = []
    for image in rows.images[:CHECKED_IMAGES]:
        key = stored.image_key(rows.run.dataset_id, image.id)
        if files.exists(key):
            pixels = codec.decode_png(files.read(key))
            scaled = codec.resize_image(pixels, scaled_shape(pixels.shape[:2], facts.data, side))
            found.append(cut(scaled, windows(scaled.shape[:2], side)[0], side))
    noise = np.random.default_rng(0).integers(0, 256, (1, side, side, 3), np.uint8)
    return np.stack(found) if found else noise


class _Steps:
    """Says which of a few steps is being worked on, and ends between two of them when that is asked for."""

    def __init__(self, context: JobContext, total: int) -> None:
        self._context, self._total, self._begun = context, total, 0

    def next(self, phase: str) -> None:
        _end_if_asked(self._context)
        self._context.progress(self._begun, self._total, unit="steps", phase=phase)
        self._begun += 1

    def done(self) -> None:
        self._context.progress(self._total, self._total, unit="steps", phase="packed")


def _end_if_asked(context: JobContext) -> None:
    if context.should_stop():
        raise JobStopped


JOB = JobType(JobKind.EXPORT, run)
