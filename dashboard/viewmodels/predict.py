"""What the predict page shows: runs that can predict, images to predict, and the masks that came out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from dashboard import urls
from dashboard.viewmodels.jobs import JobView, job_view
from db.models import Dataset, Image, ImportEntry, Job, JobStatus, Prediction, PredictionSet, Run
from engine import metrics
from engine.refine_masks import Refine
from engine.run_details import weights_note

PER_PAGE = 48
Order = Literal["file order", "name", "largest area", "smallest area", "least sure", "worst vs truth", "best vs truth"]
ORDERS: tuple[Order, ...] = get_args(Order)
ORDER_BY_UNCERTAINTY: Order = "least sure"
ORDERS_BY_TRUTH: tuple[Order, ...] = ("worst vs truth", "best vs truth")


@dataclass(frozen=True)
class RunChoice:
    """A run whose model can be used. `best_dice` is its best validation Dice, against `reference`.

    `weights` is "encoder weights: ImageNet" and the like where it did not begin from nothing, else empty. `flips` and
    `refine` are how it predicts its own images.
    """

    id: str
    name: str
    dataset_name: str
    best_epoch: int
    best_dice: float | None
    reference: str
    weights: str
    flips: bool
    refine: Refine

    @property
    def title(self) -> str:
        if self.best_dice is None:
            return f"{self.name} (epoch {self.best_epoch})"
        note = f" · {self.weights}" if self.weights else ""
        return f"{self.name} (validation Dice {self.best_dice:.3f} vs {self.reference}{note})"


@dataclass(frozen=True)
class TargetChoice:
    """A dataset whose images can be predicted; `own` says that the run learned on it."""

    id: str
    name: str
    images: int
    truth: int
    own: bool


@dataclass(frozen=True)
class Earlier:
    """One set of predictions in the list of earlier ones."""

    id: str
    dataset_id: str
    dataset_name: str
    run_id: str
    run_name: str
    created_at: datetime
    images: int
    predicted: int
    fresh: bool
    status: str


@dataclass(frozen=True)
class SetView:
    """One set of predictions. `predicted` of `images` are done; `scored` have truth, `unsure` a map of uncertainty.

    `weights` as for a `RunChoice`.
    """

    id: str
    run_id: str
    run_name: str
    weights: str
    dataset_id: str
    dataset_name: str
    fresh: bool
    own: bool
    flips: bool
    refine: Refine
    created_at: datetime
    images: int
    predicted: int
    scored: int
    unsure: int
    skipped: int
    job: JobView | None


@dataclass(frozen=True)
class Summary:
    """A set at one threshold: means over the images that have truth. None where none has."""

    scored: int
    dice: float | None
    iou: float | None


@dataclass(frozen=True)
class PredictedImage:
    """One predicted image. `dice` and `iou` are against truth at the chosen threshold; None without truth.

    `uncertainty` in [0, 1] is the mean of its map; None for a mask that was drawn before there were any.
    """

    id: str
    name: str
    width_px: int
    height_px: int
    thumbnail: str
    image: str
    mask: str
    mask_small: str
    truth: str | None
    truth_small: str | None
    uncertainty: float | None
    uncertainty_map: str | None
    uncertainty_small: str | None
    dice: float | None
    iou: float | None


@dataclass(frozen=True)
class PredictedPage:
    """The images of one page of the grid; `found` counts those on all pages."""

    images: tuple[PredictedImage, ...]
    found: int
    page: int
    pages: int


def usable_runs(session: Session) -> tuple[RunChoice, ...]:
    """Return the runs that have a model and are not training any more, newest first."""
    query = (
        select(Run, Dataset.name)
        .join(Dataset, Dataset.id == Run.dataset_id)
        .outerjoin(Job, Job.id == Run.job_id)
        .where(Run.best_epoch.is_not(None))
        .where(Job.status.is_(None) | Job.status.not_in([JobStatus.QUEUED, JobStatus.RUNNING]))
        .order_by(Run.created_at.desc())
    )
    return tuple(
        RunChoice(
            id=run.id,
            name=run.name,
            dataset_name=dataset_name,
            best_epoch=run.best_epoch,
            best_dice=run.best_val_dice,
            reference="truth" if run.label_set_id is None else "pseudo-label",
            weights=weights_note(run.details),
            flips=bool(run.config.get("prediction", {}).get("flips", False)),
            refine=run.config.get("prediction", {}).get("refine", "none"),
        )
        for run, dataset_name in session.execute(query)
    )


def targets(session: Session, run_id: str) -> tuple[TargetChoice, ...]:
    """Return the datasets with images, newest first; the run's own comes last, as its gallery shows it already."""
    own = session.get_one(Run, run_id).dataset_id
    rows = session.scalars(select(Dataset).where(Dataset.image_count > 0).order_by(Dataset.created_at.desc()))
    found = [TargetChoice(row.id, row.name, row.image_count, row.truth_count, row.id == own) for row in rows]
    return tuple(sorted(found, key=lambda target: target.own))


