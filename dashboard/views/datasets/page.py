"""Page: import images, view them, define the classes of their truth, and delete them."""

from __future__ import annotations

from statistics import median

import streamlit as st

from dashboard.access import rights
from dashboard.facts import datasets as facts
from dashboard.facts import urls
from dashboard.facts.jobs import JobView
from dashboard.facts.wording import ago, count, escaped, pixel_size, size
from dashboard.server import resources
from dashboard.ui import pictures, status
from dashboard.ui.class_filter import choose_class
from dashboard.ui.confirm import deletion_buttons
from dashboard.ui.file_report import file_report
from dashboard.ui.import_form import source_form
from dashboard.ui.import_plan import draw_import_plan
from dashboard.ui.job_panel import job_panel
from dashboard.ui.mask_grid import Mode, Tile, mask_grid
from dashboard.ui.new_dataset import PAGE, new_dataset, start_import
from dashboard.ui.paging import first_page, page_numbers
from dashboard.ui.viewer import Pane, Reading, viewer
from dashboard.views.datasets.audit_tab import audit_tab
from dashboard.views.datasets.corrections_tab import corrections_tab
from dashboard.views.datasets.leave_out import leave_out_tab
from dashboard.views.datasets.masks_form import masks_form
from dashboard.views.datasets.truth_editor import truth_editor
from dashboard.views.datasets.truth_removal import confirm_truth_removal
from db import datasets, submissions
from db.columns import utc_now
from db.models import Dataset, Image
from engine.datasets import truth
from engine.imaging.class_maps import IGNORE
from engine.store import keys as stored

POLL_S = 2.0
CARD_STYLE = """<style>
[class*="st-key-card-"] {position: relative}
[class*="st-key-open-"] button::after {content: ""; position: absolute; inset: 0; border-radius: 0.5rem}
[class*="st-key-card-"]:has([class*="st-key-open-"] button:hover) {border-color: var(--st-primary-color)}
[class*="st-key-open-"] button:focus-visible {outline: none; box-shadow: none}
[class*="st-key-open-"] button:focus-visible::after {outline: 3px solid var(--st-primary-color); outline-offset: 2px}
[class*="st-key-open-"] button > div {text-align: left}
[class*="st-key-remove-"] {position: relative; z-index: 1}
</style>"""
"""The button with the name of a dataset covers the whole card, so that a click anywhere on it opens the dataset."""

ADD = "Add images or masks"
MODES: dict[str, Mode] = {"Fill": "fill", "Outline": "outline", "Images only": "image"}
TRUTH_FILTERS: dict[str, facts.TruthFilter] = {"All": "all", "With truth": "with truth", "Without": "without truth"}


@st.cache_data(max_entries=500, show_spinner=False)
def stored_bytes(dataset_id: str, fingerprint: str) -> int:
    """Return the size of a dataset on disk; it is computed again when the fingerprint changes."""
    return resources.artifacts().size(stored.dataset_folder(dataset_id))


@st.cache_data(max_entries=200, show_spinner=False)
def truth_concerns(dataset_id: str, stamp: tuple[int, int], lookup: tuple[int, ...]) -> tuple[str, ...]:
    """Return what is doubtful about the classes of the truth; it is read again when the stamp changes."""
    with resources.database().reading() as session:
        keys = dict(datasets.truth_codes(session, dataset_id))
        return tuple(truth.concerns(facts.truth_facts(session, dataset_id), lookup, keys))


def size_of(dataset: Dataset) -> int:
    return stored_bytes(dataset.id, dataset.fingerprint)


def list_page() -> None:
    cards = read_cards()
    if cards and "import" in st.query_params:
        import_page()
        return
    st.title("Datasets")
    st.caption("A dataset is a set of images, with truth masks if you have some. Everything starts from one.")
    if not cards:
        new_dataset()
        return
    if rights.button("Import images", type="primary", icon=":material/upload:", key="import-images"):
        st.switch_page(PAGE, query_params={"import": "1"})
    active = any(card.active for card in cards)
    st.fragment(draw_cards, run_every=POLL_S if active else None)(active)


def import_page() -> None:
    if st.button("All datasets", icon=":material/arrow_back:", type="tertiary", key="back"):
        st.switch_page(PAGE, query_params={})
    st.title("Import images")
    new_dataset()


def read_cards() -> tuple[facts.Card, ...]:
    with resources.database().reading() as session:
        return facts.cards(session, utc_now(), resources.settings().lost_after_s, size_of)


def draw_cards(was_active: bool) -> None:
    cards = read_cards()
    if was_active and not any(card.active for card in cards):
        st.rerun()  # to stop polling
    st.html(CARD_STYLE)
    grid = st.grid(min_column_width=300, gap="small")
    for card in cards:
        with grid.container(border=True, key=f"card-{card.id}", gap="small"):
            draw_card(card)


