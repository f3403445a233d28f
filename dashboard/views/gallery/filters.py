"""The filters and the order of the gallery. The URL stores all of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

import streamlit as st

from dashboard.facts import wording
from dashboard.facts.scores import ScoreTable
from dashboard.ui.class_filter import ALL_CLASSES, choose_class
from dashboard.ui.threshold import mask_threshold
from dashboard.views.gallery import order as gallery_order
from dashboard.views.gallery.order import (
    EVERYTHING,
    NEARER,
    SHOWS,
    SPLITS,
    Arrangement,
    Choice,
    Measure,
    Nearer,
    Span,
    measure_title,
)

SORT_HELP = (
    "*Suspicious first* needs no truth. It averages an image's ranks by what is known about it: little agreement with "
    "its pseudo-label, uncertainty, another mask for the flipped image, an unusual area. Below the images, *How "
    "reliable are these orders?* compares it with truth where there is some."
)
CLASS_HELP = (
    "With one class, masks, truth, errors and scores are of that class alone, and images have no score where neither "
    "truth nor mask has it. With all classes, the score of an image is the mean Dice over the classes that occur in "
    "its truth or its mask. Scores of classes are those at threshold 0.50, whatever the mask threshold. They are only "
    "vs truth that has these classes: other scores are of foreground, all classes together."
)
MEASURES: tuple[Measure, ...] = get_args(Measure)
MEASURE_HELP: dict[Measure, str] = {
    "area": "Share of the image that the mask covers.",
    "uncertainty": "Mean entropy of the mask, from 0 (every pixel is certain) to 1.",
    "mirror": "Dice between the masks of the image and of the flipped image, at threshold 0.5.",
}


def with_class(table: ScoreTable, choice: Choice) -> Choice:
    """Draw the choice of a class if there are several; return `choice` with the class and what scores are of."""
    if not table.classes:
        return choice
    index = choose_class(table.classes, "class", CLASS_HELP, bind="query-params", on_change=first_page)
    name = table.classes[index] if index else ""
    by_class = choice.reference == "truth" and table.has_class_scores
    return replace(choice, class_index=index, class_name=name, by_class=by_class, several=True)


def choose_sort(table: ScoreTable, choice: Choice, views: list[str]) -> Choice:
    """Draw order and view; return `choice` with the order. The chosen view stays in the session state."""
    bound: dict[str, Any] = {"bind": "query-params", "label_visibility": "collapsed"}
    sorts = gallery_order.sorts(table)
    sort = st.selectbox("Sort", sorts, key="sort", width=200, on_change=first_page, help=SORT_HELP, **bound)
    st.selectbox("View", views, key="view", width=170, **bound)
    return replace(choice, sort=sort)


def choose_thresholds(several_classes: bool) -> tuple[float, float]:
    """Draw both sliders; return the mask threshold, and the Dice from which an image is a success."""
    of_classes = " Scores of classes stay those at threshold 0.50." if several_classes else ""
    threshold = mask_threshold(f"All scores are updated at once.{of_classes}")
    success_from = st.slider(
        "Counts as success from Dice",
        0.0,
        1.0,
        0.8,
        0.01,
        key="success",
        bind="query-params",
        help="Images with at least this score are successes, the others failures.",
    )
    return threshold, success_from


def choose_filters(table: ScoreTable, choice: Choice) -> Choice:
    """Draw what narrows the gallery; return `choice` with what it sets."""
    bound: dict[str, Any] = {"bind": "query-params", "on_change": first_page}
    show = st.segmented_control("Show", SHOWS, default="All", required=True, key="show", **bound)
    split = st.segmented_control("Split", SPLITS, default="All", required=True, key="split", **bound)
    search = st.text_input("Name contains", key="search", type="search", live=True, **bound)
    spans, nearer = _more(table, choice, bound)
    return replace(choice, show=show, split=split, search=search or "", spans=spans, nearer=nearer)


def start_run(table: ScoreTable, run_id: str, views: list[str]) -> None:
    """When another run is chosen, keep order and view if it has them, else set its defaults.

    Set here, the order reaches the URL; a widget whose options no longer contain its value would not update it.
    """
    state, sorts = st.session_state, gallery_order.sorts(table)
    if renamed := gallery_order.RENAMED_SORTS.get(st.query_params.get("sort", "")):
        state["sort"] = renamed
    before = state.get("gallery-arranged", run_id)
    state["gallery-arranged"] = run_id
    if before == run_id:
        return
    if state.get("sort") not in sorts or state["sort"] in gallery_order.FIRST_SORTS:
        state["sort"] = sorts[0]
    if state.get("view") not in views:
        state["view"] = views[0]


def _more(table: ScoreTable, choice: Choice, bound: dict[str, Any]) -> tuple[dict[Measure, Span], Nearer]:
    spans: dict[Measure, Span] = {}
    for measure in gallery_order.measures(table, choice.reference):
        percent = measure == "area"
        spans[measure] = st.slider(
            wording.escaped(measure_title(measure, choice)),
            *EVERYTHING,
            EVERYTHING,
            0.005 if percent else 0.01,
            format="percent" if percent else "%.2f",
            key=measure,
            help=MEASURE_HELP.get(measure),
            **bound,
        )
    nearer: Nearer = "All"
    if table.has_rivalry:
        nearer = st.segmented_control(
            "Nearer to truth",
            NEARER,
            default="All",
            required=True,
            key="nearer",
            help="By Dice vs truth: the network's mask at the mask threshold, its pseudo-label at 0.5.",
            **bound,
        )
    return spans, nearer


def filter_line(choice: Choice, arrangement: Arrangement) -> None:
    """Show the active filters and how many images match, with a button that clears them."""
    words = gallery_order.filters_in_words(choice)
    if not words:
        return
    left, total = len(arrangement.rows), len(arrangement.matching)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(
            f":material/filter_alt: **{left:,} of {wording.count(total, 'image')}:** "
            + wording.escaped(" · ".join(words)),
            width="content",
        )
        st.button("Clear filters", icon=":material/close:", type="tertiary", on_click=_clear)


def _clear() -> None:
    for key in ("show", "split", "nearer"):
        st.session_state[key] = "All"
    st.session_state["search"] = ""
    st.session_state["class"] = ALL_CLASSES
    for measure in MEASURES:
        st.session_state[measure] = EVERYTHING
    first_page()


def first_page() -> None:
    """Remove the page from the URL: page 3 of one selection means nothing in another."""
    st.query_params.pop("page", None)
