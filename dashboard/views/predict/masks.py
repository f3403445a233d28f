"""The masks of a prediction set: threshold, order and display, a grid of them, or one image in detail."""

from __future__ import annotations

from dataclasses import replace
from statistics import median
from typing import Literal, NamedTuple

import numpy as np
import streamlit as st

from dashboard.facts import urls, wording
from dashboard.facts.mask_doubts import cover_doubt
from dashboard.facts.scores import SCORE_TITLES, ScoreTable
from dashboard.facts.threshold import threshold_words
from dashboard.server import resources
from dashboard.server.score_tables import score_table
from dashboard.ui import status
from dashboard.ui.class_filter import choose_class
from dashboard.ui.mask_grid import Mode, Tile, mask_grid
from dashboard.ui.overlay_choice import overlay_look
from dashboard.ui.paging import first_page, page_numbers
from dashboard.ui.threshold import mask_threshold
from dashboard.views.predict import mask_facts as facts
from dashboard.views.predict.facts import SetView
from dashboard.views.predict.image import (
    classes_beside,
    classes_legend,
    dice_title,
    image_bar,
    predicted_classes,
    prediction_image,
    truth_of,
)
from dashboard.views.predict.mask_facts import MaskPair, Masks, Order, Shown, areas_in_words
from dashboard.views.predict.rival import choose_rival, rival_progress
from db import predictions
from engine.imaging import codec, metrics
from engine.store import keys as stored
from engine.store.base import MissingFile

AT_ONCE_S, SLICE_S, PAUSE_S = 0.6, 0.4, 0.6
"""Comparing two networks' masks: how long a page waits for it, and how the rest is done in slices with pauses."""


class Display(NamedTuple):
    """How tiles are drawn: the mode, and with which mask and reference."""

    mode: Mode
    mask: Literal["own", "uncertainty"] = "own"
    reference: Literal["truth", "rival"] = "truth"


CLASS_HELP = (
    "With one class, masks, truth and errors are of that class alone, where they have classes. Orders and scores stay "
    "those of foreground, all classes together."
)
BOTH, ERRORS = "Both networks", "Errors vs truth"
DISPLAYS = {
    "Fill": Display("fill"),
    "Outline": Display("outline"),
    "Probability": Display("probability"),
    "Side by side": Display("side by side"),
    BOTH: Display("errors", reference="rival"),
    "Uncertainty": Display("probability", mask="uncertainty"),
    ERRORS: Display("errors"),
}


def prediction_masks(view: SetView, table: ScoreTable, image_id: str | None = None) -> float:
    """Draw the masks of a set, or one of its images, with those of a second network if one is chosen.

    `table` has the set's scores and is not empty. Returns the threshold.
    """
    bar = st.container()
    controls = st.container(horizontal=True, vertical_alignment="bottom")
    with controls:
        rival = choose_rival(view)
    masks = Masks(table)
    if rival is not None:
        rival_progress(view, rival)
        rival = rival if rival.predicted else None
    if rival is not None:
        masks = Masks(table, score_table(rival.id), _mask_pair(view.id, rival.id, table.image_ids))
    with controls:
        threshold, opacity, order = _controls(masks)
        only_class = choose_class(view.classes, "class", CLASS_HELP, bind="query-params") or None
        display = _choose_display(masks) if image_id is None else "Fill"
    summary, pictures = st.container(), st.container()
    _best_thresholds(view, threshold)
    rows = facts.arrange(masks, order, threshold)
    if image_id is None:
        with pictures:
            _grid(view, rival, masks, rows, threshold, opacity, display, only_class)
        with summary:
            _summary(view, rival, masks, threshold)
    else:
        if masks.pair is not None:
            masks.pair.fill([table.index[image_id]])
        image = _with_area(view, facts.shown(masks, table.index[image_id], threshold), threshold)
        rival = rival if image.rival_has_mask else None
        with bar:
            wipe = image_bar(image, rival, facts.place(table, rows, image_id))
        with pictures:
            prediction_image(view, rival, image, threshold, opacity, wipe, only_class)
    if masks.pair is not None and not masks.pair.complete:
        with summary:
            _compare_the_rest(masks.pair)
    return threshold


def _mask_pair(first_id: str, second_id: str, image_ids: tuple[str, ...]) -> MaskPair:
    """Return the comparison of two sets, shared by all visitors until one of the sets changes."""
    with resources.database().reading() as session:
        stamps = predictions.stamp(session, first_id), predictions.stamp(session, second_id)
    return _cached_pair(first_id, second_id, stamps, image_ids)


