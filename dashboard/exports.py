"""What people take home: zips of masks streamed as they are made, and tables as CSV."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from db import datasets, recipes, runs
from db.models import Image, Label, LabelSet, Prediction, PredictionSet
from engine import artifacts as stored
from engine import imaging, metrics
from engine.artifacts import Artifacts
from engine.filenames import safe_stems

Member = tuple[str, bytes]


class _Sink(io.RawIOBase):
    """Takes what zipfile writes until it is fetched; it cannot seek, so every entry is written in one go."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._position = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._parts.append(bytes(data))
        self._position += len(data)
        return len(data)

    def tell(self) -> int:
        return self._position

    def fetch(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)


def zip_stream(members: Iterable[Member]) -> Iterator[bytes]:
    """Yield a zip of (name, bytes) piece by piece. Stored, not deflated: PNGs do not get smaller."""
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data)
            yield sink.fetch()
    yield sink.fetch()


def mask_members(
    store: Artifacts, keyed_names: Iterable[tuple[str, str]], threshold: float, probabilities: bool
) -> Iterator[Member]:
    """Yield masks/<name>.png (0/255) and, if asked for, probabilities/<name>.png (8 bit) of (key, name).

    A file that is gone is left out.
    """
    for key, name in keyed_names:
        if not store.exists(key):
            continue
        data = store.read(key)
        mask = metrics.to_mask(imaging.decode_png(data), threshold)
        yield f"masks/{name}.png", imaging.encode_png(mask.astype(np.uint8) * 255)
        if probabilities:
            yield f"probabilities/{name}.png", data


def uncertainty_members(store: Artifacts, keyed_names: Iterable[tuple[str, str]]) -> Iterator[Member]:
    """Yield uncertainty/<name>.png (8 bit) of (key, name) where there is such a map."""
    for key, name in keyed_names:
        if store.exists(key):
            yield f"uncertainty/{name}.png", store.read(key)


def prediction_names(
    session: Session, prediction_set_id: str, key_of: Callable[[str, str], str] = stored.prediction_key
) -> list[tuple[str, str]]:
    """Return (key, unique stem) of every prediction of a set, doubles of an image included.

    `key_of(prediction set, image)` may name another file of a prediction, such as its uncertainty.
    """
    found = session.get_one(PredictionSet, prediction_set_id)
    there = runs.predicted_images(session, prediction_set_id)
    named = datasets.named_images(session, found.dataset_id)
    return _keyed(named, there, lambda image_id: key_of(prediction_set_id, image_id))


def label_names(session: Session, label_set_id: str) -> list[tuple[str, str]]:
    """Return (key, unique stem) of every label of a set, doubles of an image included."""
    found = session.get_one(LabelSet, label_set_id)
    there = recipes.labelled_images(session, label_set_id)
    named = datasets.named_images(session, found.dataset_id)
    return _keyed(named, there, lambda image_id: stored.label_key(label_set_id, image_id))


def _in_order(query: Select[Any]) -> Select[Any]:
    return query.order_by(Image.position, Image.id)


def _keyed(named: Sequence[tuple[str, str]], there: set[str], key_of: Callable[[str], str]) -> list[tuple[str, str]]:
    kept = [(name, image_id) for name, image_id in named if image_id in there]
    stems = safe_stems([name for name, _ in kept])
    return [(key_of(image_id), stem) for (_, image_id), stem in zip(kept, stems, strict=True)]


def prediction_csv(session: Session, store: Artifacts, prediction_set_id: str, threshold: float) -> str:
    """Return areas and scores at `threshold`, one line for each image; what has no reference stays empty.

    The two kinds of score keep their names: against truth, and agreement with the pseudo-label that taught the run.
    """
    header = ["file", "width_px", "height_px", "foreground_share", "mean_probability", "mean_uncertainty"]
    header += ["truth_dice", "truth_iou", "pseudo_label_dice", "pseudo_label_iou"]
    query = select(Image, Prediction).join(Prediction, Prediction.image_id == Image.id)
    rows = session.execute(_in_order(query.where(Prediction.prediction_set_id == prediction_set_id)))
    table = []
    for image, prediction in rows:
        share = _foreground_share(store, image, prediction, threshold)
        scores = [*_scores(prediction.truth_counts, threshold), *_scores(prediction.label_counts, threshold)]
        unsure = "" if prediction.uncertainty is None else f"{prediction.uncertainty:.6f}"
        means = [f"{prediction.mean_probability:.6f}", unsure]
        table.append([image.name, image.width, image.height, share, *means, *scores])
    return as_csv(header, table)


def label_csv(session: Session, label_set_id: str) -> str:
    """Return areas and, where there is truth, scores against it at threshold 0.5, one line for each image."""
    query = select(Image, Label).join(Label, Label.image_id == Image.id).where(Label.label_set_id == label_set_id)
    table = [
        [image.name, image.width, image.height, label.area, label.dice, label.iou]
        for image, label in session.execute(_in_order(query))
    ]
    return as_csv(["file", "width_px", "height_px", "foreground_share", "truth_dice", "truth_iou"], table)


def _foreground_share(store: Artifacts, image: Image, prediction: Prediction, threshold: float) -> str:
    counts = prediction.truth_counts or prediction.label_counts
    key = stored.prediction_key(prediction.prediction_set_id, image.id)
    if counts:
        predicted = metrics.unpack_counts(counts).predicted[metrics.threshold_index(threshold)]
        share = predicted / (image.width * image.height)
    elif threshold == 0.5 or not store.exists(key):
        share = prediction.area
    else:
        share = metrics.to_mask(imaging.decode_png(store.read(key)), threshold).mean()
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


def as_csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return a table as CSV. Text that a spreadsheet would run as a formula is made plain text."""
    target = io.StringIO()
    writer = csv.writer(target, lineterminator="\n")
    writer.writerow(header)
    for row in rows:
        writer.writerow([_plain(cell) for cell in row])
    return target.getvalue()


def _plain(cell: Any) -> Any:
    # OWASP, "CSV Injection": a leading = + - @ starts a formula.
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@", "\t") else cell
