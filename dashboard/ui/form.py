"""A form for a declared parameter set: one widget for each field, validated as a whole.

```python
form = params_form(KMeansParams, key="labels-kmeans", start=stored_params)
if form.params is None:
    st.stop()                    # the error is already on the page
```
The form keeps its values across page switches. It restarts when `start` changes (another preset), and
`reset_form("labels-kmeans")` restores the start values. Widget keys are `<key>.<field>`, nested
`<key>.<group>.<field>`. A field may have more options in `json_schema_extra`: `unit`, `step`, and `labels`
({value: text}) for a choice. In a group with a field `enabled`, switching that off disables the rest; a field declared
`only_with` certain values of its neighbours is disabled while they have others.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar, get_args

import streamlit as st
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from dashboard.ui.field import draw_field, extra, is_fixed, label_text
from engine.core.parameters import ParameterError, Params, parse
from engine.core.run_config_text import choice_words

P = TypeVar("P", bound=Params)
WRAPPED_PX = 165


@dataclass(frozen=True)
class Form(Generic[P]):
    """The content of the form: raw `values`, and validated `params`, None if there is an `error`."""

    values: dict[str, Any]
    params: P | None
    error: str | None


def params_form(
    model: type[P],
    *,
    key: str,
    start: P | None = None,
    groups: Literal["tabs", "titled"] = "titled",
    columns: int | Literal["wrap"] = 1,
    leave_out: Collection[str] = (),
    shown: Callable[[str], bool] = lambda path: True,
    places: Mapping[str, Any] | None = None,
    idle: Mapping[str, str] | None = None,
    choices: Mapping[str, Mapping[Any, str]] | None = None,
    show_error: bool = True,
) -> Form[P]:
    """Draw a widget for each field and return the values of all, also of those that are not drawn.

    Args:
        start: the start values; the model's defaults when None.
        groups: how nested parameter sets are drawn: in tabs, or one below the other under their titles.
        columns: the number of widgets side by side; "wrap" puts as many as the width allows.
        leave_out: dotted names of fields that keep their start value and are not drawn.
        shown: whether the field of a dotted name is drawn; others keep the value that people gave them.
        places: {dotted name: container} of fields that are drawn elsewhere.
        idle: {dotted name of a field, or name of a group: reason} of those without effect here; they are disabled.
        choices: {dotted name of a field: {value: text}} of those that have only these values here.
        show_error: draw why the values are invalid; else the caller does.
    """
    begin = start if start is not None else model()
    _fill(model, begin, key)
    idle = idle or {}
    drawn = _Drawn(key, columns, frozenset(leave_out), shown, places or {}, idle, choices or {})
    values = drawn.fields(model, begin, "")
    nested = {name: field for name, field in model.model_fields.items() if _is_group(field) and name not in leave_out}
    own = [name for name in nested if drawn.any_here(getattr(begin, name), f"{name}.")]
    containers = dict(zip(own, _containers([nested[name] for name in own], own, groups), strict=True))
    for name in nested:
        group = getattr(begin, name)
        with containers.get(name) or contextlib.nullcontext():
            if name in idle and name in containers:
                st.caption(idle[name])
            values[name] = drawn.fields(type(group), group, f"{name}.")
    for name in leave_out:
        if name in model.model_fields and _is_group(model.model_fields[name]):
            values[name] = getattr(begin, name).model_dump()
    try:
        return Form(values, parse(model, values), None)
    except ParameterError as error:
        if show_error:
            st.error(str(error), icon=":material/error:")
        return Form(values, None, str(error))


def matches(model: type[BaseModel], path: str, search: str) -> bool:
    """Return whether every word of `search` is in the names, description or choices of the field at a dotted name."""
    text: list[str] = [path]
    of: Any = model
    for name in path.split("."):
        field = of.model_fields[name]
        text += [label_text(name, field), field.description or ""]
        text += [choice_words(option) for option in get_args(field.annotation) if isinstance(option, str)]
        of = field.annotation if _is_group(field) else of
    return all(word in " ".join(text).casefold() for word in search.casefold().split())


def form_values(model: type[P], key: str, start: P) -> dict[str, Any]:
    """Return {dotted name: value} of the form `key` before it is drawn in this rerun."""
    _fill(model, start, key)
    return {path: st.session_state[f"{key}.{path}"] for path, _ in _leaves(start)}


def reset_form(key: str) -> None:
    """Discard the values of the form `key`, so that the next rerun shows its start values."""
    st.session_state.pop(_start_name(key), None)


class _Drawn:
    """Draws the plain fields of one parameter set after another, in columns."""

    def __init__(
        self,
        key: str,
        columns: int | Literal["wrap"],
        leave_out: frozenset[str],
        shown: Callable[[str], bool],
        places: Mapping[str, Any],
        idle: Mapping[str, str],
        choices: Mapping[str, Mapping[Any, str]],
    ) -> None:
        self._key, self._columns, self._leave_out, self._idle = key, columns, leave_out, idle
        self._choices, self._shown, self._elsewhere = choices, shown, places

    def any_here(self, group: BaseModel, path: str) -> bool:
        """Return whether a field of a group is drawn in the group's own place."""
        names = (name for name, field in type(group).model_fields.items() if not is_fixed(field))
        return any(self._is_drawn(path + name) and path + name not in self._elsewhere for name in names)

    def _is_drawn(self, path: str) -> bool:
        return path not in self._leave_out and self._shown(path)

    def fields(self, model: type[BaseModel], begin: BaseModel, path: str) -> dict[str, Any]:
        """Draw the fields of `model` that are not groups; return their values by name.

        `enabled` is first on its own line, toggles are last, the rest is in columns between them.
        """
        own = {name: field for name, field in model.model_fields.items() if not _is_group(field)}
        values = {
            name: getattr(begin, name)
            if is_fixed(field) or path + name in self._leave_out
            else st.session_state[f"{self._key}.{path}{name}"]
            for name, field in own.items()
        }
        drawn = [name for name, field in own.items() if not is_fixed(field) and self._is_drawn(path + name)]
        for name in [name for name in drawn if path + name in self._elsewhere]:
            drawn.remove(name)
            with self._elsewhere[path + name]:
                self._draw(own, begin, path, name, values)
        switches = [name for name in drawn if own[name].annotation is bool and name != "enabled"]
        rows = [["enabled"] if "enabled" in drawn else []]
        for names in ([name for name in drawn if name not in switches and name != "enabled"], switches):
            rows += [names] if self._columns == "wrap" else _rows(names, self._columns)
        for names in rows:
            for name, place in zip(names, self._places(len(names)), strict=False):
                with place:
                    self._draw(own, begin, path, name, values)
        return values

    def _draw(self, own: dict[str, FieldInfo], begin: BaseModel, path: str, name: str, values: dict[str, Any]) -> None:
        off = name != "enabled" and values.get("enabled") is False
        why_idle = self._why_idle(own, path, name)
        values[name] = draw_field(
            name,
            own[name],
            f"{self._key}.{path}{name}",
            getattr(begin, name),
            disabled=off or bool(why_idle),
            note=why_idle,
            choices=self._choices.get(path + name),
        )

    def _why_idle(self, own: dict[str, FieldInfo], path: str, name: str) -> str:
        """Return why a field has no effect with the current values, or an empty text if it has one."""
        for place in (path.removesuffix("."), path + name):
            if place in self._idle:
                return self._idle[place]
        for neighbour, wanted in extra(own[name]).get("only_with", {}).items():
            # A neighbour further down is not drawn yet, but its value is already in the session state.
            if st.session_state[f"{self._key}.{path}{neighbour}"] not in wanted:
                words = " or ".join(choice_words(value) for value in wanted[:3]) + (" or more" if wanted[3:] else "")
                return f"Has an effect only with {label_text(neighbour, own[neighbour])}: {words}."
        return ""

    def _places(self, count: int) -> list[Any]:
        if not count:
            return []
        if self._columns == "wrap":
            line = st.container(horizontal=True, vertical_alignment="bottom", gap="medium")
            return [line.container(width=WRAPPED_PX) for _ in range(count)]
        return list(st.columns(self._columns)) if self._columns > 1 else [st.container()]