@st.cache_resource(max_entries=8, show_spinner=False)
def _cached_pair(first_id: str, second_id: str, stamps: tuple[str, str], _image_ids: tuple[str, ...]) -> MaskPair:
    return MaskPair(resources.artifacts(), first_id, second_id, _image_ids)


def _controls(masks: Masks) -> tuple[float, float, Order]:
    threshold = mask_threshold("Areas, scores and downloads follow it.", width=220)
    opacity = st.slider("Opacity", 0.1, 1.0, 0.5, 0.05, key="opacity", bind="query-params", width=160)
    order = st.selectbox(
        "Order",
        facts.orders(masks),
        key="order",
        bind="query-params",
        on_change=first_page,
        width=200,
        help="Orders by score follow the threshold. So does area if an image has truth; otherwise it is that at 0.50.",
    )
    return threshold, opacity, order


def _choose_display(masks: Masks) -> str:
    available = [
        name
        for name, display in DISPLAYS.items()
        if (display.mask != "uncertainty" or masks.table.has_uncertainty)
        and (display.reference != "rival" or masks.rival is not None)
        and (name != ERRORS or masks.scored)
    ]
    return st.segmented_control(
        "Show", available, default="Fill", required=True, key="overlay", bind="query-params", wrap=True
    )


def _best_thresholds(view: SetView, threshold: float) -> None:
    """Say whether another threshold suits the run's own validation images better, and offer it."""
    with resources.database().reading() as session:
        own = predictions.with_masks(session, [view.run_id]).get(view.run_id)
    for verdict in facts.threshold_verdicts(score_table(own)) if own else ():
        name, better = f"{'foreground ' if view.classes else ''}{SCORE_TITLES[verdict.reference]}", verdict.better
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.caption(threshold_words(better, verdict.at_half, name), width="content")
            best = 0.5 if better is None else better.threshold
            if round(threshold, 2) != round(best, 2):
                st.button(
                    f"Use {best:.2f}",
                    key=f"best-{verdict.reference}",
                    on_click=st.session_state.update,
                    kwargs={"threshold": best},
                )


def _summary(view: SetView, rival: SetView | None, masks: Masks, threshold: float) -> None:
    found = facts.summary(masks, threshold)
    status.doubt(cover_doubt(float(masks.table.area(threshold).mean()), len(masks.table), "use them"))
    parts = []
    if found.dice is None:
        st.caption("These images have no truth, so there are areas but no scores.")
    else:
        of_run = f" of *{wording.escaped(view.run_name)}*" if rival else ""
        words = f"Mean over {wording.count(found.scored, 'image')} with truth: "
        words += f"**{dice_title(view)}{of_run} {found.dice:.3f}**, IoU vs truth {found.iou:.3f}"
        words += ", including its training images" if view.own else ""
        parts.append(words + (wording.escaped(f" · {view.weights}") if view.weights else ""))
    if rival is not None and found.rival_dice is not None:
        words = f"**{dice_title(rival)} of *{wording.escaped(rival.run_name)}* {found.rival_dice:.3f}**"
        parts.append(words + (wording.escaped(f" · {rival.weights}") if rival.weights else ""))
    if found.alike is not None:
        over = wording.count(found.compared, "image")
        parts.append(f"Dice between the two networks' masks {found.alike:.3f}, over {over}")
    if parts:
        st.markdown(" · ".join(parts))


def _compare_the_rest(pair: MaskPair) -> None:
    @st.fragment(run_every=PAUSE_S)
    def compare() -> None:
        pair.fill(budget_s=SLICE_S)
        done, total = pair.filled, len(pair.curves)
        st.progress(done / total, f"Comparing the two networks' masks: {done:,} of {total:,} images")
        if pair.complete:
            st.rerun()

    compare()


