"""One wording for a parameter that is wrong: parameter, rule, value."""

import pytest

from engine.core.parameters import ParameterError, from_assignments
from engine.core.run_config import config_from


@pytest.mark.parametrize(
    ("assignment", "sentence"),
    [
        (
            "training.epochs=0",
            "The 'training.epochs' parameter is wrong: input should be greater than or equal to 1. Got '0'.",
        ),
        (
            "model.image_size=250",
            "In model: image_size must be divisible by first_stride × 2^depth = 32, and 250 is not.",
        ),
        ("checkpoint.best=1", "There is no parameter 'checkpoint.best'. Known: checkpoint.monitor, checkpoint."),
        ("epochs=3", "There is no parameter 'epochs'. Known: version, training, data, model"),
        ("training=3", "The 'training' parameter is wrong: input should be a valid dictionary"),
    ],
)
def test_a_wrong_parameter_is_a_sentence(assignment, sentence):
    with pytest.raises(ParameterError) as caught:
        config_from("fast", from_assignments([assignment]))
    assert str(caught.value).startswith(sentence)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("assignment", ["epochs", "=3", " =3"])
def test_an_assignment_has_a_key_and_a_value(assignment):
    with pytest.raises(ParameterError, match="key=value"):
        from_assignments([assignment])


def test_a_name_is_a_value_or_a_group_but_not_both():
    assert from_assignments(["a.b=1", "a.c=2"]) == {"a": {"b": "1", "c": "2"}}
    with pytest.raises(ParameterError, match="both a value and a group"):
        from_assignments(["a=1", "a.b=2"])


def test_what_a_file_holds_is_quoted_in_part():
    """A message is read by a person, and a recipe or an address may hold anything of any length."""
    for values in ({"epochs": "9" * 100_000}, {"training": {"x" * 100_000: 1}}, {str(at): at for at in range(10_000)}):
        with pytest.raises(ParameterError) as caught:
            config_from("fast", values)
        assert len(str(caught.value)) < 3000, str(caught.value)[:200]
