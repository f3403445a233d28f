"""Sweeps: rows of trials, each with an ordinary run or mask set. Nothing but these rows remembers a sweep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, exists, func, select
from sqlalchemy.orm import Session

from db import audit, jobs, submissions
from db.audit_set import audit_set
from db.columns import utc_now
from db.models import Dataset, Job, JobStatus, LabelSet, Metric, Run, Sweep, SweepKind, SweepState, Trial, TrialState
from db.names import checked_name, counted_name
from db.submissions import NotReady
from db.workers import Needs

MONITORED = "val_dice"
"""The metric of an epoch that pruning compares: of validation images, against what the run is trained on."""

FAILED_IN_A_ROW = 5
"""After so many a sweep stops by itself: the next trials would fail, too."""


@dataclass(frozen=True)
class Outcome:
    """How a trial ended."""

    state: TrialState
    score: float | None = None
    error: str = ""


def create(session: Session, sweep: Sweep) -> Sweep:
    """Add a sweep, whose trials begin when a worker looks at it.

    Raises:
        NameTaken: the name is empty, too long or taken.
        NotReady: the dataset or the mask set cannot be trained on, or the objective has nothing to compare with.
    """
    sweep.name = checked_name(session, Sweep, sweep.name)
    if sweep.kind == SweepKind.RUNS:
        dataset = submissions.with_targets(session, sweep.dataset_id, sweep.label_set_id)
    else:
        dataset = submissions.with_images(session, sweep.dataset_id)
    _refuse_objective(session, sweep, dataset)
    session.add(sweep)
    session.flush()
    audit.record(session, "swept", "sweep", sweep.id, sweep.name, f"dataset {dataset.name}")
    return sweep


def _refuse_objective(session: Session, sweep: Sweep, dataset: Dataset) -> None:
    if sweep.objective == "truth" and not dataset.truth_count:
        raise NotReady(f"The dataset {dataset.name!r} has no truth. Choose another objective.")
    if sweep.objective == "audit" and not audit_set(session, dataset.id).complete:
        raise NotReady(
            f"The audit of {dataset.name!r} is not finished: correct its images wholly, or choose another objective."
        )
    if sweep.objective == "label_free" and sweep.kind == SweepKind.RUNS and not sweep.label_set_id:
        raise NotReady("A run that is trained on truth is scored against truth. Choose the objective truth or audit.")


def listing(session: Session, dataset_id: str | None = None) -> list[Sweep]:
    """Return sweeps, newest first."""
    query = select(Sweep).order_by(Sweep.created_at.desc(), Sweep.id)
    return list(session.scalars(query.where(Sweep.dataset_id == dataset_id) if dataset_id else query))


def trials(session: Session, sweep_id: str) -> list[Trial]:
    """Return the trials of a sweep by number."""
    return list(session.scalars(select(Trial).where(Trial.sweep_id == sweep_id).order_by(Trial.number)))


def counts(session: Session, sweep_id: str) -> dict[str, int]:
    """Return {state: number of trials} of a sweep."""
    query = select(Trial.state, func.count()).where(Trial.sweep_id == sweep_id).group_by(Trial.state)
    return {state.value: count for state, count in session.execute(query)}


def best(rows: Sequence[Trial]) -> Trial | None:
    """Return the complete trial with the highest score, the first of several; None if there is none."""
    scored = [row for row in rows if row.state == TrialState.COMPLETE and row.score is not None]
    return max(scored, key=lambda row: (row.score or 0.0, -row.number), default=None)


def at_work(session: Session) -> list[str]:
    """Return the ids of sweeps that may need something: they run, or a trial of theirs has not been settled."""
    unsettled = exists().where(Trial.sweep_id == Sweep.id, Trial.state == TrialState.RUNNING)
    query = select(Sweep.id).where((Sweep.state == SweepState.RUNNING) | unsettled)
    return list(session.scalars(query.order_by(Sweep.created_at, Sweep.id)))


def waiting(session: Session) -> bool:
    """Whether a worker should look at a sweep: a trial has ended that is not settled, or the next can begin."""
    return any(needs_attention(session, session.get_one(Sweep, sweep_id)) for sweep_id in at_work(session))


def needs_attention(session: Session, sweep: Sweep) -> bool:
    """Whether a trial has ended that is not settled, the next can begin, or there is none left to wait for."""
    if ended(session, sweep.id):
        return True
    return sweep.state == SweepState.RUNNING and (room(session, sweep) > 0 or not _any_running(session, sweep.id))


def room(session: Session, sweep: Sweep) -> int:
    """Return how many trials can begin now; 0 if as many wait or run as may, or all were begun."""
    states = counts(session, sweep.id)
    return min(sweep.parallel - states.get(TrialState.RUNNING, 0), sweep.trials - sum(states.values()))


def ended(session: Session, sweep_id: str) -> list[tuple[Trial, Job | None]]:
    """Return the trials that count as running although their job has ended or is gone, with it."""
    query = select(Trial, Job).outerjoin(Job, Job.id == Trial.job_id)
    running = query.where(Trial.sweep_id == sweep_id, Trial.state == TrialState.RUNNING)
    return [
        (trial, job)
        for trial, job in session.execute(running.order_by(Trial.number))
        if job is None or job.status.ended
    ]


def settle(session: Session, trial: Trial, job: Job | None, outcome: Outcome) -> None:
    """Store how a trial ended, unless its job was resumed or another worker settled it meanwhile."""
    now = session.get(Trial, (trial.sweep_id, trial.number), populate_existing=True)
    current = session.get(Job, job.id, populate_existing=True) if job else None
    if now is None or now.state != TrialState.RUNNING:
        return
    if job is not None and (current is None or (current.status, current.attempt) != (job.status, job.attempt)):
        return
    now.state, now.score, now.error, now.ended_at = outcome.state, outcome.score, outcome.error, utc_now()


def add_trial(session: Session, sweep: Sweep, values: dict[str, Any], settings: dict[str, Any], version: str) -> Trial:
    """Add the next trial with its run or mask set and the job of that; `settings` are those of the base with `values`.

    Raises:
        NotReady: what the sweep needs was deleted meanwhile.
    """
    number = next_number(session, sweep.id)
    trial = Trial(sweep_id=sweep.id, number=number, params=values)
    name = f"{sweep.name} · trial {number + 1}"
    if sweep.kind == SweepKind.RUNS:
        run, job = submissions.submit_train(
            session,
            sweep.dataset_id,
            sweep.label_set_id,
            counted_name(session, Run, name),
            sweep.base["preset"],
            settings,
            version,
        )
        trial.run_id = run.id
    else:
        label_set, job = submissions.submit_label(
            session,
            sweep.dataset_id,
            counted_name(session, LabelSet, name),
            sweep.base["method"],
            settings,
            sweep.base["seed"],
            version,
        )
        trial.label_set_id = label_set.id
    jobs.require(job, Needs(**sweep.needs))
    trial.job_id = job.id
    session.add(trial)
    session.flush()
    return trial


def add_failed(session: Session, sweep: Sweep, values: dict[str, Any], error: str) -> None:
    """Add the next trial as failed: its values do not go together."""
    session.add(
        Trial(
            sweep_id=sweep.id,
            number=next_number(session, sweep.id),
            params=values,
            state=TrialState.FAILED,
            error=error,
            ended_at=utc_now(),
        )
    )
    session.flush()


def next_number(session: Session, sweep_id: str) -> int:
    """Return the number of the trial that would be added next."""
    highest = session.scalar(select(func.max(Trial.number)).where(Trial.sweep_id == sweep_id))
    return 0 if highest is None else highest + 1


def conclude(session: Session, sweep: Sweep, *, failed: bool) -> None:
    """Store that a sweep has finished, or that it stopped because its last trials all failed.

    Args:
        failed: whether a trial has just failed. Earlier failures do not stop a sweep again that a person resumed.
    """
    rows = trials(session, sweep.id)
    last = rows[-FAILED_IN_A_ROW:]
    if failed and len(last) == FAILED_IN_A_ROW and all(row.state == TrialState.FAILED for row in last):
        sweep.state, sweep.error = SweepState.STOPPED, f"The last {FAILED_IN_A_ROW} trials failed. {last[-1].error}"
    elif len(rows) >= sweep.trials and all(row.state != TrialState.RUNNING for row in rows):
        sweep.state = SweepState.FINISHED


def stop(session: Session, sweep_id: str) -> None:
    """Begin no further trial, and request a stop of those that wait or run."""
    sweep = session.get_one(Sweep, sweep_id)
    if sweep.state == SweepState.RUNNING:
        sweep.state = SweepState.STOPPED
        audit.record(session, "stopped", "sweep", sweep.id, sweep.name)
    for trial in trials(session, sweep_id):
        if trial.state == TrialState.RUNNING and trial.job_id:
            jobs.request_stop(session, trial.job_id)


def extend(session: Session, sweep_id: str, more: int) -> None:
    """Let a sweep go on with `more` further trials, 0 or more; trials that were stopped are resumed."""
    sweep = session.get_one(Sweep, sweep_id)
    sweep.trials += more
    _resume(session, sweep, TrialState.STOPPED)
    if more or sweep.state != SweepState.FINISHED or _any_running(session, sweep_id):
        sweep.state, sweep.error = SweepState.RUNNING, ""
    audit.record(session, "extended", "sweep", sweep.id, sweep.name, f"by {more} trials")


def retry_failed(session: Session, sweep_id: str) -> int:
    """Requeue the jobs of trials that failed; return how many. Values that do not go together stay failed."""
    sweep = session.get_one(Sweep, sweep_id)
    count = _resume(session, sweep, TrialState.FAILED)
    if count:
        sweep.state, sweep.error = SweepState.RUNNING, ""
        audit.record(session, "retried", "sweep", sweep.id, sweep.name, f"{count} trials")
    return count


def _resume(session: Session, sweep: Sweep, state: TrialState) -> int:
    count = 0
    for trial in trials(session, sweep.id):
        if trial.state == state and trial.job_id and jobs.requeue(session, trial.job_id):
            trial.state, trial.error, trial.ended_at = TrialState.RUNNING, "", None
            count += 1
    return count


def _any_running(session: Session, sweep_id: str) -> bool:
    return counts(session, sweep_id).get(TrialState.RUNNING, 0) > 0


def delete_sweep(session: Session, sweep_id: str) -> None:
    """Delete a sweep and what is known of its trials; their runs and mask sets stay.

    Raises:
        NotReady: a trial is at work.
    """
    sweep = session.get(Sweep, sweep_id)
    if sweep is None:  # another tab was faster
        return
    if _any_running(session, sweep_id):
        raise NotReady("A trial of the sweep is at work. Stop the sweep first.")
    audit.record(session, "deleted", "sweep", sweep.id, sweep.name)
    session.execute(delete(Sweep).where(Sweep.id == sweep_id))


@dataclass(frozen=True)
class Curves:
    """What pruning compares: {epoch: metric} of a trial, and of those of its sweep that were trained to their end."""

    trial: Trial
    own: dict[int, float]
    others: list[dict[int, float]]


def curves(session: Session, run_id: str) -> Curves | None:
    """Return what decides whether a run is pruned; None if it is no trial at work, or its sweep does not prune."""
    query = select(Trial).join(Sweep, Sweep.id == Trial.sweep_id).where(Trial.run_id == run_id, Sweep.prune.is_(True))
    trial = session.scalar(query.where(Trial.state == TrialState.RUNNING))
    if trial is None:
        return None
    others = select(Trial.run_id).where(Trial.sweep_id == trial.sweep_id, Trial.state == TrialState.COMPLETE)
    found = metric_curves(session, [run_id, *(other for other in session.scalars(others) if other)])
    own = found.pop(run_id, {})
    return Curves(trial, own, list(found.values()))


def metric_curves(session: Session, run_ids: Sequence[str]) -> dict[str, dict[int, float]]:
    """Return {run id: {epoch: value}} of the metric that pruning compares."""
    found: dict[str, dict[int, float]] = {}
    query = select(Metric.run_id, Metric.epoch, Metric.value).where(
        Metric.name == MONITORED, Metric.run_id.in_(run_ids)
    )
    for run_id, epoch, value in session.execute(query):
        found.setdefault(run_id, {})[epoch] = value
    return found


def mark_pruned(session: Session, trial: Trial, epoch: int) -> None:
    session.get_one(Trial, (trial.sweep_id, trial.number)).pruned_epoch = epoch


def of_run(session: Session, run_id: str) -> str | None:
    """Return the id of the sweep that a run is a trial of, None if it is none."""
    return session.scalar(select(Trial.sweep_id).where(Trial.run_id == run_id).limit(1))


def is_pruned(trial: Trial, job: Job | None) -> bool:
    """Whether a trial was ended early by its sweep, not by a person."""
    return trial.pruned_epoch is not None and job is not None and job.status == JobStatus.STOPPED
