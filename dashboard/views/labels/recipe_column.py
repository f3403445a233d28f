"""One recipe of the bench: its method and sliders, its fit to the dataset, its scores, and its masks."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard.access import rights
from dashboard.facts import recipes, urls
from dashboard.facts.auto_choice import AutoChoice, auto_choice
from dashboard.facts.mask_doubts import doubtful_mask
from dashboard.facts.recipes import Recipe
from dashboard.facts.wording import count, duration, escaped, score, time_left
from dashboard.server import resources
from dashboard.server.previews import Fitted, Preview, Source
from dashboard.ui.form import Form, params_form
from dashboard.ui.mask_grid import Mode, Ticks, Tile, mask_grid
from dashboard.ui.overlay_choice import OverlayLook
from dashboard.ui.pictures import class_legend
from dashboard.views.labels import cluster_facts as clusters
from dashboard.views.labels import facts as labels
from dashboard.views.labels.cluster_panel import cluster_panel
from dashboard.views.labels.facts import SEED, MaskClasses, Outcome, ProbeImage, Workplace
from dashboard.views.labels.recipe_slots import note_on, open_beside, remember, set_ticks, with_ticks
from db.actors import Role
from engine.labelling.base import DEFAULT_METHOD, LabelParams, find_method, methods
from engine.labelling.ticks import read_ticks

PATIENCE_S = 0.4

State = dict[str, Any] | None
"""The state of a method that was fitted to the dataset; None for the methods that are not fitted."""


@dataclass(frozen=True)
class Settings:
    """How masks are displayed."""

    mode: Mode
    threshold: float
    opacity: float
    look: OverlayLook


@dataclass(frozen=True)
class Shown:
    """A recipe with the tiles of its masks by image id; `classes` are those that the masks tell apart."""

    recipe: Recipe
    tiles: Mapping[str, Tile] = field(default_factory=dict)
    classes: MaskClasses = field(default_factory=MaskClasses)


def choose_method(slot: str) -> str:
    """Draw the menu of methods of a slot; return the name of the chosen one."""
    known = methods()
    return st.selectbox(
        "Method",
        recipes.method_order(),
        format_func=lambda name: "Automatic" if name == DEFAULT_METHOD else known[name].title,
        key=f"labels-{slot}-method",
        persist_state="session",
    )


def recipe_sliders(slot: str, name: str, place: Workplace, columns: int | Literal["wrap"]) -> Recipe | None:
    """Draw the sliders of a slot's method, most of them folded; return the recipe, or None where a value is invalid."""
    params, ticks = find_method(name).params, clusters.takes_ticks(name)
    main = recipes.main_parameters(name)
    others = [each for each in params.model_fields if each not in (*main, recipes.TICKED)]

    def form(*without: str) -> Form[LabelParams]:
        key = f"labels-{slot}-{name}"
        start = st.session_state.get(f"{key}-start")
        return params_form(params, key=key, start=start, columns=columns, leave_out=without)

    shown = form(*others, *([recipes.TICKED] if ticks else []))
    with st.expander("More settings", icon=":material/tune:"):
        folded = form(*main, *([recipes.TICKED] if ticks else []))
    if shown.params is None or folded.params is None:
        return None
    recipe = Recipe(name, folded.params.model_copy(update={each: getattr(shown.params, each) for each in main}))
    if ticks:
        recipe = with_ticks(slot, recipe, place.dataset_id)
    note = note_on(slot, recipe)
    if note:
        st.warning(escaped(note))
    remember(slot, recipe)
    return recipe


def fit(place: Workplace, slot: str, recipe: Recipe, masks: DeltaGenerator) -> Fitted:
    """Return what a recipe's method has learned of the dataset by now; a draft where that takes long.

    Shows the progress, and the images without masks until it is done.
    """
    if find_method(recipe.method).fit is None:
        return Fitted(None)
    message, images = st.empty(), masks.empty()
    if st.session_state.get(f"labels-{slot}-shows") != place.dataset_id:
        with images:
            show_images(place, f"{slot}-waiting", clickable=False)
    try:
        return _fitted(place, recipe, message)
    finally:
        message.empty()
        images.empty()


