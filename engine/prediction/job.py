"""Job: apply a run's best model to every image of a dataset, and score what can be scored.

The same code ends a training (its own dataset, for the gallery) and serves new images.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from db import corrections, datasets, recipes, rounds, runs
from db.models import Dataset, Image, Job, JobKind, PredictionSet, Run
from engine.core import fan_out, machine
from engine.core.parameters import parse
from engine.core.run_config import RunConfig
from engine.core.run_parameters import DataParams, PredictionParams
from engine.datasets import job as import_images
from engine.datasets.corrections import laid_over
from engine.imaging import class_maps, codec, metrics
from engine.imaging.class_maps import Reference
from engine.imaging.left_out import LeftOut
from engine.network.loaded import KeptNetwork, network_of
from engine.prediction.refine_masks import refined
from engine.store import keys as stored
from engine.store.base import MissingFile, Store
from engine.work.context import JobContext, JobFailed, JobStopped, JobType
from engine.work.pace import Pace

BATCH = 16
BATCH_S = 1.0
"""Rows written in one transaction; fewer where a network is slow, so that its first masks can be looked at."""

REFINE_SEED = 0

SPREAD_FROM, PART, PARTS_AHEAD = 64, 4, 2
"""Fewer images are not worth loading TensorFlow and the network on other nodes; those of a part travel together."""

DROPPED = "dropped"
"""The side of an image that a person does not want learned from: neither trained on nor validated with."""


def run(job: Job, context: JobContext) -> dict[str, Any]:
    """Predict what the payload names: {"run", "dataset", "flips", "refine", "source"?, "also"?}.

    `source`, where given, is imported into the dataset first (see `engine.datasets.job`). `also` names further
    runs, whose networks predict the same images after the first. Returns {"images", "prediction_set", "uncertainty",
    "seconds"} and, where there is truth, mean "dice" and "iou", else None; under "also" the same for the others.
    A second attempt goes on with the images that are missing; a new job predicts all of them again.

    Raises:
        JobFailed: there is no model or no image.
        JobStopped: a person stopped it; what was predicted stays.
    """
    dataset_id, payload = job.payload["dataset"], job.payload
    if "source" in payload and not _already_imported(job, context):
        import_images.run(job, context)
    # A job that was submitted before masks could be refined does not say how
    how = PredictionParams(flips=bool(payload.get("flips")), refine=payload.get("refine", "none"))
    with context.reading() as session:
        wanted = [session.get_one(Run, run_id) for run_id in (payload["run"], *payload.get("also", []))]
    results = []
    for chosen in wanted:
        with context.writing() as session:
            set_id = runs.ensure_prediction_set(session, chosen.id, dataset_id, job.id, how.flips, how.refine)
            if job.attempt <= 1:
                runs.clear_predictions(session, set_id)
        named = len(wanted) > 1
        results.append(predict_dataset(context, chosen, dataset_id, set_id, how, context.should_stop, named=named))
    return results[0] | ({"also": results[1:]} if results[1:] else {})


def predict_dataset(
    context: JobContext,
    run: Run,
    dataset_id: str,
    set_id: str,
    how: PredictionParams,
    should_stop: Callable[[], bool],
    *,
    compare_mirror: bool | None = None,
    named: bool = False,
) -> dict[str, Any]:
    """Predict the images that the prediction set lacks; return the job's result (see `run`).

    How far a mask agrees with that of the mirror image points at failures where there is no truth. `compare_mirror`
    asks for it; unless it is given, a run's own images are asked for it, and others only where that costs nothing.

    Labels have a share in the masks of a run's own images where it says so (`db.rounds.label_share`). Uncertainty and
    what is compared with labels or mirror images are the network's.

    `named` reports the progress with the run's name. Images are read, predicted and stored a few at a time, so a
    folder of any length fits into memory.

    Raises:
        JobFailed: there is no model or no image.
        JobStopped: `should_stop` said so; what was predicted stays.
    """
    from engine.network.inference import ModelError  # TensorFlow: seconds that a bad job need not wait

    began = time.monotonic()
    files = context.artifacts
    with context.reading() as session:
        images = datasets.images(session, dataset_id)
        done = runs.predicted_images(session, set_id) & {image.id for image in images}
        region = stored.left_out_key(dataset_id, session.get_one(PredictionSet, set_id).left_out_id)
    left_out = LeftOut(files, region)
    if not images:
        raise JobFailed("There is no image to predict.")
    missing = [image for image in images if image.id not in done]
    references = _References(context, run, dataset_id, left_out)
    means = _Means(set_id, len(done))
    rows: list[dict[str, Any]] = []
    phase: dict[str, Any] = {"phase": "predicting"}
    if named:
        phase = {"phase": "predicting_with", "subject": run.name}
    context.progress(len(done), len(images), **phase)
    try:
        network = network_of(run.id, files)
    except ModelError as error:
        raise JobFailed(str(error)) from None

    def store(rows: list[dict[str, Any]]) -> None:
        with context.writing() as session:
            runs.add_predictions(session, set_id, rows)

    pace, stored_at = Pace(), began
    mirror = how.flips or dataset_id == run.dataset_id if compare_mirror is None else compare_mirror
    data = parse(RunConfig, run.config).data
    part = _Part(files, run.id, dataset_id, tuple(_Named(image.id, image.name) for image in missing), data, how, mirror)
    with closing(_drawn_anywhere(network, part)) as predictions:
        for image, drawn in zip(missing, predictions, strict=True):
            levels, unsure = (
                left_out.cleared(metrics.probability_to_u8(each)) for each in (drawn.probability, drawn.uncertainty)
            )
            label, classes = references.label(image), drawn.classes
            row = references.of_network(image, levels, label)
            if label is not None and (share := references.label_share(image)):
                taught = None if classes is None else references.label_classes(image)
                levels, classes = _mixed(levels, classes, left_out.cleared(label), taught, share)
            files.write(stored.uncertainty_key(set_id, image.id), codec.encode_png(unsure))
            if classes is not None:
                files.write(stored.prediction_classes_key(set_id, image.id), codec.encode_png(classes))
            files.write(stored.prediction_key(set_id, image.id), codec.encode_png(levels))
            row |= {"uncertainty": float(unsure.mean() / 255), "flip_agreement": drawn.flip_agreement}
            rows.append(row | references.of_mask(image, levels, classes))
            means.add(rows[-1])
            context.progress(means.images, len(images), rate=pace.rate(means.images), **phase)
            stopping = should_stop()
            if len(rows) >= BATCH or stopping or time.monotonic() - stored_at > BATCH_S:
                store(rows)
                rows, stored_at = [], time.monotonic()
            if stopping and means.images < len(images):
                raise JobStopped(means.result(began))
    store(rows)
    return means.result(began)


class _Drawn(NamedTuple):
    """A probability and how unsure it is, float32 (H, W) in [0, 1], and other fields of `inference.Prediction`."""

    probability: np.ndarray
    uncertainty: np.ndarray
    flip_agreement: float | None
    classes: np.ndarray | None


class _Named(NamedTuple):
    id: str
    name: str


@dataclass(frozen=True)
class _Part:
    """Images to predict with the best network of a run, as plain values that travel to another process."""

    files: Store
    run_id: str
    dataset_id: str
    images: tuple[_Named, ...]
    data: DataParams
    how: PredictionParams
    compare_mirror: bool


def _drawn_anywhere(network: KeptNetwork, whole: _Part) -> Generator[_Drawn, None, None]:
    """Yield the prediction for each image, in order, computed here or, where this machine has no GPU, on all nodes."""
    if len(whole.images) >= SPREAD_FROM and not machine.gpus():
        with fan_out.pool() as pool:
            if pool.spreads:
                starts = range(0, len(whole.images), PART)
                parts = (replace(whole, images=whole.images[start : start + PART]) for start in starts)
                for drawn in pool.map(predict_part, parts, len(starts), PARTS_AHEAD):
                    yield from drawn
                return
    with closing(_drawn(network, whole)) as predictions:
        yield from predictions


def predict_part(part: _Part) -> list[_Drawn]:
    """Return the predictions for a few images, in order, with a network that this process keeps."""
    return list(_drawn(network_of(part.run_id, part.files), part))


def _drawn(network: KeptNetwork, part: _Part) -> Generator[_Drawn, None, None]:
    """Yield the prediction for each image, in order, refined as requested.

    The uncertainty is that of the network: refining moves an outline but does not make it more certain.
    """
    from engine.network.inference import predict_many

    predictions = predict_many(
        network.model,
        (_read(part.files, stored.image_key(part.dataset_id, image.id), image.name) for image in part.images),
        part.data,
        flips=part.how.flips,
        compare_mirror=part.compare_mirror,
        network=network.network,
    )
    with closing(predictions):
        for prediction in predictions:
            # Seeded for each image, so that its mask does not depend on how many were predicted before it
            rng = np.random.default_rng(REFINE_SEED)
            probability = refined(prediction.image, prediction.probability, part.how.refine, rng)
            yield _Drawn(probability, prediction.uncertainty, prediction.flip_agreement, prediction.classes)


class _Means:
    """Counts what is predicted and adds up its scores, so that no row is kept after it is stored."""

    def __init__(self, set_id: str, done: int) -> None:
        self._set_id, self.images = set_id, done
        self._sums: dict[str, float] = defaultdict(float)
        self._counts: dict[str, int] = defaultdict(int)

    def add(self, row: dict[str, Any]) -> None:
        self.images += 1
        for name in ("truth_dice", "truth_iou", "uncertainty"):
            if row[name] is not None:
                self._sums[name] += row[name]
                self._counts[name] += 1

    def result(self, began: float) -> dict[str, Any]:
        """Return the job's result; `began` is a monotonic moment in seconds."""
        return {
            "images": self.images,
            "prediction_set": self._set_id,
            "dice": self._mean("truth_dice"),
            "iou": self._mean("truth_iou"),
            "uncertainty": self._mean("uncertainty"),
            "seconds": round(time.monotonic() - began, 2),
        }

    def _mean(self, name: str) -> float | None:
        return self._sums[name] / self._counts[name] if self._counts[name] else None


