"""One image of the gallery: its scores, and its masks side by side or wiped against the reference."""

from __future__ import annotations

import streamlit as st

from dashboard import urls, wording
from dashboard.components.viewer import Pane, viewer
from dashboard.viewmodels import gallery
from dashboard.viewmodels.gallery import Arrangement, Choice, Detail, Source
from dashboard.viewmodels.scores import REFERENCE_TITLES, SCORE_TITLES, Reference, ScoreTable, upper_first

UNCERTAINTY = "Uncertainty"
UNCERTAINTY_HELP = "How far the network is from a clear yes or no: the mean of the map, from 0 (sure) to 1."


def open_image(image_id: str) -> None:
    """Put an image into the address, so that the next rerun shows it."""
    st.query_params["image"] = image_id


def image_detail(origin: Source, table: ScoreTable, arrangement: Arrangement, choice: Choice, found: Detail) -> None:
    """Draw the image with the ways back and on to its neighbours."""
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button("Back to the gallery", icon=":material/arrow_back:", shortcut="Escape"):
            st.query_params["page"] = str(arrangement.page_of(table.index[found.image_id]))
            st.query_params.pop("image", None)
            st.rerun()
        _step("Previous", ":material/chevron_left:", "P", found.previous_id)
        _step("Next", ":material/chevron_right:", "N", found.next_id)
        st.text(found.name, width="content")
        where = f"{found.position + 1:,} of {found.total:,}" if found.position is not None else "Not in this selection"
        st.caption(where, width="content")
        wipe = st.toggle("Wipe reference against prediction", key="wipe", bind="query-params")
    _scores(found, choice)
    _panes(origin, choice, found, wipe)


def _step(label: str, icon: str, key: str, image_id: str | None) -> None:
    if st.button(label, icon=icon, shortcut=key, disabled=image_id is None, key=f"gallery-{label}"):
        open_image(image_id)
        st.rerun()


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
        st.metric("Size", f"{found.width} × {found.height} px", width="content")
        st.metric("Split", found.split, width="content")


def in_words(reference: Reference) -> str:
    """Return a reference as it stands in a sentence."""
    return {"truth": "truth", "label": "pseudo-label"}[reference]


def _panes(origin: Source, choice: Choice, found: Detail, wipe: bool) -> None:
    image = urls.image(origin.dataset_id, found.image_id)
    mask = urls.prediction(origin.prediction_set_id, found.image_id)
    scored = found.dice.get(choice.reference) is not None
    reference = gallery.reference_url(origin, choice.reference, found.image_id) if scored else None
    title = REFERENCE_TITLES[choice.reference]
    panes = {
        "Image": Pane("Image", image),
        title: Pane(title, image, reference=reference, mode="fill"),
        "Prediction": Pane("Prediction", image, mask=mask, mode="fill"),
        "Errors": Pane(f"Errors vs {in_words(choice.reference)}", image, mask, reference, "errors"),
        "Probability": Pane("Probability", image, mask=mask, mode="probability"),
    }
    if found.uncertainty is not None:
        unsure = urls.uncertainty(origin.prediction_set_id, found.image_id)
        panes[UNCERTAINTY] = Pane(UNCERTAINTY, image, mask=unsure, mode="probability")
    if not scored:
        del panes[title], panes["Errors"]
    shown = [panes[title], panes["Prediction"]] if wipe and scored else list(panes.values())
    viewer(
        shown,
        key="gallery-viewer",
        threshold=choice.threshold,
        opacity=st.session_state["opacity"],
        wipe=wipe and scored,
        height_px=640 if wipe else 420,
    )