def fit_further(place: Workplace, recipe: Recipe, message: DeltaGenerator) -> None:
    """Look at more images than those of the newest draft, or at all. A newer rerun ends it; what was seen is kept."""
    _fitted(place, recipe, message, further=True)


def _fitted(place: Workplace, recipe: Recipe, message: DeltaGenerator, further: bool = False) -> Fitted:
    started = time.monotonic()
    known: list[int] = []  # the number of images with a stored result, from the first call

    def show(done: int, total: int) -> None:
        known[:] = known or [done]
        elapsed_s = time.monotonic() - started
        if elapsed_s < PATIENCE_S:
            message.empty()
            return
        left_s = time_left(done - known[0], total - known[0], elapsed_s)
        left = "" if left_s is None or done == total else f" · about {duration(left_s)} left"
        text = f"Analysing the dataset: {done:,} of {count(total, 'image')}{left}"
        message.progress(done / max(total, 1), text=text)

    sources = _sources(place, _sample(place, recipe.method), truth=False)
    pool = resources.preview_pool()
    return pool.draft(recipe.method, recipe.params, sources, seed=SEED, further=further, while_waiting=show)


def show_images(place: Workplace, slot: str, clickable: bool = True) -> str | None:
    """Draw the test images without masks; return the one that was clicked."""
    tiles = [Tile(image.id, image.name, urls.image(place.dataset_id, image.id, 384)) for image in place.probe]
    selectable = clickable and rights.may(Role.EDITOR)
    return mask_grid(tiles, key=f"labels-images-{slot}", aspect=place.aspect, tile_px=200, selectable=selectable)


def _sample(place: Workplace, method: str) -> tuple[ProbeImage, ...]:
    with resources.database().reading() as session:  # now: strokes are drawn while the bench is open
        revisions = labels.drawn_revisions(session, place.dataset_id, method)
    return _cached_sample(place.dataset_id, place.fingerprint, revisions, method)


@st.cache_data(show_spinner=False, max_entries=16)
def _cached_sample(dataset_id: str, fingerprint: str, revisions: int, method: str) -> tuple[ProbeImage, ...]:
    with resources.database().reading() as session:
        return labels.fit_images(session, dataset_id, method)


def _sources(place: Workplace, images: Sequence[ProbeImage], truth: bool = True) -> list[Source]:
    return labels.sources(resources.artifacts(), place, images, truth)


def fit_panel(place: Workplace, slot: str, recipe: Recipe, state: State) -> None:
    """Draw the result of a fit: clusters to tick, or the recipes that were tried; or the regions of each image."""
    choice = auto_choice(state)
    if choice is not None:
        _ranking(choice, slot)
    if not clusters.takes_ticks(recipe.method):
        return
    ticked = getattr(recipe.params, recipes.TICKED)
    if state is None:
        rows = clusters.region_rows(recipe.params.model_dump()["clusters"], ticked)
    else:
        sample = _sample(place, recipe.method)
        rows = clusters.cluster_rows(state, ticked, place.dataset_id, [image.id for image in sample])
    cluster_panel(
        rows,
        key=f"labels-{slot}-clusters",
        group=f"labels-{slot}",
        clustering=clusters.clustering_key(recipe, place.dataset_id),
        classes=clusters.class_choice(place.classes, recipe.params.classes),
        tick=lambda ticks: set_ticks(slot, clusters.ticks_or_proposal(ticks, state)),
        propose=lambda: set_ticks(slot, ""),
        follows_proposal=not ticked,
    )


