"""What the formats need to know: the images of a set with their masks, and the facts of a run."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from engine.core.parameters import parse
from engine.core.run_config import RunConfig
from engine.core.run_config_text import config_rows
from engine.exports.annotated import Annotated, MaskedImage, foreground_category
from engine.exports.run_facts import ReportTile, RunFacts, Score, TileRow
from engine.imaging import class_maps, codec, metrics
from engine.imaging.class_colours import class_colours, with_present_colours
from engine.imaging.class_confusion import ClassConfusion, class_confusion
from engine.imaging.left_out import LeftOut
from engine.labelling.strokes.backbones import weights_of
from engine.store import keys as stored
from engine.store.base import MissingFile, Store
from engine.training.run_details import (
    DICE_NAME,
    IOU_NAME,
    Reference,
    class_names,
    hardware_line,
    label_share_words,
    label_weights,
    weights_name,
    weights_note,
)
from engine.work.context import JobFailed

if TYPE_CHECKING:
    from db.models import Dataset, Image, LabelSet, Metric, Prediction, Run
    from db.runs import TruthClasses

TILES = 6
"""How many of the best and of the worst masks a report shows."""


@dataclass(frozen=True)
class RunRows:
    """The rows of a run at one moment; `predictions` are those of its own dataset, in the set `prediction_set_id`.

    Without predictions that id is empty. `truth_in_classes` is whether truth has the classes of the run, as for
    `db.runs.truth_in_classes`. `left_out_id` is that of the predictions.
    """

    run: Run
    dataset: Dataset
    truth_in_classes: TruthClasses | None
    label_set: LabelSet | None
    images: Sequence[Image]
    splits: Sequence[str]
    metrics: Sequence[Metric]
    rounds: int
    predictions: Sequence[Prediction]
    left_out_id: str | None = None
    label_share: float = 0.0
    """Of the labels in the masks of its own images."""


def prediction_note(run: Run, threshold: float, label_share: float = 0.0) -> str:
    """Return the sentence that names the source of predicted masks, in which labels may have a share."""
    whose = "of" if label_share == 1 else "predicted by"
    note = f"Masks {whose} the run {run.name!r} at threshold {threshold:g}, with Maskloom"
    owed = f"they are {label_share_words(label_share)}" if label_share else ""
    return "; ".join(filter(None, (note, owed, weights_note(run.details)))) + "."


def label_note(label_set: LabelSet, threshold: float) -> str:
    """Return the sentence that names the source of pseudo-labels."""
    if origin := imported_from(label_set):
        return f"Masks {label_set.name!r}, imported from {origin}, at threshold {threshold:g}, with Maskloom."
    weights = weights_of(label_set.params, label_set.state or {})
    note = f"Pseudo-labels {label_set.name!r} (method {label_set.method}) at threshold {threshold:g}, with Maskloom"
    return note + (f"; helped by {weights}." if weights else ".")


def imported_from(label_set: LabelSet | None) -> str:
    """Return where the masks of an imported mask set are from, or "" if a method computed them."""
    return str(label_set.params.get("source", "")) if label_set and label_set.method == "imported" else ""


def masked_images(
    files: Store,
    dataset: Dataset,
    images: Sequence[Image],
    masked: Collection[str],
    key_of: Callable[[str], str],
    threshold: float,
    *,
    splits: Mapping[str, str],
    note: str,
    classes: Sequence[str] = (),
    likely_key_of: Callable[[str], str] = str,
) -> Annotated:
    """Return those of a dataset's images whose ids are in `masked` and whose mask, at `key_of(id)`, is stored.

    Duplicates of an image are left out: annotations are for training, and seeing an image twice adds nothing. If the
    masks tell `classes` apart, the most likely one of each pixel is at `likely_key_of(id)`.

    Raises:
        JobFailed: no mask is left.
    """
    there = {key for folder in {key_of(id_).rpartition("/")[0] for id_ in masked} for key in files.keys(folder)}
    chosen = [
        MaskedImage(image.position, image.name, image.width, image.height, splits.get(image.id, ""), key_of(image.id))
        for image in images
        if image.id in masked and key_of(image.id) in there
    ]
    if not chosen:
        raise JobFailed("The stored masks are gone. Compute them again.")
    shapes = {image.key: (image.height, image.width) for image in chosen}
    likely_keys = {key_of(id_): likely_key_of(id_) for id_ in masked} if classes else {}

    def read(key: str) -> np.ndarray:
        mask = codec.resize_mask(metrics.to_mask(_decoded(files, key), threshold), shapes[key])
        if not classes:
            return mask.astype(np.uint8)
        return mask * class_maps.resize_classes(_decoded(files, likely_keys[key]), shapes[key])

    return Annotated(chosen, classes or [foreground_category(dataset.classes)], read, note)


def run_facts(rows: RunRows) -> RunFacts:
    """Return a run as it stands."""
    run, label_set, config = rows.run, rows.label_set, parse(RunConfig, rows.run.config)
    by_epoch: dict[int, dict[str, float]] = {}
    for row in rows.metrics:
        by_epoch.setdefault(row.epoch, {})[row.name] = row.value
    reference: Reference = "pseudo-label" if label_set else "truth"
    return RunFacts(
        name=run.name,
        dataset=rows.dataset.name,
        images=len(rows.images),
        train_images=rows.splits.count("train"),
        validation_images=rows.splits.count("validation"),
        trained_on=f"the mask set {label_set.name!r}" if label_set else "truth",
        method=label_set.method if label_set else "",
        imported_from=imported_from(label_set),
        reference=reference,
        preset=run.preset.replace("_", " "),
        weights=weights_name(run.details),
        label_weights=label_weights(run.details),
        hardware=hardware_line(run.details),
        parameters=run.parameter_count,
        created_at=run.created_at,
        code_version=run.code_version,
        seconds=run.train_seconds,
        ended=run.ended_reason,
        best_epoch=run.best_epoch,
        epochs=max(by_epoch, default=0),
        rounds=rows.rounds,
        scores=_scores(rows, by_epoch.get(run.best_epoch or 0, {}), reference),
        settings=config_rows(run.config, run.preset),
        metrics=by_epoch,
        model=config.model,
        data=config.data,
        classes=class_names(run.classes),
        class_colours=tuple(class_colours(with_present_colours(run.classes, rows.dataset.classes))),
        confusion=_confusion(rows),
    )


def _confusion(rows: RunRows) -> ClassConfusion | None:
    found = [
        row.truth_confusion for row in rows.predictions if row.split == "validation" and row.truth_confusion is not None
    ]
    return class_confusion(class_names(rows.run.classes), found) if found and rows.run.classes else None


def _scores(rows: RunRows, best: dict[str, float], reference: Reference) -> tuple[Score, ...]:
    note = f"; {weights_note(rows.run.details)}" if weights_note(rows.run.details) else ""
    on = f"validation pixels at the best epoch{note}"
    of, foreground = {"": ""}, ""
    if rows.run.classes:  # the epochs' means are of classes, and the masks' scores of all of them together
        of = {"": ", mean of the classes"}
        of |= {f"_{entry['index']}": f", class {entry['name']}" for entry in rows.run.classes[1:]}
        foreground = ", all classes as foreground"
    scores = [
        Score(names[reference] + words, best[metric + suffix], on)
        for suffix, words in of.items()
        for metric, names in (("val_dice", DICE_NAME), ("val_iou", IOU_NAME))
        if metric + suffix in best
    ]
    truth = [row for row in rows.predictions if row.split == "validation" and row.truth_dice is not None]
    if truth:
        of_labels = f"; they are {label_share_words(rows.label_share)}" if rows.label_share else ""
        on = f"mean of the masks of {len(truth):,} validation images with truth, threshold 0.5{of_labels}{note}"
        scores.append(Score(f"Dice vs truth{foreground}", float(np.mean([row.truth_dice for row in truth])), on))
        scores.append(Score(f"IoU vs truth{foreground}", float(np.mean([row.truth_iou for row in truth])), on))
    return tuple(scores)


def tile_rows(rows: RunRows, files: Store) -> list[TileRow]:
    """Return the best and the worst masks of a run's own validation images, or of all where it had none.

    Against truth where there is any, by its classes if it has those of the run, else against the pseudo-label that the
    run was trained on.
    """
    name, scores = _tile_scores(rows)
    scored = [(score, row) for score, row in zip(scores, rows.predictions, strict=True) if score is not None]
    kept_out = [(score, row) for score, row in scored if row.split == "validation"]
    ranked = sorted(kept_out or scored, key=lambda pair: (pair[0], pair[1].image_id))
    few = min(TILES, len(ranked) // 2 + len(ranked) % 2)
    which = "validation masks" if kept_out else "masks, of images it learned from"
    images = {image.id: image for image in rows.images}
    found = []
    for word, chosen in (("Worst", ranked[:few]), ("Best", ranked[::-1][: min(few, len(ranked) - few)])):
        tiles = [_tile(rows, files, images[row.image_id], row, "vs truth" in name, score) for score, row in chosen]
        found.append(TileRow(f"{word} {which}", name, [tile for tile in tiles if tile is not None]))
    return found


def _tile_scores(rows: RunRows) -> tuple[str, list[float | None]]:
    """Return what the scores of a report's tiles are, with their reference, and that of each prediction."""
    last, foreground = len(rows.run.classes) - 1, ", all classes as foreground" if rows.run.classes else ""
    confusions = [row.truth_confusion if rows.run.classes else None for row in rows.predictions]
    kinds: dict[str, list[float | None]] = {
        "Dice of classes vs truth": [
            None if found is None else metrics.mean_class_dice(metrics.confusion_matrix(found, last))
            for found in confusions
        ],
        f"Dice vs truth{foreground}": [row.truth_dice for row in rows.predictions],
        f"agreement with the pseudo-label (Dice{foreground})": [row.label_dice for row in rows.predictions],
    }
    return next((kind for kind in kinds.items() if any(score is not None for score in kind[1])), (*kinds.items(),)[-1])


