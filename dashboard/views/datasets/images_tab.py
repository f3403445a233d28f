"""The tab *Images* of a dataset: a grid to search and filter, each image in a dialog, and the choice of several."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

import streamlit as st

from dashboard.access import rights
from dashboard.facts import datasets as facts
from dashboard.facts import urls
from dashboard.facts.wording import escaped, pixel_size
from dashboard.server import resources
from dashboard.ui import pictures
from dashboard.ui.class_filter import choose_class
from dashboard.ui.mask_grid import Mode, Tile, mask_grid
from dashboard.ui.overlay_choice import overlay_look
from dashboard.ui.paging import first_page, page_numbers
from dashboard.ui.viewer import Pane, Reading, viewer
from dashboard.views.datasets.image_care import EXCLUDING, exclude, pick, picked_bar, picked_images, picking
from db import datasets
from db.actors import Role
from db.models import Image
from engine.datasets import truth
from engine.imaging.class_maps import IGNORE

MODES: dict[str, Mode] = {"Fill": "fill", "Outline": "outline", "Images only": "image"}
TRUTH_FILTERS: dict[str, facts.TruthFilter] = {
    "All": "all",
    "With truth": "with truth",
    "Without truth": "without truth",
    "Excluded": "excluded",
}


@st.cache_data(max_entries=200, show_spinner=False)
def truth_concerns(dataset_id: str, stamp: tuple[int, int], lookup: tuple[int, ...]) -> tuple[str, ...]:
    """Return what is doubtful about the classes of the truth; it is read again when the stamp changes."""
    with resources.database().reading() as session:
        keys = dict(datasets.truth_codes(session, dataset_id))
        return tuple(truth.concerns(facts.truth_facts(session, dataset_id), lookup, keys))


def images_tab(view: facts.DatasetView) -> None:
    """Draw the tab."""
    if not view.images + view.excluded:
        at_work = view.job is not None and view.job.at_work
        waiting = "The images appear here when the import is finished."
        st.info(waiting if at_work else "This dataset has no images. Import some in the tab *Add images or masks*.")
        return
    for sentence in truth_concerns(view.id, (view.truth_version, view.truth), view.lookup):
        st.warning(f"{escaped(sentence)} The classes are in the tab *Truth*.", icon=":material/help:")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        search = st.text_input("Search by name", key=f"search-{view.id}", on_change=first_page, width=220)
        filters = ["All", *(["With truth", "Without truth"] if 0 < view.truth < view.images else [])]
        filters += ["Excluded"] if view.excluded else []
        wanted = "All"
        if len(filters) > 1:
            wanted = st.segmented_control(
                "Show", filters, default="All", required=True, key=f"truth-{view.id}", on_change=first_page
            )
        mode = "Images only"
        opacity, only_class = 0.5, 0
        if view.truth:
            mode = st.segmented_control("Truth overlay", list(MODES), default="Outline", required=True, key="overlay")
            if mode == "Fill":
                opacity = st.slider("Opacity", 0.1, 1.0, 0.5, 0.05, key="opacity", width=160)
            if mode != "Images only":
                only_class = choose_class(view.classes, f"class-{view.id}", "With one class, only that is drawn.")
        picks = picking(view)
    asked = (search or "", TRUTH_FILTERS[wanted or "All"])
    with resources.database().reading() as session:
        total = facts.count_images(session, view.id, *asked)
    if not total:
        st.info("No image has this text in its name. Clear the search to see all.")
        return
    grid, foot = st.container(), st.container()
    with foot:
        page = page_numbers(total)
    with grid:
        draw_grid(view, page, asked, MODES[mode or "Outline"], opacity, only_class, picks)


def draw_grid(
    view: facts.DatasetView,
    page: int,
    asked: tuple[str, facts.TruthFilter],
    mode: Mode,
    opacity: float,
    only_class: int,
    picks: bool,
) -> None:
    several = len(view.classes) > 2
    if several and mode != "image":
        shown_classes = [only_class] if only_class else range(1, len(view.classes))
        ignored = IGNORE in view.lookup
        pictures.class_legend(view.classes, shown_classes, colours=view.class_colours, ignored=ignored)
    with resources.database().reading() as session:
        shown = facts.images_page(session, view.id, page, *asked)
    folder = common_folder([image.name for image in shown])
    tiles = [
        Tile(
            id=image.id,
            title=image.name.removeprefix(folder),
            image=urls.thumbnail(view.id, image.id),
            mask=truth_url(view, image.id) if image.has_truth and not several else None,
            reference_classes=truth_url(view, image.id, classes=True) if image.has_truth and several else None,
            subtitle=f"{image.width} × {image.height}",
            badge=badge_of(view, image, picks),
            tone="busy" if picks and image.id in picked_images(view) else "neutral",
        )
        for image in shown
    ]
    if picks:
        picked_bar(view, [image.id for image in shown])
    aspect = median(image.width / image.height for image in shown)
    chosen = mask_grid(
        tiles,
        mode=mode,
        opacity=opacity,
        key=f"grid-{view.id}",
        aspect=aspect,
        only_class=only_class or None,
        class_colours=view.class_colours if several else (),
        mask_colour=overlay_look(view.id).colour,
    )
    if chosen and picks:
        pick(view, chosen)
    elif chosen:
        image_dialog(view, chosen)


def common_folder(names: Sequence[str]) -> str:
    """Return the folder, such as "images/", that all of some names begin with: it tells none of them apart."""
    folders = {name.rpartition("/")[0] for name in names}
    return f"{folders.pop()}/" if len(folders) == 1 and "" not in folders else ""


def badge_of(view: facts.DatasetView, image: Image, picks: bool) -> str:
    if picks and image.id in picked_images(view):
        return "selected"
    if image.excluded:
        return "excluded"
    return "" if image.has_truth or not view.truth else "no truth"


def truth_url(view: facts.DatasetView, image_id: str, classes: bool = False) -> str:
    return urls.truth(view.id, image_id, 192, classes=classes, version=view.truth_version)


@st.dialog("Image", width="large")
def image_dialog(view: facts.DatasetView, image_id: str) -> None:
    with resources.database().reading() as session:
        image = session.get(Image, image_id)
    if image is None:
        st.info("This image was deleted.")
        return
    editor, word = rights.may(Role.EDITOR), "Include" if image.excluded else "Exclude"
    scale = pixel_size(image.pixel_width_um, image.pixel_height_um, image.pixel_size_source)
    st.caption(" · ".join(filter(None, (escaped(image.name), f"{image.width} × {image.height} px", scale))))
    address = urls.image(view.id, image_id)
    panes, readings = [Pane("Image", address)], []
    if image.has_truth:
        truth = urls.truth(view.id, image_id, version=view.truth_version)
        panes.append(Pane("Truth", address, mask=truth))
        readings.append(Reading("Truth", truth, "mask"))
    if editor and st.button(word, icon=":material/block:", key=f"exclude-{image_id}", help=EXCLUDING):
        exclude(view, [image_id], not image.excluded)
    viewer(panes, key=f"look-{image_id}", readings=readings, full_px=(image.width, image.height))
    if image.has_truth and len(view.classes) > 2:
        left, right = st.columns(2)
        with right:
            colours = urls.truth(view.id, image_id, colour=True, version=view.truth_version)
            pictures.overlaid(address, colours, "Truth by class")
        with left:
            pictures.class_legend(view.classes, colours=view.class_colours)
