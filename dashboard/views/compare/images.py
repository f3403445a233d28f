"""One image in all compared runs, side by side or with a wipe."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import streamlit as st

from dashboard.facts import urls
from dashboard.facts.scores import REFERENCE_TITLES, upper_first
from dashboard.ui.class_filter import choose_class
from dashboard.ui.mask_grid import Mode
from dashboard.ui.pictures import class_legend
from dashboard.ui.threshold import mask_threshold
from dashboard.ui.viewer import Pane, viewer
from dashboard.views.compare.classes import NO_CLASS
from dashboard.views.compare.facts import ComparedRun
from dashboard.views.compare.shared_images import SharedImages, mask_and_reference, reference_maps

ORDERS = {"Largest disagreement": "disagreement", "Worst mean score": "worst", "Name": "name"}
MODES: dict[str, Mode] = {"Errors": "errors", "Outline": "outline", "Fill": "fill", "Probability": "probability"}
SPLIT_BADGES = {"train": "train", "validation": "held out", "dropped": "mask dropped", "audit": "audit"}
USUAL_PANES = 6
"""Most masks shown by default; of more runs the user chooses."""
CLASS_HELP = (
    "With one class, masks, reference and errors are of that class alone. Where every run tells it apart, scores vs "
    "truth are of that class, too, at threshold 0.50 whatever the mask threshold. Otherwise scores are of foreground, "
    "all classes together, and a run that does not tell classes apart shows all of its foreground."
)
IMAGE, PANES = "image", "panes"
BEFORE, AFTER = ":material/chevron_left:", ":material/chevron_right:"


def same_image(shared: SharedImages) -> SharedImages:
    """Draw the image that the URL names, else the first in order, with each run's mask, and what it is looked at by.

    Return the images with the scores at the mask threshold and of the class that were chosen.
    """
    st.header("The same image in each run")
    bar, place = st.container(), st.container()
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        threshold = mask_threshold("Every score and mask of this page is updated.", width=200)
        chosen = choose_class(shared.classes.names, "class", CLASS_HELP, bind="query-params")
        shared = replace(shared, threshold=threshold, chosen=chosen)
        orders = [name for name, by in ORDERS.items() if by != "worst" or shared.reference]
        order = shared.order(ORDERS[st.selectbox("Sort images by", orders, key="sort", bind="query-params", width=200)])
        modes = list(MODES) if shared.reference else [mode for mode in MODES if mode != "Errors"]
        mode = MODES[st.selectbox("View", modes, key="view", bind="query-params", width=130)]
        opacity = st.slider("Opacity", 0.1, 1.0, 0.6, 0.05, key="opacity", bind="query-params", width=130)
        wipe = st.toggle("Wipe between the first two", key="wipe", bind="query-params")
        # Two masks have room to be large; the errors show the reference anyway.
        usual = len(shared.runs) > 2 or mode != "errors"
        alone = st.toggle("Image without masks", usual, key=f"compare-image-alone-{usual}", disabled=wipe)
    with bar:
        image = _choose_image(shared, order)
    columns = _choose_panes(shared)
    panes = [_image_pane(shared, image)] if alone and not wipe else []
    panes += [_run_pane(shared, image, column, mode) for column in columns]
    coloured = [pane for pane in panes if pane.mode in ("fill", "outline")]
    with place:
        if coloured:
            compared_legend(shared, undivided=any(pane.mask and not pane.classes for pane in coloured))
        viewer(
            panes,
            key="compare-viewer",
            threshold=shared.threshold,
            opacity=opacity,
            wipe=wipe,
            height_px=560,
            class_colours=shared.classes.colours,
        )
    return shared


def compared_legend(shared: SharedImages, undivided: bool) -> None:
    """Draw the colours of the classes that are shown; `undivided`: and that of masks of foreground alone."""
    names = shared.classes.names
    if names:
        shown = [shared.chosen] if shared.chosen else range(1, len(names))
        class_legend(names, shown, colours=shared.classes.colours, undivided=undivided)


def _choose_panes(shared: SharedImages) -> list[int]:
    """Return which runs to draw, as columns of `shared`: all, or the chosen ones if there are many."""
    ids = [run.id for run in shared.runs]
    if len(ids) <= USUAL_PANES:
        return list(range(len(ids)))
    in_address = [run_id for run_id in st.query_params.get(PANES, "").split(",") if run_id in ids]
    known = [run_id for run_id in st.session_state.get("compare-panes", in_address) if run_id in ids]
    st.session_state["compare-panes"] = known or ids[:USUAL_PANES]
    names = {run.id: run.name for run in shared.runs}
    chosen = st.multiselect(
        f"Masks of ({len(ids)} runs have masks)",
        ids,
        key="compare-panes",
        format_func=lambda run_id: names.get(run_id, "deleted"),
        placeholder="Choose the runs whose masks to show",
    )
    if chosen and chosen != ids[:USUAL_PANES]:
        st.query_params[PANES] = ",".join(chosen)
    else:
        st.query_params.pop(PANES, None)
    return [ids.index(run_id) for run_id in chosen]


def _choose_image(shared: SharedImages, order: np.ndarray) -> int:
    found = shared.find(st.query_params.get(IMAGE, ""))
    image = int(order[0]) if found is None else found
    place = int(np.flatnonzero(order == image)[0])
    with st.container(horizontal=True, vertical_alignment="bottom"):
        first, last = place == 0, place + 1 == len(order)
        if st.button("Previous", icon=BEFORE, shortcut="P", disabled=first, key="step-previous-compare"):
            open_image(shared, int(order[place - 1]))
        if st.button("Next", icon=AFTER, shortcut="N", disabled=last, key="step-next-compare"):
            open_image(shared, int(order[place + 1]))
        # The key contains the image, so that the buttons and the chart change it too.
        picked = st.selectbox(
            "Image",
            [int(candidate) for candidate in order],
            index=place,
            key=f"compare-image-{shared.image_id(image)}",
            format_func=lambda candidate: f"{shared.name(candidate).rpartition('/')[2]} · {_apart(shared, candidate)}",
            width=420,
        )
        st.caption(f"{place + 1:,} of {len(order):,} shared images", width="content")
    if picked != image:
        open_image(shared, picked)
    return image


def _apart(shared: SharedImages, image: int) -> str:
    spread = shared.spread[image]
    if shared.reference is None:
        return f"areas {spread:.1%} apart"
    return f"scores {spread:.3f} apart" if spread >= 0 else "not scored in every run"


def open_image(shared: SharedImages, image: int) -> None:
    """Put an image into the URL and rerun the page."""
    st.query_params[IMAGE] = shared.image_id(image)
    st.rerun()


def _image_pane(shared: SharedImages, image: int) -> Pane:
    column = _column_in_classes(shared)
    run, image_id = shared.runs[column], shared.image_id(image, column)
    reference = reference_maps(run, shared.reference, image_id)
    title = f"Image with {REFERENCE_TITLES[shared.reference].lower()}" if shared.reference else "Image"
    return Pane(
        title,
        urls.image(run.dataset_id, image_id),
        reference=reference.levels,
        mode="outline",
        reference_classes=reference.classes,
        class_names=_class_names(run),
        class_colours=shared.classes.colours_of(run),
        only_class=shared.class_number(column),
    )


def _column_in_classes(shared: SharedImages) -> int:
    """Return the first run that shows the reference in classes, else the first of all."""
    found = (i for i, run in enumerate(shared.runs) if reference_maps(run, shared.reference, "").classes)
    return next(found, 0)


def _class_names(run: ComparedRun) -> tuple[str, ...]:
    return tuple(str(entry["name"]) for entry in run.classes)


def _run_pane(shared: SharedImages, image: int, column: int, mode: Mode) -> Pane:
    run, image_id = shared.runs[column], shared.image_id(image, column)
    mask, reference = mask_and_reference(run, shared.reference, image_id, mode)
    of = column
    if mode == "outline" and not run.classes:  # lines of a class and of foreground have different colours
        of = _column_in_classes(shared)
        reference = reference_maps(shared.runs[of], shared.reference, shared.image_id(image, of))
    score, note = shared.scores[image, column], class_note(shared, column)
    if shared.reference and np.isfinite(score):
        weights = f" · {run.weights}" if run.weights else ""
        note += f" · {upper_first(shared.score_title)} {score:.3f}{weights}"
    return Pane(
        f"{run.name}{note}",
        urls.image(run.dataset_id, image_id),
        mask=mask.levels,
        reference=reference.levels,
        mode=mode,
        classes=mask.classes,
        reference_classes=reference.classes,
        class_names=_class_names(shared.runs[of]),
        class_colours=shared.classes.colours_of(shared.runs[of]),
        only_class=shared.class_number(of),
    )


def class_note(shared: SharedImages, column: int) -> str:
    """Return what else than the chosen class a run's mask shows."""
    if shared.class_number(column) != NO_CLASS:
        return ""
    return f" · {'no such class' if shared.runs[column].classes else 'all foreground'}"