def _ranking(choice: AutoChoice, slot: str) -> None:
    st.caption(
        f"*Search score* of each recipe, estimated without truth over the {count(choice.images, 'image')} on which "
        "it was tried. Some recipes have a margin added or subtracted, which their tooltips name. A click opens the "
        "recipe beside this one."
    )
    with st.container(gap="xsmall"):
        for number, candidate in enumerate(choice.candidates):
            estimate = "–" if candidate.quality is None else f"{candidate.quality:.2f}"
            recipe = candidate.recipe
            changes = recipes.describe_changes(recipe.params) if recipe else ""
            st.button(
                f"**{estimate}** {escaped(candidate.title)}",
                icon=":material/check_circle:" if candidate.chosen else ":material/tune:",
                key=f"labels-{slot}-auto-{number}",
                type="tertiary",
                disabled=recipe is None,
                help=candidate.sentence + (f" Parameters: {changes}." if recipe else " This version does not have it."),
                on_click=open_beside,
                args=(slot, recipe),
            )
    if choice.settings:
        with st.popover("Settings that were tried", icon=":material/table_rows:", width="stretch"):
            st.caption(
                "The best recipes again, with other values of their main parameters, first on few images. Compare a "
                "score with that before, not with the search scores."
            )
            st.dataframe(
                [
                    {
                        "Recipe": each.recipe,
                        "Setting": each.setting,
                        "Score": each.score,
                        "Before": each.before,
                        "Images": each.images,
                        "Taken": each.taken,
                    }
                    for each in choice.settings
                ],
                hide_index=True,
                width="content",
                column_config={
                    "Score": st.column_config.NumberColumn(format="%.2f", help="Estimated score with this setting."),
                    "Before": st.column_config.NumberColumn(format="%.2f", help="Of the recipe on the same images."),
                },
            )


def draw_previews(
    place: Workplace, recipe: Recipe, state: State, message: DeltaGenerator, *, limit_px: int | None, judged: bool
) -> list[Preview]:
    """Return the masks of the test images, with their quality if `judged`.

    A newer rerun ends the waiting: Streamlit checks for one at each message.

    Args:
        limit_px: the longest side of quick previews; None for the recipe's own, as the job will compute masks.
    """
    started, verb = time.monotonic(), "Scoring" if judged else "Computing"

    def show(done: int) -> None:
        if time.monotonic() - started < PATIENCE_S:
            message.empty()
        else:
            message.caption(f":material/hourglass_top: {verb} masks: {done} of {len(place.probe)}.")

    previews = resources.preview_pool().draw(
        recipe.method,
        recipe.params,
        _sources(place, place.probe),
        limit_px=limit_px,
        seed=SEED,
        state=state,
        judged=judged,
        while_waiting=show,
    )
    message.empty()
    return previews


def outcome_of(
    place: Workplace, recipe: Recipe, state: State, previews: list[Preview], settings: Settings, limit_px: int | None
) -> Outcome:
    """Return a recipe's scores and cost; `limit_px` is that of the previews."""
    outcome = labels.outcome(
        place,
        recipe.params,
        previews,
        threshold=settings.threshold,
        limit_px=limit_px,
        cores=os.cpu_count() or 1,
        state=state,
    )
    if find_method(recipe.method).caches_features:  # measured with features that were there already
        outcome = replace(outcome, seconds_per_image=None, whole_dataset_s=None)
    return outcome


