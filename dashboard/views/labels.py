"""Page: tune a recipe on a few images, compare it with a second one, and label the dataset with it."""

import os
import time
from dataclasses import dataclass

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard import resources, urls, wording
from dashboard.components.form import params_form, reset_form
from dashboard.components.label_sets import browse_masks, stored_label_sets
from dashboard.components.mask_grid import MODES, Mode, Tile, mask_grid
from dashboard.components.probe_picker import open_probe_picker
from dashboard.components.status import empty_state
from dashboard.previews import PREVIEW_PX, Preview, Source
from dashboard.viewmodels import labels
from dashboard.viewmodels.labels import Outcome, Recipe, Workplace
from db import submissions
from db.datasets import InUse
from db.names import NameTaken
from db.submissions import NotReady
from engine import VERSION
from engine import artifacts as stored
from engine.parameters import ParameterError
from engine.pseudo_labels.base import find_method, methods

SEED = 0
PATIENCE_S = 0.4
TITLES = {"a": "Recipe A", "b": "Recipe B"}


@dataclass(frozen=True)
class Settings:
    """How masks are shown. `limit_px` is the longest side of previews, None for the recipe's own."""

    mode: Mode
    threshold: float
    opacity: float
    limit_px: int | None


def choose_dataset() -> str:
    """Return the chosen dataset's id; stops the page where there is nothing to label."""
    with resources.database().reading() as session:
        names = labels.dataset_names(session)
    if not names:
        empty_state(
            "No images yet",
            "Import a folder, a zip or the sample set; then tune here how its masks are drawn.",
            button="Go to Datasets",
            page="views/datasets.py",
            icon=":material/photo_library:",
        )
        st.stop()
    if "labels-dataset" not in st.session_state:  # just arrived; later the address may lag behind the choice
        wishes = (st.query_params.get("dataset"), st.session_state.get("labels-dataset-last"), next(iter(names)))
        st.session_state["labels-dataset"] = next(wish for wish in wishes if wish in names)
    chosen = st.selectbox(
        "Dataset", list(names), format_func=names.get, key="labels-dataset", on_change=_close_masks, width=320
    )
    st.session_state["labels-dataset-last"] = chosen
    if st.query_params.get("dataset") != chosen:
        st.query_params["dataset"] = chosen
    return chosen


def _close_masks() -> None:
    st.query_params.pop("labels", None)


def load_recipe(slot: str, recipe: Recipe) -> None:
    """Put a recipe into the sliders of slot "a" or "b"."""
    st.session_state[f"labels-{slot}-method"] = recipe.method
    st.session_state[f"labels-{slot}-{recipe.method}-start"] = recipe.params
    reset_form(f"labels-{slot}-{recipe.method}")


def _first_recipe(slot: str) -> None:
    """Start from the address. Later the sliders rule: a browser that sends two changes at once may lag behind."""
    if f"labels-{slot}-method" in st.session_state:
        return
    recipe = labels.default_recipe()
    if slot in st.query_params:
        try:
            recipe = labels.recipe_from_text(st.query_params[slot])
        except ParameterError as error:
            st.warning(f"The address names no recipe that can be drawn, so the defaults stand. {error}")
    load_recipe(slot, recipe)


def recipe_sliders(slot: str, columns: int = 1) -> Recipe | None:
    """Draw a recipe's method and sliders; return it, or None where a value is wrong."""
    known = methods()
    name = st.selectbox(
        "Method",
        list(known),
        format_func=lambda name: known[name].title,
        key=f"labels-{slot}-method",
        persist_state="session",
    )
    st.caption(known[name].summary)
    start = st.session_state.get(f"labels-{slot}-{name}-start")
    form = params_form(find_method(name).params, key=f"labels-{slot}-{name}", start=start, columns=columns)
    if form.params is None:
        return None
    recipe = Recipe(name, form.params)
    text = labels.recipe_to_text(recipe)
    st.session_state[f"labels-{slot}-recipe"] = recipe
    # An address without "a" means the defaults; writing them would only cost one more press of Back to leave.
    meant = st.query_params.get(slot) or (labels.recipe_to_text(labels.default_recipe()) if slot == "a" else None)
    if meant != text:
        st.query_params[slot] = text
    return recipe


