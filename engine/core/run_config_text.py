"""A run's parameters as text, as the form shows them, and where they differ from its preset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from engine.core.network_parameters import ARCHITECTURE_TITLES
from engine.core.parameters import ParameterError, Params, field_schemas, parse
from engine.core.run_config import PRESETS, WITH_WEIGHTS, RunConfig, flattened, preset_config

_SPELLINGS = ARCHITECTURE_TITLES | {
    "adamw": "AdamW",
    "auto": "Automatic",
    "bce_dice": "Cross-entropy + Dice",
    "binary_crossentropy": "Binary cross-entropy",
    "dice": "Soft Dice",
    "grabcut": "GrabCut",
    "iou": "IoU",
    "kmeans": "K-means",
    "val": "validation",
    "val_dice": "Validation soft Dice",
    "rag": "RAG",
    "sgd": "SGD",
}


PRESET_PURPOSES = {
    "fast": "A quick first result: minutes on an ordinary computer.",
    "classic": "The published U-Net, as a baseline: hours on an ordinary computer.",
    "thorough": "Better masks in half an hour on an ordinary computer, for a few hundred images.",
    "from_labels": "For masks that a method computed: a network that corrects them in minutes. Where its own look "
    "worse, they stay as they are.",
    "encoder": "The best masks of photographs, in minutes. It starts from ImageNet weights.",
}


def preset_text(name: str, weights: bool = False) -> str:
    """Return the purpose of a preset and its main parameters, where there are pretrained `weights` or not."""
    config = preset_config(name, weights)
    model, rounds = config.model, config.self_training.rounds
    filters = f" with {model.base_filters} base filters" if model.uses("base_filters") else ""
    size = f"{model.image_size} × {model.image_size} px"
    starts = " It starts from ImageNet weights." if name in WITH_WEIGHTS and weights else ""
    parts = [f"{ARCHITECTURE_TITLES[model.architecture]}{filters} at {size}", f"up to {config.training.epochs} epochs"]
    if rounds > 1:
        parts.append(f"{rounds} rounds on pseudo-labels")
    if not config.augmentation.enabled:
        parts.append("no augmentation")
    return f"{PRESET_PURPOSES[name]}{starts} {', '.join(parts)}."


@dataclass(frozen=True)
class ConfigRow:
    """One parameter of a run as text, and its preset's value where that differs."""

    group: str
    parameter: str
    value: str
    preset_value: str | None


def config_rows(config: dict[str, Any], preset: str) -> tuple[ConfigRow, ...]:
    """Return every parameter as text, in the order of declaration. Settings of another version are shown as stored."""
    try:
        values = flattened(parse(RunConfig, config))
    except ParameterError:
        return _stored_rows(config)
    weights = values["model.encoder_weights"] != "none"
    base = flattened(preset_config(preset, weights)) if preset in PRESETS else values
    # Presets leave this open, and each run has the number that it got; older ones have none and merged all classes.
    values["model.classes"] = values["model.classes"] or 1
    base = base | {"model.classes": values["model.classes"]}
    rows = []
    for path, value in values.items():
        if "." not in path:
            continue
        group, parameter = titles(path)
        before = value_words(path, base[path]) if base[path] != value else None
        rows.append(ConfigRow(group, parameter, value_words(path, value), before))
    return tuple(rows)


def _stored_rows(config: dict[str, Any]) -> tuple[ConfigRow, ...]:
    """Return one row for each setting of a configuration that this version cannot read."""
    rows = []
    for group, content in config.items():
        if not isinstance(content, dict):
            rows.append(ConfigRow("", group, str(content), None))
            continue
        for name, value in content.items():
            try:
                path = f"{group}.{name}"
                rows.append(ConfigRow(*titles(path), value_words(path, value), None))
            except KeyError:
                rows.append(ConfigRow(group.replace("_", " ").capitalize(), name, str(value), None))
    return tuple(rows)


def titles(path: str) -> tuple[str, str]:
    """Return the titles of a parameter's group and of itself: ("Training", "Epochs") for "training.epochs"."""
    group, _, name = path.partition(".")
    return RunConfig.model_fields[group].title or group, _schema(path).get("title", name)


def value_words(path: str, value: Any) -> str:
    """Return a value of the parameter at `path` as the form shows it, with its unit."""
    schema = _schema(path)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not value and "zero" in schema:
        return str(schema["zero"])
    if isinstance(value, float):
        text = f"{value:g}"
    elif isinstance(value, str) and "enum" in schema:
        text = choice_words(value)
    else:
        text = str(value)
    unit = schema.get("unit", "")
    return f"{text} {unit}" if unit else text


def _schema(path: str) -> dict[str, Any]:
    group, _, name = path.partition(".")
    schema: dict[str, Any] = field_schemas(cast(type[Params], RunConfig.model_fields[group].annotation))[name]
    return schema


def choice_words(option: Any) -> str:
    """Return the display text of a choice: "Validation IoU" for "val_iou"."""
    if option in _SPELLINGS:
        return _SPELLINGS[option]
    text = " ".join(_SPELLINGS.get(part, part) for part in str(option).split("_"))
    return text[:1].upper() + text[1:]
