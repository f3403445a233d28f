"""Job: apply a run's best model to every image of a dataset, and score what can be scored.

The same code ends a training (its own dataset, for the gallery) and serves new images.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

import numpy as np

from engine import artifacts as stored
from engine import imaging, metrics
from engine.artifacts import Artifacts, MissingFile
from engine.config import RunConfig
from engine.jobs import import_images
from engine.jobs.base import Job, JobContext, JobFailed, JobStopped
from engine.parameters import parse

BATCH = 16
"""Rows written in one transaction."""


def run(job: Job, context: JobContext) -> dict[str, Any]:
    """Predict what the payload names: {"run", "dataset", "flips", "source"?}.

    `source`, where given, is imported into the dataset first (see `engine.jobs.import_images`). Returns
    {"images", "prediction_set", "seconds"} and, where there is truth, mean "dice" and "iou", else None. A second
    attempt goes on with the images that are missing; a new job predicts all of them again.

    Raises:
        JobFailed: there is no model or no image.
        JobStopped: a person stopped it; what was predicted stays.
    """
    dataset_id, payload = job.payload["dataset"], job.payload
    if "source" in payload and not _already_imported(job, context):
        import_images.run(job, context)
    chosen = context.records.run(payload["run"])
    set_id = context.records.ensure_prediction_set(chosen.id, dataset_id, job.id, bool(payload.get("flips")))
    if job.attempt <= 1:
        context.records.clear_predictions(set_id)
    return predict_dataset(context, chosen, dataset_id, set_id, bool(payload.get("flips")), context.should_stop)


def predict_dataset(
    context: JobContext, run: Any, dataset_id: str, set_id: str, flips: bool, should_stop: Callable[[], bool]
) -> dict[str, Any]:
    """Predict the images that the prediction set lacks; return the job's result (see `run`).

    Raises:
        JobFailed: there is no model or no image.
        JobStopped: `should_stop` said so; what was predicted stays.
    """
    from engine.predict import ModelError, load_model, predict_many  # TensorFlow: seconds that a bad job need not wait

    began = time.monotonic()
    files, records = context.artifacts, context.records
    images = records.images(dataset_id)
    if not images:
        raise JobFailed("There is no image to predict.")
    done = records.predicted_images(set_id)
    missing = [image for image in images if image.id not in done]
    references = _References(context, run, dataset_id)
    scores: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    context.progress(len(done), len(images), "Predicting")
    try:
        model = load_model(files.path(stored.best_model_key(run.id)))
    except ModelError as error:
        raise JobFailed(str(error)) from None

    pictures = (_read(files, stored.image_key(dataset_id, image.id), image.name) for image in missing)
    data = parse(RunConfig, run.config).data
    with closing(predict_many(model, pictures, data, flips=flips)) as predictions:
        for image, prediction in zip(missing, predictions, strict=True):
            levels = metrics.probability_to_u8(prediction.probability)
            files.write(stored.prediction_key(set_id, image.id), imaging.encode_png(levels))
            rows.append(references.scored(image, levels))
            scores.append(rows[-1])
            context.progress(len(done) + len(scores), len(images), "Predicting")
            stopping = should_stop()
            if len(rows) >= BATCH or stopping:
                records.add_predictions(set_id, rows)
                rows = []
            if stopping and len(scores) < len(missing):
                raise JobStopped(_result(set_id, len(done) + len(scores), scores, began))
    records.add_predictions(set_id, rows)
    return _result(set_id, len(images), scores, began)


class _References:
    """What a prediction is compared with: truth, and the pseudo-label that taught the run."""

    def __init__(self, context: JobContext, run: Any, dataset_id: str) -> None:
        self._files = context.artifacts
        self._dataset_id = dataset_id
        own = dataset_id == run.dataset_id
        self._splits = {row.image_id: row.split for row in context.records.split(run.id)} if own else {}
        self._label_set_id = run.label_set_id if own else None
        self._labelled = context.records.labelled_images(run.label_set_id) if self._label_set_id else set()
        self._lookup = np.asarray(context.records.dataset(dataset_id).lookup, np.uint8)

    def scored(self, image: Any, levels: np.ndarray) -> dict[str, Any]:
        """Return the row of a prediction, uint8 (H, W), with every score that has a reference."""
        mask = metrics.to_mask(levels, 0.5)
        row: dict[str, Any] = {
            "image_id": image.id,
            "split": self._splits.get(image.id, ""),
            "area": float(mask.mean()),
            "mean_probability": float(levels.mean() / 255),
        }
        for name, reference in (("label", self._label(image)), ("truth", self._truth(image))):
            has = reference is not None
            if has and reference.shape != mask.shape:
                reference = imaging.resize_mask(reference, mask.shape)
            row[f"{name}_dice"] = metrics.dice(mask, reference) if has else None
            row[f"{name}_iou"] = metrics.iou(mask, reference) if has else None
            counts = metrics.pack_counts(metrics.threshold_counts(levels, reference)) if has else None
            row[f"{name}_counts"] = counts
        return row

    def _label(self, image: Any) -> np.ndarray | None:
        if image.id not in self._labelled:
            return None
        return metrics.to_mask(_read(self._files, stored.label_key(self._label_set_id, image.id), image.name), 0.5)

    def _truth(self, image: Any) -> np.ndarray | None:
        if not image.has_truth or not len(self._lookup):
            return None
        return self._lookup[_read(self._files, stored.truth_key(self._dataset_id, image.id), image.name)] > 0


def _already_imported(job: Job, context: JobContext) -> bool:
    """Return whether an earlier attempt took an upload in: its files are deleted then."""
    source = job.payload["source"]
    if job.attempt <= 1 or source["kind"] != "upload":
        return False
    return not context.artifacts.exists(stored.upload_folder(source["token"]))


def _read(files: Artifacts, key: str, name: str) -> np.ndarray:
    try:
        return imaging.decode_png(files.read(key))
    except MissingFile:
        raise JobFailed(f"The stored file of {name!r} is gone. Import the image again.") from None
    except imaging.UnreadableImage as error:
        raise JobFailed(f"The stored file of {name!r} is damaged: {error}") from None


def _result(set_id: str, images: int, scores: list[dict[str, Any]], began: float) -> dict[str, Any]:
    return {
        "images": images,
        "prediction_set": set_id,
        "dice": _mean(scores, "truth_dice"),
        "iou": _mean(scores, "truth_iou"),
        "seconds": round(time.monotonic() - began, 2),
    }


def _mean(scores: list[dict[str, Any]], name: str) -> float | None:
    values = [row[name] for row in scores if row[name] is not None]
    return float(np.mean(values)) if values else None
