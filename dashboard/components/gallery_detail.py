"""One image of the gallery: its scores, its masks in panes that zoom as one or wiped, and what made them."""

from __future__ import annotations

import streamlit as st

from dashboard import resources, urls, wording
from dashboard.components.detail_panes import detail_panes
from dashboard.viewmodels.gallery import Arrangement, Choice, Detail, Source
from dashboard.viewmodels.mask_origin import MaskOrigin, mask_origin
from dashboard.viewmodels.scores import SCORE_TITLES, Reference, ScoreTable, upper_first

UNCERTAINTY = "Uncertainty"
UNCERTAINTY_HELP = "How far the network is from a clear yes or no: the mean of the map, from 0 (sure) to 1."


def open_image(image_id: str) -> None:
    """Put an image into the address, so that the next rerun shows it."""
    st.query_params["image"] = image_id


def image_detail(origin: Source, table: ScoreTable, arrangement: Arrangement, choice: Choice, found: Detail) -> None:
    """Draw the image with the ways back and on to its neighbours."""
    with resources.database().reading() as session:
        made = mask_origin(session, origin.prediction_set_id)
    if made is None:
        st.rerun()  # deleted in this moment
    _head(origin, table, arrangement, found)
    _scores(found, choice)
    detail_panes(origin, table, choice, found, made.classes)
    _origin(made, found)


def _head(origin: Source, table: ScoreTable, arrangement: Arrangement, found: Detail) -> None:
    where = f"{found.position + 1:,} of {found.total:,}" if found.position is not None else "Not in this selection"
    # What changes in width from image to image stands last, so that the buttons stay under the mouse.
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button("Back to the gallery", icon=":material/arrow_back:", shortcut="Escape"):
            st.query_params["page"] = str(arrangement.page_of(table.index[found.image_id]))
            st.query_params.pop("image", None)
            st.rerun()
        _step("Previous", ":material/chevron_left:", "P", found.previous_id)
        _step("Next", ":material/chevron_right:", "N", found.next_id)
        st.page_link(
            "views/compare.py",
            label="Open in Compare",
            icon=":material/compare:",
            query_params={"runs": origin.run_id, "image": found.image_id},
            help="The same image in other runs.",
        )
        _downloads(origin, found)
        st.markdown(f":gray[{where}] · {wording.escaped(found.name)}", width="content")


def _step(label: str, icon: str, key: str, image_id: str | None) -> None:
    if st.button(label, icon=icon, shortcut=key, disabled=image_id is None, key=f"gallery-{label}"):
        open_image(image_id)
        st.rerun()


def _downloads(origin: Source, found: Detail) -> None:
    set_id, image_id = origin.prediction_set_id, found.image_id
    with st.popover("Save", icon=":material/download:"):
        st.link_button("Probability, 8 bit (PNG)", urls.prediction(set_id, image_id), width="stretch")
        if found.uncertainty is not None:
            st.link_button("Uncertainty, 8 bit (PNG)", urls.uncertainty(set_id, image_id), width="stretch")
        st.link_button("Image (PNG)", urls.image(origin.dataset_id, image_id), width="stretch")


def _scores(found: Detail, choice: Choice) -> None:
    with st.container(horizontal=True):
        for reference, dice in found.dice.items():
            verdict = None if reference != choice.reference or found.success is None else found.success
            note = "" if verdict is None else " · :green[success]" if verdict else " · :orange[failure]"
            st.metric(upper_first(SCORE_TITLES[reference]) + note, wording.score(dice), width="content")
            st.metric(f"IoU with {in_words(reference)}", wording.score(found.iou[reference]), width="content")
        st.metric("Mask covers", f"{found.area:.1%}", width="content")
        if found.uncertainty is not None:
            st.metric("Uncertainty", wording.score(found.uncertainty), width="content", help=UNCERTAINTY_HELP)


def in_words(reference: Reference) -> str:
    """Return a reference as it stands in a sentence."""
    return {"truth": "truth", "label": "pseudo-label"}[reference]


def _origin(made: MaskOrigin, found: Detail) -> None:
    """Draw what made the mask: the run, how it drew, what taught it, and where the image comes from."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption("Made by", width="content")
        st.page_link(
            "views/runs.py",
            label=wording.escaped(made.run_name),
            icon=":material/monitoring:",
            query_params={"run": made.run_id},
        )
        st.caption(wording.escaped(f"{made.network} · {made.drawing}"), width="content")
        if made.label_set_id:
            st.caption("Learned from", width="content")
            st.page_link(
                "views/labels.py",
                label=wording.escaped(made.label_set_name),
                icon=":material/auto_fix_high:",
                query_params={"dataset": made.dataset_id, "labels": made.label_set_id},
            )
            st.caption(wording.escaped(made.recipe), width="content")
        else:
            st.caption("Learned from truth", width="content")
        st.caption("Image of", width="content")
        st.page_link(
            "views/datasets.py",
            label=wording.escaped(made.dataset_name),
            icon=":material/photo_library:",
            query_params={"dataset": made.dataset_id},
        )
        side = f"{found.split} side of the split" if found.split else "on no side of the split"
        st.caption(f"{found.width} × {found.height} px · {side}", width="content")
