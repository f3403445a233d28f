"""Data of the Sweeps page: what varies, every trial, and which was the best."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from typing import Any

from pydantic import BaseModel
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from dashboard.facts.jobs import job_view, waiting_words
from dashboard.facts.wording import count, escaped
from dashboard.views.sweeps.parameter_words import parameter_titles, range_words, words_of
from db import jobs, sweeps
from db.models import Dataset, LabelSet, Sweep, SweepKind, SweepState, Trial, TrialState
from engine.core.run_config import RunConfig
from engine.core.run_config_text import choice_words
from engine.labelling.base import find_method, methods
from engine.sweeps import space as spaces
from engine.sweeps import study
from engine.sweeps.objective import MEANINGS, SCORES
from engine.sweeps.space import Dimension
from engine.work.progress_words import progress_count
from engine.work.sweeps import tried

MOST_TRIALS = 10_000

STATES = {
    TrialState.RUNNING: "At work",
    TrialState.COMPLETE: "Complete",
    TrialState.PRUNED: "Pruned",
    TrialState.FAILED: "Failed",
    TrialState.STOPPED: "Stopped",
}


@dataclass(frozen=True)
class TrialRow:
    """A trial in words. `values` are its own, by path, `words` these by title; `note` says why it has no score."""

    number: int
    state: TrialState
    score: float | None
    values: dict[str, Any]
    words: dict[str, str]
    note: str
    run_id: str | None
    label_set_id: str | None

    @property
    def query(self) -> dict[str, str] | None:
        """What of the trial the page of its run or mask set opens; None where that was deleted or never began."""
        if self.run_id:
            return {"run": self.run_id}
        return {"labels": self.label_set_id} if self.label_set_id else None


@dataclass(frozen=True)
class SweepView:
    """A sweep and its trials by number. `score` names the objective and what it compares with, `meaning` explains it.

    `varies` are pairs of title and range, in the order of `space`; `can_grow` is how many trials there can be more.
    """

    id: str
    name: str
    dataset_id: str
    dataset: str
    subject: str
    makes_runs: bool
    state: SweepState
    error: str
    score: str
    meaning: str
    sampler: str
    prune: bool
    varies: tuple[tuple[str, str], ...]
    space: tuple[Dimension, ...]
    budget: int
    can_grow: int
    rows: tuple[TrialRow, ...]
    best: TrialRow | None
    failed: int

    @property
    def at_work(self) -> bool:
        return self.state == SweepState.RUNNING or any(row.state == TrialState.RUNNING for row in self.rows)

    @property
    def scored(self) -> list[TrialRow]:
        """The trials that ran to their end."""
        return [row for row in self.rows if row.state == TrialState.COMPLETE and row.score is not None]


def view(session: Session, sweep_id: str) -> SweepView | None:
    """Return a sweep, or None if it does not exist."""
    sweep = session.get(Sweep, sweep_id)
    if sweep is None:
        return None
    model = _model(sweep)
    named = parameter_titles(model) if model else {}
    space, trials = spaces.from_json(sweep.space), sweeps.trials(session, sweep.id)
    rows = {trial.number: _row(model, named, space, trial) for trial in trials}
    best = sweeps.best(trials)
    return SweepView(
        id=sweep.id,
        name=sweep.name,
        dataset_id=sweep.dataset_id,
        dataset=session.get_one(Dataset, sweep.dataset_id).name,
        subject=_subject(session, sweep),
        makes_runs=sweep.kind == SweepKind.RUNS,
        state=sweep.state,
        error=sweep.error,
        score=SCORES[sweep.kind][sweep.objective],
        meaning=MEANINGS[sweep.kind][sweep.objective],
        sampler=study.SAMPLERS[sweep.sampler].partition(":")[0],
        prune=sweep.prune,
        varies=tuple(
            (named.get(each.path, each.path), range_words(model, each) if model else each.words()) for each in space
        ),
        space=tuple(space),
        budget=sweep.trials,
        can_grow=study.most_trials(space, sweep.sampler, MOST_TRIALS) - sweep.trials,
        rows=tuple(rows.values()),
        best=rows[best.number] if best else None,
        failed=sum(trial.state == TrialState.FAILED and trial.job_id is not None for trial in trials),
    )


def _model(sweep: Sweep) -> type[BaseModel] | None:
    """Return the declarations of what varies; None of a label method that is not installed any more."""
    if sweep.kind == SweepKind.RUNS:
        return RunConfig
    name = sweep.base["method"]
    return find_method(name).params if name in methods() else None


def _subject(session: Session, sweep: Sweep) -> str:
    """Return what the trials are made of, in words: what runs learn from, or the label method."""
    if sweep.kind == SweepKind.MASKS:
        name = sweep.base["method"]
        return f"mask sets by {methods()[name].title if name in methods() else name}"
    label_set = session.get(LabelSet, sweep.label_set_id) if sweep.label_set_id else None
    teacher = f"the mask set {label_set.name}" if label_set else "truth masks"
    return f"runs on {teacher}, preset {choice_words(sweep.base['preset'])}"


def _row(model: type[BaseModel] | None, named: dict[str, str], space: list[Dimension], trial: Trial) -> TrialRow:
    note = trial.error
    if trial.state == TrialState.PRUNED:
        note = f"Ended early after epoch {trial.pruned_epoch}: below the median of the other trials"
    given = {each.path: trial.params[each.path] for each in space if each.path in trial.params}
    words = {
        named.get(path, path): words_of(model, path, value) if model else str(value) for path, value in given.items()
    }
    return TrialRow(trial.number, trial.state, trial.score, given, words, note, trial.run_id, trial.label_set_id)


def importance(session: Session, sweep_id: str) -> tuple[tuple[str, float], ...]:
    """Return (title, importance) of what varies, largest first; they sum to 1. () if too few trials tell."""
    sweep = session.get(Sweep, sweep_id)
    if sweep is None:
        return ()
    model = _model(sweep)
    named = parameter_titles(model) if model else {}
    shares = study.importances(spaces.from_json(sweep.space), tried(session, sweep))
    return tuple((named.get(path, path), share) for path, share in sorted(shares.items(), key=lambda pair: -pair[1]))


@dataclass(frozen=True)
class Progress:
    """How far a sweep is. `version` changes when something beside this has to be drawn again."""

    version: tuple[str, int, int, int]
    share: float
    text: str
    at_work: tuple[str, ...]


def progress(session: Session, sweep_id: str, now: datetime, lost_after_s: float) -> Progress | None:
    """Return how far a sweep is at the aware moment `now`, or None if it does not exist."""
    sweep = session.get(Sweep, sweep_id)
    if sweep is None:
        return None
    states = sweeps.counts(session, sweep_id)
    begun, running = sum(states.values()), states.get(TrialState.RUNNING, 0)
    ended = begun - running
    parts = [f"{ended:,} of {count(sweep.trials, 'trial')}"]
    parts += [f"{states[state]:,} {state}" for state in (TrialState.PRUNED, TrialState.FAILED) if state in states]
    lines = []
    if running:
        query = select(Trial).where(Trial.sweep_id == sweep_id, Trial.state == TrialState.RUNNING)
        for trial in session.scalars(query.order_by(Trial.number)):
            job = job_view(jobs.find(session, trial.job_id or ""), now, lost_after_s)
            if job is not None:
                words = [job.status, job.text, progress_count(job.progress)] if job.text else [job.status]
                if job.status == "queued":
                    words = [job.status, waiting_words(session, job.needs)]
                lines.append(f"Trial {trial.number + 1} · {escaped(' · '.join(filter(None, words)))}")
    elif sweep.state == SweepState.RUNNING:
        lines.append("A worker begins the next trial.")
    version = (sweep.state.value, begun, running, sweep.trials)
    return Progress(version, min(ended / sweep.trials, 1.0), " · ".join(parts), tuple(lines))


def version(view: SweepView) -> tuple[str, int, int, int]:
    """Return the `Progress.version` that a view is of."""
    running = sum(row.state == TrialState.RUNNING for row in view.rows)
    return (view.state.value, len(view.rows), running, view.budget)


@dataclass(frozen=True)
class Listed:
    """A sweep in the table of all; `best` is None while no trial has a score."""

    id: str
    name: str
    dataset: str
    state: str
    trials: str
    best: float | None
    score: str


def listing(session: Session) -> list[Listed]:
    """Return all sweeps, newest first."""
    best = func.max(Trial.score).filter(Trial.state == TrialState.COMPLETE)
    numbers = {
        sweep_id: (begun, score)
        for sweep_id, begun, score in session.execute(
            select(Trial.sweep_id, func.count(), best).group_by(Trial.sweep_id)
        )
    }
    names = {dataset.id: dataset.name for dataset in session.scalars(select(Dataset))}
    found = []
    for sweep in sweeps.listing(session):
        begun, score = numbers.get(sweep.id, (0, None))
        found.append(
            Listed(
                sweep.id,
                sweep.name,
                names[sweep.dataset_id],
                sweep.state.value.capitalize(),
                f"{begun:,} of {sweep.trials:,}",
                score,
                SCORES[sweep.kind][sweep.objective],
            )
        )
    return found


def best_so_far(view: SweepView) -> tuple[list[int], list[float], list[float]]:
    """Return the numbers (from 1) and scores of the scored trials, and the best score up to each."""
    numbers = [row.number + 1 for row in view.scored]
    scores = [row.score or 0.0 for row in view.scored]
    return numbers, scores, list(accumulate(scores, max))