def draw_card(card: facts.Card) -> None:
    if card.thumbnails or not card.failed:
        pictures.thumbnails(card.thumbnails, height_px=96)
    # Its area is the whole card (CARD_STYLE).
    if st.button(f"**{escaped(card.name)}**", key=f"open-{card.id}", type="tertiary", on_click=first_page):
        st.switch_page(PAGE, query_params={"dataset": card.id})
    truth = "no truth" if not card.truth else f"{card.truth:,} with truth"
    badge = status.badge_text(card.job.status) if card.job and card.job.status != "finished" else ""
    lines = [
        f"{count(card.images, 'image').capitalize()} · {truth} {badge}",
        f"{size(card.size_bytes)} · {ago(card.created_at, utc_now())}",
    ]
    if card.failed and not card.images:
        lines = [f"{badge} {ago(card.created_at, utc_now())}", escaped(card.job.error if card.job else "")]
    st.caption("  \n".join(lines))
    if card.job and card.active:
        status.progress(card.job, "")
    if card.failed and not card.images and rights.button("Remove", icon=":material/delete:", key=f"remove-{card.id}"):
        delete(card.id)
        st.rerun()


def detail_page(view: facts.DatasetView) -> None:
    if st.button("All datasets", icon=":material/arrow_back:", type="tertiary", key="back"):
        st.switch_page(PAGE, query_params={})
    heading(view)
    job_panel(
        lambda: job_now(view.id),
        key=f"job-{view.id}",
        what="Importing files",
        kept="What has been imported is kept.",
    )
    told = [f"{view.skipped:,} skipped"] if view.skipped else []
    told += [count(view.noted, "note")] if view.noted else []
    tabs = {
        "Images": browse,
        "Truth": truth_tab,
        "Corrections": corrections_tab,
        "Audit": audit_tab,
        "Leave out": leave_out_tab,
        f"Files ({', '.join(told)})" if told else "Files": lambda view: file_report(
            view.id, key=f"report-{view.id}", notes=view.notes
        ),
        ADD: add_files,
    }
    for tab, draw in zip(st.tabs(list(tabs), key="dataset-tabs", on_change="rerun"), tabs.values(), strict=True):
        if tab.open:
            with tab:
                draw(view)


def job_now(dataset_id: str) -> JobView | None:
    with resources.database().reading() as session:
        return facts.job_of(session, dataset_id, utc_now(), resources.settings().lost_after_s)


def heading(view: facts.DatasetView) -> None:
    st.title(escaped(view.name))
    parts = [count(view.images, "image"), f"{view.truth:,} with truth" if view.truth else "no truth"]
    parts += [
        f"{len(view.classes) - 1} classes" if len(view.classes) > 2 else "",
        f"created {ago(view.created_at, utc_now())}",
    ]
    st.caption(" · ".join(part for part in parts if part))
    if view.truth and len(view.classes) < 2:
        st.warning("The truth masks mark no object: every pixel is background. There is nothing to score or train on.")
    with st.container(horizontal=True):
        next_step = bool(view.images)
        if st.button(
            "Make masks", icon=":material/auto_fix_high:", disabled=not next_step, type="primary", key="to-labels"
        ):
            st.switch_page("views/labels/page.py", query_params={"dataset": view.id})
        if st.button("Train", icon=":material/model_training:", disabled=not next_step, key="to-train"):
            st.switch_page("views/train/page.py", query_params={"dataset": view.id})
        if rights.button("Delete", icon=":material/delete:", key="delete"):
            confirm_deletion(view.id)


def browse(view: facts.DatasetView) -> None:
    if not view.images:
        at_work = view.job is not None and view.job.at_work
        waiting = "The images appear here when the import is finished."
        st.info(waiting if at_work else f"This dataset has no images. Import some in the tab *{ADD}*.")
        return
    for sentence in truth_concerns(view.id, (view.truth_version, view.truth), view.lookup):
        st.warning(f"{escaped(sentence)} The classes are in the tab *Truth*.", icon=":material/help:")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        search = st.text_input("Search by name", key=f"search-{view.id}", on_change=first_page, width=220)
        if 0 < view.truth < view.images:
            wanted = st.segmented_control(
                "Truth", list(TRUTH_FILTERS), default="All", required=True, key=f"truth-{view.id}", on_change=first_page
            )
        else:
            wanted = "All"
        mode = "Images only"
        opacity, only_class = 0.5, 0
        if view.truth:
            mode = st.segmented_control("Truth overlay", list(MODES), default="Outline", required=True, key="overlay")
            if mode == "Fill":
                opacity = st.slider("Opacity", 0.1, 1.0, 0.5, 0.05, key="opacity", width=160)
            if mode != "Images only":
                only_class = choose_class(view.classes, f"class-{view.id}", "With one class, only that is drawn.")
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
        draw_grid(view, page, asked, MODES[mode or "Outline"], opacity, only_class)


