"""A run's parameters in words, and where they differ from its preset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

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
        group, _, name = path.rpartition(".")
        if not group:
            continue
        declared = RunConfig.model_fields[group]
        parameter = declared.annotation.model_fields[name]
        extra = parameter.json_schema_extra or {}
        rows.append(
            ConfigRow(
                group=declared.title or group,
                parameter=parameter.title or name,
                value=_words(value, extra),
                preset_value=_words(base[path], extra) if base[path] != value else None,
            )
        )
    return tuple(rows)


def _words(value: Any, extra: dict[str, Any]) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = f"{value:g}" if isinstance(value, float) else extra.get("labels", {}).get(value) or str(value)
    unit = extra.get("unit", "")
    return f"{text} {unit}" if unit else text
