"""What a sweep may vary comes from the declarations."""

import pytest

from engine.core.parameters import ParameterError
from engine.core.run_config import RunConfig
from engine.labelling.base import find_method, methods
from engine.sweeps.space import (
    Dimension,
    base_values,
    checked,
    dimension,
    from_json,
    grid,
    refuse_idle,
    suggested,
    to_json,
    tunable,
    with_values,
)

THRESHOLD = find_method("threshold").params


@pytest.mark.parametrize(
    "text, expected",
    [
        ("training.learning_rate=1e-4..1e-2", Dimension("training.learning_rate", 1e-4, 1e-2, log=True)),
        ("training.learning_rate=1e-4..1e-2:linear", Dimension("training.learning_rate", 1e-4, 1e-2)),
        ("training.weight_decay=0..1e-2", Dimension("training.weight_decay", 0, 1e-2)),
        ("model.depth=2..4", Dimension("model.depth", 2, 4, whole=True)),
        ("model.first_stride=1,2", Dimension("model.first_stride", choices=(1, 2))),
        ("augmentation.vertical_flip=true,false", Dimension("augmentation.vertical_flip", choices=(True, False))),
        ("training.loss=dice,bce_dice,dice", Dimension("training.loss", choices=("dice", "bce_dice"))),
    ],
)
def test_a_parameter_is_read_with_its_type_and_scale(text, expected):
    assert dimension(RunConfig, text) == expected


@pytest.mark.parametrize(
    "text, sentence",
    [
        ("training.learning_rate=1e-4..2", "less than or equal to 1"),
        ("training.learning_rate=1e-2..1e-4", "must end above its start"),
        ("training.weight_decay=0..1e-2:log", "begins above 0"),
        ("training.epochs=3", "two different values or a range"),
        ("training.loss=dice..focal", "has no range; name its values"),
        ("training.loss=dice,nonsense", "'training.loss' parameter is wrong"),
        ("training.nonsense=1..2", "There is no parameter 'training.nonsense'"),
        ("nonsense", "key=low..high"),
    ],
)
def test_what_breaks_a_declaration_is_a_sentence(text, sentence):
    with pytest.raises(ParameterError, match=sentence):
        dimension(RunConfig, text)


def test_a_parameter_without_effect_is_refused_unless_its_neighbour_varies():
    alpha = dimension(RunConfig, "training.tversky_alpha=0.2..0.8")
    with pytest.raises(ParameterError, match=r"no effect unless training\.loss is tversky"):
        refuse_idle(RunConfig(), [alpha])
    refuse_idle(RunConfig(), [alpha, dimension(RunConfig, "training.loss=dice,tversky")])


def test_settings_take_values_by_path_and_give_their_own():
    space = [dimension(RunConfig, "training.learning_rate=1e-4..1e-2"), dimension(RunConfig, "model.depth=2..4")]
    base = RunConfig().model_dump(mode="json")
    assert base_values(base, space) == {"training.learning_rate": 1e-3, "model.depth": 4}
    assert base_values(base, [dimension(RunConfig, "model.depth=1..2")]) is None
    changed = with_values(base, {"model.depth": 2})
    assert (changed["model"]["depth"], base["model"]["depth"]) == (2, 4)
    assert with_values({"offset": 1}, {"offset": 2}) == {"offset": 2}
    assert from_json(to_json(space)) == space


def test_a_grid_has_every_combination_evenly_on_the_scale():
    space = [dimension(RunConfig, "training.learning_rate=1e-4..1"), dimension(THRESHOLD, "offset=-1..1")]
    rows = grid(space)
    assert len(rows) == 15
    assert sorted({row["training.learning_rate"] for row in rows}) == [1e-4, 1e-3, 1e-2, 0.1, 1]
    assert sorted({row["offset"] for row in rows}) == [-1, 0, 1]


def test_what_a_form_proposes_is_within_the_declaration_of_every_parameter():
    bases = [
        (RunConfig, RunConfig().model_dump()),
        *((each.params, each.params().model_dump()) for each in methods().values()),
    ]
    tried = 0
    for model, base in bases:
        for path, schema in tunable(model).items():
            group, _, name = path.rpartition(".")
            proposed = suggested(path, schema, base[group][name] if group else base[name])
            values = proposed.choices or (proposed.low, proposed.high)
            assert values[0] != values[1], path
            assert [checked(model, path, value) for value in values] == list(values)
            tried += 1
    assert tried > 100


@pytest.mark.parametrize(
    "path, value, expected",
    [
        ("offset", 0, Dimension("offset", -100, 100, whole=True)),
        ("offset", -20, Dimension("offset", -40, -10, whole=True)),
        ("softness", 8, Dimension("softness", 4, 16, whole=True)),
    ],
)
def test_a_form_proposes_half_and_double_or_all_that_is_declared_around_zero(path, value, expected):
    assert suggested(path, tunable(THRESHOLD)[path], value) == expected