def _rows(names: list[str], size: int) -> list[list[str]]:
    """Return `names` in rows of `size`."""
    return [names[start : start + size] for start in range(0, len(names), size)]


def _fill(model: type[BaseModel], begin: BaseModel, key: str) -> None:
    """Put the start values into the widgets' state when the form is new, reset, or has other start values."""
    fingerprint = begin.model_dump_json()
    restart = st.session_state.get(_start_name(key)) != fingerprint
    st.session_state[_start_name(key)] = fingerprint
    for path, value in _leaves(begin):
        name = f"{key}.{path}"
        if restart or name not in st.session_state:
            st.session_state[name] = value


def _leaves(params: BaseModel, path: str = "") -> Iterator[tuple[str, Any]]:
    for name in type(params).model_fields:
        value = getattr(params, name)
        if isinstance(value, BaseModel):
            yield from _leaves(value, f"{path}{name}.")
        else:
            yield path + name, value


def _containers(fields: Sequence[FieldInfo], names: Sequence[str], groups: str) -> list[Any]:
    titles = [field.title or name.replace("_", " ").capitalize() for name, field in zip(names, fields, strict=True)]
    if groups == "tabs":
        return list(st.tabs(titles)) if titles else []
    places = []
    for title in titles:
        places.append(st.container())
        places[-1].caption(f"**{title}**")
    return places


def _is_group(field: FieldInfo) -> bool:
    return isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)


def _start_name(key: str) -> str:
    return f"{key}~start"
