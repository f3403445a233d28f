"""What the formats need to know, read from the records: masked images of a set, and the facts of a run."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from engine.core.parameters import parse
from engine.core.run_config import RunConfig
from engine.core.run_config_text import config_rows
from engine.exports.annotated import Annotated, MaskedImage, foreground_category
from engine.exports.report import ReportTile, TileRow
from engine.exports.run_facts import RunFacts, Score
from engine.imaging import codec, metrics
from engine.store import keys as stored
from engine.store.base import MissingFile
from engine.training.run_details import (
    DICE_NAME,
    IOU_NAME,
    Reference,
    encoder_weights,
    hardware_line,
    weights_note,
)
from engine.work.context import JobContext, JobFailed

TILES = 6
"""How many of the best and of the worst masks a report shows."""


def masked_images(context: JobContext, payload: dict[str, Any]) -> Annotated:
    """Return the images of a prediction set or a label set whose masks are there, at the payload's threshold.

    Doubles of an image are left out: annotations are for learning, and nothing is learned from seeing it twice.
    """
    records, files, threshold = context.records, context.artifacts, payload["threshold"]
    if payload["owner"] == "prediction_set":
        set_id = payload["prediction_set"]
        there, run = records.predicted_images(set_id), records.run(payload["run"])
        own = run.dataset_id == payload["dataset"]
        splits = {row.image_id: row.split for row in records.split(run.id)} if own else {}
        note = f"Masks predicted by the run {run.name!r} at threshold {threshold:g}, with Maskloom"
        note += f"; {weights_note(run.details)}." if weights_note(run.details) else "."
        key_of = partial(stored.prediction_key, set_id)
    else:
        set_id = payload["label_set"]
        there, label_set, splits = records.labelled_images(set_id), records.label_set(set_id), {}
        note = (
            f"Pseudo-labels {label_set.name!r} (method {label_set.method}) at threshold {threshold:g}, with Maskloom."
        )
        key_of = partial(stored.label_key, set_id)
    images = [
        MaskedImage(image.position, image.name, image.width, image.height, splits.get(image.id, ""), key_of(image.id))
        for image in records.images(payload["dataset"])
        if image.id in there and files.exists(key_of(image.id))
    ]
    if not images:
        raise JobFailed("The stored masks are gone. Draw them again.")
    by_key = {image.key: (image.height, image.width) for image in images}

    def read(key: str) -> np.ndarray:
        mask = metrics.to_mask(_decoded(context, key), threshold)
        return mask if mask.shape == by_key[key] else codec.resize_mask(mask, by_key[key])

    return Annotated(images, foreground_category(records.dataset(payload["dataset"]).classes), read, note)


def run_facts(context: JobContext, run: Any) -> RunFacts:
    """Return a run as it stands."""
    records = context.records
    dataset, config = records.dataset(run.dataset_id), parse(RunConfig, run.config)
    label_set = records.label_set(run.label_set_id) if run.label_set_id else None
    splits = [row.split for row in records.split(run.id)]
    by_epoch: dict[int, dict[str, float]] = {}
    for row in records.metrics(run.id):
        by_epoch.setdefault(row.epoch, {})[row.name] = row.value
    reference: Reference = "pseudo-label" if label_set else "truth"
    return RunFacts(
        name=run.name,
        dataset=dataset.name,
        images=len(records.images(dataset.id)),
        train_images=splits.count("train"),
        validation_images=splits.count("validation"),
        taught_by=f"the label set {label_set.name!r}" if label_set else "truth",
        method=label_set.method if label_set else "",
        reference=reference,
        preset=run.preset,
        weights=encoder_weights(run.details),
        hardware=hardware_line(run.details),
        parameters=run.parameter_count,
        created_at=run.created_at,
        code_version=run.code_version,
        seconds=run.train_seconds,
        ended=run.ended_reason,
        best_epoch=run.best_epoch,
        epochs=max(by_epoch, default=0),
        rounds=len(records.rounds(run.id)),
        scores=_scores(context, run, by_epoch.get(run.best_epoch or 0, {}), reference),
        settings=config_rows(run.config, run.preset),
        metrics=by_epoch,
        model=config.model,
        data=config.data,
    )


def _scores(context: JobContext, run: Any, best: dict[str, float], reference: Reference) -> tuple[Score, ...]:
    note = f"; {weights_note(run.details)}" if weights_note(run.details) else ""
    on = f"validation pixels at the best epoch{note}"
    found = [
        Score(names[reference], best[metric], on)
        for metric, names in (("val_dice", DICE_NAME), ("val_iou", IOU_NAME))
        if metric in best
    ]
    own = context.records.own_prediction_set(run.id)
    rows = [row for row in context.records.predictions(own.id) if row.split == "validation"] if own else []
    truth = [row for row in rows if row.truth_dice is not None]
    if truth:
        on = f"mean of the masks of {len(truth):,} validation images with truth, threshold 0.5{note}"
        found.append(Score("Dice vs truth", float(np.mean([row.truth_dice for row in truth])), on))
        found.append(Score("IoU vs truth", float(np.mean([row.truth_iou for row in truth])), on))
    return tuple(found)


def tile_rows(context: JobContext, run: Any) -> list[TileRow]:
    """Return the best and the worst masks of a run's own validation images, or of all where none was kept out.

    Against truth where there is some, else against the pseudo-label that taught it.
    """
    own = context.records.own_prediction_set(run.id)
    rows = context.records.predictions(own.id) if own else []
    by_truth = any(row.truth_dice is not None for row in rows)
    score_of = (lambda row: row.truth_dice) if by_truth else (lambda row: row.label_dice)
    scored = [row for row in rows if score_of(row) is not None]
    kept_out = [row for row in scored if row.split == "validation"]
    ranked = sorted(kept_out or scored, key=lambda row: (score_of(row), row.image_id))
    few = min(TILES, len(ranked) // 2 + len(ranked) % 2)
    which = "validation masks" if kept_out else "masks, of images it learned from"
    name = "Dice vs truth" if by_truth else "agreement with the pseudo-label (Dice)"
    images = {image.id: image for image in context.records.images(run.dataset_id)}
    found = []
    for word, chosen in (("Worst", ranked[:few]), ("Best", ranked[::-1][: min(few, len(ranked) - few)])):
        tiles = [
            tile
            for row in chosen
            if (tile := _tile(context, run, own.id, images[row.image_id], by_truth, score_of(row)))
        ]
        found.append(TileRow(f"{word} {which}", name, tiles))
    return found


def _tile(context: JobContext, run: Any, set_id: str, image: Any, by_truth: bool, score: float) -> ReportTile | None:
    """Return a tile, or None where one of its files is gone."""
    try:
        pixels = _decoded(context, stored.image_key(run.dataset_id, image.id))
        mask = metrics.to_mask(_decoded(context, stored.prediction_key(set_id, image.id)), 0.5)
        if by_truth:
            lookup = np.asarray(context.records.dataset(run.dataset_id).lookup, np.uint8)
            reference = lookup[_decoded(context, stored.truth_key(run.dataset_id, image.id))] > 0
        else:
            reference = metrics.to_mask(_decoded(context, stored.label_key(run.label_set_id, image.id)), 0.5)
    except JobFailed:
        return None
    return ReportTile(image.name, score, pixels, mask, reference)


def _decoded(context: JobContext, key: str) -> np.ndarray:
    try:
        return codec.decode_png(context.artifacts.read(key))
    except (MissingFile, codec.UnreadableImage) as error:
        raise JobFailed(str(error)) from None
