"""What the gallery shows of a run: the source of its masks, the tiles of a page, and one image in detail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import numpy as np
from sqlalchemy.orm import Session

from dashboard.facts import urls
from dashboard.facts.auto_choice import auto_choice
from dashboard.facts.jobs import JobView, job_view
from dashboard.facts.recipes import describe_stored
from dashboard.facts.reference_maps import Maps, label_maps, truth_maps
from dashboard.facts.rounds import rounds_total
from dashboard.facts.scores import REFERENCE_TITLES, Reference, ScoreTable, iou_from_dice, known
from dashboard.views.gallery.order import BY_SIGNAL, RIVALRY, TILES_PER_PAGE, Arrangement, Choice
from dashboard.views.gallery.suspicion import Signal, strongest
from db import predictions, rounds, runs
from db.models import Dataset, LabelSet, PredictionSet, Run
from engine.imaging.class_colours import class_colours, with_present_colours
from engine.training.run_details import label_share_words, weights_note, weights_origin


@dataclass(frozen=True)
class Source:
    """A run and its predictions on its own dataset. `prediction_set_id` is empty while there are none.

    `classes` are the names of the classes that the run tells apart, background first; empty for foreground alone.
    `truth_in_classes` says whether truth has them, too, as for `runs.truth_in_classes`; `label_in_classes` whether
    pseudo-labels do.
    `weights` is like "ImageNet weights" for a pretrained network, else empty.
    """

    run_id: str
    run_name: str
    dataset_id: str
    dataset_name: str
    image_count: int
    truth_version: int
    classes: tuple[str, ...]
    class_colours: tuple[str, ...]
    truth_in_classes: runs.TruthClasses | None
    label_in_classes: bool
    prediction_set_id: str
    predicted: int
    label_set_id: str | None
    label_set_name: str
    recipe: str
    can_predict: bool
    truth_changed: bool
    weights: str
    job: JobView | None
    weights_origin: str = ""
    """The file of these weights, for a tooltip."""
    label_share: float = 0.0
    """The share of the labels in its masks."""


@dataclass(frozen=True)
class RunChoice:
    """A run that can be chosen. `predicted` is whether it has masks of its own dataset."""

    id: str
    name: str
    predicted: bool


def run_choices(session: Session, also: str = "") -> list[RunChoice]:
    """Return the runs that are not archived, those with predictions first, then the newest first.

    Args:
        also: a run to include even if it is archived, because the URL names it.
    """
    sets = predictions.with_masks(session)
    choices = [RunChoice(id_, name, id_ in sets) for id_, name in runs.names(session, also=[also]).items()]
    return sorted(choices, key=lambda choice: not choice.predicted)


def source(session: Session, run_id: str, now: datetime, lost_after_s: float) -> Source | None:
    """Return the source of a gallery; None if the run does not exist."""
    run = session.get(Run, run_id)
    if run is None:
        return None
    dataset = session.get_one(Dataset, run.dataset_id)
    label_set = session.get(LabelSet, run.label_set_id) if run.label_set_id else None
    prediction_set, predicted = predictions.own_sets(session, [run.id]).get(run.id, (None, 0))
    return Source(
        run_id=run.id,
        run_name=run.name,
        dataset_id=dataset.id,
        dataset_name=dataset.name,
        image_count=dataset.image_count,
        truth_version=dataset.truth_version,
        classes=tuple(str(entry["name"]) for entry in run.classes),
        class_colours=tuple(class_colours(with_present_colours(run.classes, dataset.classes))),
        truth_in_classes=runs.truth_in_classes(session, run, dataset),
        label_in_classes=bool(run.classes and run.label_set_id),
        prediction_set_id=prediction_set.id if prediction_set else "",
        predicted=predicted,
        label_set_id=run.label_set_id,
        label_set_name=label_set.name if label_set else "",
        recipe=label_set.method if label_set else "",
        can_predict=run.best_epoch is not None,
        truth_changed=bool(dataset.truth_count) and list(dataset.lookup) != list(run.lookup),
        weights=weights_note(run.details),
        job=job_view(predictions.job_at_work(session, run), now, lost_after_s),
        weights_origin=weights_origin(run.details),
        label_share=rounds.label_share(run),
    )


@dataclass(frozen=True)
class Thumbnail:
    """One image with the URLs of its masks; `score` and `success` are None without a reference.

    The reference is its `truth` or its `label`, the pseudo-label that the run was trained on. `classes` are the class
    numbers of the mask, None for foreground alone. `uncertainty` in [0, 1] is the mean of its map; both are None for
    masks of old versions. `note` names what the image is sorted by, unless that is its score, area or name.
    """

    image_id: str
    name: str
    split: str
    image: str
    mask: str
    classes: str | None
    reference: Maps | None
    truth: Maps | None
    label: Maps | None
    uncertainty_map: str | None
    uncertainty: float | None
    score: float | None
    success: bool | None
    note: str


def thumbnails(
    source: Source, table: ScoreTable, arrangement: Arrangement, choice: Choice, page: int, size_px: int = 192
) -> tuple[Thumbnail, ...]:
    """Return the images of one page (from 1); their longest side has at most `size_px`, one of `urls.SIZES_PX`."""
    rows = arrangement.rows[(page - 1) * TILES_PER_PAGE :][:TILES_PER_PAGE]
    note = _noting(table, arrangement, choice)
    return tuple(_thumbnail(source, table, arrangement, choice, int(row), size_px, note(int(row))) for row in rows)


def _thumbnail(
    source: Source, table: ScoreTable, arrangement: Arrangement, choice: Choice, row: int, size_px: int, note: str
) -> Thumbnail:
    image_id, score = table.image_ids[row], known(arrangement.scores[row])
    unsure = known(table.uncertainty[row])
    masks = {
        reference: reference_maps(source, reference, image_id, size_px)
        for reference in table.references
        if np.isfinite(table.scores(reference, choice.threshold)[row])
    }
    return Thumbnail(
        image_id=image_id,
        name=table.names[row],
        split=str(table.splits[row]),
        image=urls.image(source.dataset_id, image_id, size_px),
        mask=urls.prediction(source.prediction_set_id, image_id, size_px),
        classes=classes_url(source, image_id, size_px),
        reference=masks.get(choice.reference),
        truth=masks.get("truth"),
        label=masks.get("label"),
        uncertainty_map=None if unsure is None else urls.uncertainty(source.prediction_set_id, image_id, size_px),
        uncertainty=unsure,
        score=score,
        success=None if score is None else score >= choice.success_from,
        note=note,
    )


def _noting(table: ScoreTable, arrangement: Arrangement, choice: Choice) -> Callable[[int], str]:
    """Return a function that explains the position of a row of the table."""
    area = table.area(choice.threshold)
    typical = float(np.median(area)) if len(table) else 0.0
    lines: dict[Signal, Callable[[int], str]] = {
        "disagreement": lambda row: f"agreement with its label {1 - arrangement.signals['disagreement'][row]:.3f}",
        "uncertainty": lambda row: f"uncertainty {table.uncertainty[row]:.3f}",
        "mirror": lambda row: f"stable when flipped {table.flip_agreement[row]:.3f}",
        "area": lambda row: f"covers {area[row]:.1%} (typical {typical:.1%})",
    }
    if choice.sort in BY_SIGNAL:
        signal = BY_SIGNAL[choice.sort]
        values = arrangement.signals.get(signal)
        return lambda row: lines[signal](row) if values is not None and np.isfinite(values[row]) else ""
    if choice.sort == "Suspicious first":
        reasons = strongest(arrangement.signals)
        return lambda row: lines[reason](row) if (reason := reasons[row]) else ""
    if choice.sort in RIVALRY:
        network, label = table.scores("truth", choice.threshold), table.teacher_dice
        rows = np.isfinite(arrangement.lead)
        return lambda row: f"network {network[row]:.3f}, label {label[row]:.3f}" if rows[row] else ""
    return lambda row: ""


def reference_maps(source: Source, reference: Reference, image_id: str, size: int | None = None) -> Maps:
    """Return the URLs of an image's reference, with the classes of the run where it has them."""
    if reference == "label" and source.label_set_id:
        return label_maps(source.label_set_id, image_id, size, in_classes=source.label_in_classes)
    in_classes, version = source.truth_in_classes, source.truth_version
    return truth_maps(source.dataset_id, image_id, size, run_id=source.run_id, in_classes=in_classes, version=version)


