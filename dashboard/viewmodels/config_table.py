"""A run's parameters in words, and where they differ from its preset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic.fields import FieldInfo

from dashboard import wording
from engine.config import PRESETS, RunConfig, flattened
from engine.parameters import ParameterError, parse


@dataclass(frozen=True)
class ConfigRow:
    """One parameter of a run, and its preset's value where the run's differs."""

    group: str
    parameter: str
    value: str
    preset_value: str | None


def config_rows(config: dict[str, Any], preset: str) -> tuple[ConfigRow, ...]:
    """Return every parameter in words, in the order of declaration. What this code cannot read is shown raw."""
    try:
        values = flattened(parse(RunConfig, config))
    except ParameterError:
        return tuple(ConfigRow("", name, str(value), None) for name, value in config.items())
    base = flattened(PRESETS[preset]) if preset in PRESETS else values
    rows = []
    for path, value in values.items():
        if "." not in path:
            continue
        group, parameter = titles(path)
        before = value_words(path, base[path]) if base[path] != value else None
        rows.append(ConfigRow(group, parameter, value_words(path, value), before))
    return tuple(rows)


def titles(path: str) -> tuple[str, str]:
    """Return what the form calls the group and the setting of "training.epochs": ("Training", "Epochs")."""
    group, _, name = path.partition(".")
    return RunConfig.model_fields[group].title or group, _field(path).title or name


def value_words(path: str, value: Any) -> str:
    """Return a value of the setting at `path` as the form shows it, with its unit."""
    field = _field(path)
    extra = field.json_schema_extra or {}
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        text = f"{value:g}"
    elif isinstance(value, str) and field.annotation is not str:
        text = extra.get("labels", {}).get(value) or wording.choice(value)
    else:
        text = str(value)
    unit = extra.get("unit", "")
    return f"{text} {unit}" if unit else text


def _field(path: str) -> FieldInfo:
    group, _, name = path.partition(".")
    return RunConfig.model_fields[group].annotation.model_fields[name]