def _tile(
    rows: RunRows, files: Store, image: Image, prediction: Prediction, by_truth: bool, score: float
) -> ReportTile | None:
    """Return a tile, or None where one of its files is gone."""
    run, set_id, apart = rows.run, prediction.prediction_set_id, bool(rows.run.classes)

    def class_map(
        key_of: Callable[[str, str], str], likely_key_of: Callable[[str, str], str], owner: str
    ) -> np.ndarray:
        likely = _decoded(files, likely_key_of(owner, image.id)) if apart else None
        return class_maps.to_classes(_decoded(files, key_of(owner, image.id)), likely, 0.5)

    try:
        pixels = _decoded(files, stored.image_key(run.dataset_id, image.id))
        mask = class_map(stored.prediction_key, stored.prediction_classes_key, set_id)
        if not by_truth:
            reference = class_map(stored.label_key, stored.label_classes_key, run.label_set_id or "")
            return ReportTile(image.name, score, pixels, mask, reference, apart)
        lookup = run.lookup if rows.truth_in_classes == "of the run" else rows.dataset.lookup
        region = LeftOut(files, stored.left_out_key(run.dataset_id, rows.left_out_id))
        truth = region.reference(_decoded(files, stored.truth_key(run.dataset_id, image.id)), lookup)
    except JobFailed:
        return None
    if truth.ignored is not None:  # shown as neither right nor wrong
        mask = mask * ~truth.ignored
    return ReportTile(image.name, score, pixels, mask, truth.class_map, rows.truth_in_classes is not None)


def _decoded(files: Store, key: str) -> np.ndarray:
    try:
        return codec.decode_png(files.read(key))
    except (MissingFile, codec.UnreadableImage) as error:
        raise JobFailed(str(error)) from None
