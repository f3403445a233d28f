"""Data of the form for a new sweep: what can vary, what trials can be scored by, and the sweep that it describes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import BaseModel
from sqlalchemy.orm import Session

from dashboard.facts import train
from dashboard.facts.train import TRUTH, Teacher
from dashboard.views.sweeps.parameter_words import parameter_titles
from db import sweeps
from db.audit_set import audit_set
from db.models import Dataset, Sweep, SweepKind
from db.names import counted_name, default_name, run_parts
from db.workers import Needs
from engine import VERSION
from engine.core.parameters import field_schemas
from engine.core.run_config import RunConfig
from engine.labelling.base import find_method
from engine.sweeps import space as spaces
from engine.sweeps import study
from engine.sweeps.objective import SCORES, default_objective
from engine.sweeps.space import Dimension

UNSCORED = ("model.classes", "training.seed", "training.tensorboard", "checkpoint.save_last")
"""Parameters of a run that decide nothing about its masks, or by chance alone."""
FIRST_OF_RUNS = ("training.learning_rate", "training.loss")


@dataclass(frozen=True)
class Basis:
    """What trials have in common: a dataset, and the settings around which some vary.

    Of runs, `teacher` is what they learn from; of mask sets, `method` is the label method.
    """

    dataset_id: str
    dataset: str
    settings: BaseModel
    teacher: Teacher | None = None
    preset: str = ""
    method: str = ""

    @property
    def kind(self) -> SweepKind:
        return SweepKind.MASKS if self.method else SweepKind.RUNS


def choices(basis: Basis) -> dict[str, str]:
    """Return {path: title} of what can vary and has an effect with these settings."""
    idle = train.idle_settings(basis.teacher) if basis.teacher else {}
    found = {}
    for path, title in parameter_titles(type(basis.settings)).items():
        group, _, name = path.rpartition(".")
        owner: Any = getattr(basis.settings, group) if group else basis.settings
        if owner.uses(name) and path not in UNSCORED and not {group, path} & set(idle):
            found[path] = title
    return found


def first_choices(basis: Basis, main: Sequence[str]) -> list[str]:
    """Return the paths that are proposed; `main` are the main parameters of the label method."""
    known = choices(basis)
    return [path for path in (main if basis.method else FIRST_OF_RUNS) if path in known]


def proposal(basis: Basis, path: str) -> Dimension:
    """Return what a parameter varies between at first."""
    group, _, name = path.rpartition(".")
    owner: BaseModel = getattr(basis.settings, group) if group else basis.settings
    return spaces.suggested(path, field_schemas(type(owner))[name], getattr(owner, name))


def objectives(session: Session, basis: Basis) -> dict[str, str]:
    """Return {objective: score} of what trials can be scored by, the one that is proposed first; {} if by nothing."""
    truth = session.get_one(Dataset, basis.dataset_id).truth_count > 0
    learns_truth = basis.teacher is not None and basis.teacher.key == TRUTH
    possible = {"truth": truth, "audit": audit_set(session, basis.dataset_id).complete, "label_free": not learns_truth}
    proposed = default_objective(basis.kind, truth, learns_truth)
    known = SCORES[basis.kind]
    return {each: known[each] for each in sorted(possible, key=lambda name: name != proposed) if possible[each]}


def proposed_name(session: Session, basis: Basis) -> str:
    """Return a free name for the sweep."""
    trained_on = basis.teacher.title if basis.teacher and basis.teacher.key != TRUTH else "truth"
    parts = (basis.dataset, basis.method) if basis.method else run_parts(basis.dataset, trained_on)
    return counted_name(session, Sweep, default_name(*parts, "sweep"))


@dataclass(frozen=True)
class Plan:
    """How a sweep searches."""

    name: str
    trials: int
    sampler: str
    objective: str
    prune: bool
    parallel: int
    seed: int
    needs: Needs


def start(session: Session, basis: Basis, space: Sequence[Dimension], plan: Plan) -> Sweep:
    """Add the sweep.

    Raises:
        ParameterError: nothing varies, or a parameter has no effect.
        NameTaken, NotReady: see `db.sweeps.create`.
    """
    spaces.refuse_idle(basis.settings, space)
    values = basis.settings.model_dump(mode="json")
    learns_labels = basis.teacher is not None and basis.teacher.key != TRUTH
    return sweeps.create(
        session,
        Sweep(
            dataset_id=basis.dataset_id,
            label_set_id=basis.teacher.key if basis.teacher and learns_labels else None,
            name=plan.name,
            kind=basis.kind,
            base={"method": basis.method, "params": values, "seed": 0}
            if basis.method
            else {"preset": basis.preset, "config": values},
            space=spaces.to_json(space),
            sampler=plan.sampler,
            objective=plan.objective,
            prune=plan.prune,
            trials=study.most_trials(space, plan.sampler, plan.trials),
            parallel=plan.parallel,
            seed=plan.seed,
            code_version=VERSION,
            needs=asdict(plan.needs),
        ),
    )


def settings_of_method(method: str) -> BaseModel:
    """Return the defaults of a label method, around which its parameters vary."""
    return find_method(method).params()


def settings_of_run(preset: str, typed: Sequence[str], weights: bool) -> tuple[RunConfig, str]:
    """Return the settings of a preset with those of the address, and a sentence if these were ignored."""
    return train.start_config(preset, typed, None, weights)
