"""What a sweep varies: parameters of a run or a label method, chosen from their declarations."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from engine.core.parameters import ParameterError, field_schemas
from engine.core.run_config import RunConfig

GRID_STEPS = 5
"""So many values of a range are tried by a grid."""
SIGNIFICANT = 4
"""Digits of a sampled number: more would not be read, and change nothing."""


@dataclass(frozen=True)
class Dimension:
    """One parameter that varies: between `low` and `high`, or among `choices` where there are some.

    `path` is such as "training.learning_rate" of a run, or "clusters" of a label method. `log` draws from a range
    evenly in powers of ten; `whole` numbers only.
    """

    path: str
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    whole: bool = False
    choices: tuple[Any, ...] = ()

    def rounded(self, value: Any) -> Any:
        """Return a value of a range with few digits, within it."""
        if self.choices or self.whole:
            return value
        return min(max(float(f"{value:.{SIGNIFICANT}g}"), self.low), self.high)

    def contains(self, value: Any) -> bool:
        if self.choices:
            return value in self.choices
        return self.low <= value <= self.high

    def steps(self) -> list[Any]:
        """Return the values that a grid tries: the choices, or at most `GRID_STEPS` of the range."""
        if self.choices:
            return list(self.choices)
        low, high = (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)
        even = [low + (high - low) * index / (GRID_STEPS - 1) for index in range(GRID_STEPS)]
        values = [math.exp(value) for value in even] if self.log else even
        if self.whole:
            return sorted({round(value) for value in values})
        return [self.rounded(value) for value in values]

    def words(self) -> str:
        """Return what it varies between, for people."""
        if self.choices:
            return ", ".join(_text(choice) for choice in self.choices)
        return f"{self.low:g} to {self.high:g}{', log scale' if self.log else ''}"


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def to_json(space: Sequence[Dimension]) -> list[dict[str, Any]]:
    return [asdict(dimension) | {"choices": list(dimension.choices)} for dimension in space]


def from_json(space: Sequence[Mapping[str, Any]]) -> list[Dimension]:
    return [Dimension(**(dict(values) | {"choices": tuple(values["choices"])})) for values in space]


def tunable(model: type[BaseModel]) -> dict[str, dict[str, Any]]:
    """Return {path: JSON schema} of the parameters of `RunConfig` or of a label method that a sweep can vary."""
    found: dict[str, dict[str, Any]] = {}
    groups = (
        {f"{name}.": field.annotation for name, field in model.model_fields.items()}
        if model is RunConfig
        else {"": model}
    )
    for prefix, group in groups.items():
        if isinstance(group, type) and issubclass(group, BaseModel):
            schemas = field_schemas(group)
            found |= {
                f"{prefix}{name}": schema
                for name, schema in schemas.items()
                if "enum" in schema or schema.get("type") in ("integer", "number", "boolean")
            }
    return found


def dimension(model: type[BaseModel], text: str) -> Dimension:
    """Return a parameter as the command line names it.

    `learning_rate=1e-4..1e-2` is a range, with `:log` or `:linear` where its declaration says otherwise;
    `depth=3,4,5` are choices.

    Raises:
        ParameterError: there is no such parameter, or a value breaks its declaration.
    """
    path, equals, given = (part.strip() for part in text.partition("="))
    schemas = tunable(model)
    if not equals or not given:
        raise ParameterError(f"What varies is given as key=low..high or key=a,b,c. Got {text!r}.")
    if path not in schemas:
        raise ParameterError(f"There is no parameter {path!r} that a sweep can vary. Known: {', '.join(schemas)}.")
    schema = schemas[path]
    if ".." not in given:
        choices = tuple(checked(model, path, each.strip()) for each in given.split(","))
        if len(set(choices)) < 2:
            raise ParameterError(f"A sweep needs two different values or a range of {path!r}. Got {given!r}.")
        return Dimension(path, choices=tuple(dict.fromkeys(choices)))
    if "enum" in schema or schema.get("type") == "boolean":
        raise ParameterError(f"{path!r} has no range; name its values, such as {path}={_some_values(schema)}.")
    given, _, scale = given.partition(":")
    if scale not in ("", "log", "linear"):
        raise ParameterError(f"The scale of {path!r} is log or linear. Got {scale!r}.")
    ends = given.partition("..")
    low, high = checked(model, path, ends[0].strip()), checked(model, path, ends[2].strip())
    log = scale == "log" or (scale == "" and bool(schema.get("log")) and low > 0)
    if low >= high:
        raise ParameterError(f"The range of {path!r} must end above its start. Got {given!r}.")
    if log and low <= 0:
        raise ParameterError(f"A range on a log scale begins above 0. Got {given!r} for {path!r}.")
    return Dimension(path, low, high, log, schema["type"] == "integer")


def _some_values(schema: Mapping[str, Any]) -> str:
    return ",".join(map(_text, schema.get("enum", (True, False))))


def checked(model: type[BaseModel], path: str, value: Any) -> Any:
    """Return one value, as its declaration has it.

    Raises:
        ParameterError: it breaks the declaration.
    """
    group, _, name = path.rpartition(".")
    owner: Any = model.model_fields[group].annotation if group else model
    field = owner.model_fields[name]
    declared: Any = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
    try:
        return TypeAdapter(declared).validate_python(value)
    except ValidationError as error:
        rule = error.errors()[0]["msg"]
        raise ParameterError(f"The '{path}' parameter is wrong: {rule[:1].lower()}{rule[1:]}. Got {value!r}.") from None


def refuse_idle(base: BaseModel, space: Sequence[Dimension]) -> None:
    """
    Raises:
        ParameterError: nothing varies, a parameter is named twice, or one has no effect with the other settings.
    """
    if not space:
        raise ParameterError("Choose at least one parameter that varies.")
    paths = [dimension.path for dimension in space]
    for path in paths:
        if paths.count(path) > 1:
            raise ParameterError(f"{path!r} is named twice.")
        group, _, name = path.rpartition(".")
        owner: BaseModel = getattr(base, group) if group else base
        wanted = field_schemas(type(owner))[name].get("only_with", {})
        for neighbour, values in wanted.items():
            varies = f"{group}.{neighbour}" if group else neighbour
            if varies not in paths and getattr(owner, neighbour) not in values:
                words = " or ".join(_text(value) for value in values)
                raise ParameterError(f"{path!r} has no effect unless {varies} is {words}. Set that, or vary it, too.")


def base_values(base: Mapping[str, Any], space: Sequence[Dimension]) -> dict[str, Any] | None:
    """Return the values that the settings themselves have, if all are within the space; else None."""
    values: dict[str, Any] = {}
    for each in space:
        value: Any = base
        for part in each.path.split("."):
            value = value[part]
        if not each.contains(value):
            return None
        values[each.path] = value
    return values


def with_values(base: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with values by path in place of their own."""
    changed = dict(base)
    for path, value in values.items():
        group, _, name = path.rpartition(".")
        if group:
            changed[group] = dict(changed[group]) | {name: value}
        else:
            changed[name] = value
    return changed


def grid(space: Sequence[Dimension]) -> list[dict[str, Any]]:
    """Return every combination of the values that a grid tries, in the order of the space."""
    steps = [each.steps() for each in space]
    return [dict(zip([each.path for each in space], row, strict=True)) for row in itertools.product(*steps)]


def suggested(path: str, schema: Mapping[str, Any], value: Any) -> Dimension:
    """Return what a form proposes to vary around the value of the settings.

    That is a decade each way on a log scale, else half and double, all that is declared around 0, or all choices.
    """
    if "enum" in schema or schema.get("type") == "boolean":
        return Dimension(path, choices=tuple(schema.get("enum", (True, False))))
    lowest = schema.get("minimum", schema.get("exclusiveMinimum", 0))
    highest = schema.get("maximum", schema.get("exclusiveMaximum", 1) * (1 - 1 / GRID_STEPS))
    whole, log = schema["type"] == "integer", bool(schema.get("log")) and value > 0
    factor = 10 if log and not whole else 2
    low, high = sorted((value / factor, value * factor))
    low, high = max(low, lowest), min(high, highest)
    if not low < high:
        low, high = lowest, highest
    return Dimension(path, int(low) if whole else low, int(high) if whole else high, log, whole)