def draw_grid(
    view: facts.DatasetView,
    page: int,
    asked: tuple[str, facts.TruthFilter],
    mode: Mode,
    opacity: float,
    only_class: int,
) -> None:
    several = len(view.classes) > 2
    if several and mode != "image":
        shown_classes = [only_class] if only_class else range(1, len(view.classes))
        ignored = IGNORE in view.lookup
        pictures.class_legend(view.classes, shown_classes, colours=view.class_colours, ignored=ignored)
    with resources.database().reading() as session:
        shown = facts.images_page(session, view.id, page, *asked)
    tiles = [
        Tile(
            id=image.id,
            title=image.name,
            image=urls.thumbnail(view.id, image.id),
            mask=truth_url(view, image.id) if image.has_truth and not several else None,
            reference_classes=truth_url(view, image.id, classes=True) if image.has_truth and several else None,
            subtitle=f"{image.width} × {image.height}",
            badge="" if image.has_truth or not view.truth else "no truth",
        )
        for image in shown
    ]
    aspect = median(image.width / image.height for image in shown)
    chosen = mask_grid(
        tiles,
        mode=mode,
        opacity=opacity,
        key=f"grid-{view.id}",
        aspect=aspect,
        only_class=only_class or None,
        class_colours=view.class_colours if several else (),
    )
    if chosen:
        image_dialog(view, chosen)


def truth_url(view: facts.DatasetView, image_id: str, classes: bool = False) -> str:
    return urls.truth(view.id, image_id, 192, classes=classes, version=view.truth_version)


@st.dialog("Image", width="large")
def image_dialog(view: facts.DatasetView, image_id: str) -> None:
    with resources.database().reading() as session:
        image = session.get(Image, image_id)
    if image is None:
        st.info("This image was deleted.")
        return
    scale = pixel_size(image.pixel_width_um, image.pixel_height_um, image.pixel_size_source)
    st.caption(" · ".join(filter(None, (escaped(image.name), f"{image.width} × {image.height} px", scale))))
    address = urls.image(view.id, image_id)
    panes, readings = [Pane("Image", address)], []
    if image.has_truth:
        truth = urls.truth(view.id, image_id, version=view.truth_version)
        panes.append(Pane("Truth", address, mask=truth))
        readings.append(Reading("Truth", truth, "mask"))
    viewer(panes, key=f"look-{image_id}", readings=readings, full_px=(image.width, image.height))
    if image.has_truth and len(view.classes) > 2:
        left, right = st.columns(2)
        with right:
            colours = urls.truth(view.id, image_id, colour=True, version=view.truth_version)
            pictures.overlaid(address, colours, "Truth by class")
        with left:
            pictures.class_legend(view.classes, colours=view.class_colours)


def truth_tab(view: facts.DatasetView) -> None:
    if not view.truth:
        st.info("This dataset has no truth masks. Label methods do not need any; scores do. You can add some here.")
        if view.images and not rights.only_looking("Importing"):
            masks_form(view, key="masks")
        return
    truth_editor(view, key="classes")
    if rights.button("Remove truth", icon=":material/delete:", key="remove-truth"):
        confirm_truth_removal(view)


def add_files(view: facts.DatasetView) -> None:
    if rights.only_looking("Importing"):
        return
    add_images(view)
    if view.images:
        with st.expander("Add truth or masks", icon=":material/stacks:"):
            masks_form(view, key="masks")


def add_images(view: facts.DatasetView) -> None:
    st.caption("Images that are already in the dataset are recognized by their content and skipped.")
    chosen = source_form(key="more")
    if chosen is None:
        return
    decided = draw_import_plan(chosen)
    pressed = st.button(
        f"Add {escaped(chosen.words)}",
        type="primary",
        icon=":material/add_photo_alternate:",
        disabled=decided is None,
        key="more-start",
    )
    if pressed and decided:
        try:
            with resources.database().writing() as session:
                job = submissions.submit_more_images(session, view.id, decided.source)
        except datasets.InUse as error:
            st.error(escaped(str(error)))
            return
        start_import(job.id, view.id, chosen.words)


@st.dialog("Delete this dataset?")
def confirm_deletion(dataset_id: str) -> None:
    with resources.database().reading() as session:
        what = facts.deletion(session, dataset_id)
    if what is None:  # in another tab
        st.rerun()
    if what.busy:
        st.warning(what.busy)
        return
    lines = [count(what.images, "image") + (f", {what.truth:,} with truth" if what.truth else "")]
    lines += [f"mask set {escaped(name)}" for name in what.label_sets]
    lines += [f"run {escaped(name)} with its model" for name in what.runs]
    lines += [count(what.masks, "pseudo-label or predicted mask", "pseudo-label and predicted masks")]
    lines = [f"- {line}" for line in lines if not line.startswith("no ")]
    head = f"**{escaped(what.name)}** is deleted permanently"
    st.markdown("\n".join([f"{head}, together with:", *lines]) if lines else f"{head}. It is empty.")
    st.caption("The files that you imported are not changed.")
    deletion_buttons(lambda: delete(dataset_id), "The dataset is deleted.")


def delete(dataset_id: str) -> None:
    with resources.database().writing() as session:
        gone = datasets.delete_dataset(session, dataset_id)
    resources.remove_files(gone)
    st.query_params.from_dict({})  # clear() refuses while a widget is bound to the URL


def page() -> None:
    chosen = st.query_params.get("dataset")
    with resources.database().reading() as session:
        view = facts.dataset_view(session, chosen, utc_now(), resources.settings().lost_after_s)
    if chosen and view is None:
        st.warning("This dataset does not exist any more.")
    if view is None:
        list_page()
    else:
        detail_page(view)


page()
