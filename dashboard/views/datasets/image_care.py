"""Excluding and removing images of a dataset, and renaming the dataset."""

from __future__ import annotations

from collections.abc import Collection

import streamlit as st

from dashboard.access import rights
from dashboard.facts.datasets import DatasetView
from dashboard.facts.wording import count, escaped
from dashboard.server import resources
from dashboard.ui.confirm import deletion_buttons
from db import image_care
from db.actors import Role
from db.datasets import InUse
from db.models import Dataset
from db.names import NameTaken, problem
from engine.datasets.removal import delete_files

EXCLUDING = (
    "Mask sets, trainings, predictions and audits that begin from now on do without excluded images. What was "
    "computed before stays as it is. They can be included again at any time."
)


def picked_images(view: DatasetView) -> set[str]:
    """Return the ids of the images that are picked; a click on a tile picks one while `picking` is on."""
    picked: set[str] = st.session_state.setdefault(f"picked-{view.id}", set())
    return picked


def picking(view: DatasetView) -> bool:
    """Draw the switch; return whether clicks pick images instead of opening them."""
    return rights.may(Role.EDITOR) and st.toggle("Select images", key=f"picking-{view.id}")


def pick(view: DatasetView, image_id: str) -> None:
    """Pick an image, or no longer, and rerun the page."""
    picked_images(view).symmetric_difference_update({image_id})
    st.rerun()


def picked_bar(view: DatasetView, on_page: Collection[str]) -> None:
    """Draw what can be done with the picked images; `on_page` are the ids of all that are shown."""
    picked = picked_images(view)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f"**{len(picked):,} selected**", width="content")
        if st.button("Select this page", key="pick-page", disabled=picked >= set(on_page)):
            picked.update(on_page)
            st.rerun()
        if st.button("Clear", key="pick-none", disabled=not picked):
            picked.clear()
            st.rerun()
        if st.button("Exclude", icon=":material/block:", key="pick-exclude", disabled=not picked, help=EXCLUDING):
            exclude(view, picked, True)
        if view.excluded and st.button("Include", icon=":material/undo:", key="pick-include", disabled=not picked):
            exclude(view, picked, False)
        if st.button("Remove", icon=":material/delete:", key="pick-remove", disabled=not picked):
            confirm_removal(view, picked)


def exclude(view: DatasetView, image_ids: Collection[str], excluded: bool) -> None:
    """Exclude images or include them again, and rerun the page."""
    try:
        with resources.database().writing() as session:
            changed = image_care.exclude_images(session, view.id, image_ids, excluded)
    except InUse as error:
        st.error(escaped(str(error)), icon=":material/error:")
        return
    word = "excluded" if excluded else "included again"
    st.toast(f"{count(changed, 'image').capitalize()} {word}.")
    picked_images(view).clear()
    st.rerun()


@st.dialog("Remove images?", icon=":material/delete:")
def confirm_removal(view: DatasetView, image_ids: Collection[str]) -> None:
    """Draw the dialog."""
    ids = tuple(image_ids)
    with resources.database().reading() as session:
        what = image_care.belongings(session, view.id, ids)
    lines = [
        count(what.truth, "truth mask"),
        f"the corrections of {count(what.corrections, 'image')}" if what.corrections else "no corrections",
        count(what.labels, "mask of mask sets", "masks of mask sets"),
        count(what.predictions, "predicted mask"),
    ]
    lines = [f"- {line}" for line in lines if not line.startswith("no ")]
    head = f"**{count(what.images, 'image').capitalize()}** of *{escaped(view.name)}* are deleted permanently"
    st.markdown("\n".join([f"{head}, together with:", *lines]) if lines else f"{head}.")
    st.caption(
        "The files that you imported are not changed. Trained models stay as they are. To keep the images "
        "but not use them, exclude them instead."
    )
    deletion_buttons(lambda: _remove(view, ids), "The images are removed.", keep="Keep them")


def _remove(view: DatasetView, image_ids: Collection[str]) -> None:
    with resources.database().writing() as session:
        removed = image_care.remove_images(session, view.id, image_ids)
    delete_files(resources.artifacts(), removed)
    picked_images(view).clear()


@st.dialog("Rename this dataset")
def rename_dialog(view: DatasetView) -> None:
    """Draw the dialog."""
    name = st.text_input("Name", view.name, max_chars=200, key=f"rename-{view.id}")
    reason = ""
    if name.strip() != view.name:
        with resources.database().reading() as session:
            reason = problem(session, Dataset, name)
    if reason:
        st.error(escaped(reason))
    if not st.button("Rename", type="primary", disabled=bool(reason), key="rename-go") or reason:
        return
    try:
        with resources.database().writing() as session:
            image_care.rename_dataset(session, view.id, name)
    except NameTaken as error:  # by somebody else, meanwhile
        st.error(escaped(str(error)))
        return
    st.rerun()
