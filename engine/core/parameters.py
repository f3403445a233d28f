"""The base of every declared parameter set, and the one wording for a parameter that is wrong."""

from __future__ import annotations

from functools import cache
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError


class Params(BaseModel):
    """A frozen set of parameters. Each field carries type, default, limits and a one-sentence description.

    A unit goes into `json_schema_extra={"unit": "px"}`, and there `only_with` says for which values of its neighbours a
    field does anything. Unknown keys are errors.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")


def only_with(**neighbours: list[Any]) -> dict[str, Any]:
    """Return the `json_schema_extra` of a field that only counts while its neighbours have one of these values."""
    return {"only_with": neighbours}


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


@cache
def field_schemas(model: type[BaseModel]) -> dict[str, Any]:
    """Return {field: JSON schema} of a parameter set. Made once: pydantic takes a millisecond for it, and a page asks
    many times at each move of a slider.
    """
    return model.model_json_schema()["properties"]


def explain(error: ValidationError, model: type[BaseModel]) -> str:
    """Return one sentence for each fault: parameter, rule, value."""
    return " ".join(_sentence(fault, model) for fault in error.errors())


def _sentence(fault: Any, model: type[BaseModel]) -> str:
    name = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        *groups, _ = fault["loc"]
        known = ", ".join(".".join([*groups, field]) for field in _group(model, groups).model_fields)
        return f"There is no parameter '{name}'. Known: {known}."
    rule = fault["msg"].removeprefix("Value error, ")
    if fault["type"] == "value_error" and isinstance(fault["input"], dict | BaseModel):
        # A rule between several parameters names them and their values itself.
        return f"{f'In {name}: ' if name else ''}{rule}."
    return f"The '{name or model.__name__}' parameter is wrong: {rule[:1].lower()}{rule[1:]}. Got {fault['input']!r}."


def _group(model: type[BaseModel], groups: list[Any]) -> type[BaseModel]:
    for group in groups:
        model = model.model_fields[group].annotation
    return model


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


def markdown_table(params: type[Params]) -> str:
    """Return a parameter set as a Markdown table: name, default, limits, unit, help. The documentation holds these."""
    lines = ["| Parameter | Default | Limits | Unit | What it does |", "|---|---|---|---|---|"]
    for name, schema in params.model_json_schema()["properties"].items():
        if "enum" in schema:
            limits = ", ".join(f"`{value}`" for value in schema["enum"])
        elif schema["type"] == "boolean":
            limits = "`true`, `false`"
        elif schema["type"] == "string":
            limits = f"up to {schema['maxLength']} characters"
        else:
            lowest = schema.get("minimum", schema.get("exclusiveMinimum"))
            limits = f"{lowest} to {schema.get('maximum', schema.get('exclusiveMaximum'))}"
        default = str(schema["default"]).lower() if isinstance(schema["default"], bool) else schema["default"]
        default = "empty" if default == "" else f"`{default}`"
        unit = schema.get("unit", "")
        lines.append(f"| `{name}` | {default} | {limits} | {unit} | {schema['description']} |")
    return "\n".join(lines)
