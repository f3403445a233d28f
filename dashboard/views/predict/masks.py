"""The masks of a set of predictions: threshold, order and look, a grid of them, or one image of it."""

from __future__ import annotations

from dataclasses import replace
from statistics import median
from typing import Literal, NamedTuple

import numpy as np
import streamlit as st

from dashboard.facts import urls, wording
from dashboard.facts.scores import SCORE_TITLES, ScoreTable
from dashboard.server import resources
from dashboard.server.score_tables import score_table
from dashboard.ui.mask_grid import Mode, Tile, mask_grid
from dashboard.ui.paging import first_page, page_numbers
from dashboard.ui.threshold import mask_threshold
from dashboard.views.predict import mask_facts as vm
from dashboard.views.predict import mask_pairs
from dashboard.views.predict.facts import Rival, SetView
from dashboard.views.predict.image import image_bar, prediction_image
from dashboard.views.predict.mask_facts import Masks, Order, Shown
from dashboard.views.predict.mask_pairs import MaskPair
from dashboard.views.predict.rival import choose_rival, follow_rival
from db import predictions
from engine.imaging import codec, metrics
from engine.store import keys as stored

AT_ONCE_S, SLICE_S, PAUSE_S = 0.6, 0.4, 0.6
"""Comparing two networks' masks: what a page waits for, and how the rest is done beside the work of others."""


class Look(NamedTuple):
    """How tiles are drawn: the mode, and which masks it is given."""

    mode: Mode
    mask: Literal["own", "uncertainty"] = "own"
    reference: Literal["truth", "rival"] = "truth"


BOTH, ERRORS = "Both networks", "Errors vs truth"
LOOKS = {
    "Fill": Look("fill"),
    "Outline": Look("outline"),
    "Probability": Look("probability"),
    "Side by side": Look("side by side"),
    BOTH: Look("errors", reference="rival"),
    "Uncertainty": Look("probability", mask="uncertainty"),
    ERRORS: Look("errors"),
}


def prediction_masks(view: SetView, table: ScoreTable, image_id: str | None = None) -> float:
    """Draw the masks of a set, or one image of it, beside those of a second network if one is chosen.

    `table` is the set's and not empty. Returns the threshold.
    """
    bar = st.container()
    row = st.container(horizontal=True, vertical_alignment="bottom")
    with row:
        rival = choose_rival(view)
    if rival is not None:
        follow_rival(view, rival)
        rival = rival if rival.predicted else None
    pair = mask_pairs.mask_pair(view.id, rival.set_id, table.image_ids) if rival else None
    masks = Masks(table, score_table(rival.set_id) if rival else None, pair.curves if pair else None)
    with row:
        threshold, opacity, order = _controls(masks)
        look = _choose_look(masks) if image_id is None else "Fill"
    _best_thresholds(view, threshold)
    summary = st.container()
    rows = vm.arrange(masks, order, threshold)
    if image_id is None:
        _grid(view, rival, masks, pair, rows, threshold, opacity, look)
        with summary:
            _summary(view, rival, masks, threshold)
    else:
        if pair is not None:
            pair.fill([table.index[image_id]])
        image = _with_area(view, vm.shown(masks, table.index[image_id], threshold), threshold)
        rival = rival if image.rival_has_mask else None
        with bar:
            wipe = image_bar(image, rival, vm.place(table, rows, image_id))
        prediction_image(view, rival, image, threshold, opacity, wipe)
    if pair is not None and not pair.complete:
        with summary:
            _compare_the_rest(pair)
    return threshold


def _controls(masks: Masks) -> tuple[float, float, Order]:
    threshold = mask_threshold("Areas and scores follow, and so do the downloads.", width=220)
    opacity = st.slider("Opacity", 0.1, 1.0, 0.5, 0.05, key="opacity", bind="query-params", width=160)
    order = st.selectbox(
        "Order",
        vm.orders(masks),
        key="order",
        bind="query-params",
        on_change=first_page,
        width=200,
        help="Orders by score follow the threshold. Area does where an image has truth; else it is that at 0.50.",
    )
    return threshold, opacity, order


def _choose_look(masks: Masks) -> str:
    looks = [
        name
        for name, look in LOOKS.items()
        if (look.mask != "uncertainty" or masks.table.has_uncertainty)
        and (look.reference != "rival" or masks.rival is not None)
        and (name != ERRORS or masks.scored)
    ]
    return st.segmented_control(
        "Show", looks, default="Fill", required=True, key="overlay", bind="query-params", wrap=True
    )


def _best_thresholds(view: SetView, threshold: float) -> None:
    """Offer the threshold that suits the run's own validation images best, for each reference they have."""
    with resources.database().reading() as session:
        own = predictions.with_masks(session, [view.run_id]).get(view.run_id)
    for best in vm.best_thresholds(score_table(own)) if own else ():
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            weights = f", {wording.escaped(view.weights)}" if view.weights else ""
            st.caption(
                f"Best on the {wording.count(best.images, 'validation image')} of *{wording.escaped(view.run_name)}*: "
                f"**{best.threshold:.2f}**, mean {SCORE_TITLES[best.reference]} {best.score:.3f} "
                f"({best.score_at_half:.3f} at 0.50{weights}).",
                width="content",
            )
            if round(threshold, 2) != round(best.threshold, 2):
                st.button(
                    f"Use {best.threshold:.2f}",
                    key=f"best-{best.reference}",
                    on_click=lambda value=best.threshold: st.session_state.update(threshold=value),
                )


