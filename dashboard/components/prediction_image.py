"""One predicted image, looked at closely: its masks in step, its scores, and the way on to its neighbours."""

from __future__ import annotations

import streamlit as st

from dashboard import urls, wording
from dashboard.components.viewer import Pane, viewer
from dashboard.viewmodels.predict import Rival, SetView
from dashboard.viewmodels.predicted import Shown

UNCERTAINTY_HELP = "How far the network is from a clear yes or no: the mean of its map, from 0 (sure) to 1."
ALIKE_HELP = "Dice between the masks of the two networks, at the same threshold. It says who agrees, not who is right."


def prediction_image(
    view: SetView,
    rival: Rival | None,
    image: Shown,
    *,
    position: int,
    neighbours: tuple[str | None, str | None],
    page: int,
    threshold: float,
    opacity: float,
) -> None:
    """Draw one image.

    Args:
        position: where it stands in the chosen order, from 0.
        neighbours: ids of the images before and after it in that order.
        page: the page of the grid that shows it, to go back to.
    """
    rival = rival if image.rival_has_mask else None
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button("Back to the masks", icon=":material/arrow_back:", shortcut="Escape", key="image-back"):
            st.query_params.pop("image", None)
            st.session_state["page"] = page
            st.rerun()
        _step("Previous", ":material/chevron_left:", "P", neighbours[0])
        _step("Next", ":material/chevron_right:", "N", neighbours[1])
        st.text(image.name, width="content")
        st.caption(f"{position + 1:,} of {view.predicted:,}", width="content")
        layers = _layers(view, rival, image)
        wipe = len(layers) == 2 and st.toggle("Wipe between them", key="wipe", bind="query-params")
    _scores(view, rival, image)
    viewer(
        layers if wipe else _panes(view, rival, image),
        key="prediction-viewer",
        threshold=threshold,
        opacity=opacity,
        wipe=wipe,
        height_px=640 if wipe else 420,
    )


def _step(label: str, icon: str, key: str, image_id: str | None) -> None:
    if st.button(label, icon=icon, shortcut=key, disabled=image_id is None, key=f"image-{label}"):
        st.query_params["image"] = image_id
        st.rerun()


def _scores(view: SetView, rival: Rival | None, image: Shown) -> None:
    of_run = f" of {wording.escaped(view.run_name)}" if rival else ""
    with st.container(horizontal=True):
        if image.dice is not None:
            st.metric(f"Dice vs truth{of_run}", wording.score(image.dice), width="content")
        if rival is not None and image.rival_dice is not None:
            st.metric(
                f"Dice vs truth of {wording.escaped(rival.name)}", wording.score(image.rival_dice), width="content"
            )
        if image.alike is not None:
            st.metric("Dice between the two", wording.score(image.alike), width="content", help=ALIKE_HELP)
        if image.area is not None:
            st.metric(f"Mask covers{of_run}", f"{image.area:.1%}", width="content")
        if image.uncertainty is not None:
            st.metric(f"Uncertainty{of_run}", wording.score(image.uncertainty), width="content", help=UNCERTAINTY_HELP)
        st.metric("Size", f"{image.width_px} × {image.height_px} px", width="content")


def _networks(view: SetView, rival: Rival | None, image: Shown) -> list[Pane]:
    """Return the mask of each network."""
    picture = urls.image(view.dataset_id, image.id)
    own = Pane(view.run_name if rival else "Prediction", picture, mask=urls.prediction(view.id, image.id))
    return [own] + ([Pane(rival.name, picture, mask=urls.prediction(rival.set_id, image.id))] if rival else [])


def _layers(view: SetView, rival: Rival | None, image: Shown) -> list[Pane]:
    """Return the two pictures that a wipe is between: both networks, or truth and the only one; else fewer."""
    networks = _networks(view, rival, image)
    if rival is None and image.has_truth:
        return [Pane("Truth", networks[0].image, mask=_truth(view, image)), *networks]
    return networks


def _panes(view: SetView, rival: Rival | None, image: Shown) -> list[Pane]:
    picture, mask = urls.image(view.dataset_id, image.id), urls.prediction(view.id, image.id)
    panes = [Pane("Image", picture), *_networks(view, rival, image)]
    if image.has_truth:
        truth = _truth(view, image)
        by_name = {"Errors vs truth": mask}
        if rival is not None:
            by_name = {
                f"Errors vs truth: {view.run_name}": mask,
                f"Errors vs truth: {rival.name}": urls.prediction(rival.set_id, image.id),
            }
        panes += [Pane(title, picture, mask=each, reference=truth, mode="errors") for title, each in by_name.items()]
    elif rival is None:
        panes.append(Pane("Probability", picture, mask=mask, mode="probability"))
    if image.uncertainty is not None and rival is None:
        panes.append(Pane("Uncertainty", picture, mask=urls.uncertainty(view.id, image.id), mode="probability"))
    return panes


def _truth(view: SetView, image: Shown) -> str:
    return urls.truth(view.dataset_id, image.id, version=view.truth_version)
