"""Samplers asked with a study that is rebuilt each time."""

import pytest

from engine.core.run_config import RunConfig
from engine.sweeps import study
from engine.sweeps.space import dimension, grid
from engine.sweeps.study import Tried, ask, importances, should_prune

SPACE = [
    dimension(RunConfig, "training.learning_rate=1e-4..1e-1"),
    dimension(RunConfig, "training.loss=dice,focal"),
    dimension(RunConfig, "model.depth=1..5"),
]


def swept(sampler: str, trials: int, seed: int = 0) -> list[Tried]:
    """Return trials whose score is best at a learning rate of 0.01 and depth 4."""
    rows: list[Tried] = []
    for _ in range(trials):
        values = ask(SPACE, sampler, seed, rows)
        score = 1 - abs(values["training.learning_rate"] - 0.01) * 5 - abs(values["model.depth"] - 4) / 10
        rows.append(Tried(values, "complete", score))
    return rows


@pytest.mark.parametrize("sampler", ["tpe", "random", "grid"])
def test_every_proposal_is_in_the_space_and_the_same_when_asked_again(sampler):
    rows = swept(sampler, 12)
    for number, row in enumerate(rows):
        assert all(each.contains(row.values[each.path]) for each in SPACE)
        assert ask(SPACE, sampler, 0, rows[:number]) == row.values
    assert len({str(row.values) for row in rows}) == 12
    assert ask(SPACE, sampler, 1, []) != ask(SPACE, sampler, 0, [])


def test_the_first_trial_may_be_given():
    first = {"training.learning_rate": 1e-3, "training.loss": "dice", "model.depth": 4}
    assert ask(SPACE, "tpe", 0, [], first) == first


def test_a_grid_is_tried_wholly_and_once():
    tried = [row.values for row in swept("grid", 50)]
    assert sorted(map(str, tried)) == sorted(map(str, grid(SPACE)))
    assert study.most_trials(SPACE, "grid", 1000) == 50
    assert study.most_trials(SPACE, "tpe", 1000) == 1000


def test_a_trial_at_work_and_one_that_failed_do_not_stop_the_sampler():
    rows = swept("tpe", 8)
    rows += [Tried(rows[0].values, "running"), Tried(rows[1].values, "failed"), Tried(rows[2].values, "stopped")]
    rows.append(Tried(rows[3].values, "pruned", None, {1: 0.1}))
    assert all(each.contains(ask(SPACE, "tpe", 0, rows)[each.path]) for each in SPACE)


def test_only_a_trial_below_the_median_of_enough_others_is_pruned_and_not_at_once():
    others = [{epoch: level + epoch / 100 for epoch in range(1, 11)} for level in (0.5, 0.6, 0.7, 0.8)]
    low = dict.fromkeys(range(1, 5), 0.3)
    assert should_prune(low, others, 10)
    assert not should_prune(dict.fromkeys(range(1, 5), 0.75), others, 10)
    assert not should_prune({1: 0.3}, others, 10)
    assert not should_prune(low, others[:3], 10)
    assert not should_prune({}, others, 10)


def test_importance_names_what_the_score_depends_on():
    shares = importances(SPACE, swept("random", 40))
    assert sum(shares.values()) == pytest.approx(1, abs=0.01)
    assert min(shares, key=shares.__getitem__) == "training.loss"
    same = [Tried(each.values, "complete", 0.5) for each in swept("random", 40)]
    assert importances(SPACE, same) == {}
    assert importances(SPACE, swept("random", study.LEAST_SCORED - 1)) == {}


def test_without_optuna_there_is_one_sentence(monkeypatch):
    monkeypatch.setattr(study.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(study.ParameterError, match=r"pip install 'optuna=="):
        study.refuse_without_optuna()
    assert not should_prune({5: 0.1}, [{5: 0.9}] * 9, 5)
    assert importances(SPACE, [Tried({}, "complete", float(score)) for score in range(40)]) == {}
