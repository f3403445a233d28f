"""Job: make a file to take home: annotations of a set of masks, a report of a run, or its model in some format."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from engine.exports import coco, model_pack, yolo
from engine.exports.formats import Format, find_format
from engine.exports.model_card import model_card
from engine.exports.model_example import example
from engine.exports.report import report
from engine.exports.run_facts import RunFacts, framing_sentence
from engine.exports.sources import masked_images, run_facts, tile_rows
from engine.imaging import codec
from engine.network.framing import cut, scaled_shape, windows
from engine.store import keys as stored
from engine.store.disk import PART
from engine.work.context import Job, JobContext, JobFailed, JobStopped
from engine.work.pace import Pace

FOLDERS = {"run": stored.run_folder, "prediction_set": stored.prediction_folder, "label_set": stored.label_folder}
COCO_SHAPES = {"coco": "polygons", "coco-rle": "rle", "coco-image": "image"}
CHECKED_IMAGES = 4
"""On so many of the run's own images a converted model is compared with the Keras model."""


def run(job: Job, context: JobContext) -> dict[str, Any]:
    """Make what the payload names: {"owner", "what", "threshold", and the ids of what it is made of}.

    Returns {"key", "suffix", "bytes"} and what the format has to tell: "images", "annotations" or "difference". The
    file replaces the one of the same format that was made before.

    Raises:
        JobFailed: a stored file is gone, or the network cannot be converted.
        JobStopped: a person stopped it; nothing is kept.
    """
    payload, began = job.payload, time.time()
    what = find_format(payload["what"])
    folder = FOLDERS[payload["owner"]](payload[payload["owner"]])
    key = stored.export_key(folder, what.name, job.id, what.suffix)
    context.artifacts.delete_unfinished(stored.export_folder(folder, what.name), job.id)
    with context.artifacts.writing(key) as beside:
        told = (
            _annotations(context, payload, what, beside)
            if what.thresholded
            else _of_run(context, payload, what, beside)
        )
    for other in context.artifacts.keys(stored.export_folder(folder, what.name)):
        # What another job made meanwhile was asked for at another threshold, and somebody waits for it
        if other != key and context.artifacts.modified(other) < began:
            context.artifacts.delete(other)
    return {"key": key, "suffix": what.suffix, "bytes": context.artifacts.size(key)} | told


def _annotations(context: JobContext, payload: dict[str, Any], what: Format, target: Path) -> dict[str, Any]:
    source = masked_images(context, payload)
    total, pace = len(source.images), Pace()
    context.progress(0, total, "Drawing outlines")

    def progress(done: int) -> None:
        context.progress(done, total, f"Drawing outlines{pace.words(done)}")
        _end_if_asked(context)

    if what.name == "yolo":
        count = yolo.write(source, target, progress)
    else:
        count = coco.write(source, target, COCO_SHAPES[what.name], progress)
    return {"images": total, "annotations": count}


def _of_run(context: JobContext, payload: dict[str, Any], what: Format, target: Path) -> dict[str, Any]:
    chosen = context.records.run(payload["run"])
    facts = run_facts(context, chosen)
    if what.name == "report":
        context.progress(0, 1, "Drawing the report")
        target.write_text(report(facts, tile_rows(context, chosen)), "utf-8")
        context.progress(1, 1, "Drawing the report")
        return {}
    prefix = f"{target.name.partition('.')[0]}{PART}"  # the job's id, as in the name of its file
    with TemporaryDirectory(prefix=prefix, dir=target.parent, ignore_cleanup_errors=True) as temporary:
        return _packed(context, chosen, facts, what.name, Path(temporary), target)


def _packed(context: JobContext, chosen: Any, facts: RunFacts, kind: str, folder: Path, target: Path) -> dict[str, Any]:
    """Convert, compare and pack a run's model."""
    from engine.network import conversion  # TensorFlow: seconds that a report need not wait
    from engine.network.inference import ModelError
    from engine.network.loaded import load_best

    steps = _Steps(context, 4)
    steps.next("Reading the model")
    try:
        model = load_best(chosen.id, context.artifacts)
    except ModelError as error:
        raise JobFailed(str(error)) from None
    steps.next("Converting the model")
    squares = _squares(context, chosen, facts, model.input_shape[1])
    file, answer = _converted(conversion, model, kind, folder, facts)
    steps.next("Comparing it with the Keras model")
    try:
        apart = conversion.checked_difference(answer(squares), conversion.keras_answer(model, squares))
    except conversion.ConversionError as error:
        raise JobFailed(str(error)) from None
    steps.next("Packing")
    check = (
        f"Compared with the run's own model on {len(squares)} squares of its images: the largest difference of a "
        f"probability was {apart:.2g}."
    )
    model_pack.write(target, file, model_card(kind, facts, check), example(kind, facts.data, model.input_shape[1]))
    steps.done()
    return {"difference": apart, "images": len(squares)}


def _converted(
    conversion: Any, model: Any, kind: str, folder: Path, facts: RunFacts
) -> tuple[Path, Callable[[np.ndarray], np.ndarray]]:
    """Return what was written, and a function that asks it about squares uint8 (B, S, S, 3)."""
    if kind == "onnx":
        file = folder / "model.onnx"
        notes = {
            "run": facts.name,
            "input": "RGB, 0 to 255, float32 (batch, height, width, 3)",
            "framing": framing_sentence(facts),
            "scores": json.dumps([[score.name, score.value, score.on] for score in facts.scores], ensure_ascii=False),
            "threshold": "0.5",
        }
        try:
            conversion.save_onnx(model, file, notes)
        except conversion.ConversionError as error:
            raise JobFailed(str(error)) from None
        return file, lambda squares: conversion.onnx_answer(file, squares)
    if kind == "savedmodel":
        file = folder / "model"
        conversion.save_savedmodel(model, file)
        return file, lambda squares: conversion.savedmodel_answer(file, squares)
    file = folder / "model.keras"
    conversion.save_keras(model, file)
    return file, lambda squares: conversion.keras_file_answer(file, squares)


def _squares(context: JobContext, chosen: Any, facts: RunFacts, side: int) -> np.ndarray:
    """Return what the network sees of a few of the run's images, uint8 (B, S, S, 3); noise where none is left."""
    found = []
    for image in context.records.images(chosen.dataset_id)[:CHECKED_IMAGES]:
        key = stored.image_key(chosen.dataset_id, image.id)
        if context.artifacts.exists(key):
            pixels = codec.decode_png(context.artifacts.read(key))
            scaled = codec.resize_image(pixels, scaled_shape(pixels.shape[:2], facts.data, side))
            found.append(cut(scaled, windows(scaled.shape[:2], side)[0], side))
    noise = np.random.default_rng(0).integers(0, 256, (1, side, side, 3), np.uint8)
    return np.stack(found) if found else noise


class _Steps:
    """Says which of a few steps is being worked on, and ends between two of them when that is asked for."""

    def __init__(self, context: JobContext, total: int) -> None:
        self._context, self._total, self._begun = context, total, 0

    def next(self, what: str) -> None:
        _end_if_asked(self._context)
        self._context.progress(self._begun, self._total, f"{what}: step {self._begun + 1} of {self._total}")
        self._begun += 1

    def done(self) -> None:
        self._context.progress(self._total, self._total, "Packed")


def _end_if_asked(context: JobContext) -> None:
    if context.should_stop():
        raise JobStopped
