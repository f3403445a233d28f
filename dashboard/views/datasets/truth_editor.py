"""The editor of truth classes: a histogram of grey values, the table of classes, and examples."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
import streamlit as st

from dashboard.access import rights
from dashboard.facts import urls, wording
from dashboard.facts.datasets import DatasetView, example_images, truth_facts
from dashboard.server import renditions, resources
from dashboard.ui import charts, palette, pictures
from dashboard.views.datasets.truth_facts import BadMapping, ClassStart, Mapping, exchanged, mapping_from, starts_of
from db import datasets
from engine.datasets import truth
from engine.datasets.truth_file import Key
from engine.imaging.class_maps import IGNORE
from engine.store import keys as stored
from engine.store.base import MissingFile

EXAMPLE_PX = 384
_GUESSES = (
    (
        "From all masks",
        None,
        "Class numbers, ids and colours are taken as they are; grey levels go to the nearest peak.",
    ),
    ("Each value is a class", False, "For class maps: the same number or colour means the same in every mask."),
    ("Values are objects", True, "For label maps: each id is one object, and all objects are one class."),
)
_ABOUT = (
    "The class of each value of the truth masks. The class in the first row is the background; training tells the "
    "others apart, or merges them. Rows of the same name are one class: call a row *background* to count it as "
    "background, or *ignore* if its pixels count neither in training nor in scores."
)
_MOST_BARS = 24
"""So many values have a bar with a name each; more are drawn along the scale of all values."""


def truth_editor(view: DatasetView, *, key: str) -> None:
    """Draw the editor for a dataset that has truth."""
    st.caption(_ABOUT)
    with resources.database().reading() as session:
        found = truth_facts(session, view.id)
        keys = dict(datasets.truth_codes(session, view.id))
        examples = example_images(session, view.id)
    counts = found.counts
    if not counts[1:].any():
        st.info("All truth masks are black, so there are no values to distinguish.")
        return
    _warn_of_others(view, key)
    doubts = st.container()
    left, right = st.columns([1, 1], gap="medium")
    with left:
        rows = _table(view, keys, key)
    mapping, error = _checked(rows, counts)
    with left:
        if error:
            st.error(wording.escaped(error))
        _buttons(view, mapping, found, keys, key)
    lookup = mapping.lookup if mapping else view.lookup
    for sentence in truth.concerns(found, lookup, keys):
        doubts.warning(wording.escaped(sentence), icon=":material/help:")
    names = [entry["name"] for entry in mapping.classes] if mapping else view.classes
    colours = palette.class_colours(mapping.classes) if mapping else view.class_colours
    with right:
        _histogram(counts, lookup, colours, keys, key)
    pictures.class_legend(names, colours=colours, ignored=bool(counts[np.asarray(lookup) == IGNORE].any()))
    for column, (image_id, name) in zip(st.columns(3), examples, strict=False):
        with column:
            _example(view.id, image_id, name, lookup, colours)


def _warn_of_others(view: DatasetView, key: str) -> None:
    """Warn that unsaved edits were lost: the table restarts with every version of the classes."""
    if st.session_state.get(_seen(view, key), view.truth_version) != view.truth_version:
        st.warning(datasets.CHANGED_MEANWHILE, icon=":material/group:")
        st.session_state.pop(f"{key}-proposal-{view.id}", None)
    st.session_state[_seen(view, key)] = view.truth_version


def _seen(view: DatasetView, key: str) -> str:
    return f"{key}-seen-{view.id}"


def _table(view: DatasetView, keys: dict[int, Key], key: str) -> list[ClassStart]:
    proposed: Mapping | None = st.session_state.get(f"{key}-proposal-{view.id}")
    names = [entry["name"] for entry in proposed.classes] if proposed else view.classes
    chosen = dict(zip(view.classes, view.colours, strict=True))
    start = starts_of(names, proposed.lookup if proposed else view.lookup, [chosen.get(name, "") for name in names])
    table: list[dict[str, Any]] = [{"Class": row.name, "From value": row.first, "Colour": row.colour} for row in start]
    if keys:  # which id or colour is meant cannot be read off a code
        ends = sorted(row.first for row in start)
        for row in table:
            row["In the files"] = _in_the_files(row["From value"], ends, keys)
    edited = st.data_editor(
        table,
        num_rows="dynamic",
        column_order=["In the files", "Class", "From value", "Colour"] if keys else None,
        hide_index=True,
        key=f"{key}-{view.id}-{view.truth_version}-{st.session_state.get(f'{key}-revision', 0)}",
        column_config={
            "Class": st.column_config.TextColumn(required=True, max_chars=60),
            "From value": st.column_config.NumberColumn(
                min_value=0, max_value=255, step=1, required=True, help="The class ends where the next one starts."
            ),
            "Colour": st.column_config.TextColumn(
                help="Such as #E69F00. Empty: one that stands out from the others with any colour vision."
            ),
            "In the files": st.column_config.TextColumn(
                disabled=True, help="The id, colour or name in your files, which is stored as a value from 1 on."
            ),
        },
    )
    complete = (row for row in edited if row["Class"] is not None and row["From value"] is not None)
    return [ClassStart(str(row["Class"]), int(row["From value"]), row.get("Colour") or "") for row in complete]


def _checked(rows: Sequence[ClassStart], counts: np.ndarray) -> tuple[Mapping | None, str]:
    try:
        return mapping_from(rows, counts.tolist()), ""
    except BadMapping as error:
        return None, str(error)


def _in_the_files(first: int, starts: Sequence[int], keys: dict[int, Key]) -> str:
    """Return the id or colour of the first code from `first` to the next start, and how many more there are."""
    end = next((start for start in starts if start > first), 256)
    codes = [code for code in sorted(keys) if first <= code < end]
    if first == 0 or not codes:
        return _shown(first, keys)
    return _shown(codes[0], keys) + (f" and {len(codes) - 1:,} more" if len(codes) > 1 else "")


def _shown(value: int, keys: dict[int, Key]) -> str:
    """Return what a stored value stands for: its id or colour, or the value itself where the files hold values."""
    return str(keys.get(value, "background" if keys and value == 0 else value))


def _buttons(
    view: DatasetView, mapping: Mapping | None, found: truth.ValueFacts, keys: dict[int, Key], key: str
) -> None:
    names = tuple(entry["name"] for entry in mapping.classes) if mapping else ()
    colours = tuple(entry.get("colour", "") for entry in mapping.classes) if mapping else ()
    now = (view.lookup, view.classes, view.colours)
    changed = mapping is not None and (tuple(mapping.lookup), names, colours) != now
    row = st.container(horizontal=True)  # wraps where the page is narrow
    pressed = rights.button("Save classes", place=row, type="primary", disabled=not changed, key=f"{key}-save")
    if pressed and mapping is not None and changed:  # the press may belong to an outdated table
        _save(view, mapping, key)
    with row.popover("Other readings", icon=":material/auto_fix_high:"):
        for words, objects, about in _GUESSES:
            if st.button(words, key=f"{key}-propose-{objects}", help=about, width="stretch"):
                proposal = truth.propose_classes(found, keys, objects)
                classes = [entry.model_dump() for entry in proposal.classes]
                _restart(view, key, Mapping(classes, list(proposal.lookup)))
        if mapping is not None and len(mapping.classes) == 2:
            about = "For masks that mark the background in place of the objects."
            if st.button("Exchange background and foreground", key=f"{key}-exchange", help=about, width="stretch"):
                _restart(view, key, exchanged(mapping))
    if row.button("Undo", key=f"{key}-undo", help="Restore the saved classes."):
        _restart(view, key, None)
    if changed:
        st.caption("Existing scores keep the old classes until their masks are computed again.")


def _save(view: DatasetView, mapping: Mapping, key: str) -> None:
    try:
        with resources.database().writing() as session:
            datasets.set_classes(session, view.id, mapping.classes, mapping.lookup, view.truth_version)
    except (datasets.InUse, datasets.ChangedMeanwhile) as error:
        st.error(wording.escaped(str(error)))
        return
    st.toast("The classes are saved.", icon=":material/check:")
    del st.session_state[_seen(view, key)]  # the next version is from this tab
    _restart(view, key, None)


def _restart(view: DatasetView, key: str, proposal: Mapping | None) -> None:
    """Give the table new start values: a widget keeps its edits as long as its key stays the same."""
    st.session_state[f"{key}-proposal-{view.id}"] = proposal
    st.session_state[f"{key}-revision"] = st.session_state.get(f"{key}-revision", 0) + 1
    st.rerun()


def _histogram(
    counts: np.ndarray, lookup: Sequence[int], colours: Sequence[str], keys: dict[int, Key], key: str
) -> None:
    """Draw the pixels of each value in the colour of its class: a named bar each where there are few values."""
    values = np.flatnonzero(counts)
    few = len(values) <= _MOST_BARS
    classes = np.asarray(lookup if len(lookup) else [0] * 256)
    figure = charts.go.Figure()
    bar_colours = dict(enumerate(colours)) | {0: "#80808066", IGNORE: palette.IGNORED}
    for index, colour in bar_colours.items():
        of_class = values[classes[values] == index]
        bars = {"marker": {"color": colour, "line": {"width": 0}}}
        x = [escape(_shown(int(value), keys))[:24] for value in of_class] if few else of_class
        figure.add_bar(x=x, y=counts[of_class], width=0.8 if few else 1.6, **bars)
    scale = {
        "type": "category",
        "categoryarray": [escape(_shown(int(value), keys))[:24] for value in values],
        "title": "In the truth masks" if keys else "Value in the truth masks",
    }
    last = int(values[-1])
    numbers = {"title": "Stored value" if keys else "Value in the truth masks", "range": [-0.02 * last, 1.02 * last]}
    figure.update_layout(
        height=300,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        barmode="overlay",
        showlegend=False,  # the legend of classes is below
        xaxis=scale if few else numbers,
        # From one pixel on: a scale that starts at the rarest value would make its bar vanish.
        yaxis={"title": "Pixels", "type": "log", "dtick": 1, "range": [-0.2, np.log10(counts.max()) + 0.2]},
    )
    st.plotly_chart(figure, key=f"{key}-histogram", config={"displayModeBar": False})


def _example(dataset_id: str, image_id: str, name: str, lookup: Sequence[int], colours: Sequence[str]) -> None:
    try:
        with resources.artifacts().local(stored.truth_key(dataset_id, image_id)) as path:
            drawn = resources.previews().put(renditions.coloured_truth(path, lookup, EXAMPLE_PX, colours=colours))
    except MissingFile:
        st.warning(f"The truth mask of {wording.escaped(name)} is missing on disk.")
        return
    pictures.overlaid(urls.image(dataset_id, image_id, EXAMPLE_PX), urls.preview(drawn), name.rpartition("/")[2])
