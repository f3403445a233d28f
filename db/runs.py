"""Runs, their metrics, and predictions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from sqlalchemy import Row, delete, func, select, update
from sqlalchemy.orm import Session

from db import audit, measurements
from db.datasets import InUse, delete_dataset
from db.exports import refuse_while_read
from db.jobs import active, uses_run
from db.models import Dataset, Image, Job, JobStatus, LabelSet, Metric, Prediction, PredictionSet, Run, RunImage
from db.names import NameTaken, checked_name
from db.predictions import title

LONGEST_TAG, MOST_TAGS, LONGEST_NOTE = 40, 12, 10_000


class MarkRefused(ValueError):
    """A tag or a note breaks a rule. The sentence names rule and value."""


def create(
    session: Session,
    dataset: Dataset,
    label_set_id: str | None,
    name: str,
    preset: str,
    config: dict[str, Any],
    code_version: str,
) -> Run:
    """Add a run that a train job will fill. `label_set_id` None means that it trains on truth.

    Raises:
        NameTaken: the name is empty, too long or taken.
    """
    taught_by = session.get_one(LabelSet, label_set_id) if label_set_id else dataset
    run = Run(
        dataset_id=dataset.id,
        label_set_id=label_set_id,
        name=checked_name(session, Run, name),
        preset=preset,
        config=config,
        lookup=list(dataset.lookup),
        classes=list(taught_by.classes) if config.get("model", {}).get("classes", 0) > 1 else [],
        code_version=code_version,
        dataset_fingerprint=dataset.fingerprint,
        left_out_id=dataset.left_out_id,
    )
    session.add(run)
    session.flush()
    return run


def listing(session: Session, dataset_id: str | None = None) -> list[Run]:
    """Return runs, newest first."""
    query = select(Run).order_by(Run.created_at.desc())
    return list(session.scalars(query.where(Run.dataset_id == dataset_id) if dataset_id else query))


def finished_trainings(session: Session, limit: int = 20) -> list[tuple[Run, Job]]:
    """Return the newest trainings that were not interrupted and have predicted their images, with their jobs."""
    query = (
        select(Run, Job)
        .join(Job, Job.id == Run.job_id)
        .where(Job.status == JobStatus.FINISHED, Job.attempt == 1, Run.train_seconds.is_not(None))
        .order_by(Job.finished_at.desc(), Run.id)
        .limit(limit)
    )
    return [(run, job) for run, job in session.execute(query)]


def split_counts(session: Session, run_ids: Iterable[str]) -> dict[str, dict[str, int]]:
    """Return {run id: {split: number of images}} of runs."""
    query = select(RunImage.run_id, RunImage.split, func.count()).where(RunImage.run_id.in_(list(run_ids)))
    counts: dict[str, dict[str, int]] = {}
    for run_id, side, count in session.execute(query.group_by(RunImage.run_id, RunImage.split)):
        counts.setdefault(run_id, {})[side] = count
    return counts


def same_classes(run: Run, dataset: Dataset) -> bool:
    """Whether a run that tells classes apart has those of a dataset, by number and identity."""
    return bool(run.classes) and class_identities(run.classes) == class_identities(dataset.classes)


ClassIdentity = tuple[str, int | None]
_DEFAULT_NAME = re.compile(r"class \d+")


def class_identities(classes: Sequence[dict[str, Any]]) -> tuple[ClassIdentity, ...]:
    """Return what makes each class the same as one of another dataset: its name and, where that is only a number, its
    value in masks. Unrelated masks have a "class 1", too."""
    return tuple(
        (entry["name"], entry.get("value") if _DEFAULT_NAME.fullmatch(entry["name"]) else None) for entry in classes
    )


TruthClasses = Literal["present", "of the run"]


def truth_in_classes(session: Session, run: Run, dataset: Dataset) -> TruthClasses | None:
    """Return how truth of a dataset can be shown with the classes of a run: with those that it has now, or with those
    of the run, which was trained on it, if they differ and truth still has its values; None for foreground alone."""
    if same_classes(run, dataset):
        return "present"
    trained_on_it = dataset.id == run.dataset_id and run.label_set_id is None
    return "of the run" if run.classes and trained_on_it and _has_values(session, run) else None


def _has_values(session: Session, run: Run) -> bool:
    """Whether truth of a run's dataset has a value of each class of the run, which it lacks after it was replaced by
    masks with other values."""
    rows = session.scalars(select(Image.truth_values).where(Image.dataset_id == run.dataset_id, Image.has_truth))
    values = {value for values in rows for value, *_ in values or ()}
    return {entry.get("value") for entry in run.classes[1:]} <= values


def truth_lookups(run: Run, dataset: Dataset) -> list[list[int]]:
    """Return the lookups that give truth of a dataset the classes of a run: the run's own, and the present one."""
    trained_on_it = bool(run.classes) and dataset.id == run.dataset_id and run.label_set_id is None
    own = [run.lookup] if trained_on_it else []
    return own + ([dataset.lookup] if same_classes(run, dataset) else [])


