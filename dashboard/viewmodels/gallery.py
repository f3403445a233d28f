"""What the gallery shows of a run: which images, in which order, and how many of them are successes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

import numpy as np
from sqlalchemy.orm import Session

from dashboard import urls
from dashboard.viewmodels.jobs import JobView, job_view
from dashboard.viewmodels.scores import Reference, ScoreTable, iou_from_dice, mean
from db import predictions, runs
from db.models import Dataset, LabelSet, Run
from engine.run_details import weights_note

TILES_PER_PAGE = 48

Show = Literal["All", "Successes", "Failures"]
Split = Literal["All", "Train", "Validation", "Dropped"]
Sort = Literal["Worst first", "Best first", "Name", "Largest area", "Smallest area", "Least sure first"]
SHOWS: tuple[Show, ...] = get_args(Show)
SPLITS: tuple[Split, ...] = get_args(Split)
SORTS: tuple[Sort, ...] = get_args(Sort)
LEAST_SURE: Sort = "Least sure first"


@dataclass(frozen=True)
class Choice:
    """What a person set. `success_from` is the Dice from which on an image is a success; both are in [0, 1]."""

    reference: Reference
    threshold: float = 0.5
    success_from: float = 0.8
    show: Show = "All"
    split: Split = "All"
    sort: Sort = "Worst first"
    search: str = ""


@dataclass(frozen=True)
class Arrangement:
    """The images a choice leaves, in order (`rows` of the table), and counts over what split and search leave.

    `scores` (N,) belongs to all rows of the table, in its order.
    """

    rows: np.ndarray
    scores: np.ndarray
    matching: np.ndarray
    successes: int
    failures: int
    unscored: int

    @property
    def mean_score(self) -> float | None:
        return mean(self.scores[self.matching])

    @property
    def pages(self) -> int:
        return max(1, -(-len(self.rows) // TILES_PER_PAGE))

    def place(self, row: int) -> int | None:
        """Return where a row of the table stands in the order, from 0; None if the choice leaves it out."""
        found = np.flatnonzero(self.rows == row)
        return int(found[0]) if len(found) else None

    def page_of(self, row: int) -> int:
        """Return the page (from 1) that shows a row of the table; 1 if none does."""
        return (self.place(row) or 0) // TILES_PER_PAGE + 1


def arrange(table: ScoreTable, choice: Choice) -> Arrangement:
    """Return the images that a choice leaves, in its order. Images without a score come last when sorted by score."""
    scores = table.scores(choice.reference, choice.threshold)
    matching = np.ones(len(table), bool)
    if choice.split != "All":
        matching &= table.splits == choice.split.lower()
    wanted = choice.search.strip().casefold()
    if wanted:
        matching &= np.fromiter((wanted in name for name in table.folded_names), bool, len(table))
    scored = matching & np.isfinite(scores)
    success = scored & (scores >= choice.success_from)
    failure = scored & ~success
    shown = {"All": matching, "Successes": success, "Failures": failure}[choice.show]
    rows = np.flatnonzero(shown)
    order = np.argsort(_sort_keys(table, choice, scores)[rows], kind="stable")
    return Arrangement(
        rows=rows[order],
        scores=scores,
        matching=matching,
        successes=int(success.sum()),
        failures=int(failure.sum()),
        unscored=int((matching & ~scored).sum()),
    )


def _sort_keys(table: ScoreTable, choice: Choice, scores: np.ndarray) -> np.ndarray:
    if choice.sort == "Name":
        return table.name_ranks
    if choice.sort in ("Largest area", "Smallest area"):
        area = table.area(choice.threshold)
        return -area if choice.sort == "Largest area" else area
    if choice.sort == LEAST_SURE:
        return -table.uncertainty
    return scores if choice.sort == "Worst first" else -scores  # NaN sorts last either way


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
    """One run to choose from. `predicted` counts its own dataset's predicted images."""

    id: str
    name: str
    predicted: int


def run_choices(session: Session) -> list[RunChoice]:
    """Return all runs, those with predictions first, then the newest first."""
    sets = predictions.own_sets(session)
    found = [RunChoice(run.id, run.name, sets[run.id][1] if run.id in sets else 0) for run in runs.listing(session)]
    return sorted(found, key=lambda choice: choice.predicted == 0)


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
    """One image with the addresses of its masks; `score` and `success` are None where it has no reference.

    `uncertainty` in [0, 1] is the mean of its map; both are None for a mask that was drawn before there were any.
    """

    image_id: str
    name: str
    split: str
    image: str
    mask: str
    reference: str | None
    uncertainty_map: str | None
    uncertainty: float | None
    score: float | None
    success: bool | None


def pictures(
    origin: Source, table: ScoreTable, arrangement: Arrangement, choice: Choice, page: int
) -> tuple[Picture, ...]:
    """Return the images of one page (from 1), as thumbnails."""
    rows = arrangement.rows[(page - 1) * TILES_PER_PAGE :][:TILES_PER_PAGE]
    return tuple(_picture(origin, table, choice, float(arrangement.scores[row]), int(row)) for row in rows)


def _picture(origin: Source, table: ScoreTable, choice: Choice, score: float, row: int) -> Picture:
    image_id = table.image_ids[row]
    scored = bool(np.isfinite(score))
    unsure = _known(table.uncertainty[row])
    return Picture(
        image_id=image_id,
        name=table.names[row],
        split=str(table.splits[row]),
        image=urls.thumbnail(origin.dataset_id, image_id),
        mask=urls.prediction(origin.prediction_set_id, image_id, 192),
        reference=reference_url(origin, choice.reference, image_id, 192) if scored else None,
        uncertainty_map=None if unsure is None else urls.uncertainty(origin.prediction_set_id, image_id, 192),
        uncertainty=unsure,
        score=score if scored else None,
        success=score >= choice.success_from if scored else None,
    )


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def reference_url(origin: Source, reference: Reference, image_id: str, size: int | None = None) -> str:
    """Return the address of an image's reference mask."""
    if reference == "label" and origin.label_set_id:
        return urls.label(origin.label_set_id, image_id, size)
    return urls.truth(origin.dataset_id, image_id, size, version=origin.truth_version)


@dataclass(frozen=True)
class Detail:
    """One image of the gallery, with all its scores at the chosen mask threshold."""

    image_id: str
    name: str
    width: int
    height: int
    split: str
    area: float
    uncertainty: float | None
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
    dice: dict[Reference, float | None] = {}
    for reference in table.references:
        dice[reference] = _known(table.scores(reference, choice.threshold)[row])
    chosen = dice.get(choice.reference)
    around = [table.image_ids[i] for i in arrangement.rows]
    return Detail(
        image_id=image_id,
        name=table.names[row],
        width=table.sizes[row][0],
        height=table.sizes[row][1],
        split=str(table.splits[row]),
        area=float(table.area(choice.threshold)[row]),
        uncertainty=_known(table.uncertainty[row]),
        dice=dice,
        iou={reference: None if score is None else iou_from_dice(score) for reference, score in dice.items()},
        success=None if chosen is None else chosen >= choice.success_from,
        position=place,
        total=len(around),
        previous_id=around[place - 1] if place else None,
        next_id=around[place + 1] if place is not None and place + 1 < len(around) else None,
    )
