"""Page: bring images in, look at them, say what their truth means, and delete them."""

from __future__ import annotations

from statistics import median

import streamlit as st

from dashboard.access import rights
from dashboard.facts import datasets as vm
from dashboard.facts import wording
from dashboard.server import resources
from dashboard.ui import pictures, status
from dashboard.ui.confirm import deletion_buttons
from dashboard.ui.file_report import file_report
from dashboard.ui.import_form import ChosenSource, source_form
from dashboard.ui.job_panel import job_panel
from dashboard.ui.mask_grid import Mode, Tile, mask_grid
from dashboard.ui.paging import first_page, page_numbers
from dashboard.ui.uploader import forget_upload
from dashboard.ui.viewer import Pane, Reading, viewer
from dashboard.views.datasets.truth_editor import truth_editor
from db import datasets, names, submissions
from db.models import Dataset, utc_now
from engine.store import keys as stored

PAGE = "views/datasets/page.py"
MODES: dict[str, Mode] = {"Fill": "fill", "Outline": "outline", "Images only": "image"}
TRUTH_FILTERS: dict[str, vm.TruthFilter] = {"All": "all", "With truth": "with truth", "Without": "without truth"}


@st.cache_data(max_entries=500, show_spinner=False)
def stored_bytes(dataset_id: str, fingerprint: str) -> int:
    """Return what a dataset takes up on disk; the fingerprint makes the number a new one when images come in."""
    return resources.artifacts().size(stored.dataset_folder(dataset_id))


def size_of(dataset: Dataset) -> int:
    return stored_bytes(dataset.id, dataset.fingerprint)


def start(job_id: str, dataset_id: str, words: str) -> None:
    """See that a worker looks at a new import, and show its dataset."""
    resources.launcher().submit(job_id)
    forget_upload("import")
    forget_upload("more")
    st.toast(f"Importing {wording.escaped(words)}.", icon=":material/upload:")
    st.switch_page(PAGE, query_params={"dataset": dataset_id})


def import_section() -> None:
    if rights.only_looking("Importing"):
        return
    chosen = source_form(key="import", sample=True)
    if chosen is None:
        return
    with resources.database().reading() as session:
        proposal = names.free_name(session, Dataset, chosen.name or f"Images {utc_now():%Y-%m-%d}")
    left, right = st.columns([4, 1], vertical_alignment="bottom")
    # The key follows the source, so that another folder or zip proposes its own name.
    name = left.text_input("Name of the dataset", proposal, key=f"import-name-{chosen.source}", max_chars=200)
    if right.button("Import", type="primary", icon=":material/download:", key="import-start", width="stretch"):
        import_new(name, chosen)


def import_new(name: str, chosen: ChosenSource) -> None:
    try:
        with resources.database().writing() as session:
            dataset, job = submissions.submit_import(session, name, chosen.source)
    except names.NameTaken as error:
        st.error(wording.escaped(str(error)))
        return
    start(job.id, dataset.id, chosen.words)


def list_page() -> None:
    st.title("Datasets")
    st.caption("A dataset is a set of images, with truth masks where you have some. Everything starts from one.")
    with resources.database().reading() as session:
        cards = vm.cards(session, utc_now(), resources.settings().lost_after_s, size_of)
    if not cards:
        status.empty_state(
            "No images yet",
            "Drop your images below, name a folder, or take the sample set to look around.",
            icon=":material/photo_library:",
        )
    with st.expander("Import images", icon=":material/upload:", expanded=not cards):
        import_section()
    if any(card.job is not None and card.job.at_work for card in cards):
        live_cards()
    elif cards:
        draw_cards(cards)


@st.fragment(run_every=2.0)
def live_cards() -> None:
    with resources.database().reading() as session:
        cards = vm.cards(session, utc_now(), resources.settings().lost_after_s, size_of)
    if not any(card.job is not None and card.job.at_work for card in cards):
        st.rerun()
    draw_cards(cards)


def draw_cards(cards: tuple[vm.Card, ...]) -> None:
    grid = st.grid(min_column_width=300, gap="small")
    for card in cards:
        with grid.container(border=True, key=f"card-{card.id}"):
            draw_card(card)


