"""Data of the Sweeps page: what varies, every trial, and which was the best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from db import sweeps
from db.models import Dataset, LabelSet, Run, Sweep, SweepKind, SweepState, Trial, TrialState
from engine.core.run_config import RunConfig
from engine.core.run_config_text import titles, value_words
from engine.labelling.base import find_method
from engine.sweeps import space as spaces
from engine.sweeps import study
from engine.sweeps.objective import SCORES
from engine.sweeps.space import Dimension
from engine.work.sweeps import tried


@dataclass(frozen=True)
class TrialRow:
    """A trial in words. `values` are by title of the parameter; `note` says why it has no score."""

    number: int
    state: str
    score: float | None
    values: dict[str, Any]
    note: str
    run_id: str | None
    label_set_id: str | None


@dataclass(frozen=True)
class SweepView:
    """A sweep and its trials by number. `score` names the objective; `importance` is by title, largest first."""

    id: str
    name: str
    dataset: str
    kind: str
    state: str
    error: str
    score: str
    sampler: str
    varies: tuple[tuple[str, str], ...]
    space: tuple[Dimension, ...]
    budget: int
    rows: tuple[TrialRow, ...]
    best: TrialRow | None
    importance: tuple[tuple[str, float], ...]
    failed: int

    @property
    def at_work(self) -> bool:
        return self.state == SweepState.RUNNING or any(row.state == TrialState.RUNNING for row in self.rows)


def title_of(kind: str, path: str) -> str:
    """Return the title of a parameter, with its group where it is one of a run."""
    if kind != SweepKind.RUNS:
        return path.replace("_", " ").capitalize()
    group, title = titles(path)
    return f"{group}: {title[:1].lower()}{title[1:]}"


def view(session: Session, sweep_id: str) -> SweepView | None:
    """Return a sweep, or None if it does not exist."""
    sweep = session.get(Sweep, sweep_id)
    if sweep is None:
        return None
    space, trials = spaces.from_json(sweep.space), sweeps.trials(session, sweep.id)
    rows = {trial.number: _row(sweep.kind, space, trial) for trial in trials}
    best = sweeps.best(trials)
    shares = study.importances(space, tried(session, sweep))
    return SweepView(
        id=sweep.id,
        name=sweep.name,
        dataset=session.get_one(Dataset, sweep.dataset_id).name,
        kind=sweep.kind,
        state=sweep.state,
        error=sweep.error,
        score=SCORES[sweep.kind][sweep.objective],
        sampler=study.SAMPLERS[sweep.sampler].partition(":")[0],
        varies=tuple((title_of(sweep.kind, each.path), each.words()) for each in space),
        space=tuple(space),
        budget=sweep.trials,
        rows=tuple(rows.values()),
        best=rows[best.number] if best else None,
        importance=tuple(
            (title_of(sweep.kind, path), share) for path, share in sorted(shares.items(), key=lambda item: -item[1])
        ),
        failed=sum(trial.state == TrialState.FAILED and trial.job_id is not None for trial in trials),
    )


def _row(kind: str, space: Sequence[Dimension], trial: Trial) -> TrialRow:
    note = trial.error
    if trial.state == TrialState.PRUNED:
        note = f"Pruned after epoch {trial.pruned_epoch}: below the median of the others."
    values = {title_of(kind, each.path): trial.params.get(each.path) for each in space}
    return TrialRow(trial.number, trial.state, trial.score, values, note, trial.run_id, trial.label_set_id)


def best_so_far(view: SweepView) -> tuple[list[int], list[float], list[float]]:
    """Return the numbers (from 1) and scores of the scored trials, and the best score up to each."""
    scored = [(row.number + 1, row.score) for row in view.rows if row.score is not None and row.state == "complete"]
    numbers, scores = [number for number, _ in scored], [score for _, score in scored]
    best = [max(scores[: index + 1]) for index in range(len(scores))]
    return numbers, scores, best


def listing(session: Session) -> list[dict[str, Any]]:
    """Return a row of plain values for each sweep, newest first."""
    table = []
    for sweep in sweeps.listing(session):
        trials = sweeps.trials(session, sweep.id)
        best = sweeps.best(trials)
        table.append(
            {
                "id": sweep.id,
                "Name": sweep.name,
                "Dataset": session.get_one(Dataset, sweep.dataset_id).name,
                "State": sweep.state.value,
                "Trials": f"{len(trials)} of {sweep.trials}",
                "Best": best.score if best else None,
                "Score": SCORES[sweep.kind][sweep.objective],
            }
        )
    return table


@dataclass(frozen=True)
class Subject:
    """What a new sweep of runs varies the settings of: those of the Train page. `teacher` names what it learns from."""

    dataset_id: str
    dataset: str
    label_set_id: str | None
    teacher: str
    truth: bool


def subject(session: Session, dataset_id: str, labels: str) -> Subject | None:
    """Return what the Train page had chosen, or None if it was deleted."""
    dataset = session.get(Dataset, dataset_id)
    label_set = session.get(LabelSet, labels) if labels != "truth" else None
    if dataset is None or (labels != "truth" and label_set is None):
        return None
    teacher = f"mask set {label_set.name}" if label_set else "truth masks"
    return Subject(
        dataset.id, dataset.name, label_set.id if label_set else None, teacher, truth=dataset.truth_count > 0
    )


def choices(config: RunConfig) -> dict[str, str]:
    """Return {path: title} of the parameters of a run that can vary and have an effect with these settings."""
    found = {}
    for path in spaces.tunable(RunConfig):
        group, _, name = path.rpartition(".")
        owner = getattr(config, group)
        if owner.uses(name) and path not in ("model.classes", "training.seed"):
            found[path] = title_of(SweepKind.RUNS, path)
    return found


def options_in_words(path: str, values: Sequence[Any]) -> dict[Any, str]:
    return {value: value_words(path, value) for value in values}


def method_title(sweep: Sweep) -> str:
    return find_method(sweep.base["method"]).title


def run_exists(session: Session, run_id: str | None) -> bool:
    return run_id is not None and session.get(Run, run_id) is not None