def changed_classes(run: Run, dataset: Dataset) -> str:
    """Return a sentence on how the classes of a run differ from those that its dataset has now, or ""."""
    if not run.classes or same_classes(run, dataset) or (run.label_set_id and len(dataset.classes) < 3):
        return ""
    own, now = (", ".join(_in_words(classes)) or "none" for classes in (run.classes, dataset.classes))
    return (
        f"The run has the classes {own}; its dataset has {now}. Masks and scores of the run keep its own classes. "
        "Masks that are computed or scored from now on are compared with truth as foreground only."
    )


def _in_words(classes: Sequence[dict[str, Any]]) -> list[str]:
    values = class_identities(classes)[1:]
    return [name if value is None else f"{name} (value {value})" for name, value in values]


def names(session: Session, *, archived: bool = False, also: Iterable[str] = ()) -> dict[str, str]:
    """Return {id: name} for select boxes, newest first, without loading configs or results.

    Args:
        archived: whether to include archived runs.
        also: ids to include even where they are archived: a URL may choose them.
    """
    query = select(Run.id, Run.name).order_by(Run.created_at.desc(), Run.id)
    if not archived:
        query = query.where(Run.archived.is_(False) | Run.id.in_(list(also)))
    return dict(session.execute(query).all())


def any_run(session: Session) -> bool:
    """Whether there is a run at all, archived ones included."""
    return session.scalar(select(Run.id).limit(1)) is not None


def rename(session: Session, run_id: str, name: str) -> str:
    """Give a run another name; return it trimmed.

    Raises:
        NameTaken: it is empty, too long, or another run's; or the run does not exist any more.
    """
    run = session.get(Run, run_id)
    if run is None:
        raise NameTaken("The run was deleted meanwhile.")
    if " ".join(name.split()) != run.name:
        run.name = checked_name(session, Run, name)
    return run.name


def mark(session: Session, run_ids: Iterable[str], *, pinned: bool | None = None, archived: bool | None = None) -> None:
    """Pin or archive runs, or undo it; what is None stays as it is."""
    values = {"pinned": pinned, "archived": archived}
    kept = {name: value for name, value in values.items() if value is not None}
    if kept:
        session.execute(update(Run).where(Run.id.in_(list(run_ids))).values(**kept))


def set_note(session: Session, run_id: str, note: str) -> None:
    """Store what a person writes about a run.

    Raises:
        MarkRefused: it is too long.
    """
    if len(note) > LONGEST_NOTE:
        raise MarkRefused(f"A note has at most {LONGEST_NOTE:,} characters. Got {len(note):,}.")
    session.get_one(Run, run_id).note = note.strip()


def set_tags(session: Session, run_id: str, tags: Iterable[str]) -> None:
    """Give a run these tags in place of those it had.

    Raises:
        MarkRefused: a tag is too long, or there are too many.
    """
    session.get_one(Run, run_id).tags = checked_tags(tags)


def change_tags(
    session: Session, run_ids: Iterable[str], *, add: Iterable[str] = (), remove: Iterable[str] = ()
) -> None:
    """Add tags to several runs and remove others. Either all runs change or none.

    Raises:
        MarkRefused: a tag is too long, or a run would have too many.
    """
    added, gone = checked_tags(add), {tag.casefold() for tag in remove}
    for run in session.scalars(select(Run).where(Run.id.in_(list(run_ids)))):
        run.tags = checked_tags([*(tag for tag in run.tags if tag.casefold() not in gone), *added])