def show_outcome(place: Workplace, recipe: Recipe, outcome: Outcome, limit_px: int | None) -> None:
    """Draw a recipe's scores and cost. In narrow columns they wrap. `limit_px` is that of quick previews."""
    with st.container(horizontal=True, gap="medium"):
        st.metric(
            f"Estimated score ({count(len(place.probe), 'test image')})",
            "…" if outcome.quality is None and not outcome.errors else score(outcome.quality),
            help="Computed from images and masks alone, without truth, 0 to 1, as a mean over the test images: use it "
            "to compare recipes, but not with deep features, whose masks follow edges less. It is not a Dice. "
            "*Automatic* chooses by its search score, which is over more images. "
            "The plausibility below an image sorts the masks of one recipe.",
            width="content",
        )
        if outcome.scored:
            mean = f"Mean over the {count(outcome.scored, 'test image')} with truth, at the mask threshold."
            of = "Foreground " if recipe.params.classes > 1 else ""
            st.metric(f"{of}Dice vs truth", score(outcome.dice), help=mean, width="content")
            st.metric(f"{of}IoU vs truth", score(outcome.iou), help=mean, width="content")
    facts = [f"Quick preview of at most {limit_px} px; full size follows"] if limit_px else []
    facts += [] if outcome.scored else ["No truth masks here: judge by eye"]
    if any(outcome.unclear):
        facts.append(count(sum(outcome.unclear), "doubtful mask"))
    if outcome.seconds_per_image is not None and outcome.quality is not None:
        facts.append(f"{outcome.seconds_per_image:.2g} s per image")
    st.caption(" · ".join(facts))
    classes = labels.recipe_classes(place, recipe.params)
    if classes.names:
        class_legend(classes.names, colours=classes.colours)
    if outcome.class_dice:
        each = zip(classes.names[1:], outcome.class_dice, strict=True)
        dice = ", ".join(f"{escaped(name)} **{score(value)}**" for name, value in each)
        st.caption(f"Dice vs truth of each class, over all test images together: {dice}.")
    for error in outcome.errors[:3]:
        st.warning(escaped(error), icon=":material/broken_image:")


def show_masks(
    place: Workplace,
    slot: str,
    recipe: Recipe,
    state: State,
    previews: list[Preview],
    outcome: Outcome,
    settings: Settings,
    tile_px: int,
) -> tuple[str | None, Shown]:
    """Draw the masks of the test images over the images; return the image that was clicked, and what is shown."""
    st.session_state[f"labels-{slot}-shows"] = place.dataset_id
    kept, classes = resources.previews(), labels.recipe_classes(place, recipe.params)
    by_class = settings.mode != "errors" or classes.of_truth
    truths = [labels.truth_maps(place, image.id, image.has_truth, 384, classes) for image in place.probe]
    scores = zip(outcome.image_quality, outcome.image_dice, outcome.unclear, strict=True)
    tiles = [
        Tile(
            id=image.id,
            title=image.name,
            image=urls.image(place.dataset_id, image.id, 384),
            mask=urls.preview(kept.put(preview.png)) if preview.png else None,
            reference=reference,
            subtitle=_subtitle(quality, dice),
            badge=_badge(preview, unclear),
            tone="bad" if preview.error else "neutral",
            classes=urls.preview(kept.put(preview.classes)) if preview.classes and by_class else None,
            reference_classes=numbers,
            clusters=urls.preview(kept.put(preview.clusters)) if preview.clusters else None,
        )
        for image, preview, (reference, numbers), (quality, dice, unclear) in zip(
            place.probe, previews, truths, scores, strict=True
        )
    ]
    clicked = mask_grid(
        tiles, key=f"labels-grid-{slot}", mode=settings.mode, threshold=settings.threshold, opacity=settings.opacity,
        tile_px=tile_px, aspect=place.aspect, class_colours=classes.colours, mask_colour=settings.look.colour,
        dims=settings.look.dims, ticks=_ticks_of(slot, recipe, state),
    )  # fmt: skip
    return clicked, Shown(recipe, {tile.id: tile for tile in tiles}, classes)


def _ticks_of(slot: str, recipe: Recipe, state: State) -> Ticks | None:
    if not clusters.takes_ticks(recipe.method):
        return None
    ticked = getattr(recipe.params, recipes.TICKED)
    by_rule = state is None and not ticked
    now = None if by_rule else clusters.ticked_clusters(ticked, state) if state else read_ticks(ticked)
    return Ticks(f"labels-{slot}", now)


def _badge(preview: Preview, unclear: bool) -> str:
    if preview.error:
        return "failed"
    return doubtful_mask(preview.quality.shape.area) if unclear and preview.quality else ""


def _subtitle(quality: float | None, dice: float | None) -> str:
    """Two lines wherever there is truth, so that the same image has the same height in every column."""
    plausibility = "plausibility …" if quality is None else f"plausibility {quality:.2f}"
    return plausibility if dice is None else f"{plausibility}\nDice vs truth {dice:.2f}"