def earlier(session: Session, now: datetime, lost_after_s: float) -> tuple[Earlier, ...]:
    """Return the predictions that were asked for here, newest first: all but those of a run on its own dataset."""
    done = select(func.count()).where(Prediction.prediction_set_id == PredictionSet.id).scalar_subquery()
    query = (
        select(PredictionSet, Dataset, Run, Job, done)
        .join(Dataset, Dataset.id == PredictionSet.dataset_id)
        .join(Run, Run.id == PredictionSet.run_id)
        .outerjoin(Job, Job.id == PredictionSet.job_id)
        .where(PredictionSet.dataset_id != Run.dataset_id)
        .order_by(PredictionSet.created_at.desc())
    )
    found = []
    for row, dataset, run, job, predicted in session.execute(query):
        view = job_view(job, now, lost_after_s)
        found.append(
            Earlier(
                id=row.id,
                dataset_id=dataset.id,
                dataset_name=dataset.name,
                run_id=run.id,
                run_name=run.name,
                created_at=row.created_at,
                images=dataset.image_count,
                predicted=predicted,
                fresh=dataset.purpose == "prediction",
                status=view.status if view else "finished",
            )
        )
    return tuple(found)


def uploads_without_predictions(session: Session) -> tuple[TargetChoice, ...]:
    """Return images that were brought only to be predicted and whose run has been deleted since."""
    taken = select(PredictionSet.dataset_id)
    query = select(Dataset).where(Dataset.purpose == "prediction", Dataset.id.not_in(taken))
    rows = session.scalars(query.order_by(Dataset.created_at.desc()))
    return tuple(TargetChoice(row.id, row.name, row.image_count, row.truth_count, False) for row in rows)


def set_view(session: Session, set_id: str | None, now: datetime, lost_after_s: float) -> SetView | None:
    """Return one set of predictions, or None if there is none of that id."""
    found = session.get(PredictionSet, set_id) if set_id else None
    if found is None:
        return None
    run, dataset = session.get_one(Run, found.run_id), session.get_one(Dataset, found.dataset_id)
    of_set = Prediction.prediction_set_id == found.id
    counts = select(func.count(), func.count(Prediction.truth_counts), func.count(Prediction.uncertainty))
    predicted, scored, unsure = session.execute(counts.where(of_set)).one()
    skipped = select(func.count()).where(ImportEntry.dataset_id == dataset.id, ImportEntry.taken.is_(False))
    return SetView(
        id=found.id,
        run_id=run.id,
        run_name=run.name,
        weights=weights_note(run.details),
        dataset_id=dataset.id,
        dataset_name=dataset.name,
        fresh=dataset.purpose == "prediction",
        own=dataset.id == run.dataset_id,
        flips=found.flips,
        refine=found.refine,
        created_at=found.created_at,
        images=dataset.image_count,
        predicted=predicted,
        scored=scored,
        unsure=unsure,
        skipped=session.scalar(skipped) or 0,
        job=job_of(session, found.id, now, lost_after_s),
    )


