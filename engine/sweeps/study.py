"""Optuna's samplers and rules, asked with a study that is built from our rows each time: nothing else remembers one.

Source: Akiba et al., "Optuna: A Next-generation Hyperparameter Optimization Framework", KDD 2019,
doi:10.1145/3292500.3330701; TPE: Bergstra et al., "Algorithms for Hyper-Parameter Optimization", NIPS 2011.
"""

from __future__ import annotations

import importlib.util
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from engine.core.parameters import ParameterError
from engine.sweeps.space import Dimension, grid

if TYPE_CHECKING:
    import optuna

Sampler = Literal["tpe", "random", "grid"]
SAMPLERS: dict[str, str] = {
    "tpe": "TPE: learns from the trials so far",
    "random": "Random",
    "grid": "Grid: every combination",
}
TPE_RANDOM_FIRST = 6
"""Trials that TPE draws at random before it models them; Optuna's 10 would be half of a small sweep."""
LEAST_CURVES = 4
"""Whole trials that a trial is compared with before it can be pruned."""
LEAST_SCORED = 20
"""Trials from which importance is computed: it compares the best tenth with all, and of fewer that is one trial."""
WARM_SHARE = 0.3
"""No trial is pruned within this share of its epochs."""

NOT_INSTALLED = "Sweeps need Optuna: pip install 'optuna==5.0.0'."


@dataclass(frozen=True)
class Tried:
    """A trial so far. `state` is as in `db.models.TrialState`; `curve` is {epoch: the metric that pruning compares}."""

    values: Mapping[str, Any]
    state: str
    score: float | None = None
    curve: Mapping[int, float] = field(default_factory=dict)


def is_installed() -> bool:
    return importlib.util.find_spec("optuna") is not None


def refuse_without_optuna() -> None:
    """
    Raises:
        ParameterError: Optuna is not installed.
    """
    if not is_installed():
        raise ParameterError(NOT_INSTALLED)


def most_trials(space: Sequence[Dimension], sampler: str, wanted: int) -> int:
    """Return how many trials there can be: a grid ends with its last combination."""
    return min(wanted, math.prod(len(each.steps()) for each in space)) if sampler == "grid" else wanted


def ask(
    space: Sequence[Dimension], sampler: str, seed: int, tried: Sequence[Tried], first: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the values of the next trial, {path: value}; the same for the same arguments.

    Args:
        tried: all trials before it, by number.
        first: values to begin with, before the sampler is asked.
    """
    number = len(tried)
    if sampler == "grid":
        return _shuffled(grid(space), seed)[number]
    if number == 0 and first is not None:
        return dict(first)
    import optuna

    own_seed = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
    chosen: optuna.samplers.BaseSampler = optuna.samplers.RandomSampler(seed=own_seed)
    if sampler == "tpe":
        chosen = optuna.samplers.TPESampler(
            seed=own_seed, n_startup_trials=TPE_RANDOM_FIRST, multivariate=True, constant_liar=True
        )
    asked = _study(space, tried, chosen).ask(_distributions(space)).params
    return {each.path: each.rounded(asked[each.path]) for each in space}


def _shuffled(rows: list[dict[str, Any]], seed: int) -> list[dict[str, Any]]:
    """A grid that is stopped early has tried some of everything."""
    random.Random(seed).shuffle(rows)
    return rows


def should_prune(own: Mapping[int, float], others: Sequence[Mapping[int, float]], epochs: int) -> bool:
    """Return whether a trial is worse at its last epoch than the median of whole trials there (Optuna's median rule).

    Args:
        own: {epoch, counted from 1: metric, higher is better}; its best so far counts.
        others: those of trials that were not pruned.
        epochs: how many a trial has.
    """
    if not own or len(others) < LEAST_CURVES or not is_installed():
        return False
    import optuna

    study = _study([], [Tried({}, "complete", max(curve.values(), default=0.0), curve) for curve in others])
    trial = optuna.trial.create_trial(state=optuna.trial.TrialState.RUNNING, intermediate_values=dict(own))
    rule = optuna.pruners.MedianPruner(n_startup_trials=LEAST_CURVES, n_warmup_steps=round(WARM_SHARE * epochs))
    return bool(rule.prune(study, trial))


def importances(space: Sequence[Dimension], tried: Sequence[Tried]) -> dict[str, float]:
    """Return how sharply each parameter tells the best tenth of the trials from all, shares that sum to 1.

    A narrow range of a number tells more than one of two choices. Before `LEAST_SCORED` trials have scores, or while
    these hardly differ, there is none: {}.

    Source: Watanabe, Bansal, Hutter, "PED-ANOVA", IJCAI 2023, doi:10.24963/ijcai.2023/488.
    """
    scores = [each.score for each in tried if each.state == "complete"]
    if len(scores) < LEAST_SCORED or len(set(scores)) < LEAST_CURVES or not is_installed():
        return {}
    import optuna

    evaluator = optuna.importance.PedAnovaImportanceEvaluator()
    found = optuna.importance.get_param_importances(_study(space, tried), evaluator=evaluator)
    return {path: round(share, 4) for path, share in found.items()}


def _study(
    space: Sequence[Dimension], tried: Sequence[Tried], sampler: optuna.samplers.BaseSampler | None = None
) -> optuna.Study:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    states = optuna.trial.TrialState
    known = {"complete": states.COMPLETE, "pruned": states.PRUNED, "running": states.RUNNING}
    distributions = _distributions(space)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.add_trials(
        optuna.trial.create_trial(
            state=known.get(each.state, states.FAIL),
            params=dict(each.values),
            distributions=distributions,
            value=each.score if each.state == "complete" else None,
            intermediate_values=dict(each.curve),
        )
        for each in tried
    )
    return study


def _distributions(space: Sequence[Dimension]) -> dict[str, Any]:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    def distribution(each: Dimension) -> Any:
        if each.choices:
            return CategoricalDistribution(each.choices)
        if each.whole:
            return IntDistribution(int(each.low), int(each.high), log=each.log)
        return FloatDistribution(each.low, each.high, log=each.log)

    return {each.path: distribution(each) for each in space}
