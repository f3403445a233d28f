"""What keeps sweeps going: settles trials that have ended, and asks for and submits the next ones.

Workers do this before they claim a job, so no process has to live as long as a sweep. A trial, its run or mask set and
the job of that begin in one transaction, and only one transaction writes at a time (docs/adr/0014), so none is lost or
begun twice, whenever a process is killed.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping
from functools import partial
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from db import jobs, runs, submissions, sweeps
from db.audit_set import audit_set
from db.models import Job, JobStatus, Label, Run, Sweep, SweepKind, SweepState, Trial, TrialState
from db.names import NameTaken, counted_name
from db.session import Database
from db.sweeps import Outcome
from db.workers import Needs
from engine import VERSION
from engine.core.parameters import ParameterError, parse
from engine.core.run_config import RunConfig
from engine.imaging.left_out import LeftOut
from engine.labelling.base import find_method
from engine.prediction.audit import score_stored
from engine.store import keys as stored
from engine.store.base import Store
from engine.sweeps import space as spaces
from engine.sweeps import study
from engine.sweeps.study import Tried

log = logging.getLogger("maskloom.sweeps")


def advance(database: Database, files: Store) -> None:
    """Settle the trials that have ended and begin the next, of every sweep. Never raises: a worker has jobs to run."""
    at_work: list[str] = []
    with contextlib.suppress(Exception), database.reading() as session:  # claiming the next job says what is wrong
        at_work = sweeps.at_work(session)
    for sweep_id in at_work:
        try:
            _advance(database, files, sweep_id)
        except (SQLAlchemyError, OSError):
            log.exception("The sweep %s could not be looked after; the next worker tries.", sweep_id)
        except Exception as error:
            log.exception("The sweep %s cannot go on.", sweep_id)
            _give_up(database, sweep_id, f"Unexpected error, {type(error).__name__}: {str(error)[:300]}")


def _give_up(database: Database, sweep_id: str, sentence: str) -> None:
    """Stop a sweep that no worker can look after: one would be started for it again and again."""
    with contextlib.suppress(SQLAlchemyError), database.writing() as session:
        sweep = session.get(Sweep, sweep_id)
        if sweep is not None and sweep.state == SweepState.RUNNING:
            sweep.state, sweep.error = SweepState.STOPPED, sentence


def _advance(database: Database, files: Store, sweep_id: str) -> None:
    with database.reading() as session:
        sweep = session.get(Sweep, sweep_id)
        if sweep is None or not sweeps.needs_attention(session, sweep):
            return
        ended = [
            (trial, job, _outcome(session, files, sweep, trial, job)) for trial, job in sweeps.ended(session, sweep_id)
        ]
    with database.writing() as session:
        for trial, job, outcome in ended:
            sweeps.settle(session, trial, job, outcome)
        current = session.get(Sweep, sweep_id)
        if current is not None and current.state == SweepState.RUNNING:
            failed = any(outcome.state == TrialState.FAILED for _, _, outcome in ended)
            sweeps.conclude(session, current, failed=failed)
    while _begin_trial(database, sweep_id):
        pass


def _begin_trial(database: Database, sweep_id: str) -> bool:
    """Begin the next trial of a sweep; return whether there may be another. The sampler blocks no other writer."""
    values: dict[str, Any] = {}
    settings: dict[str, Any] | None = None
    with database.reading() as session:
        sweep = session.get(Sweep, sweep_id)
        if sweep is None or not _has_room(session, sweep):
            return False
        number, refused, stopped = sweeps.next_number(session, sweep_id), "", ""
        try:
            values = next_values(session, sweep)
            settings = settings_of(sweep, values)
        except _DoNotGoTogether as error:
            values, refused = error.values, str(error)
        except ParameterError as error:
            stopped = str(error)
    with database.writing() as session:
        sweep = session.get(Sweep, sweep_id)
        if sweep is None or not _has_room(session, sweep):
            return False
        if sweeps.next_number(session, sweep_id) != number:
            return True  # another worker was faster, and the sampler has to know of its trial
        if settings is not None:
            try:
                sweeps.add_trial(session, sweep, values, settings, VERSION)
            except (submissions.NotReady, NameTaken) as error:
                stopped = str(error)
        elif refused:
            sweeps.add_failed(session, sweep, values, refused)
            sweeps.conclude(session, sweep, failed=True)
        if stopped:
            sweep.state, sweep.error = SweepState.STOPPED, stopped
    return not stopped


def _has_room(session: Session, sweep: Sweep) -> bool:
    return sweep.state == SweepState.RUNNING and sweeps.room(session, sweep) > 0


class _DoNotGoTogether(Exception):
    def __init__(self, values: dict[str, Any], sentence: str) -> None:
        super().__init__(sentence)
        self.values = values


def next_values(session: Session, sweep: Sweep) -> dict[str, Any]:
    """Return what the sampler of a sweep proposes next, from the rows alone.

    Raises:
        ParameterError: Optuna is not installed here.
    """
    if sweep.sampler != "grid":
        study.refuse_without_optuna()
    space = spaces.from_json(sweep.space)
    first = spaces.base_values(_base_settings(sweep), space)
    return study.ask(space, sweep.sampler, sweep.seed, tried(session, sweep), first)


def tried(session: Session, sweep: Sweep) -> list[Tried]:
    """Return the trials of a sweep as the samplers need them, by number."""
    rows = sweeps.trials(session, sweep.id)
    curves = sweeps.metric_curves(session, [row.run_id for row in rows if row.run_id]) if sweep.prune else {}
    return [Tried(row.params, row.state.value, row.score, curves.get(row.run_id or "", {})) for row in rows]


def _base_settings(sweep: Sweep) -> Mapping[str, Any]:
    settings: Mapping[str, Any] = sweep.base["config" if sweep.kind == SweepKind.RUNS else "params"]
    return settings


def settings_of(sweep: Sweep, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration of a run, or the parameters of a recipe, with the values of a trial."""
    model = RunConfig if sweep.kind == SweepKind.RUNS else find_method(sweep.base["method"]).params
    try:
        return parse(model, spaces.with_values(_base_settings(sweep), values)).model_dump(mode="json")
    except ParameterError as error:
        raise _DoNotGoTogether(dict(values), str(error)) from None