def job_of(session: Session, set_id: str, now: datetime, lost_after_s: float) -> JobView | None:
    """Return the job of a set of predictions: one small query, for a page that looks again every second."""
    job = session.scalar(
        select(Job).join(PredictionSet, PredictionSet.job_id == Job.id).where(PredictionSet.id == set_id)
    )
    return job_view(job, now, lost_after_s)


def summary(session: Session, set_id: str, threshold: float) -> Summary:
    """Return the mean scores against truth at a threshold in [0, 1], from counts that were stored with the masks."""
    query = select(Prediction.truth_counts).where(
        Prediction.prediction_set_id == set_id, Prediction.truth_counts.is_not(None)
    )
    scores = [_scores(counts, threshold) for counts in session.scalars(query)]
    if not scores:
        return Summary(0, None, None)
    dice, iou = zip(*scores, strict=True)
    return Summary(len(scores), sum(dice) / len(dice), sum(iou) / len(iou))


def predicted_page(
    session: Session,
    set_id: str,
    threshold: float,
    page: int = 1,
    order: Order = "file order",
    per_page: int = PER_PAGE,
) -> PredictedPage:
    """Return a page of predicted images; a page too far gives the last one.

    Orders by area and score are those at threshold 0.5, which are columns of the table; images without truth come
    last in an order by score.
    """
    found = session.scalar(select(func.count()).where(Prediction.prediction_set_id == set_id)) or 0
    pages = max(1, -(-found // per_page))
    page = min(max(page, 1), pages)
    query = (
        select(Prediction, Image, Dataset.truth_version)
        .join(Image, Image.id == Prediction.image_id)
        .join(Dataset, Dataset.id == Image.dataset_id)
        .where(Prediction.prediction_set_id == set_id)
        .order_by(*_columns(order), Image.position, Image.id)
    )
    rows = session.execute(query.limit(per_page).offset((page - 1) * per_page))
    images = tuple(_predicted(prediction, image, version, threshold) for prediction, image, version in rows)
    return PredictedPage(images, found, page, pages)


def _columns(order: Order) -> tuple:
    return {
        "file order": (),
        "name": (Image.name,),
        "largest area": (Prediction.area.desc(),),
        "smallest area": (Prediction.area,),
        "least sure": (Prediction.uncertainty.is_(None), Prediction.uncertainty.desc()),
        "worst vs truth": (Prediction.truth_dice.is_(None), Prediction.truth_dice),
        "best vs truth": (Prediction.truth_dice.is_(None), Prediction.truth_dice.desc()),
    }[order]


def _predicted(prediction: Prediction, image: Image, truth_version: int, threshold: float) -> PredictedImage:
    set_id, dataset_id = prediction.prediction_set_id, image.dataset_id
    dice, iou = _scores(prediction.truth_counts, threshold) if prediction.truth_counts else (None, None)
    truth = urls.truth(dataset_id, image.id, version=truth_version) if image.has_truth else None
    truth_small = urls.truth(dataset_id, image.id, 192, version=truth_version) if image.has_truth else None
    unsure = prediction.uncertainty is not None
    return PredictedImage(
        id=image.id,
        name=image.name,
        width_px=image.width,
        height_px=image.height,
        thumbnail=urls.thumbnail(dataset_id, image.id),
        image=urls.image(dataset_id, image.id),
        mask=urls.prediction(set_id, image.id),
        mask_small=urls.prediction(set_id, image.id, 192),
        truth=truth,
        truth_small=truth_small,
        uncertainty=prediction.uncertainty,
        uncertainty_map=urls.uncertainty(set_id, image.id) if unsure else None,
        uncertainty_small=urls.uncertainty(set_id, image.id, 192) if unsure else None,
        dice=dice,
        iou=iou,
    )


def _scores(packed: bytes, threshold: float) -> tuple[float, float]:
    counts, index = metrics.unpack_counts(packed), metrics.threshold_index(threshold)
    return float(metrics.dice_curve(counts)[index]), float(metrics.iou_curve(counts)[index])
