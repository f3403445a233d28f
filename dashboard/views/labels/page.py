"""Page: tune up to three recipes side by side on a few images, make masks of all images with one, and view them.

A mask set that the URL names takes the place of the recipes.
"""

import streamlit as st

from dashboard.access import rights
from dashboard.server import resources
from dashboard.ui.mask_grid import MODES
from dashboard.ui.overlay_choice import overlay_choice
from dashboard.ui.pretrained import pretrained_state
from dashboard.ui.status import empty_state
from dashboard.views.labels import facts as labels
from dashboard.views.labels.bench import bench
from dashboard.views.labels.facts import Workplace
from dashboard.views.labels.label_sets import ADDRESS, draw_card, label_sets, list_label_sets, opened_label_set
from dashboard.views.labels.mask_browser import browse_masks
from dashboard.views.labels.probe_picker import open_probe_picker
from dashboard.views.labels.recipe_column import Settings
from dashboard.views.labels.recipe_slots import WEIGHTS_SHOWN, load_recipe, load_saved, open_slots, without_weights
from dashboard.views.labels.saved_recipes import saved_recipes


def choose_dataset() -> str:
    """Return the chosen dataset's id; stops the page where there is nothing to label."""
    with resources.database().reading() as session:
        names = labels.dataset_names(session)
    if not names:
        empty_state(
            "No images yet",
            "Import a folder, a zip or the sample set; then set up here how masks are computed.",
            button="Go to Datasets",
            page="views/datasets/page.py",
            icon=":material/photo_library:",
        )
        st.stop()
    if st.session_state.get("labels-dataset", next(iter(names))) not in names:
        del st.session_state["labels-dataset"]
        st.toast("The dataset was deleted meanwhile. This is another one.", icon=":material/delete:")
        st.rerun()  # a click on its masks starts nothing with those of the other dataset
    if "labels-dataset" not in st.session_state:  # first run; later the URL may lag behind the choice
        wishes = (st.query_params.get("dataset"), st.session_state.get("labels-dataset-last"), next(iter(names)))
        st.session_state["labels-dataset"] = next(wish for wish in wishes if wish in names)
    chosen = st.selectbox(
        "Dataset", list(names), format_func=names.__getitem__, key="labels-dataset", on_change=_close_masks, width=320
    )
    st.session_state["labels-dataset-last"] = chosen
    if st.query_params.get("dataset") != chosen:
        st.query_params["dataset"] = chosen
    return chosen


def _close_masks() -> None:
    st.query_params.pop(ADDRESS, None)


def display(place: Workplace) -> Settings:
    """Draw the popover with everything about how masks are displayed."""
    truth = any(image.has_truth for image in place.probe)
    modes = [mode for mode in MODES if mode != "image" and (truth or mode != "errors")]
    with st.popover("Display", icon=":material/visibility:"):
        mode = st.segmented_control(
            "Overlay", modes, required=True, default="fill", format_func=str.capitalize, key="labels-overlay",
            bind="query-params", persist_state="session",
        )  # fmt: skip
        threshold = st.slider(
            "Mask threshold", 0.0, 1.0, 0.5, 0.01, key="labels-threshold",
            help="A pixel is foreground where its probability reaches this.",
            bind="query-params", persist_state="session",
        )  # fmt: skip
        opacity = st.slider(
            "Opacity", 0.0, 1.0, 0.5, 0.05, key="labels-opacity", bind="query-params", persist_state="session"
        )
        look = overlay_choice(place.dataset_id)
    return Settings(mode, threshold, opacity, look)


def show_recipes(place: Workplace, settings: Settings) -> None:
    """Draw the bench, the mask sets and the saved recipes."""
    slots = open_slots()
    # The bench is first on the page and drawn last: nothing else waits for it.
    without = st.session_state[WEIGHTS_SHOWN] = without_weights(slots)
    if without:
        pretrained_state(without)
    bench_place = st.container()
    cards = label_sets(place)
    list_label_sets(place, cards, load_recipe, settings.threshold)
    saved_recipes(slots, load_saved)
    with bench_place:
        bench(place, settings, next((card for card in cards if card.can_train), None))


st.title("Masks")
heading = st.container(horizontal=True, vertical_alignment="bottom", gap="small")
with heading:
    dataset_id = choose_dataset()
with resources.database().reading() as session:
    current = labels.workplace(session, dataset_id)
opened = opened_label_set(current)
with heading:
    if opened is None and rights.button(
        f"Test images ({len(current.probe)})",
        icon=":material/checklist:",
        help="Choose the images on which recipes are tried.",
        key="labels-probe",
    ):
        open_probe_picker(current)
    shown = display(current)
if opened is None:
    show_recipes(current, shown)
else:
    draw_card(current, opened, load_recipe, shown.threshold)
    if opened.masks:
        browse_masks(current, opened, shown)