def draw_card(card: vm.Card) -> None:
    pictures.thumbnails(card.thumbnails)
    badge = status.badge_text(card.job.status) if card.job and card.job.status != "finished" else ""
    st.markdown(f"**{wording.escaped(card.name)}** {badge}")
    truth = "no truth" if not card.truth else f"{card.truth:,} with truth"
    st.caption(
        f"{wording.count(card.images, 'image').capitalize()} · {truth}  \n"
        f"{wording.size(card.size_bytes)} · {wording.ago(card.created_at, utc_now())}"
    )
    if card.job and card.job.at_work:
        status.progress(card.job, "")
    if st.button("Open", key=f"open-{card.id}", width="stretch", on_click=first_page):
        st.switch_page(PAGE, query_params={"dataset": card.id})


def detail_page(view: vm.DatasetView) -> None:
    if st.button("All datasets", icon=":material/arrow_back:", type="tertiary", key="back"):
        st.switch_page(PAGE, query_params={})
    heading(view)
    job_panel(
        lambda: job_now(view.id),
        key=f"job-{view.id}",
        what="Importing images",
        kept="What has been imported is kept.",
    )
    titles = ["Images", "Truth", f"Files ({view.skipped} skipped)" if view.skipped else "Files", "Add images"]
    images, truth, files, more = st.tabs(titles, key="dataset-tabs", on_change="rerun")
    if images.open:
        with images:
            browse(view)
    if truth.open:
        with truth:
            truth_tab(view)
    if files.open:
        with files:
            file_report(view.id, key=f"report-{view.id}")
    if more.open:
        with more:
            add_images(view)


def job_now(dataset_id: str):
    with resources.database().reading() as session:
        return vm.job_of(session, dataset_id, utc_now(), resources.settings().lost_after_s)


def heading(view: vm.DatasetView) -> None:
    st.title(wording.escaped(view.name))
    parts = [wording.count(view.images, "image"), f"{view.truth:,} with truth" if view.truth else "no truth"]
    parts += [
        f"{len(view.classes)} classes" if len(view.classes) > 2 else "",
        f"made {wording.ago(view.created_at, utc_now())}",
    ]
    st.caption(" · ".join(part for part in parts if part))
    if view.truth and len(view.classes) < 2:
        st.warning("The truth masks mark no object: every pixel is background. There is nothing to score or learn by.")
    with st.container(horizontal=True):
        next_step = bool(view.images)
        if st.button(
            "Draw labels", icon=":material/auto_fix_high:", disabled=not next_step, type="primary", key="to-labels"
        ):
            st.switch_page("views/labels/page.py", query_params={"dataset": view.id})
        if st.button("Train", icon=":material/model_training:", disabled=not next_step, key="to-train"):
            st.switch_page("views/train/page.py", query_params={"dataset": view.id})
        if rights.button("Delete", icon=":material/delete:", key="delete"):
            confirm_deletion(view.id)


def browse(view: vm.DatasetView) -> None:
    if not view.images:
        at_work = view.job is not None and view.job.at_work
        waiting = "The images appear here when the import has ended."
        st.info(waiting if at_work else "There are no images in this dataset. The tab *Add images* takes some.")
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        search = st.text_input("Search by name", key=f"search-{view.id}", on_change=first_page, width=220)
        if 0 < view.truth < view.images:
            wanted = st.segmented_control(
                "Truth", list(TRUTH_FILTERS), default="All", required=True, key=f"truth-{view.id}", on_change=first_page
            )
        else:
            wanted = "All"
        mode = "Images only"
        opacity = 0.5
        if view.truth:
            mode = st.segmented_control("Truth overlay", list(MODES), default="Outline", required=True, key="overlay")
            if mode == "Fill":
                opacity = st.slider("Opacity", 0.1, 1.0, 0.5, 0.05, key="opacity", width=160)
    asked = (search or "", TRUTH_FILTERS[wanted or "All"])
    with resources.database().reading() as session:
        found = vm.count_pictures(session, view.id, *asked)
    if not found:
        st.info("No image has that in its name. Clear the search to see all.")
        return
    grid, foot = st.container(), st.container()
    with foot:
        page = page_numbers(found)
    with grid:
        draw_grid(view, page, asked, MODES[mode or "Outline"], opacity)