def checked_tags(tags: Iterable[str]) -> list[str]:
    """Return tags trimmed, each once whatever its case, in the order given; empty ones are left out.

    Raises:
        MarkRefused: a tag is too long, or there are too many.
    """
    kept: dict[str, str] = {}
    for tag in (" ".join(tag.split()) for tag in tags):
        if len(tag) > LONGEST_TAG:
            raise MarkRefused(f"A tag has at most {LONGEST_TAG} characters. {tag[:20]!r}… has {len(tag)}.")
        if tag:
            kept.setdefault(tag.casefold(), tag)
    if len(kept) > MOST_TAGS:
        raise MarkRefused(f"A run has at most {MOST_TAGS} tags. Got {len(kept)}.")
    return list(kept.values())


def known_tags(session: Session) -> list[str]:
    """Return every tag that a run has, sorted."""
    found = {tag for tags in session.scalars(select(Run.tags)) for tag in tags}
    return sorted(found, key=str.casefold)


def set_split(session: Session, run_id: str, rows: Sequence[dict[str, Any]]) -> None:
    """Store {image_id, split, probe} of every image of a run, in place of what was stored; also `correction_id`."""
    session.execute(delete(RunImage).where(RunImage.run_id == run_id))
    session.add_all(RunImage(run_id=run_id, **values) for values in rows)


def split(session: Session, run_id: str) -> list[RunImage]:
    return list(session.scalars(select(RunImage).where(RunImage.run_id == run_id)))


def probe_images(session: Session, run_id: str) -> list[tuple[Image, str]]:
    """Return [(image, split)] of a run's probe images, validation first."""
    query = (
        select(Image, RunImage.split)
        .join(RunImage, RunImage.image_id == Image.id)
        .where(RunImage.run_id == run_id, RunImage.probe.is_(True))
        .order_by(RunImage.split.desc(), Image.position)
    )
    return [(image, side) for image, side in session.execute(query)]


def save_metrics(session: Session, run_id: str, epoch: int, values: dict[str, float]) -> None:
    """Store one epoch's numbers; an epoch that is repeated after a resume replaces what it wrote before."""
    for name, value in values.items():
        session.merge(Metric(run_id=run_id, epoch=epoch, name=name, value=value))


def metrics(session: Session, run_id: str, after_epoch: int = 0) -> list[Metric]:
    """Return the metric rows of the epochs after `after_epoch`, by epoch and name."""
    query = select(Metric).where(Metric.run_id == run_id, Metric.epoch > after_epoch)
    return list(session.scalars(query.order_by(Metric.epoch, Metric.name)))


def drop_metrics_after(session: Session, run_id: str, epoch: int) -> None:
    """Delete the metrics of the epochs after `epoch`: a run resumed from its checkpoint repeats them."""
    session.execute(delete(Metric).where(Metric.run_id == run_id, Metric.epoch > epoch))


def update_run(session: Session, run_id: str, **values: Any) -> None:
    run = session.get_one(Run, run_id)
    for name, value in values.items():
        setattr(run, name, value)


def ensure_prediction_set(
    session: Session, run_id: str, dataset_id: str, job_id: str | None, flips: bool, refine: str = "none"
) -> str:
    """Return the id of the set of a run's predictions on a dataset; it is created if missing. There is one per pair."""
    found = session.scalar(
        select(PredictionSet).where(PredictionSet.run_id == run_id, PredictionSet.dataset_id == dataset_id)
    )
    if found is None:
        found = PredictionSet(run_id=run_id, dataset_id=dataset_id, job_id=job_id, flips=flips, refine=refine)
        session.add(found)
        session.flush()
    elif job_id is not None:
        found.job_id, found.flips, found.refine = job_id, flips, refine
    return found.id


def own_prediction_set(session: Session, run: Run) -> PredictionSet | None:
    """Return the predictions of a run on the dataset that it was trained on."""
    return session.scalar(
        select(PredictionSet).where(PredictionSet.run_id == run.id, PredictionSet.dataset_id == run.dataset_id)
    )


