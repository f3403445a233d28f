"""Parameters that a sweep varies, and their values, in words."""

from __future__ import annotations

from collections import Counter
from typing import Any

from pydantic import BaseModel

from engine.core.run_config import RunConfig
from engine.core.run_config_text import choice_words, titles, value_words
from engine.sweeps.space import Dimension, tunable


def parameter_titles(model: type[BaseModel]) -> dict[str, str]:
    """Return {path: title} of the parameters that can vary; with its group where several have the same title."""
    if model is not RunConfig:
        return {path: _field_title(model, path) for path in tunable(model)}
    named = {path: titles(path) for path in tunable(model)}
    often = Counter(title for _, title in named.values())
    return {path: f"{group}: {title}" if often[title] > 1 else title for path, (group, title) in named.items()}


def _field_title(model: type[BaseModel], name: str) -> str:
    declared = model.model_fields[name]
    unit = tunable(model)[name].get("unit")
    title = declared.title or choice_words(name.removesuffix(f"_{unit}"))
    return f"{title} ({unit})" if unit else title


def words_of(model: type[BaseModel], path: str, value: Any) -> str:
    """Return a value of a parameter as forms show it."""
    if model is RunConfig:
        return value_words(path, value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return choice_words(value) if isinstance(value, str) else f"{value:g}"


def range_words(model: type[BaseModel], dimension: Dimension) -> str:
    """Return what a parameter varies between, or its choices."""
    if dimension.choices:
        return ", ".join(words_of(model, dimension.path, choice) for choice in dimension.choices)
    return dimension.words()
