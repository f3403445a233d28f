"""What the gallery shows of a run: where its masks came from, the tiles of a page, and one image in detail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from sqlalchemy.orm import Session

from dashboard.facts import urls
from dashboard.facts.jobs import JobView, job_view
from dashboard.facts.scores import Reference, ScoreTable, iou_from_dice
from dashboard.views.gallery import suspicion
from dashboard.views.gallery.order import BY_SIGNAL, RIVALRY, TILES_PER_PAGE, Arrangement, Better, Choice
from db import predictions, runs
from db.models import Dataset, LabelSet, Run
from engine.training.run_details import weights_note


@dataclass(frozen=True)
class Source:
    """Where a run's predictions lie and what they came from. `prediction_set_id` is empty where there are none.

    `weights` is "encoder weights: ImageNet" and the like where the network did not begin from nothing, else empty.
    """

    run_id: str
    run_name: str
    dataset_id: str
    dataset_name: str
    image_count: int
    truth_version: int
    prediction_set_id: str
    predicted: int
    label_set_id: str | None
    label_set_name: str
    recipe: str
    can_predict: bool
    truth_changed: bool
    preset: str
    best_epoch: int | None
    weights: str
    job: JobView | None

    @property
    def taught_by(self) -> str:
        """What the run learned from, in words."""
        return f"the label set “{self.label_set_name}” ({self.recipe})" if self.label_set_id else "truth"


@dataclass(frozen=True)
class RunChoice:
    """One run to choose from. `predicted` says whether any image of its own dataset is."""

    id: str
    name: str
    predicted: bool


def run_choices(session: Session, also: str = "") -> list[RunChoice]:
    """Return the runs that are not put away, those with predictions first, then the newest first.

    Args:
        also: a run to choose from even where it is put away: the address names it.
    """
    sets = predictions.with_masks(session)
    found = [RunChoice(id_, name, id_ in sets) for id_, name in runs.names(session, also=[also]).items()]
    return sorted(found, key=lambda choice: not choice.predicted)


def source(session: Session, run_id: str, now: datetime, lost_after_s: float) -> Source | None:
    """Return where the predictions of a run on its own dataset come from; None if there is no such run."""
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
        prediction_set_id=prediction_set.id if prediction_set else "",
        predicted=predicted,
        label_set_id=run.label_set_id,
        label_set_name=label_set.name if label_set else "",
        recipe=label_set.method if label_set else "",
        can_predict=run.best_epoch is not None,
        truth_changed=bool(dataset.truth_count) and list(dataset.lookup) != list(run.lookup),
        preset=run.preset,
        best_epoch=run.best_epoch,
        weights=weights_note(run.details),
        job=job_view(predictions.job_at_work(session, run), now, lost_after_s),
    )


@dataclass(frozen=True)
class Picture:
    """One image with the addresses of its masks; `score` and `success` are None where it has no reference, which is
    its `truth` or its `label`, the pseudo-label that taught the run.

    `uncertainty` in [0, 1] is the mean of its map; both are None for a mask that was drawn before there were any.
    `note` says in words what the image is sorted by, where that is not its score, area or name.
    """

    image_id: str
    name: str
    split: str
    image: str
    mask: str
    reference: str | None
    truth: str | None
    label: str | None
    uncertainty_map: str | None
    uncertainty: float | None
    score: float | None
    success: bool | None
    note: str


def pictures(
    origin: Source, table: ScoreTable, arrangement: Arrangement, choice: Choice, page: int, size_px: int = 192
) -> tuple[Picture, ...]:
    """Return the images of one page (from 1); their longest side has at most `size_px`, one of `urls.SIZES_PX`."""
    rows = arrangement.rows[(page - 1) * TILES_PER_PAGE :][:TILES_PER_PAGE]
    note = _noting(table, arrangement, choice)
    return tuple(_picture(origin, table, arrangement, choice, int(row), size_px, note(int(row))) for row in rows)


def _picture(
    origin: Source, table: ScoreTable, arrangement: Arrangement, choice: Choice, row: int, size_px: int, note: str
) -> Picture:
    image_id, score = table.image_ids[row], _known(arrangement.scores[row])
    unsure = _known(table.uncertainty[row])
    masks = {
        reference: reference_url(origin, reference, image_id, size_px)
        for reference in table.references
        if np.isfinite(table.scores(reference, choice.threshold)[row])
    }
    return Picture(
        image_id=image_id,
        name=table.names[row],
        split=str(table.splits[row]),
        image=urls.image(origin.dataset_id, image_id, size_px),
        mask=urls.prediction(origin.prediction_set_id, image_id, size_px),
        reference=masks.get(choice.reference),
        truth=masks.get("truth"),
        label=masks.get("label"),
        uncertainty_map=None if unsure is None else urls.uncertainty(origin.prediction_set_id, image_id, size_px),
        uncertainty=unsure,
        score=score,
        success=None if score is None else score >= choice.success_from,
        note=note,
    )


def _noting(table: ScoreTable, arrangement: Arrangement, choice: Choice) -> Callable[[int], str]:
    """Return what says of a row of the table why it stands where it does."""
    area = table.area(choice.threshold)
    usual = float(np.median(area)) if len(table) else 0.0
    lines: dict[suspicion.Signal, Callable[[int], str]] = {
        "disagreement": lambda row: f"agreement with its label {1 - arrangement.signals['disagreement'][row]:.3f}",
        "uncertainty": lambda row: f"uncertainty {table.uncertainty[row]:.3f}",
        "mirror": lambda row: f"agrees with its mirror {table.flip_agreement[row]:.3f}",
        "area": lambda row: f"covers {area[row]:.1%}, usual {usual:.1%}",
    }
    if choice.sort in BY_SIGNAL:
        signal = BY_SIGNAL[choice.sort]
        values = arrangement.signals.get(signal)
        return lambda row: lines[signal](row) if values is not None and np.isfinite(values[row]) else ""
    if choice.sort == "Suspicious first":
        strongest = suspicion.strongest(arrangement.signals)
        return lambda row: lines[strongest[row]](row) if strongest[row] else ""
    if choice.sort in RIVALRY:
        return lambda row: _rivalry_in_words(arrangement.lead[row], table.teacher_dice[row])
    return lambda row: ""


def _rivalry_in_words(lead: float, teacher_dice: float) -> str:
    """Return "network 0.812, label 0.640", both Dice vs truth."""
    return f"network {teacher_dice + lead:.3f}, label {teacher_dice:.3f}" if np.isfinite(lead) else ""


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def reference_url(origin: Source, reference: Reference, image_id: str, size: int | None = None) -> str:
    """Return the address of an image's reference mask."""
    if reference == "label" and origin.label_set_id:
        return urls.label(origin.label_set_id, image_id, size)
    return urls.truth(origin.dataset_id, image_id, size, version=origin.truth_version)


