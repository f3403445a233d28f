"""One recipe on the bench: its method and sliders, what it learns of the dataset, its scores, and its masks."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard.facts import recipes, urls, wording
from dashboard.facts.auto_choice import auto_choice
from dashboard.facts.recipes import Recipe
from dashboard.server import resources
from dashboard.server.previews import Preview, Source
from dashboard.ui.form import params_form
from dashboard.ui.mask_grid import Mode, Tile, mask_grid
from dashboard.views.labels import cluster_facts as clusters
from dashboard.views.labels import facts as labels
from dashboard.views.labels.auto_panel import auto_ranking
from dashboard.views.labels.cluster_panel import cluster_panel
from dashboard.views.labels.facts import Outcome, ProbeImage, Workplace
from dashboard.views.labels.recipe_slots import load_recipe, note_on, remember, set_ticks, with_ticks
from engine.labelling.base import find_method, methods
from engine.store import keys as stored
from engine.store.base import StoredFile

SEED = 0
PATIENCE_S = 0.4


@dataclass(frozen=True)
class Settings:
    """How masks are shown. `limit_px` is the longest side of previews, None for the recipe's own."""

    mode: Mode
    threshold: float
    opacity: float
    limit_px: int | None


def choose_method(slot: str) -> str:
    """Draw the choice of a slot's method; return its name."""
    known = methods()
    return st.selectbox(
        "Method",
        recipes.method_order(),
        format_func=lambda name: known[name].title,
        key=f"labels-{slot}-method",
        persist_state="session",
    )


def recipe_sliders(slot: str, name: str, place: Workplace, columns: int | Literal["wrap"]) -> Recipe | None:
    """Draw the sliders of a slot's method; return the recipe, or None where a value is wrong."""
    ticks = clusters.takes_ticks(name)
    form = params_form(
        find_method(name).params,
        key=f"labels-{slot}-{name}",
        start=st.session_state.get(f"labels-{slot}-{name}-start"),
        columns=columns,
        leave_out=(recipes.TICKED,) if ticks else (),
    )
    if form.params is None:
        return None
    recipe = Recipe(name, form.params)
    if ticks:
        recipe = with_ticks(slot, recipe, place.dataset_id)
    note = note_on(slot, recipe)
    if note:
        st.warning(wording.escaped(note))
    remember(slot, recipe)
    return recipe


def learn(place: Workplace, slot: str, recipe: Recipe, masks: DeltaGenerator) -> dict[str, Any] | None:
    """Return what a recipe's method makes of the dataset; None for most methods.

    It tells how far it is, and shows the images without masks as long as that takes.
    """
    if find_method(recipe.method).fit is None:
        return None
    message, images = st.empty(), masks.empty()
    started = time.monotonic()
    known: list[int] = []  # how many had been looked at before, in the first call

    def show(done: int, total: int) -> None:
        known[:] = known or [done]
        elapsed_s = time.monotonic() - started
        if elapsed_s < PATIENCE_S:
            message.empty()
            return
        left_s = wording.time_left(done - known[0], total - known[0], elapsed_s)
        left = "" if left_s is None or done == total else f" · about {wording.duration(left_s)} left"
        text = f"Looking at the dataset: {done:,} of {wording.count(total, 'image')}{left}"
        message.progress(done / max(total, 1), text=text)

    looked_at = _looked_at(place.dataset_id, place.fingerprint, recipe.method)
    if st.session_state.get(f"labels-{slot}-shows") != place.dataset_id:
        with images:
            _bare_images(place, slot)
    state = resources.preview_pool().fit(
        recipe.method, recipe.params, sources(place, looked_at, truth=False), seed=SEED, while_waiting=show
    )
    message.empty()
    images.empty()
    return state


def _bare_images(place: Workplace, slot: str) -> None:
    tiles = [Tile(image.id, image.name, urls.image(place.dataset_id, image.id, 384)) for image in place.probe]
    mask_grid(tiles, key=f"labels-images-{slot}", aspect=place.aspect, tile_px=150, selectable=False)


@st.cache_data(show_spinner=False, max_entries=16)
def _looked_at(dataset_id: str, fingerprint: str, method: str) -> tuple[ProbeImage, ...]:
    with resources.database().reading() as session:
        return labels.looked_at(session, dataset_id, method)


def sources(place: Workplace, images: Sequence[ProbeImage], truth: bool = True) -> list[Source]:
    """Return where pictures of a dataset lie."""
    files = resources.artifacts()

    def truth_of(image: ProbeImage) -> StoredFile | None:
        return StoredFile(files, stored.truth_key(place.dataset_id, image.id)) if truth and image.has_truth else None

    return [
        Source(
            content_hash=image.content_hash,
            longest_side_px=max(image.width_px, image.height_px),
            image=StoredFile(files, stored.image_key(place.dataset_id, image.id)),
            truth=truth_of(image),
            lookup=place.lookup if truth and image.has_truth else (),
        )
        for image in images
    ]


