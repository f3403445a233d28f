"""How long a training will take, estimated from the trainings that this installation has finished."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from db import datasets, runs
from db.models import Job, Run
from engine.core.parameters import ParameterError, parse
from engine.core.run_config import RunConfig
from engine.network.framing import Shape
from engine.training.duration import Estimate, PastTraining, training_seconds
from engine.training.workload import Workload, workload


def estimate(session: Session, config: RunConfig, work: Workload, images: int) -> Estimate:
    """Return how long a training with these settings takes, known at once.

    Args:
        config: with the number of classes that the run will have; `work` is its workload.
        images: the number of images of the dataset, all of which are predicted at the end.
    """
    return training_seconds(config, work, images, history(session))


def history(session: Session) -> tuple[PastTraining, ...]:
    """Return the finished trainings on the hardware of the newest one, newest first."""
    found = runs.finished_trainings(session)
    hardware = [_hardware(run) for run, _ in found]
    here = [pair for pair, own in zip(found, hardware, strict=True) if own == hardware[0]]
    splits = runs.split_counts(session, [run.id for run, _ in here])
    shapes = {dataset_id: datasets.shapes(session, dataset_id) for dataset_id in {run.dataset_id for run, _ in here}}
    past = (_past(run, job, splits.get(run.id, {}), shapes[run.dataset_id]) for run, job in here)
    return tuple(each for each in past if each is not None)


def _past(run: Run, job: Job, split: dict[str, int], shapes: dict[Shape, int]) -> PastTraining | None:
    result, known = job.result, run.details.get("hardware") or {}
    epochs, predict_s = result.get("epochs"), result.get("seconds")
    trained = split.get("train", 0) + split.get("validation", 0)
    if not epochs or not trained or run.train_seconds is None:
        return None
    try:
        config = parse(RunConfig, run.config)
    except ParameterError:  # of another version
        return None
    work = workload(config, trained, shapes, run.label_set_id is not None)
    took_s = (job.finished_at - job.started_at).total_seconds() if job.finished_at and job.started_at else None
    rest_s = None
    if took_s is not None and predict_s is not None and "label_set" not in job.payload:  # which it computed first
        rest_s = max(took_s - run.train_seconds - predict_s, 0.0)
    return PastTraining(
        config=config,
        work=work,
        images=result.get("images", trained),
        epochs=epochs,
        train_s=run.train_seconds,
        predict_s=predict_s,
        rest_s=rest_s,
        half=str(known.get("precision", "")).startswith("mixed"),
        threads=known.get("threads") or 1,
    )


def _hardware(run: Run) -> tuple[Any, ...]:
    known = run.details.get("hardware") or {}
    return tuple(known.get("devices", ())), known.get("cpu"), known.get("threads")
