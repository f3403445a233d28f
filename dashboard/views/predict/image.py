"""One predicted image in detail: its masks side by side or with a wipe, and its scores."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from dashboard.facts import urls, wording
from dashboard.facts.corrections import drawn_classes
from dashboard.facts.reference_maps import Maps, truth_maps
from dashboard.facts.scores import upper_first
from dashboard.server import resources
from dashboard.ui.correct_switch import correct_switch
from dashboard.ui.overlay_choice import overlay_look
from dashboard.ui.pictures import class_legend
from dashboard.ui.viewer import Brush, Pane, viewer
from dashboard.views.predict.facts import SetView
from dashboard.views.predict.mask_facts import Place, Shown

UNCERTAINTY_HELP = "How far the network is from a clear yes or no: the mean of its map, from 0 (sure) to 1."
ALIKE_HELP = "Dice between the masks of the two networks at the same threshold: whether they agree, not who is right."


def image_bar(image: Shown, rival: SetView | None, place: Place) -> bool:
    """Draw the buttons to the grid and to the neighbours; return whether two masks are compared with a wipe."""
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button("Back to the masks", icon=":material/arrow_back:", shortcut="Escape", key="image-back"):
            st.query_params.pop("image", "")
            st.session_state["page"] = place.page
            st.rerun()
        steps = [("Previous", "chevron_left", "P", place.previous_id), ("Next", "chevron_right", "N", place.next_id)]
        for label, icon, key, image_id in steps:
            pressed = st.button(
                label, icon=f":material/{icon}:", shortcut=key, disabled=image_id is None, key=f"image-{label}"
            )
            if pressed and image_id is not None:
                st.query_params["image"] = image_id
                st.rerun()
        st.text(image.name.rpartition("/")[2], width="content")
        st.caption(f"{place.position + 1:,} of {place.total:,}", width="content")
        if rival is None and not image.has_truth:
            return False
        words = "Wipe between the networks" if rival else "Wipe between truth and prediction"
        return st.toggle(words, key="wipe", bind="query-params")


def prediction_image(
    view: SetView,
    rival: SetView | None,
    image: Shown,
    threshold: float,
    opacity: float,
    wipe: bool,
    only_class: int | None = None,
) -> None:
    """Draw one image instead of the grid; `rival` is the set of a second network that has a mask of it."""
    brush = None if rival else _brush(view, image)
    correct = brush is not None and correct_switch("correct")
    if not correct:
        _scores(view, rival, image)
    pixels = urls.image(view.dataset_id, image.id)
    truth, numbers = truth_of(view, image.id) if image.has_truth else (None, None)
    networks = [view, rival] if rival else [view]
    masks = [
        Pane(
            each.run_name if rival else "Prediction",
            pixels,
            mask=urls.prediction(each.id, image.id),
            classes=classes_beside(view, each, image.id),
            class_names=each.classes,
        )
        for each in networks
    ]
    if correct:
        panes = masks
    elif wipe:
        whole = Pane("Truth", pixels, mask=truth, reference_classes=numbers, class_names=view.classes)
        panes = [whole, *masks] if image.has_truth and rival is None else masks
    else:
        panes = [Pane("Image", pixels), *masks]
        if image.has_truth:
            for each, pane in zip(networks, masks, strict=True):
                title = f"Errors vs truth: {pane.title}" if rival else "Errors vs truth"
                levels, classes = truth_of(each, image.id)
                own = predicted_classes(each, image.id) if classes else None
                panes.append(
                    replace(pane, title=title, reference=levels, mode="errors", classes=own, reference_classes=classes)
                )
        elif rival is None:
            panes.append(replace(masks[0], title="Probability", mode="probability"))
        if image.uncertainty is not None and rival is None:
            panes.append(Pane("Uncertainty", pixels, mask=urls.uncertainty(view.id, image.id), mode="probability"))
    if view.classes and not correct:
        classes_legend(view, rival, only_class)
    viewer(
        panes,
        key="prediction-viewer",
        threshold=threshold,
        opacity=opacity,
        wipe=wipe,
        height_px=640 if wipe or correct else 420,
        only_class=only_class,
        class_colours=view.class_colours,
        mask_colour=overlay_look(view.dataset_id).colour,
        brush=brush if correct else None,
    )


def classes_legend(view: SetView, rival: SetView | None, only_class: int | None) -> None:
    """Draw the colours of the classes that are shown, and that of a second network without these."""
    shown = [only_class] if only_class else range(1, len(view.classes))
    undivided = rival is not None and not rival.has_classes_of(view)
    class_legend(view.classes, shown, colours=view.class_colours, undivided=undivided)


def _brush(view: SetView, image: Shown) -> Brush | None:
    """Return what may be drawn; None if the run tells classes apart that the dataset does not have."""
    with resources.database().reading() as session:
        drawn = drawn_classes(session, view.dataset_id)
    return Brush(view.dataset_id, image.id, drawn, view.run_id) if view.classes in ((), drawn.names) else None


def predicted_classes(view: SetView, image_id: str, size: int | None = None) -> str | None:
    """Return the URL of a mask's class numbers; None if the run knows foreground alone."""
    return urls.prediction_classes(view.id, image_id, size) if view.classes else None


def classes_beside(view: SetView, network: SetView, image_id: str, size: int | None = None) -> str | None:
    """Return the URL of a network's class numbers; None if they are not those that `view` has names and colours for."""
    return predicted_classes(network, image_id, size) if network.has_classes_of(view) else None


def truth_of(view: SetView, image_id: str, size: int | None = None) -> Maps:
    """Return the URLs of truth, with the classes of the run where it has them."""
    in_classes, version = view.truth_in_classes, view.truth_version
    return truth_maps(view.dataset_id, image_id, size, run_id=view.run_id, in_classes=in_classes, version=version)


def dice_title(view: SetView) -> str:
    """Return what a Dice of this page is: also where a run tells classes apart it is that of foreground."""
    return "Foreground Dice vs truth" if view.classes else "Dice vs truth"


def _scores(view: SetView, rival: SetView | None, image: Shown) -> None:
    of_run = f" ({wording.escaped(view.run_name)})" if rival else ""
    of_rival = f" ({wording.escaped(rival.run_name)})" if rival else ""
    numbers = [
        (f"{dice_title(view)}{of_run}", image.dice, wording.score, None),
        (f"Dice vs truth{of_rival}", image.rival_dice if rival else None, wording.score, None),
        ("Dice between the two", image.alike, wording.score, ALIKE_HELP),
        (f"Mask covers{of_run}", image.area, "{:.1%}".format, None),
        (f"Uncertainty{of_run}", image.uncertainty, wording.score, UNCERTAINTY_HELP),
    ]
    with st.container(horizontal=True):
        for label, value, text, explanation in numbers:
            if value is not None:
                st.metric(label, text(value), width="content", help=explanation)
        for name, area in zip(view.classes[1:], image.class_areas, strict=False):
            if area:
                st.metric(f"{wording.escaped(upper_first(name))} covers{of_run}", f"{area:.1%}", width="content")
        st.metric("Size", f"{image.width_px} × {image.height_px} px", width="content")