def validation_scores(session: Session, run: Run) -> Row[Any] | None:
    """Return (images, truth_dice, truth_iou, truth_images, label_dice) of a run's masks of its own validation images.

    The means are per image at threshold 0.5; `truth_*` over the `truth_images` that have truth, `label_dice` is
    agreement with the pseudo-label. None while there are no such masks.
    """
    own = own_prediction_set(session, run)
    if own is None:
        return None
    found = session.execute(
        select(
            func.count().label("images"),
            func.avg(Prediction.truth_dice).label("truth_dice"),
            func.avg(Prediction.truth_iou).label("truth_iou"),
            func.count(Prediction.truth_dice).label("truth_images"),
            func.avg(Prediction.label_dice).label("label_dice"),
        ).where(Prediction.prediction_set_id == own.id, Prediction.split == "validation")
    ).one()
    return found if found.images else None


def prediction_sets(session: Session, run_id: str) -> list[PredictionSet]:
    query = select(PredictionSet).where(PredictionSet.run_id == run_id).order_by(PredictionSet.created_at.desc())
    return list(session.scalars(query))


def predicted_images(session: Session, prediction_set_id: str) -> set[str]:
    return set(session.scalars(select(Prediction.image_id).where(Prediction.prediction_set_id == prediction_set_id)))


def predictions(session: Session, prediction_set_id: str) -> list[Prediction]:
    return list(session.scalars(select(Prediction).where(Prediction.prediction_set_id == prediction_set_id)))


def clear_predictions(session: Session, prediction_set_id: str) -> None:
    """Delete the predictions of a set: its model was trained further since. The next leave out what is left out now."""
    session.execute(delete(Prediction).where(Prediction.prediction_set_id == prediction_set_id))
    found = session.get_one(PredictionSet, prediction_set_id)
    found.left_out_id = session.get_one(Dataset, found.dataset_id).left_out_id


def add_predictions(session: Session, prediction_set_id: str, rows: Sequence[dict[str, Any]]) -> None:
    """Add or replace predictions (see `db.models.Prediction`). Their files are stored already."""
    for values in rows:
        session.merge(Prediction(prediction_set_id=prediction_set_id, **values))


def prediction_count(session: Session, prediction_set_id: str) -> int:
    return session.scalar(select(func.count()).where(Prediction.prediction_set_id == prediction_set_id)) or 0


def delete_run(session: Session, run_id: str) -> list[tuple[str, str]]:
    """Delete a run with its metrics and predictions; return [(kind of folder, id)] of files to remove afterwards.

    Raises:
        InUse: a job is working on it.
    """
    if any(uses_run(job, [run_id]) for job in active(session)):
        raise InUse("The run is in use by a job. Stop it or wait for it to end, then try again.")
    sets = list(session.scalars(select(PredictionSet.id).where(PredictionSet.run_id == run_id)))
    run = session.get(Run, run_id)
    if run is not None:  # else another tab was faster
        audit.record(session, "deleted", "run", run_id, run.name)
    measured = measurements.folders(session, prediction_sets=sets)
    session.execute(delete(PredictionSet).where(PredictionSet.id.in_(sets)))
    session.execute(delete(Run).where(Run.id == run_id))
    return [("run", run_id), *(("prediction", id_) for id_ in sets), *measured]


def delete_prediction_set(session: Session, prediction_set_id: str) -> list[tuple[str, str]]:
    """Delete predictions; return [(kind of folder, id)] of files to remove afterwards.

    Images that were imported only for prediction are deleted with the last predictions of them.

    Raises:
        InUse: a job is computing them.
    """
    refuse_while_read(session, "prediction_set", prediction_set_id)
    found = session.get(PredictionSet, prediction_set_id)
    if found is None:  # another tab was faster
        return []
    job = session.get(Job, found.job_id) if found.job_id else None
    if job is not None and not job.status.ended:
        raise InUse("The predictions are being computed. Stop that first, then try again.")
    dataset = session.get_one(Dataset, found.dataset_id)
    audit.record(session, "deleted", "predictions", prediction_set_id, title(session, prediction_set_id))
    gone = [("prediction", prediction_set_id), *measurements.folders(session, prediction_sets=[prediction_set_id])]
    session.execute(delete(PredictionSet).where(PredictionSet.id == prediction_set_id))
    others = session.scalar(select(func.count()).where(PredictionSet.dataset_id == dataset.id))
    if dataset.purpose != "prediction" or others:
        return gone
    return [*gone, *delete_dataset(session, dataset.id)]