class _References:
    """What a prediction is compared with: truth, and the pseudo-label that the run was trained on."""

    def __init__(self, context: JobContext, run: Run, dataset_id: str, left_out: LeftOut) -> None:
        self._files, self._left_out = context.artifacts, left_out
        self._dataset_id = dataset_id
        own = dataset_id == run.dataset_id
        self._label_set_id = run.label_set_id if own else None
        with context.reading() as session:
            self._splits = {row.image_id: row.split for row in runs.split(session, run.id)} if own else {}
            self._labelled = recipes.labelled_images(session, self._label_set_id) if self._label_set_id else set()
            if self._label_set_id:
                self._files = laid_over(self._files, self._label_set_id, corrections.of_run(session, run.id))
            dataset = session.get_one(Dataset, dataset_id)
            self._lookup = dataset.lookup
            self._same_classes = runs.same_classes(run, dataset)
            self._label_share = rounds.label_share(session.get_one(Run, run.id)) if own else 0.0

    def label_share(self, image: Image) -> float:
        """Return the share of the label in the mask of an image; none of one that a person dropped."""
        return 0.0 if self._splits.get(image.id) == DROPPED else self._label_share

    def of_network(self, image: Image, levels: np.ndarray, label: np.ndarray | None) -> dict[str, Any]:
        """Return what a row has about the network's own mask, uint8 (H, W): how far it agrees with its label."""
        reference = None if label is None else self._left_out.ignored(Reference(metrics.to_mask(label, 0.5)))
        return {"image_id": image.id, "split": self._splits.get(image.id, ""), **_scores("label", reference, levels)}

    def of_mask(self, image: Image, levels: np.ndarray, classes: np.ndarray | None = None) -> dict[str, Any]:
        """Return what a row has about the mask, uint8 (H, W): its area, and its scores where there is truth.

        `classes`, uint8 (H, W), is the most likely class of each pixel, compared with truth that has the same classes.
        """
        truth = self._truth(image)
        row = {
            "area": float(metrics.to_mask(levels, 0.5).mean()),
            "mean_probability": float(levels.mean() / 255),
            **_scores("truth", truth, levels),
        }
        if truth is not None and classes is not None and self._same_classes:
            row["truth_confusion"] = truth.confusion(class_maps.to_classes(levels, classes, 0.5))
        return row

    def label(self, image: Image) -> np.ndarray | None:
        """Return the pseudo-label that the run was trained on, uint8 (H, W); None where there is none."""
        if self._label_set_id is None or image.id not in self._labelled:
            return None
        return _read(self._files, stored.label_key(self._label_set_id, image.id), image.name)

    def label_classes(self, image: Image) -> np.ndarray:
        """Return the classes of that label, uint8 (H, W), of a run that tells several apart."""
        assert self._label_set_id is not None
        return _read(self._files, stored.label_classes_key(self._label_set_id, image.id), image.name)

    def _truth(self, image: Image) -> Reference | None:
        if not image.has_truth or not len(self._lookup):
            return None
        values = _read(self._files, stored.truth_key(self._dataset_id, image.id), image.name)
        return self._left_out.reference(values, self._lookup)


