"""Page: tune up to three recipes side by side on a few images, and label the dataset with the best."""

import streamlit as st

from dashboard.access import rights
from dashboard.server import resources
from dashboard.server.previews import PREVIEW_PX
from dashboard.ui.mask_grid import MODES
from dashboard.ui.pretrained import pretrained_state
from dashboard.ui.status import empty_state
from dashboard.views.labels import facts as labels
from dashboard.views.labels.bench import bench
from dashboard.views.labels.facts import Workplace
from dashboard.views.labels.label_sets import ADDRESS, stored_label_sets
from dashboard.views.labels.mask_browser import browse_masks
from dashboard.views.labels.probe_picker import open_probe_picker
from dashboard.views.labels.recipe_column import Settings
from dashboard.views.labels.recipe_slots import STROKES_SHOWN, load_recipe, load_saved, open_slots, uses_strokes
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


def view_settings(place: Workplace) -> Settings:
    """Draw the settings of all masks."""
    truth = any(image.has_truth for image in place.probe)
    modes = [mode for mode in MODES if mode != "image" and (truth or mode != "errors")]
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        mode = st.segmented_control(
            "Overlay", modes, required=True, default="fill", format_func=str.capitalize, key="labels-overlay",
            bind="query-params", persist_state="session",
        )  # fmt: skip
        threshold = st.slider(
            "Mask threshold", 0.0, 1.0, 0.5, 0.01, key="labels-threshold", width=170,
            help="A pixel is foreground where its probability reaches this.",
            bind="query-params", persist_state="session",
        )  # fmt: skip
        opacity = st.slider(
            "Opacity", 0.0, 1.0, 0.5, 0.05, key="labels-opacity", width=160,
            bind="query-params", persist_state="session",
        )  # fmt: skip
        whole = st.toggle(
            "Full size", key="labels-full",
            help="Computes previews at the recipe's own longest side, exactly as *Make masks for all images* will.",
            bind="query-params", persist_state="session",
        )  # fmt: skip
    if not whole:
        st.caption(f"Previews are at most {PREVIEW_PX} px large; times are for full size.")
    return Settings(mode, threshold, opacity, None if whole else PREVIEW_PX)


st.title("Masks")
st.caption("Set up how masks are computed automatically: check a few images, then label the whole dataset.")
heading = st.container(horizontal=True, vertical_alignment="bottom", gap="medium")
with heading:
    dataset_id = choose_dataset()
with resources.database().reading() as session:
    current = labels.workplace(session, dataset_id)
with heading:
    if rights.button(
        f"Test images ({len(current.probe)})",
        icon=":material/checklist:",
        help="Choose the images on which recipes are tried.",
        key="labels-probe",
    ):
        open_probe_picker(current)
shown = view_settings(current)
slots = open_slots()
# The bench is first on the page and drawn last: nothing else waits for it.
st.session_state[STROKES_SHOWN] = uses_strokes(slots)
if uses_strokes(slots):
    pretrained_state("Without pretrained weights strokes learn colour and texture only, and need more of them.")
bench_place = st.container()
cards = stored_label_sets(current, load_recipe, shown.threshold)
browse_masks(current, cards, shown)
saved_recipes(slots, load_saved)
with bench_place:
    bench(current, shown)