def _outcome(session: Session, files: Store, sweep: Sweep, trial: Trial, job: Job | None) -> Outcome:
    if sweeps.is_pruned(trial, job):
        return Outcome(TrialState.PRUNED)
    if job is None:
        return Outcome(TrialState.FAILED, error="Its job was deleted.")
    if job.status == JobStatus.FAILED:
        return Outcome(TrialState.FAILED, error=job.error or "Its job failed.")
    if job.status == JobStatus.STOPPED:
        return Outcome(TrialState.STOPPED)
    try:
        found = score(session, files, sweep, trial)
    except Exception as error:
        log.exception("Trial %d of %s could not be scored.", trial.number + 1, sweep.name)
        return Outcome(TrialState.FAILED, error=f"It could not be scored: {error}")
    if found is None:
        return Outcome(TrialState.FAILED, error="It has no masks that its objective can score.")
    return Outcome(TrialState.COMPLETE, found)


def score(session: Session, files: Store, sweep: Sweep, trial: Trial) -> float | None:
    """Return the objective of a trial whose job has finished, in [0, 1]; None if there is nothing to score."""
    if sweep.objective == "audit":
        return _audit_score(session, files, sweep, trial)
    if sweep.kind == SweepKind.RUNS:
        run = session.get(Run, trial.run_id) if trial.run_id else None
        found = runs.validation_scores(session, run) if run else None
        if found is None:
            return None
        value: float | None = found.truth_dice if sweep.objective == "truth" else found.label_dice
        return value
    measured = Label.dice if sweep.objective == "truth" else Label.quality
    return session.scalar(select(func.avg(measured)).where(Label.label_set_id == trial.label_set_id))


def _audit_score(session: Session, files: Store, sweep: Sweep, trial: Trial) -> float | None:
    drawn = audit_set(session, sweep.dataset_id)
    if sweep.kind == SweepKind.RUNS:
        run = session.get(Run, trial.run_id) if trial.run_id else None
        own = runs.own_prediction_set(session, run) if run else None
        key_of = partial(stored.prediction_key, own.id) if own else None
    else:
        key_of = partial(stored.label_key, trial.label_set_id) if trial.label_set_id else None
    if key_of is None or not drawn.complete:
        return None
    region = LeftOut(files, stored.left_out_key(sweep.dataset_id, drawn.left_out_id))
    scores = score_stored(files, drawn.corrections, key_of, region)
    return scores.dice.mean if scores else None


def longer(session: Session, sweep: Sweep, times: float) -> tuple[Run, Job]:
    """Add a run with the settings of the best trial and `times` its epochs, and the job that trains it.

    Raises:
        NotReady: there is no scored trial, or the sweep makes mask sets.
    """
    best = sweeps.best(sweeps.trials(session, sweep.id))
    if sweep.kind != SweepKind.RUNS:
        raise submissions.NotReady("The trials of this sweep are mask sets, which are not trained.")
    if best is None:
        raise submissions.NotReady(f"The sweep {sweep.name!r} has no scored trial yet.")
    settings = settings_of(sweep, best.params)
    epochs = min(round(settings["training"]["epochs"] * times), 10_000)
    settings = spaces.with_values(settings, {"training.epochs": epochs})
    name = counted_name(session, Run, f"{sweep.name} · best, {epochs} epochs")
    run, job = submissions.submit_train(
        session, sweep.dataset_id, sweep.label_set_id, name, sweep.base["preset"], settings, VERSION
    )
    jobs.require(job, Needs(**sweep.needs))
    return run, job
