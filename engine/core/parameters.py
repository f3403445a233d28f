"""The base class of parameter sets, the declaration of a numeric parameter, and the messages for invalid values."""

from __future__ import annotations

from functools import cache
from typing import Any, Literal, TypeVar, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError

Number = TypeVar("Number", int, float)
MOST_FAULTS, LONGEST_QUOTE = 10, 200

Stage = Literal["look", "fit", "label"]
"""The step of a label method that first depends on a parameter."""


class Params(BaseModel):
    """A frozen set of parameters. Each field declares its type, default, limits and a one-sentence description.

    Numbers are declared with `number`. Unknown keys are errors.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    def uses(self, field: str) -> bool:
        """Return whether `field` has an effect with the values of its neighbours (see `only_with`)."""
        wanted = field_schemas(type(self))[field].get("only_with", {})
        return all(getattr(self, name) in values for name, values in wanted.items())


def only_with(**neighbours: list[Any]) -> dict[str, Any]:
    """Return the `json_schema_extra` of a field that has an effect only while its neighbours have these values."""
    return {"only_with": neighbours}


def number(
    default: Number,
    low: float,
    high: float,
    description: str | None,
    *,
    title: str | None = None,
    unit: str = "",
    stage: Stage | None = None,
    only_with: dict[str, list[Any]] | None = None,
    exclusive: Literal["", "low", "high", "both"] = "",
    zero: str = "",
    log: bool = False,
) -> Number:
    """Declare a numeric field with its limits and help.

    Args:
        low, high: the limits, which are valid values except for those named by `exclusive`.
        unit: shown behind the value, such as "px".
        zero: what 0 means, such as "off"; shown in place of it.
        stage: see `Stage`; None means "label".
        only_with: the field has an effect only while each neighbour named has one of the values listed.
        log: a sweep draws its values evenly in powers of ten.
    """
    extra: dict[str, Any] = {
        key: value
        for key, value in (("unit", unit), ("stage", stage), ("only_with", only_with), ("zero", zero), ("log", log))
        if value
    }
    lower, upper = "gt" if exclusive in ("low", "both") else "ge", "lt" if exclusive in ("high", "both") else "le"
    limits: dict[str, Any] = {lower: low, upper: high}
    return cast(Number, Field(default, title=title, description=description, json_schema_extra=extra or None, **limits))


class ParameterError(ValueError):
    """At least one parameter is invalid. The message names each of them with its rule and value."""


P = TypeVar("P", bound=BaseModel)


def parse(model: type[P], values: dict[str, Any]) -> P:
    """Return `values` validated as `model`.

    Raises:
        ParameterError: one sentence for each invalid parameter.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise ParameterError(explain(error, model)) from None


@cache
def field_schemas(model: type[BaseModel]) -> dict[str, Any]:
    """Return {field: JSON schema} of a parameter set. Cached: it takes pydantic a millisecond, and a page needs it many
    times for each slider movement.
    """
    properties: dict[str, Any] = model.model_json_schema()["properties"]
    return properties


def explain(error: ValidationError, model: type[BaseModel]) -> str:
    """Return one sentence for each error: parameter, rule, value; of many, the first `MOST_FAULTS`.

    The value of a field with `repr=False`, which may hold a password, is left out.
    """
    faults = error.errors()
    sentences = [_sentence(fault, model) for fault in faults[:MOST_FAULTS]]
    more = len(faults) - MOST_FAULTS
    return " ".join([*sentences, f"There are {more:,} more errors."] if more > 0 else sentences)


def shown(value: Any) -> str:
    """Return a value as a message quotes it: what a file holds may be of any length."""
    text = repr(value)
    return text if len(text) <= LONGEST_QUOTE else f"{text[:LONGEST_QUOTE]}…"


def _sentence(fault: Any, model: type[BaseModel]) -> str:
    name = ".".join(str(part) for part in fault["loc"])[:LONGEST_QUOTE]
    if fault["type"] == "extra_forbidden":
        *groups, _ = fault["loc"]
        known = ", ".join(".".join([*groups, field]) for field in _group(model, groups).model_fields)
        return f"There is no parameter '{name}'. Known: {known}."
    rule = fault["msg"].removeprefix("Value error, ")
    if fault["type"] == "value_error" and isinstance(fault["input"], dict | BaseModel):
        # The message of a rule between several parameters contains their names and values.
        return f"{f'In {name}: ' if name else ''}{rule}."
    sentence = f"The '{name or model.__name__}' parameter is wrong: {rule[:1].lower()}{rule[1:]}."
    field = model.model_fields.get(name)
    return sentence if field and not field.repr else f"{sentence} Got {shown(fault['input'])}."


def _group(model: type[BaseModel], groups: list[Any]) -> type[BaseModel]:
    for group in groups:
        model = cast(type[BaseModel], model.model_fields[group].annotation)
    return model


def from_assignments(assignments: list[str]) -> dict[str, Any]:
    """Return `["training.epochs=3", "loss=dice"]` as a nested dict of strings, ready for validation.

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
    """Return a parameter set as a Markdown table for the documentation: name, default, limits, unit, help."""
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