def _second_switched() -> None:
    if st.session_state["labels-two"]:
        load_recipe("b", st.session_state.get("labels-a-recipe") or labels.default_recipe())
    else:
        st.query_params.pop("b", None)


def view_settings(place: Workplace) -> Settings:
    """Draw what concerns all masks."""
    truth = any(image.has_truth for image in place.probe)
    modes = [mode for mode in MODES if mode != "image" and (truth or mode != "errors")]
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        mode = st.segmented_control(
            "Overlay", modes, required=True, default="fill", format_func=str.capitalize, key="labels-overlay",
            bind="query-params", persist_state="session",
        )  # fmt: skip
        threshold = st.slider(
            "Mask threshold", 0.0, 1.0, 0.5, 0.01, key="labels-threshold", width=170, bind="query-params",
            persist_state="session", help="A pixel is foreground where its probability reaches this.",
        )  # fmt: skip
        opacity = st.slider(
            "Opacity",
            0.0,
            1.0,
            0.5,
            0.05,
            key="labels-opacity",
            width=160,
            bind="query-params",
            persist_state="session",
        )
        whole = st.toggle(
            "Full size", key="labels-full", bind="query-params", persist_state="session",
            help="Draws the previews as large as the recipe's own longest side, exactly as *Label the dataset* will.",
        )  # fmt: skip
    if not whole:
        st.caption(f"Previews are drawn at most {PREVIEW_PX} px large; times are for full size.")
    return Settings(mode, threshold, opacity, None if whole else PREVIEW_PX)


def sources(place: Workplace) -> list[Source]:
    """Return where the probe's pictures lie."""
    files = resources.artifacts()
    return [
        Source(
            content_hash=image.content_hash,
            longest_side_px=max(image.width_px, image.height_px),
            image_path=files.path(stored.image_key(place.dataset_id, image.id)),
            truth_path=files.path(stored.truth_key(place.dataset_id, image.id)) if image.has_truth else None,
            lookup=place.lookup if image.has_truth else (),
        )
        for image in place.probe
    ]


def draw_previews(place: Workplace, recipe: Recipe, limit_px: int | None) -> list[Preview]:
    """Return the probe's masks. A newer rerun ends the waiting: Streamlit looks for one at each message."""
    message, started = st.empty(), time.monotonic()

    def show(done: int) -> None:
        if time.monotonic() - started < PATIENCE_S:
            message.empty()
        else:
            message.caption(f":material/hourglass_top: Drawing: {done} of {len(place.probe)} masks are there.")

    drawn = resources.preview_pool().draw(
        recipe.method, recipe.params, sources(place), limit_px=limit_px, seed=SEED, while_waiting=show
    )
    message.empty()
    return drawn


def show_outcome(place: Workplace, outcome: Outcome) -> None:
    """Draw a recipe's scores and cost."""
    if outcome.scored:
        mean = f"Mean over the {wording.count(outcome.scored, 'probe image')} with truth, at the mask threshold."
        st.metric("Dice vs truth", wording.score(outcome.dice), help=mean, width="content")
        st.metric("IoU vs truth", wording.score(outcome.iou), help=mean, width="content")
    else:
        st.caption("These images have no truth, so there is no score: judge by eye.", width=200)
    per_image, about = outcome.seconds_per_image, wording.duration(outcome.whole_dataset_s)
    st.metric("Per image", "–" if per_image is None else f"{per_image:.2g} s", width="content")
    st.metric(
        f"All {wording.count(place.images, 'image')}",
        "–" if per_image is None else "< 1 s" if outcome.whole_dataset_s < 1 else f"≈ {about}",
        help="Estimated from the probe, for masks at full size.",
        width="content",
    )


def show_masks(
    place: Workplace, slot: str, previews: list[Preview], outcome: Outcome, settings: Settings, tile_px: int
) -> None:
    """Draw the probe's masks over their images."""
    tiles = [
        Tile(
            id=image.id,
            title=image.name,
            image=urls.image(place.dataset_id, image.id, 384),
            mask=urls.preview(resources.previews().put(preview.png)) if preview.png else None,
            reference=(
                urls.truth(place.dataset_id, image.id, 384, version=place.truth_version) if image.has_truth else None
            ),
            subtitle="" if dice is None else f"Dice vs truth {dice:.2f}",
            badge="not drawn" if preview.error else "",
            tone="bad" if preview.error else "neutral",
        )
        for image, preview, dice in zip(place.probe, previews, outcome.image_dice, strict=True)
    ]
    mask_grid(
        tiles, key=f"labels-grid-{slot}", mode=settings.mode, threshold=settings.threshold, opacity=settings.opacity,
        tile_px=tile_px, aspect=place.aspect, selectable=False,
    )  # fmt: skip