def _scores(name: str, reference: Reference | None, levels: np.ndarray) -> dict[str, Any]:
    """Return the scores of a probability, uint8 (H, W), for columns that begin with `name`."""
    if reference is None:
        return dict.fromkeys((f"{name}_dice", f"{name}_iou", f"{name}_counts"))
    compared, foreground = reference.beside(metrics.to_mask(levels, 0.5))
    counts = metrics.threshold_counts(*reference.beside(levels))
    return {
        f"{name}_dice": metrics.dice(compared, foreground),
        f"{name}_iou": metrics.iou(compared, foreground),
        f"{name}_counts": metrics.pack_counts(counts),
    }


def _mixed(
    levels: np.ndarray, classes: np.ndarray | None, label: np.ndarray, taught: np.ndarray | None, share: float
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the mean of a network's probability and its label, uint8 (H, W), in which the label has a share.

    Each pixel has the class that contributes more to it.
    """
    if classes is not None and taught is not None:
        classes = np.where((share * label > (1 - share) * levels) & (taught > 0), taught, classes)
    return metrics.weighted_mean(label, levels, share), classes


def _already_imported(job: Job, context: JobContext) -> bool:
    """Return whether an earlier attempt took an upload in: its files are deleted then."""
    source = job.payload["source"]
    if job.attempt <= 1 or source["kind"] != "upload":
        return False
    return not context.artifacts.exists(stored.upload_folder(source["token"]))


def _read(files: Store, key: str, name: str) -> np.ndarray:
    try:
        return codec.decode_png(files.read(key))
    except MissingFile:
        raise JobFailed(f"The stored file of {name!r} is gone. Import the image again.") from None
    except codec.UnreadableImage as error:
        raise JobFailed(f"The stored file of {name!r} is damaged: {error}") from None


JOB = JobType(JobKind.PREDICT, run, quick=True)