def learned_panel(place: Workplace, slot: str, recipe: Recipe, state: dict[str, Any]) -> None:
    """Draw what a method learned of the dataset: clusters to tick, or the recipes it tried."""
    choice = auto_choice(state)
    if choice is not None:
        auto_ranking(choice, key=f"labels-{slot}-auto", load=lambda chosen: load_recipe(slot, chosen))
    if clusters.takes_ticks(recipe.method) and "clusters" in state:
        images = _looked_at(place.dataset_id, place.fingerprint, recipe.method)
        ticked = getattr(recipe.params, recipes.TICKED)
        cluster_panel(
            clusters.cluster_rows(state, ticked, place.dataset_id, [image.id for image in images]),
            key=f"labels-{slot}-clusters",
            clustering=clusters.clustering_key(recipe, place.dataset_id),
            tick=lambda numbers: set_ticks(slot, clusters.ticks_text(numbers, state)),
            propose=lambda: set_ticks(slot, ""),
            follows_proposal=not ticked,
        )


def draw_previews(
    place: Workplace,
    recipe: Recipe,
    state: dict[str, Any] | None,
    settings: Settings,
    message: DeltaGenerator,
    judged: bool,
) -> list[Preview]:
    """Return the probe's masks, with their quality where `judged`.

    A newer rerun ends the waiting: Streamlit looks for one at each message.
    """
    started, verb = time.monotonic(), "Judging" if judged else "Drawing"

    def show(done: int) -> None:
        if time.monotonic() - started < PATIENCE_S:
            message.empty()
        else:
            message.caption(f":material/hourglass_top: {verb} masks: {done} of {len(place.probe)}.")

    previews = resources.preview_pool().draw(
        recipe.method,
        recipe.params,
        sources(place, place.probe),
        limit_px=settings.limit_px,
        seed=SEED,
        state=state,
        judged=judged,
        while_waiting=show,
    )
    message.empty()
    return previews


def show_outcome(place: Workplace, outcome: Outcome) -> None:
    """Draw a recipe's scores and cost; in narrow columns they wrap."""
    with st.container(horizontal=True, gap="medium"):
        unclear = sum(outcome.unclear)
        st.metric(
            "Recipe quality",
            "…" if outcome.quality is None and not outcome.errors else wording.score(outcome.quality),
            help="Told from images and masks alone, 0 to 1: no truth is read. Mean over the probe images of what "
            "*Automatic* chooses by, so it compares recipes. It is not a Dice. The quality under an image is another "
            "score: it orders the masks of one recipe.",
            width="content",
        )
        if outcome.scored:
            mean = f"Mean over the {wording.count(outcome.scored, 'probe image')} with truth, at the mask threshold."
            st.metric("Dice vs truth", wording.score(outcome.dice), help=mean, width="content")
            st.metric("IoU vs truth", wording.score(outcome.iou), help=mean, width="content")
    facts = [] if outcome.scored else ["no truth, so no Dice: judge by eye"]
    if unclear:
        facts.append(f"{wording.count(unclear, 'probe image')} without clear foreground")
    if outcome.seconds_per_image is not None and outcome.quality is not None:
        whole_s = outcome.whole_dataset_s
        whole = "< 1 s" if whole_s < 1 else f"≈ {wording.duration(whole_s)}"
        facts.append(f"{outcome.seconds_per_image:.2g} s per image, all {place.images:,} {whole}")
    st.caption(" · ".join(facts))
    for error in outcome.errors[:3]:
        st.warning(wording.escaped(error), icon=":material/broken_image:")


def measure(place: Workplace, recipe: Recipe, previews: list[Preview], settings: Settings) -> Outcome:
    """Return what the masks are worth at the page's threshold."""
    return labels.outcome(
        place,
        recipe.params,
        previews,
        threshold=settings.threshold,
        limit_px=settings.limit_px,
        cores=os.cpu_count() or 1,
    )


def show_masks(
    place: Workplace, slot: str, previews: list[Preview], outcome: Outcome, settings: Settings, tile_px: int
) -> None:
    """Draw the probe's masks over their images."""
    st.session_state[f"labels-{slot}-shows"] = place.dataset_id
    scores = zip(outcome.image_quality, outcome.image_dice, outcome.unclear, strict=True)
    tiles = [
        Tile(
            id=image.id,
            title=image.name,
            image=urls.image(place.dataset_id, image.id, 384),
            mask=urls.preview(resources.previews().put(preview.png)) if preview.png else None,
            reference=(
                urls.truth(place.dataset_id, image.id, 384, version=place.truth_version) if image.has_truth else None
            ),
            subtitle=_subtitle(quality, dice),
            badge="not drawn" if preview.error else "unclear" if unclear else "",
            tone="bad" if preview.error else "neutral",
        )
        for image, preview, (quality, dice, unclear) in zip(place.probe, previews, scores, strict=True)
    ]
    mask_grid(
        tiles, key=f"labels-grid-{slot}", mode=settings.mode, threshold=settings.threshold, opacity=settings.opacity,
        tile_px=tile_px, aspect=place.aspect, selectable=False,
    )  # fmt: skip


def _subtitle(quality: float | None, dice: float | None) -> str:
    """Two lines wherever there is truth, so that the same image stands at the same height in every column."""
    lines = ["quality …" if quality is None else f"quality {quality:.2f}"]
    return "\n".join([*lines, *([] if dice is None else [f"Dice vs truth {dice:.2f}"])])