@st.dialog("Label the dataset", icon=":material/auto_fix_high:")
def label_dataset(place: Workplace, recipe: Recipe, expected_s: float | None) -> None:
    """Ask for a name, freeze the recipe and start the job."""
    with resources.database().reading() as session:
        wish = labels.proposed_name(session, place.name, recipe)
    st.markdown(f"**{find_method(recipe.method).title}** · {labels.describe_changes(recipe.params)}")
    about = "" if expected_s is None or expected_s < 1 else f", in about {wording.duration(expected_s)}"
    st.markdown(f"Draws a mask for each of {wording.count(place.images, 'image')}{about}. The recipe is then frozen.")
    name = st.text_input("Name of the label set", wish, max_chars=200, key="labels-name")
    if not st.button("Start", type="primary", icon=":material/play_arrow:", key="labels-submit"):
        return
    try:
        with resources.database().writing() as session:
            label_set, job = submissions.submit_label(
                session, place.dataset_id, name, recipe.method, recipe.params.model_dump(), SEED, VERSION
            )
    except (NameTaken, NotReady, InUse) as error:
        st.error(wording.escaped(str(error)), icon=":material/error:")
        return
    resources.launcher().submit(job.id)
    st.query_params["labels"] = label_set.id
    st.rerun()


def workbench(place: Workplace, top: DeltaGenerator) -> Settings:
    """Draw one or two recipes with the masks they draw on the probe; return how masks are shown."""
    with top:
        if st.button(
            f"Probe images · {len(place.probe)}",
            icon=":material/checklist:",
            help="Choose the images to look at.",
            key="labels-probe",
        ):
            open_probe_picker(place)
        st.session_state.setdefault("labels-two", "b" in st.query_params)
        two = st.toggle(
            "Second recipe beside it", key="labels-two", on_change=_second_switched, persist_state="session"
        )
    settings = view_settings(place)
    slots = ("a", "b") if two else ("a",)
    for slot in slots:
        _first_recipe(slot)
    # Two rows of two, so that the same image stands at the same height on both sides.
    places = st.columns(2, gap="medium") + st.columns(2, gap="medium") if two else st.columns([1, 3], gap="medium")
    chosen = []
    for slot, side in zip(slots, places, strict=False):
        with side:
            if two:
                st.subheader(TITLES[slot])
            chosen.append(recipe_sliders(slot, columns=3 if two else 1))
    for slot, recipe, side in zip(slots, chosen, places[len(slots) :], strict=True):
        if recipe is not None:
            with side:
                show_recipe(place, slot, recipe, settings, tile_px=140 if two else 200)
    return settings


def show_recipe(place: Workplace, slot: str, recipe: Recipe, settings: Settings, tile_px: int) -> None:
    """Draw what a recipe makes of the probe, and the button that labels the dataset with it."""
    limit_px = settings.limit_px
    previews = draw_previews(place, recipe, limit_px)
    outcome = labels.outcome(
        place, recipe.params, previews, threshold=settings.threshold, limit_px=limit_px, cores=os.cpu_count() or 1
    )
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        show_outcome(place, outcome)
        if st.button("Label the dataset", type="primary", icon=":material/auto_fix_high:", key=f"labels-{slot}-start"):
            label_dataset(place, recipe, outcome.whole_dataset_s)
    for error in outcome.errors[:3]:
        st.warning(wording.escaped(error), icon=":material/broken_image:")
    show_masks(place, slot, previews, outcome, settings, tile_px)


st.title("Labels")
st.markdown("Tune how masks are drawn without a person: look at a few images, then label the whole dataset.")
heading = st.container(horizontal=True, vertical_alignment="bottom", gap="medium")
with heading:
    dataset_id = choose_dataset()
with resources.database().reading() as session:
    current = labels.workplace(session, dataset_id)
shown = workbench(current, heading)
cards = stored_label_sets(current, load_recipe)
browse_masks(current, cards, mode=shown.mode, threshold=shown.threshold, opacity=shown.opacity)