def classes_url(source: Source, image_id: str, size: int | None = None) -> str | None:
    """Return the URL of a mask's class numbers; None if the run knows foreground alone."""
    return urls.prediction_classes(source.prediction_set_id, image_id, size) if source.classes else None


class ClassScore(NamedTuple):
    """Scores of a class in one image against truth, at threshold 0.5; None where neither truth nor mask has it."""

    name: str
    dice: float | None
    iou: float | None


@dataclass(frozen=True)
class Detail:
    """One image of the gallery, with all its scores at the chosen mask threshold.

    `teacher_dice` is the Dice of the pseudo-label against truth at 0.5, and `lead` how much nearer to truth the network
    is; both None without truth or label. `flip_agreement` is the Dice at 0.5 between the masks of the image and of the
    flipped image. `score` is what the gallery counts successes by, and `classes` has those of each class that the run
    tells apart. `suspicion` in (0, 1) is the mean of the image's rank shares in its `signals`; high is suspicious.
    """

    image_id: str
    name: str
    width: int
    height: int
    split: str
    area: float
    uncertainty: float | None
    flip_agreement: float | None
    suspicion: float | None
    signals: dict[Signal, float]
    teacher_dice: float | None
    lead: float | None
    dice: dict[Reference, float | None]
    iou: dict[Reference, float | None]
    score: float | None
    classes: tuple[ClassScore, ...]
    success: bool | None
    position: int | None
    total: int
    previous_id: str | None
    next_id: str | None


