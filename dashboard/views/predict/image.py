"""One predicted image, looked at closely: its masks in step, its scores, and the way on to its neighbours."""

from __future__ import annotations

import streamlit as st

from dashboard.facts import urls, wording
from dashboard.ui.viewer import Pane, viewer
from dashboard.views.predict.facts import Rival, SetView
from dashboard.views.predict.mask_facts import Place, Shown

UNCERTAINTY_HELP = "How far the network is from a clear yes or no: the mean of its map, from 0 (sure) to 1."
ALIKE_HELP = "Dice between the masks of the two networks, at the same threshold. It says who agrees, not who is right."


def image_bar(image: Shown, rival: Rival | None, place: Place) -> bool:
    """Draw the ways back and on to the neighbours; return whether two pictures are wiped against each other."""
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button("Back to the masks", icon=":material/arrow_back:", shortcut="Escape", key="image-back"):
            st.query_params.pop("image", None)
            st.session_state["page"] = place.page
            st.rerun()
        _step("Previous", ":material/chevron_left:", "P", place.previous_id)
        _step("Next", ":material/chevron_right:", "N", place.next_id)
        st.text(image.name, width="content")
        st.caption(f"{place.position + 1:,} of {place.total:,}", width="content")
        if rival is None and not image.has_truth:
            return False
        words = "Wipe the networks against each other" if rival else "Wipe truth against prediction"
        return st.toggle(words, key="wipe", bind="query-params")


def prediction_image(
    view: SetView, rival: Rival | None, image: Shown, threshold: float, opacity: float, wipe: bool
) -> None:
    """Draw one image in place of the grid; `rival` is a second network that has a mask of it."""
    _scores(view, rival, image)
    viewer(
        _layers(view, rival, image) if wipe else _panes(view, rival, image),
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
    of_run = f" ({wording.escaped(view.run_name)})" if rival else ""
    with st.container(horizontal=True):
        if image.dice is not None:
            st.metric(f"Dice vs truth{of_run}", wording.score(image.dice), width="content")
        if rival is not None and image.rival_dice is not None:
            st.metric(
                f"Dice vs truth ({wording.escaped(rival.name)})", wording.score(image.rival_dice), width="content"
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