def _summary(view: SetView, rival: Rival | None, masks: Masks, threshold: float) -> None:
    found = vm.summary(masks, threshold)
    parts = []
    if found.dice is None:
        st.caption("There is no truth for these images, so there are areas but no scores.")
    else:
        own = f" of *{wording.escaped(view.run_name)}*" if rival else ""
        words = f"Mean over {wording.count(found.scored, 'image')} with truth: "
        words += f"**Dice vs truth{own} {found.dice:.3f}**, IoU vs truth {found.iou:.3f}"
        words += ", images it learned from included" if view.own else ""
        parts.append(words + (wording.escaped(f" · {view.weights}") if view.weights else ""))
    if rival is not None and found.rival_dice is not None:
        words = f"**Dice vs truth of *{wording.escaped(rival.name)}* {found.rival_dice:.3f}**"
        parts.append(words + (wording.escaped(f" · {rival.weights}") if rival.weights else ""))
    if found.alike is not None:
        over = wording.count(found.compared, "image")
        parts.append(f"Dice between the two networks' masks {found.alike:.3f}, over {over}")
    if parts:
        st.markdown(" · ".join(parts))


def _compare_the_rest(pair: MaskPair) -> None:
    @st.fragment(run_every=PAUSE_S)
    def go_on() -> None:
        pair.fill(budget_s=SLICE_S)
        st.progress(
            pair.filled / len(pair.curves),
            f"Comparing the two networks' masks: {pair.filled:,} of {len(pair.curves):,} images",
        )
        if pair.complete:
            st.rerun()

    go_on()


def _grid(
    view: SetView,
    rival: Rival | None,
    masks: Masks,
    pair: MaskPair | None,
    rows: np.ndarray,
    threshold: float,
    opacity: float,
    look: str,
) -> None:
    place = st.container()
    rows = vm.page_rows(rows, page_numbers(len(rows)))
    if pair is not None:
        pair.fill(rows, AT_ONCE_S)
    images = [vm.shown(masks, int(row), threshold) for row in rows]
    names = (view.run_name, rival.name) if rival else None
    with place:
        if names and look == "Side by side":
            st.caption("Image, {} and {}, from left to right.".format(*map(wording.escaped, names)))
        chosen = mask_grid(
            [_tile(view, rival, _with_area(view, image, threshold), look) for image in images],
            mode=LOOKS[look].mode,
            threshold=threshold,
            opacity=opacity,
            key=f"grid-{view.id}",
            aspect=median(image.width_px / image.height_px for image in images),
            error_words=("both", f"only {names[0]}", f"only {names[1]}") if names and look == BOTH else None,
        )
    if chosen:
        st.query_params["image"] = chosen
        st.rerun()


def _tile(view: SetView, rival: Rival | None, image: Shown, look: str) -> Tile:
    chosen = LOOKS[look]
    reference = urls.truth(view.dataset_id, image.id, 192, version=view.truth_version) if image.has_truth else None
    if rival is not None and look in (BOTH, "Side by side"):
        reference = urls.prediction(rival.set_id, image.id, 192) if image.rival_has_mask else None
    unsure = chosen.mask == "uncertainty" and image.uncertainty is not None
    return Tile(
        id=image.id,
        title=image.name,
        image=urls.thumbnail(view.dataset_id, image.id),
        mask=urls.uncertainty(view.id, image.id, 192) if unsure else urls.prediction(view.id, image.id, 192),
        reference=reference,
        subtitle=_subtitle(image, rival is not None, chosen.mask == "uncertainty"),
    )


def _subtitle(image: Shown, compared: bool, unsure: bool) -> str:
    parts = ["mask is gone" if image.area is None else f"area {image.area:.1%}"]
    if unsure:
        parts.append("no map" if image.uncertainty is None else f"uncertainty {image.uncertainty:.3f}")
    if image.dice is not None:
        other = f" and {image.rival_dice:.3f}" if image.rival_dice is not None else ""
        parts.append(f"Dice vs truth {image.dice:.3f}{other}")
    if compared:
        parts.append("not compared yet" if image.alike is None else f"Dice between both {image.alike:.3f}")
    return " · ".join(parts)


def _with_area(view: SetView, image: Shown, threshold: float) -> Shown:
    """Return an image with how much of it is foreground, from its picture where no stored count tells; None if gone."""
    files, key = resources.artifacts(), stored.prediction_key(view.id, image.id)
    if not files.exists(key):
        return replace(image, area=None)
    if image.area is not None:
        return image
    levels = _level_counts(key, files.version(key))
    foreground = metrics.to_mask(np.arange(256, dtype=np.uint8), threshold)
    return replace(image, area=float(levels[foreground].sum() / levels.sum()))


@st.cache_data(max_entries=4000, show_spinner=False)
def _level_counts(key: str, version: str) -> np.ndarray:
    """Return how many pixels of a stored probability have each of 256 levels, so that a threshold is a sum."""
    return np.bincount(codec.decode_png(resources.artifacts().read(key)).ravel(), minlength=256)
