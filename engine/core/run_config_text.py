"""A run's parameters in words, as the form shows them, and where they differ from its preset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic.fields import FieldInfo

from engine.core.parameters import ParameterError, parse
from engine.core.run_config import PRESETS, RunConfig, flattened

_SPELLINGS = {
    "adamw": "AdamW",
    "attention": "U-Net with attention gates",
    "auto": "Automatic",
    "bce_dice": "Cross-entropy + Dice",
    "binary_crossentropy": "Binary cross-entropy",
    "grabcut": "GrabCut",
    "iou": "IoU",
    "kmeans": "K-means",
    "mobilenet_v2": "MobileNetV2 encoder",
    "val": "validation",
    "rag": "RAG",
    "residual": "U-Net with residual blocks",
    "sgd": "SGD",
    "unet": "U-Net",
}


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
        text = extra.get("labels", {}).get(value) or choice_words(value)
    else:
        text = str(value)
    unit = extra.get("unit", "")
    return f"{text} {unit}" if unit else text


def _field(path: str) -> FieldInfo:
    group, _, name = path.partition(".")
    return RunConfig.model_fields[group].annotation.model_fields[name]


def choice_words(option: Any) -> str:
    """Return one of the values of a setting as a person reads it: "val_iou" as "Validation IoU"."""
    if option in _SPELLINGS:
        return _SPELLINGS[option]
    text = " ".join(_SPELLINGS.get(part, part) for part in str(option).split("_"))
    return text[:1].upper() + text[1:]