def detail(table: ScoreTable, arrangement: Arrangement, choice: Choice, image_id: str) -> Detail | None:
    """Return one image and its neighbours in the gallery's order; None if the run has no mask of it."""
    row = table.index.get(image_id)
    if row is None:
        return None
    place = arrangement.place(row)
    rows = arrangement.rows
    references = [reference for reference in REFERENCE_TITLES if reference in table.references]
    dice = {reference: known(table.scores(reference, choice.threshold)[row]) for reference in references}
    chosen = known(arrangement.scores[row])
    signals = {name: float(values[row]) for name, values in arrangement.signals.items() if np.isfinite(values[row])}
    return Detail(
        image_id=image_id,
        name=table.names[row],
        width=table.sizes[row][0],
        height=table.sizes[row][1],
        split=str(table.splits[row]),
        area=float(table.area(choice.threshold)[row]),
        uncertainty=known(table.uncertainty[row]),
        flip_agreement=known(table.flip_agreement[row]),
        suspicion=known(arrangement.suspicion[row]),
        signals=signals,
        teacher_dice=known(table.teacher_dice[row]),
        lead=known(arrangement.lead[row]),
        dice=dice,
        iou={reference: None if score is None else iou_from_dice(score) for reference, score in dice.items()},
        score=chosen,
        classes=_class_scores(table, row),
        success=None if chosen is None else chosen >= choice.success_from,
        position=place,
        total=len(rows),
        previous_id=table.image_ids[rows[place - 1]] if place else None,
        next_id=table.image_ids[rows[place + 1]] if place is not None and place + 1 < len(rows) else None,
    )


def _class_scores(table: ScoreTable, row: int) -> tuple[ClassScore, ...]:
    dice = [known(score) for score in table.class_dice[row, 1:]] if table.has_class_scores else []
    scores = zip(table.classes[1:], dice, strict=False)
    return tuple(ClassScore(name, each, None if each is None else iou_from_dice(each)) for name, each in scores)


@dataclass(frozen=True)
class MaskOrigin:
    """What produced the masks of a prediction set, in words, and its classes.

    `network` is like "preset balanced · best epoch 12 · ImageNet weights", `prediction` like "averaged over
    flips", `recipe` like "K-means: clusters 6" and empty for a run trained on truth. `classes` are the dataset's names
    by class index, 0 the background; empty without truth.
    """

    network: str
    prediction: str
    recipe: str
    classes: tuple[str, ...]


def mask_origin(session: Session, prediction_set_id: str) -> MaskOrigin | None:
    """Return what produced the masks of a prediction set; None if it does not exist."""
    predicted = session.get(PredictionSet, prediction_set_id)
    if predicted is None:
        return None
    run = session.get_one(Run, predicted.run_id)
    dataset = session.get_one(Dataset, predicted.dataset_id)
    label_set = session.get(LabelSet, run.label_set_id) if run.label_set_id else None
    share = rounds.label_share(run) if predicted.dataset_id == run.dataset_id else 0
    steps = ["averaged over flips"] if predicted.flips and share < 1 else []
    if predicted.refine != "none" and share < 1:
        steps.append(f"refined with {predicted.refine.replace('_', ' ')}")
    if share:
        steps.append(label_share_words(share))
    return MaskOrigin(
        network=_network(session, run),
        prediction=", ".join(steps) or "without averaging or refinement",
        recipe=_recipe(label_set) if label_set else "",
        classes=tuple(str(entry["name"]) for entry in dataset.classes),
    )


def _network(session: Session, run: Run) -> str:
    words = [f"preset {run.preset.replace('_', ' ')}"]
    if run.best_epoch is not None:
        words.append(f"best epoch {run.best_epoch}")
    words.append(weights_note(run.details))
    if rounds_total(run) > 1:
        accepted = [row.number for row in rounds.rounds(session, run.id) if row.accepted]
        words.append(f"self-training, round {accepted[-1]}" if accepted else "self-training")
    return " · ".join(filter(None, words))


def _recipe(label_set: LabelSet) -> str:
    recipe, title, changes = describe_stored(label_set.method, label_set.params)
    if recipe is None:
        return f"{title}: {changes}"
    chosen = auto_choice(label_set.state)
    return f"{title}: {changes}" + (f"; chose {chosen.title}" if chosen else "")
