"""Downloads: zips of masks, streamed while they are built, and CSV tables."""

from __future__ import annotations

import io
import json
import zipfile
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from db import datasets, predictions, recipes, runs
from db.exports import owner_name
from db.models import Dataset, Image, Job, Label, LabelSet, Prediction, PredictionSet, Run
from engine.core.filenames import safe_stems
from engine.exports import pictures
from engine.exports.pictures import MaskKind
from engine.exports.tables import as_csv
from engine.imaging import class_maps, codec, metrics
from engine.imaging.class_colours import class_colours
from engine.imaging.left_out import LeftOut
from engine.store import keys as stored
from engine.store.base import Store

Member = tuple[str, bytes]
PIECE_BYTES = 1 << 16
ROWS = 500
IN_ORDER = (Image.position, Image.id)


class Mask(NamedTuple):
    """A stored mask to be packed: of which image, its key, and a file stem that no other mask of the zip has.

    `classes_key` is that of the most likely classes of its pixels; empty if it is foreground alone.
    """

    image_id: str
    key: str
    name: str
    classes_key: str = ""


class _Sink(io.RawIOBase):
    """Takes what zipfile writes until it is fetched; it cannot seek, so every entry is written in one go."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._position = 0
        self.waiting = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._parts.append(bytes(data))
        self._position += len(data)
        self.waiting += len(data)
        return len(data)

    def tell(self) -> int:
        return self._position

    def fetch(self) -> bytes:
        parts, self._parts, self.waiting = self._parts, [], 0
        return b"".join(parts)


def zip_stream(members: Iterable[Member]) -> Generator[bytes, None, None]:
    """Yield a zip of (name, bytes) piece by piece. Stored, not deflated: PNGs do not get smaller.

    The first entry is sent as soon as it is there; then small ones are gathered, because each piece is a turn of the
    server's threads.
    """
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        enough = 1
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data)
            if sink.waiting >= enough:
                yield sink.fetch()
                enough = PIECE_BYTES
    yield sink.fetch()


def mask_members(
    store: Store,
    dataset_id: str,
    masks: Iterable[Mask],
    kind: MaskKind,
    threshold: float,
    classes: Sequence[Mapping[str, Any]] = (),
) -> Iterator[Member]:
    """Yield <kind>/<name>.png of each mask: "cutouts" are the image's foreground, others as `pictures.mask_png` has it.

    A mask of which a file is gone, or whose image is where that is needed, is left out.
    """
    for mask in masks:
        beside = stored.image_key(dataset_id, mask.image_id) if kind == "cutouts" else mask.classes_key
        if not store.exists(mask.key) or (beside and not store.exists(beside)):
            continue
        levels = codec.decode_png(store.read(mask.key))
        other = codec.decode_png(store.read(beside)) if beside else None
        if kind == "cutouts" and other is not None:
            data = pictures.cutout_png(other, levels, threshold)
        else:
            data = pictures.mask_png(class_maps.to_classes(levels, other, threshold), kind, classes)
        yield f"{kind}/{mask.name}.png", data


def map_members(store: Store, folder: str, keyed_names: Iterable[tuple[str, str]]) -> Iterator[Member]:
    """Yield <folder>/<name>.png of (key, name), as they are stored: 8-bit maps. What has none is left out."""
    for key, name in keyed_names:
        if store.exists(key):
            yield f"{folder}/{name}.png", store.read(key)


def class_member(classes: Sequence[Mapping[str, Any]]) -> Iterator[Member]:
    """Yield classes.json, which tells what the values of class maps mean, unless there are no `classes` of a run."""
    if classes:
        colours = ["#000000", *class_colours(classes[1:])]
        rows = [
            {"number": entry["index"], "name": entry["name"], "colour": colour}
            for entry, colour in zip(classes, colours, strict=True)
        ]
        yield "classes.json", json.dumps({"classes": rows}, ensure_ascii=False, indent=1).encode()


def table_member(write: Callable[[], str]) -> Iterator[Member]:
    """Yield scores.csv. `write` is called when its turn comes, so that nothing waits for it."""
    yield "scores.csv", ("\ufeff" + write()).encode()


def prediction_masks(session: Session, found: PredictionSet) -> list[Mask]:
    """Return every prediction of a set, doubles of an image included."""
    there = runs.predicted_images(session, found.id)
    masks = _masks(session, found.dataset_id, there, partial(stored.prediction_key, found.id))
    if not predictions.class_names(session, found.id):
        return masks
    return [mask._replace(classes_key=stored.prediction_classes_key(found.id, mask.image_id)) for mask in masks]


def label_masks(session: Session, found: LabelSet) -> list[Mask]:
    """Return every label of a set, doubles of an image included."""
    there = recipes.labelled_images(session, found.id)
    masks = _masks(session, found.dataset_id, there, partial(stored.label_key, found.id))
    if not found.classes:
        return masks
    return [mask._replace(classes_key=stored.label_classes_key(found.id, mask.image_id)) for mask in masks]


def _masks(session: Session, dataset_id: str, there: set[str], key_of: Callable[[str], str]) -> list[Mask]:
    named = [(name, image_id) for name, image_id in datasets.named_images(session, dataset_id) if image_id in there]
    stems = safe_stems([name for name, _ in named])
    return [Mask(image_id, key_of(image_id), stem) for (_, image_id), stem in zip(named, stems, strict=True)]


def prediction_csv(session: Session, store: Store, prediction_set_id: str, threshold: float) -> str:
    """Return areas and scores at `threshold`, one line for each image; what has no reference stays empty.

    The two kinds of score keep their names: against truth, and agreement with the pseudo-label used in training.
    `pseudo_label_quality` is the label's estimated quality, computed without truth. Where the run tells classes apart,
    each has its share of all pixels, so that these add up to `foreground_share`, and, where the truth has the same
    classes, its scores; these are empty where neither side has the class.
    """
    found = session.get_one(PredictionSet, prediction_set_id)
    dataset, names = session.get_one(Dataset, found.dataset_id), predictions.class_names(session, found.id)[1:]
    lookups = runs.truth_lookups(session.get_one(Run, found.run_id), dataset)
    left_out = LeftOut(store, stored.left_out_key(dataset.id, found.left_out_id))
    header = ["file", "width_px", "height_px", "split", "foreground_share", "mean_probability", "mean_uncertainty"]
    header += ["flip_agreement", "truth_dice", "truth_iou", "pseudo_label_dice", "pseudo_label_iou"]
    header += ["pseudo_label_quality"]
    header += [f"{of}_{name}" for name in names for of in ("share", "truth_dice", "truth_iou")]
    query = (
        select(Prediction, Image.name, Image.width, Image.height)
        .join(Image, Image.id == Prediction.image_id)
        .where(Prediction.prediction_set_id == prediction_set_id)
        .order_by(*IN_ORDER)
        .execution_options(yield_per=ROWS)
    )
    quality = _label_quality(session, prediction_set_id)

    def rows() -> Iterator[list[Any]]:
        for prediction, name, width, height in session.execute(query):
            predicted = _class_map(store, prediction, threshold) if names else None
            share = _foreground_share(store, prediction, threshold)
            if predicted is not None:
                share = _number(float((predicted > 0).mean()))
            scores = [*_scores(prediction.truth_counts, threshold), *_scores(prediction.label_counts, threshold)]
            means = [prediction.mean_probability, prediction.uncertainty, prediction.flip_agreement]
            size = [name, width, height, prediction.split, share]
            scores += [_number(quality.get(prediction.image_id))]
            if names:
                truth_key = stored.truth_key(dataset.id, prediction.image_id)
                confusion = _confusion(store, lookups, truth_key, prediction, predicted, threshold, left_out)
                scores += _class_cells(predicted, confusion, len(names))
            yield [*size, *map(_number, means), *scores]
            session.expunge(prediction)  # its counts are two kilobytes, and there may be ten thousand

    return as_csv(header, rows())


def _class_map(store: Store, prediction: Prediction, threshold: float) -> np.ndarray | None:
    """Return the predicted class of each pixel, uint8 (H, W); None if a file is gone."""
    of, image_id = prediction.prediction_set_id, prediction.image_id
    keys = [stored.prediction_key(of, image_id), stored.prediction_classes_key(of, image_id)]
    if not all(map(store.exists, keys)):
        return None
    levels, likely = (codec.decode_png(store.read(key)) for key in keys)
    return class_maps.to_classes(levels, likely, threshold)


def _confusion(
    store: Store,
    lookups: Sequence[Sequence[int]],
    truth_key: str,
    prediction: Prediction,
    predicted: np.ndarray | None,
    threshold: float,
    left_out: LeftOut,
) -> list[Any]:
    """Return the pixels of each pair of classes at `threshold`, as in `truth_confusion`; [] without truth or a file.

    Truth is read with that of `lookups` that `truth_confusion` was counted with, because its classes may have been
    changed since; [] if there is none.
    """
    known = prediction.truth_confusion
    if known is None or threshold == 0.5:
        return known or []
    if predicted is None or not store.exists(truth_key):
        return []
    truth = codec.decode_png(store.read(truth_key))
    found = (left_out.reference(truth, lookup).confusion(predicted) for lookup in lookups)
    return next((rows for rows in found if _truth_pixels(rows) == _truth_pixels(known)), [])


def _truth_pixels(confusion: list[Any]) -> Counter[int]:
    pixels: Counter[int] = Counter()
    for truth, _, count in confusion:
        pixels[truth] += count
    return pixels


def _class_cells(predicted: np.ndarray | None, confusion: list[Any], classes: int) -> list[str]:
    """Return share, Dice and IoU of each class. A share is of all pixels, those that truth ignores included."""
    scores = metrics.class_scores(metrics.confusion_matrix(confusion, classes))
    cells: list[str] = []
    for at in range(classes):
        values = [None if predicted is None else float((predicted == at + 1).mean())]
        values += [scores.dice[at], scores.iou[at]] if scores.occurs[at] else [None, None]
        cells += map(_number, values)
    return cells


def _label_quality(session: Session, prediction_set_id: str) -> dict[str, float | None]:
    found = session.get_one(PredictionSet, prediction_set_id)
    run = session.get_one(Run, found.run_id)
    if run.label_set_id is None or run.dataset_id != found.dataset_id:
        return {}
    return recipes.label_quality(session, run.label_set_id)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6f}"


def label_csv(session: Session, label_set_id: str) -> str:
    """Return areas and label-free quality and, where there is truth, scores against it at threshold 0.5."""
    header = ["file", "width_px", "height_px", "foreground_share", "quality", "unclear", "dropped"]
    header += ["truth_dice", "truth_iou"]
    query = select(Image, Label).join(Label, Label.image_id == Image.id)
    query = query.where(Label.label_set_id == label_set_id).order_by(*IN_ORDER)
    table = [
        (
            *(image.name, image.width, image.height),
            *(label.area, label.quality, int(label.unclear), int(label.dropped), label.dice, label.iou),
        )
        for image, label in session.execute(query)
    ]
    return as_csv(header, table)


def _foreground_share(store: Store, prediction: Prediction, threshold: float) -> str:
    counts = prediction.truth_counts or prediction.label_counts
    key = stored.prediction_key(prediction.prediction_set_id, prediction.image_id)
    if counts:
        predicted = metrics.unpack_counts(counts).predicted
        share = predicted[metrics.threshold_index(threshold)] / predicted[0]  # of the pixels that are compared
    elif threshold == 0.5 or not store.exists(key):
        share = prediction.area
    else:
        share = metrics.to_mask(codec.decode_png(store.read(key)), threshold).mean()
    return f"{share:.6f}"


def _scores(packed: bytes | None, threshold: float) -> list[str]:
    if not packed:
        return ["", ""]
    counts, index = metrics.unpack_counts(packed), metrics.threshold_index(threshold)
    return [f"{metrics.dice_curve(counts)[index]:.6f}", f"{metrics.iou_curve(counts)[index]:.6f}"]


def metrics_csv(session: Session, run_id: str) -> str:
    """Return a run's metrics: one line for each epoch, one column for each metric."""
    rows: dict[int, dict[str, float]] = {}
    for metric in runs.metrics(session, run_id):
        rows.setdefault(metric.epoch, {})[metric.name] = metric.value
    names = sorted({name for values in rows.values() for name in values})
    table = [[epoch, *(values.get(name, "") for name in names)] for epoch, values in sorted(rows.items())]
    return as_csv(["epoch", *names], table)


def report_csv(session: Session, dataset_id: str) -> str:
    """Return a dataset's import report: one line for each file."""
    entries = datasets.report(session, dataset_id)
    table = [[entry.name, "taken" if entry.taken else "skipped", entry.reason] for entry in entries]
    return as_csv(["file", "outcome", "reason"], table)


def prepared_name(session: Session, job: Job) -> str:
    """Return the file name of what an export job made: what it was made of, the format and the threshold."""
    payload = job.payload
    title = owner_name(session, payload["owner"], payload[payload["owner"]])
    threshold = "" if payload["threshold"] is None else f" {payload['threshold']:.2f}"
    suffix = job.result["suffix"]
    return f"{title} {payload['what'].removesuffix(f'-{suffix}')}{threshold}.{suffix}"
