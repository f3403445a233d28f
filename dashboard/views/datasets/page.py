"""Page: import images, view them, define the classes of their truth, and delete them."""

from __future__ import annotations

from typing import Literal

import streamlit as st

from dashboard.access import rights
from dashboard.facts import datasets as facts
from dashboard.facts.jobs import JobView
from dashboard.facts.wording import ago, count, escaped, size
from dashboard.server import resources
from dashboard.ui import pictures, status
from dashboard.ui.confirm import deletion_buttons
from dashboard.ui.file_report import file_report
from dashboard.ui.import_form import source_form
from dashboard.ui.import_plan import draw_import_plan
from dashboard.ui.job_panel import job_panel
from dashboard.ui.new_dataset import PAGE, new_dataset, start_import
from dashboard.ui.paging import first_page
from dashboard.views.datasets.audit_tab import audit_tab
from dashboard.views.datasets.corrections_tab import corrections_tab
from dashboard.views.datasets.image_care import rename_dialog
from dashboard.views.datasets.images_tab import images_tab
from dashboard.views.datasets.leave_out import leave_out_tab
from dashboard.views.datasets.masks_form import masks_form
from dashboard.views.datasets.truth_editor import truth_editor
from dashboard.views.datasets.truth_removal import confirm_truth_removal
from db import datasets, submissions
from db.actors import Role
from db.columns import utc_now
from db.models import Dataset
from engine.store import keys as stored

POLL_S = 2.0
CARD_STYLE = """<style>
[class*="st-key-card-"] {position: relative}
[class*="st-key-open-"] {position: static !important}
[class*="st-key-open-"] button::after {content: ""; position: absolute; inset: 0; z-index: 1; border-radius: 0.5rem}
[class*="st-key-card-"]:has([class*="st-key-open-"] button:hover) {border-color: var(--st-primary-color)}
[class*="st-key-open-"] button:focus-visible {outline: none; box-shadow: none}
[class*="st-key-open-"] button:focus-visible::after {outline: 3px solid var(--st-primary-color); outline-offset: 2px}
[class*="st-key-open-"] button > div {text-align: left}
[class*="st-key-remove-"] {z-index: 2}
</style>"""
"""The button with the name of a dataset covers the whole card, so that a click anywhere on it opens the dataset."""

ADD = "Add images or masks"
NEXT = (
    ("masks", "Make masks", ":material/auto_fix_high:", "views/labels/page.py", "to-labels"),
    ("train", "Train", ":material/model_training:", "views/train/page.py", "to-train"),
)


@st.cache_data(max_entries=500, show_spinner=False)
def stored_bytes(dataset_id: str, fingerprint: str) -> int:
    """Return the size of a dataset on disk; it is computed again when the fingerprint changes."""
    return resources.artifacts().size(stored.dataset_folder(dataset_id))


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
        "Images": images_tab,
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
    parts = [count(view.images, "image"), f"{view.excluded:,} excluded" if view.excluded else ""]
    parts += [f"{view.truth:,} with truth" if view.truth else "no truth"]
    parts += [
        f"{len(view.classes) - 1} classes" if len(view.classes) > 2 else "",
        f"created {ago(view.created_at, utc_now())}",
    ]
    st.caption(" · ".join(part for part in parts if part))
    if view.truth and len(view.classes) < 2:
        st.warning("The truth masks mark no object: every pixel is background. There is nothing to score or train on.")
    with st.container(horizontal=True):
        # Other tabs have a primary button of their own.
        here = st.session_state.get("dataset-tabs", "Images") == "Images"
        for step, label, icon, target, key in NEXT:
            comes_next = here and step == view.next_step
            kind: Literal["primary", "secondary"] = "primary" if comes_next else "secondary"
            if st.button(label, icon=icon, disabled=not view.images, type=kind, key=key):
                st.switch_page(target, query_params={"dataset": view.id})
        if rights.button("Rename", icon=":material/edit:", key="rename"):
            rename_dialog(view)
        if rights.button("Delete", icon=":material/delete:", key="delete"):
            confirm_deletion(view.id)


def truth_tab(view: facts.DatasetView) -> None:
    if not view.truth:
        st.info(
            "This dataset has no truth masks. Methods that make masks do not need any; scores do. You can add some "
            "here, for all images or a few."
        )
        if view.images and not rights.only_looking("Importing"):
            masks_form(view, key="masks")
        return
    if view.truth < view.images and rights.may(Role.EDITOR):
        with st.expander(
            f"Add truth for the other {count(view.images - view.truth, 'image')}", icon=":material/stacks:"
        ):
            masks_form(view, key="masks")
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
            resources.hand_over(decided.source)
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