def _grid(
    view: SetView,
    rival: SetView | None,
    masks: Masks,
    rows: np.ndarray,
    threshold: float,
    opacity: float,
    display: str,
    only_class: int | None,
) -> None:
    place = st.container()
    rows = facts.page_rows(rows, page_numbers(len(rows)))
    if masks.pair is not None:
        masks.pair.fill(rows, AT_ONCE_S)
    images = [facts.shown(masks, int(row), threshold) for row in rows]
    names = (view.run_name, rival.run_name) if rival else None
    with place:
        if names and display == "Side by side":
            st.caption("Image, {} and {}, from left to right.".format(*map(wording.escaped, names)))
        if view.classes and DISPLAYS[display].mode in ("fill", "outline", "side by side"):
            classes_legend(view, rival, only_class)
        chosen = mask_grid(
            [_tile(view, rival, _with_area(view, image, threshold), display) for image in images],
            mode=DISPLAYS[display].mode,
            threshold=threshold,
            opacity=opacity,
            key=f"grid-{view.id}",
            aspect=median(image.width_px / image.height_px for image in images),
            only_class=only_class,
            class_colours=view.class_colours,
            mask_colour=overlay_look(view.dataset_id).colour,
            error_words=("both", f"only {names[0]}", f"only {names[1]}") if names and display == BOTH else None,
        )
    if chosen:
        st.query_params["image"] = chosen
        st.rerun()


def _tile(view: SetView, rival: SetView | None, image: Shown, display: str) -> Tile:
    mode = DISPLAYS[display].mode
    unsure = DISPLAYS[display].mask == "uncertainty"
    has_map = unsure and image.uncertainty is not None
    classes = predicted_classes(view, image.id, 192) if mode != "probability" else None
    reference, numbers = truth_of(view, image.id, 192) if image.has_truth else (None, None)
    comparable = view.truth_in_classes is not None
    if rival is not None and display in (BOTH, "Side by side"):
        reference = urls.prediction(rival.id, image.id, 192) if image.rival_has_mask else None
        numbers = classes_beside(view, rival, image.id, 192) if image.rival_has_mask else None
        comparable = rival.has_classes_of(view)
    if mode == "errors" and not comparable:
        classes = numbers = None
    return Tile(
        id=image.id,
        title=image.name,
        image=urls.thumbnail(view.dataset_id, image.id),
        mask=urls.uncertainty(view.id, image.id, 192) if has_map else urls.prediction(view.id, image.id, 192),
        reference=reference,
        subtitle=_subtitle(view, image, rival is not None, unsure),
        classes=classes,
        reference_classes=numbers,
    )


def _subtitle(view: SetView, image: Shown, compared: bool, unsure: bool) -> str:
    parts = ["mask is missing" if image.area is None else f"area {image.area:.1%}"]
    areas = areas_in_words(image, view.classes)
    if unsure:
        parts.append("no map" if image.uncertainty is None else f"uncertainty {image.uncertainty:.3f}")
    if image.dice is not None:
        other = f" and {image.rival_dice:.3f}" if image.rival_dice is not None else ""
        parts.append(f"{dice_title(view)} {image.dice:.3f}{other}")
    if compared:
        parts.append("not compared yet" if image.alike is None else f"Dice between both {image.alike:.3f}")
    if not view.classes:
        return " · ".join(parts)
    return f"{parts[0]}{f': {areas}' if areas else ''}\n" + " · ".join(parts[1:])


def _with_area(view: SetView, image: Shown, threshold: float) -> Shown:
    """Return an image with its areas, read from the mask unless they are known already; None if the mask is missing."""
    files, key = resources.artifacts(), stored.prediction_key(view.id, image.id)
    if image.area is not None and not view.classes:
        return image if files.exists(key) else replace(image, area=None)
    try:
        classes = files.read(stored.prediction_classes_key(view.id, image.id)) if view.classes else None
        counts = _level_counts(files.read(key), classes)
    except MissingFile:
        return replace(image, area=None)
    shares = counts[:, metrics.to_mask(np.arange(256, dtype=np.uint8), threshold)].sum(axis=1) / counts.sum()
    return replace(image, area=float(shares.sum()), class_areas=tuple(shares[1:].tolist()))


@st.cache_data(max_entries=4000, show_spinner=False)
def _level_counts(png: bytes, classes_png: bytes | None) -> np.ndarray:
    """Return how many pixels of a stored probability have each class and level, (classes, 256); without class numbers
    all are in row 0. So a threshold needs only a sum."""
    levels = codec.decode_png(png).ravel()
    if classes_png is None:
        return np.bincount(levels, minlength=256)[np.newaxis]
    pairs = codec.decode_png(classes_png).ravel().astype(np.uint16) * 256 + levels
    return np.bincount(pairs, minlength=256 * 256).reshape(256, 256)[: pairs.max() // 256 + 1]
