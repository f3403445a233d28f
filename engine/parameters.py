"""The base of every declared parameter set, and the one wording for a parameter that is wrong."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError


class Params(BaseModel):
    """A frozen set of parameters. Each field carries type, default, limits and a one-sentence description.

    A unit goes into `json_schema_extra={"unit": "px"}`. Unknown keys are errors.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")


class ParameterError(ValueError):
    """A parameter breaks its rule. The message names every such parameter, the rule and the value."""


P = TypeVar("P", bound=BaseModel)


def parse(model: type[P], values: dict[str, Any]) -> P:
    """Return `values` as a checked `model`.

    Raises:
        ParameterError: one sentence for each wrong parameter.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise ParameterError(explain(error, model)) from None


def explain(error: ValidationError, model: type[BaseModel]) -> str:
    """Return one sentence for each fault: parameter, rule, value."""
    sentences = []
    for fault in error.errors():
        name = ".".join(str(part) for part in fault["loc"]) or model.__name__
        if fault["type"] == "extra_forbidden":
            known = ", ".join(model.model_fields)
            sentences.append(f"There is no parameter '{name}'. Known: {known}.")
        else:
            rule = fault["msg"].removeprefix("Value error, ")
            rule = rule[:1].lower() + rule[1:]
            sentences.append(f"The '{name}' parameter is wrong: {rule}. Got {fault['input']!r}.")
    return " ".join(sentences)


def from_assignments(assignments: list[str]) -> dict[str, Any]:
    """Return `["training.epochs=3", "loss=dice"]` as a nested dict of strings for a model to check.

    Raises:
        ParameterError: if an entry is not of the form key=value.
    """
    values: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not equals or not key.strip():
            raise ParameterError(f"A parameter is given as key=value. Got {assignment!r}.")
        *parents, leaf = key.strip().split(".")
        target = values
        for parent in parents:
            target = target.setdefault(parent, {})
            if not isinstance(target, dict):
                raise ParameterError(f"'{parent}' is both a value and a group in {assignment!r}.")
        target[leaf] = value.strip()
    return values