def draw_grid(view: vm.DatasetView, page: int, asked: tuple[str, vm.TruthFilter], mode: Mode, opacity: float) -> None:
    with resources.database().reading() as session:
        shown = vm.picture_page(session, view.id, page, *asked).pictures
    tiles = [
        Tile(
            id=picture.id,
            title=picture.name,
            image=picture.thumbnail,
            mask=picture.truth_small,
            subtitle=f"{picture.width_px} × {picture.height_px}",
            badge="" if picture.truth_small or not view.truth else "no truth",
        )
        for picture in shown
    ]
    aspect = median(picture.width_px / picture.height_px for picture in shown)
    chosen = mask_grid(tiles, mode=mode, opacity=opacity, key=f"grid-{view.id}", aspect=aspect)
    if chosen:
        look_closer(view, chosen)


@st.dialog("Image", width="large")
def look_closer(view: vm.DatasetView, image_id: str) -> None:
    with resources.database().reading() as session:
        picture = vm.picture(session, view.id, image_id)
    if picture is None:
        st.info("This image is gone.")
        return
    st.caption(f"{wording.escaped(picture.name)} · {picture.width_px} × {picture.height_px} px")
    panes = [Pane("Image", picture.image)]
    if picture.truth:
        panes.append(Pane("Truth", picture.image, mask=picture.truth))
    readings = [Reading("Truth", picture.truth, "mask")] if picture.truth else []
    viewer(panes, key=f"look-{image_id}", readings=readings, full_px=(picture.width_px, picture.height_px))
    if picture.truth_colours and len(view.classes) > 2:
        left, right = st.columns(2)
        with right:
            pictures.overlaid(picture.image, picture.truth_colours, "Truth by class")
        with left:
            pictures.class_legend(view.classes)


def truth_tab(view: vm.DatasetView) -> None:
    if not view.truth:
        st.info(
            "This dataset has no truth masks. That is fine: label methods need none. To add some, import the same "
            "images again into a new dataset, with the masks in a folder *truth* beside *images*."
        )
        return
    truth_editor(view, key="classes")


def add_images(view: vm.DatasetView) -> None:
    if rights.only_looking("Importing"):
        return
    st.caption("Pictures that are in the dataset already are found by their content and skipped.")
    chosen = source_form(key="more")
    if chosen is None:
        return
    if st.button(
        f"Add {wording.escaped(chosen.words)}", type="primary", icon=":material/add_photo_alternate:", key="more-start"
    ):
        try:
            with resources.database().writing() as session:
                job = submissions.submit_more_images(session, view.id, chosen.source)
        except datasets.InUse as error:
            st.error(wording.escaped(str(error)))
            return
        start(job.id, view.id, chosen.words)


@st.dialog("Delete this dataset?")
def confirm_deletion(dataset_id: str) -> None:
    with resources.database().reading() as session:
        going = vm.deletion(session, dataset_id)
    if going is None:  # in another tab
        st.rerun()
    if going.busy:
        st.warning(going.busy)
        return
    lines = [wording.count(going.images, "image") + (f", {going.truth:,} with truth" if going.truth else "")]
    lines += [f"label set {wording.escaped(name)}" for name in going.label_sets]
    lines += [f"run {wording.escaped(name)} with its model" for name in going.runs]
    lines += [wording.count(going.masks, "pseudo-label or predicted mask", "pseudo-label and predicted masks")]
    lines = [f"- {line}" for line in lines if not line.startswith("no ")]
    head = f"**{wording.escaped(going.name)}** goes for good"
    st.markdown("\n".join([f"{head}, and with it:", *lines]) if lines else f"{head}. It holds nothing.")
    st.caption("The files you imported from stay where they are.")
    deletion_buttons(lambda: delete(dataset_id), "The dataset is deleted.")


def delete(dataset_id: str) -> None:
    with resources.database().writing() as session:
        gone = datasets.delete_dataset(session, dataset_id)
    resources.remove_files(gone)
    st.query_params.from_dict({})  # clear() refuses while a widget is bound to the URL


def page() -> None:
    chosen = st.query_params.get("dataset")
    with resources.database().reading() as session:
        view = vm.dataset_view(session, chosen, utc_now(), resources.settings().lost_after_s)
    if chosen and view is None:
        st.warning("This dataset does not exist any more.")
    if view is None:
        list_page()
    else:
        detail_page(view)


page()