@dataclass(frozen=True)
class Detail:
    """One image of the gallery, with all its scores at the chosen mask threshold.

    `teacher_dice` is Dice of the pseudo-label against truth at 0.5, and `better` says which of label and network is
    nearer to truth; both None without truth or label. `flip_agreement` is Dice at 0.5 between the network's masks of
    the image and of its mirror image. `suspicion` in (0, 1) is the mean of the image's rank shares in its `signals`,
    each as in `dashboard.views.gallery.suspicion.signals`: high is suspicious.
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
    signals: dict[suspicion.Signal, float]
    teacher_dice: float | None
    better: Better | None
    dice: dict[Reference, float | None]
    iou: dict[Reference, float | None]
    success: bool | None
    position: int | None
    total: int
    previous_id: str | None
    next_id: str | None


def detail(table: ScoreTable, arrangement: Arrangement, choice: Choice, image_id: str) -> Detail | None:
    """Return one image and its neighbours in the gallery's order; None if the run has no prediction of it."""
    row = table.index.get(image_id)
    if row is None:
        return None
    place = arrangement.place(row)
    rows = arrangement.rows
    dice = {reference: _known(table.scores(reference, choice.threshold)[row]) for reference in table.references}
    chosen = dice.get(choice.reference)
    signals = {name: float(values[row]) for name, values in arrangement.signals.items() if np.isfinite(values[row])}
    return Detail(
        image_id=image_id,
        name=table.names[row],
        width=table.sizes[row][0],
        height=table.sizes[row][1],
        split=str(table.splits[row]),
        area=float(table.area(choice.threshold)[row]),
        uncertainty=_known(table.uncertainty[row]),
        flip_agreement=_known(table.flip_agreement[row]),
        suspicion=_known(arrangement.suspicion[row]),
        signals=signals,
        teacher_dice=_known(table.teacher_dice[row]),
        better=_better(_known(arrangement.lead[row])),
        dice=dice,
        iou={reference: None if score is None else iou_from_dice(score) for reference, score in dice.items()},
        success=None if chosen is None else chosen >= choice.success_from,
        position=place,
        total=len(rows),
        previous_id=table.image_ids[rows[place - 1]] if place else None,
        next_id=table.image_ids[rows[place + 1]] if place is not None and place + 1 < len(rows) else None,
    )


def _better(lead: float | None) -> Better | None:
    if lead is None:
        return None
    return "network" if lead > 0 else "label" if lead < 0 else "same"
