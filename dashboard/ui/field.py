"""The widget of a declared field, with its step, format, label and help."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import NoneType
from typing import Any, Literal, get_args, get_origin

import streamlit as st
from pydantic.fields import FieldInfo

from engine.core.run_config_text import choice_words

LONGEST_INT_SLIDER = 64
MOST_SEGMENTS = 4
# A default below this share of its upper limit uses scientific notation: learning rates, weight decay.
TINY_SHARE, LARGEST_TINY = 2e-3, 0.1


@dataclass(frozen=True)
class Limits:
    """The smallest and largest value of a widget, None for no limit, and its step."""

    low: float | None
    high: float | None
    step: float
    scientific: bool = False


def draw_field(
    name: str,
    field: FieldInfo,
    key: str,
    start: Any,
    *,
    disabled: bool = False,
    note: str = "",
    choices: Mapping[Any, str] | None = None,
) -> Any:
    """Draw the widget of one field, whose state is already in `st.session_state[key]`; return its value.

    Args:
        choices: {value: text} of the only values to choose from.
        note: an additional sentence for its help.
    """
    kind = _kind(field)
    described = field.description if choices else help_text(field)
    words = " ".join(part for part in (described, note) if part) or None
    common: dict[str, Any] = {"key": key, "help": words, "disabled": disabled, "persist_state": "session"}
    label = label_text(name, field)
    if choices is None and get_origin(kind) is Literal:
        labels = extra(field).get("labels", {})
        choices = {option: labels.get(option) or choice_words(option) for option in get_args(kind)}
    if choices is not None:
        return _choice(label, choices, common)
    if kind is bool:
        return st.toggle(label, **common)
    if kind in (int, float):
        return _number(label, field, kind, start, common)
    return st.text_input(label, **common)


def is_fixed(field: FieldInfo) -> bool:
    """Return whether a field has only one possible value."""
    return get_origin(_kind(field)) is Literal and len(get_args(_kind(field))) == 1


def label_text(name: str, field: FieldInfo) -> str:
    """Return the field's title with its unit, or with what 0 means."""
    unit = extra(field).get("unit")
    title = field.title or choice_words(name.removesuffix(f"_{unit}"))
    zero = extra(field).get("zero")
    return f"{title} ({unit})" if unit else f"{title}, 0 = {zero}" if zero else title


def help_text(field: FieldInfo) -> str | None:
    """Return the description and, for a number, its range."""
    low, high = _bound(field, "ge", "gt"), _bound(field, "le", "lt")
    parts = [field.description] if field.description else []
    if low is not None and high is not None:
        parts.append(f"From {low:g} to {high:g}." if max(abs(low), abs(high)) < 1e6 else f"At least {low:g}.")
    elif low is not None:
        parts.append(f"At least {low:g}.")
    return " ".join(parts) or None


def limits(field: FieldInfo, start: float) -> Limits:
    """Return the limits of a number's widget, with a step that suits the range and the start value."""
    whole = _kind(field) is int
    low, high = _bound(field, "ge", "gt"), _bound(field, "le", "lt")
    scientific = not whole and high is not None and 0 < abs(start) < min(TINY_SHARE * high, LARGEST_TINY)
    step = extra(field).get("step") or _step(low, high, start, whole, scientific)
    # A slider cannot exclude its own end: it starts one step inside.
    if low is not None and _constraint(field, "gt") is not None:
        low = low + (1 if whole else min(step, start - low))
    if high is not None and _constraint(field, "lt") is not None:
        high = high - (1 if whole else min(step, high - start))
    return Limits(low, high, step, scientific)


def _number(label: str, field: FieldInfo, kind: type, start: Any, common: dict[str, Any]) -> Any:
    chosen = limits(field, start if start is not None else 0)
    low, high = (None if bound is None else kind(bound) for bound in (chosen.low, chosen.high))
    step = kind(chosen.step)
    if low is not None and high is not None and start is not None and not chosen.scientific:
        short = kind is float or high - low <= LONGEST_INT_SLIDER * step
        if short and _on_grid(start, low, step):
            form = None if kind is int else _decimals(step)
            return st.slider(label, low, high, step=step, format=form, **common)
    shown = "%d" if kind is int else "%.1e" if chosen.scientific else _decimals(min(step, _finest(start)))
    if chosen.scientific and f"{start:.1e}" != f"{start:.6e}".replace("00000e", "e"):
        shown = "%.3e"
    return st.number_input(label, min_value=low, max_value=high, step=step, format=shown, **common)


def _choice(label: str, words: Mapping[Any, str], common: dict[str, Any]) -> Any:
    options = list(words)
    short = len(options) <= MOST_SEGMENTS and sum(map(len, words.values())) <= 28
    if short:
        return st.segmented_control(label, options, format_func=words.__getitem__, required=True, wrap=True, **common)
    return st.selectbox(label, options, format_func=words.__getitem__, **common)


def _step(low: float | None, high: float | None, start: float, whole: bool, scientific: bool) -> float:
    if whole:
        return 1
    if scientific or high is None or low is None:
        # A tenth of the start's leading digit, so that stepping down from 1e-3 does not end at once.
        return 10.0 ** (math.floor(math.log10(abs(start))) - 1 if start else -2)
    return 10.0 ** math.floor(math.log10((high - low) / 50))


def _on_grid(start: float, low: float, step: float) -> bool:
    steps = (start - low) / step
    return abs(steps - round(steps)) < 1e-6


def _finest(start: float | None) -> float:
    """Return the decimal place of the last digit of a start value, so that it is shown in full."""
    digits = f"{start or 0:.6f}".rstrip("0").partition(".")[2]
    return 10.0 ** -len(digits)


def _decimals(step: float) -> str:
    return f"%.{max(0, -math.floor(math.log10(step) + 1e-9))}f"


def _kind(field: FieldInfo) -> Any:
    """Return the type without `| None`."""
    kinds = [kind for kind in get_args(field.annotation) if kind is not NoneType]
    optional = NoneType in get_args(field.annotation) and len(kinds) == 1
    return kinds[0] if optional else field.annotation


def _bound(field: FieldInfo, closed: str, open_: str) -> float | None:
    bound = _constraint(field, closed)
    return bound if bound is not None else _constraint(field, open_)


def _constraint(field: FieldInfo, name: str) -> float | None:
    return next((getattr(item, name) for item in field.metadata if getattr(item, name, None) is not None), None)


def extra(field: FieldInfo) -> dict[str, Any]:
    """Return the options of a field's declaration beyond pydantic: unit, step, labels, only_with."""
    return field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
