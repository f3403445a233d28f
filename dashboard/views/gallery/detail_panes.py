"""The panes of one image: which are shown, or which two are wiped against each other, all of it in the address."""

from __future__ import annotations

import numpy as np
import streamlit as st

from dashboard.facts import urls
from dashboard.facts.scores import REFERENCE_TITLES, Reference, ScoreTable
from dashboard.ui.viewer import WHOLE_UP_TO_PX, Pane, Reading, viewer
from dashboard.views.gallery import facts as gallery
from dashboard.views.gallery.facts import Detail, Source
from dashboard.views.gallery.order import Choice

IMAGE, PREDICTION, PROBABILITY, UNCERTAINTY = "Image", "Prediction", "Probability", "Uncertainty"
ERRORS, LABEL_ERRORS, DISAGREEMENT = "Errors", "Label errors", "Disagreement"
ALL = (IMAGE, *REFERENCE_TITLES.values(), PREDICTION, ERRORS, LABEL_ERRORS, DISAGREEMENT, PROBABILITY, UNCERTAINTY)
TITLES = {
    ERRORS: "Errors of the prediction vs truth",
    LABEL_ERRORS: "Errors of the pseudo-label vs truth",
    DISAGREEMENT: "Prediction against pseudo-label",
}
APART = ("in both", "in the prediction alone", "in the pseudo-label alone")
# Few panes may be tall: they have the width for it.
HEIGHTS_PX = {1: 760, 2: 640, 3: 520}
MANY_PX = 440


def detail_panes(origin: Source, table: ScoreTable, choice: Choice, found: Detail, classes: tuple[str, ...]) -> None:
    """Draw the choice of panes and the panes."""
    names = layer_names(table)
    place = st.container(horizontal=True, vertical_alignment="bottom")
    with place:
        wipe = st.toggle("Wipe between two", key="wipe", bind="query-params", persist_state="session")
        contours = st.toggle(
            "Contours",
            key="contours",
            bind="query-params",
            persist_state="session",
            help="Masks as thin lines: the prediction's just inside its border, the reference's just outside.",
        )
        shown = _choose_two(names) if wipe else _choose_panes(names, table)
    layers = _layers(origin, table, choice, found.image_id, contours)
    ahead = _next_layers(origin, table, choice, found, contours)
    viewer(
        [layers[name] for name in shown],
        key="gallery-viewer",
        threshold=choice.threshold,
        opacity=st.session_state["opacity"],
        wipe=wipe,
        height_px=HEIGHTS_PX.get(1 if wipe else len(shown), MANY_PX),
        readings=_readings(origin, table, found, classes),
        full_px=(found.width, found.height),
        ahead=[ahead[name] for name in shown] if ahead else [],
    )


def layer_names(table: ScoreTable) -> list[str]:
    """Return what can be shown of a run's images. It is the same for all of them, so that no pane comes and goes."""
    both = len(table.references) == 2
    names = [IMAGE, *(REFERENCE_TITLES[reference] for reference in _references(table)), PREDICTION]
    names += [ERRORS] if "truth" in table.references else []
    names += [LABEL_ERRORS] if both else []
    names += [DISAGREEMENT] if "label" in table.references else []
    return [*names, PROBABILITY, *([UNCERTAINTY] if table.has_uncertainty else [])]


def usual_names(table: ScoreTable) -> list[str]:
    """Return the panes shown when nobody has chosen: as many as fill their rows."""
    titles = [REFERENCE_TITLES[reference] for reference in _references(table)]
    if len(titles) == 2:
        return [IMAGE, *titles, PREDICTION, ERRORS, PROBABILITY]
    if titles:
        return [IMAGE, *titles, PREDICTION, ERRORS if "truth" in table.references else DISAGREEMENT]
    return [IMAGE, PREDICTION, PROBABILITY]


def _references(table: ScoreTable) -> list[Reference]:
    return [reference for reference in ("truth", "label") if reference in table.references]


def _choose_panes(names: list[str], table: ScoreTable) -> list[str]:
    chosen = st.pills(
        "Panes",
        names,
        selection_mode="multi",
        default=usual_names(table),
        key="panes",
        bind="query-params",
        persist_state="session",
        label_visibility="collapsed",
        wrap=True,
    )
    return [name for name in names if name in chosen] or [IMAGE]


def _choose_two(names: list[str]) -> list[str]:
    reference = next((title for title in REFERENCE_TITLES.values() if title in names), IMAGE)
    return [
        st.selectbox(
            label,
            names,
            index=names.index(usual),
            key=key,
            bind="query-params",
            persist_state="session",
            width=180,
        )
        for label, key, usual in (("Left", "left", reference), ("Right", "right", PREDICTION))
    ]


def _layers(origin: Source, table: ScoreTable, choice: Choice, image_id: str, contours: bool) -> dict[str, Pane]:
    """Return every pane of an image by its name; one without its reference says so."""
    image = urls.image(origin.dataset_id, image_id)
    mask = urls.prediction(origin.prediction_set_id, image_id)
    row = table.index[image_id]
    has = {name: bool(np.isfinite(table.dice[name][row, 0])) for name in ("truth", "label")}
    truth, label = (gallery.reference_url(origin, name, image_id) if has[name] else None for name in ("truth", "label"))
    over = "outline" if contours else "fill"
    no_truth = "" if has["truth"] else "This image has no truth."
    no_label = "" if has["label"] else "This image has no pseudo-label."
    chosen = {"truth": truth, "label": label}[choice.reference]
    panes = (
        Pane(IMAGE, image, mask, chosen, "outline") if contours else Pane(IMAGE, image),
        Pane("Truth", image, reference=truth, mode=over, note=no_truth),
        Pane("Pseudo-label", image, reference=label, mode=over, note=no_label),
        Pane(PREDICTION, image, mask, mode=over),
        Pane(TITLES[ERRORS], image, mask, truth, "errors", note=no_truth),
        Pane(TITLES[LABEL_ERRORS], image, label, truth, "errors", note=no_truth or no_label),
        Pane(TITLES[DISAGREEMENT], image, mask, label, "errors", APART, note=no_label),
        Pane(PROBABILITY, image, mask, mode="probability"),
        Pane(UNCERTAINTY, image, urls.uncertainty(origin.prediction_set_id, image_id), mode="probability"),
    )
    return dict(zip(ALL, panes, strict=True))


def _next_layers(
    origin: Source, table: ScoreTable, choice: Choice, found: Detail, contours: bool
) -> dict[str, Pane] | None:
    if found.next_id is None or found.width * found.height > WHOLE_UP_TO_PX:
        return None
    return _layers(origin, table, choice, found.next_id, contours)


def _readings(origin: Source, table: ScoreTable, found: Detail, classes: tuple[str, ...]) -> list[Reading]:
    """Return what is told of the pixel under the pointer: everything known of it, whichever panes are shown."""
    image_id, set_id = found.image_id, origin.prediction_set_id
    readings = [Reading(PROBABILITY, urls.prediction(set_id, image_id))]
    if found.uncertainty is not None:
        readings.append(Reading(UNCERTAINTY, urls.uncertainty(set_id, image_id), "share"))
    if found.dice.get("label") is not None:
        readings.append(Reading("Pseudo-label", gallery.reference_url(origin, "label", image_id), "label"))
    if found.dice.get("truth") is not None:
        address, kind = gallery.reference_url(origin, "truth", image_id), "mask"
        if len(classes) > 2:
            kind = "class"
            address = urls.truth(origin.dataset_id, image_id, classes=True, version=origin.truth_version)
        readings.append(Reading("Truth", address, kind, classes))
    return readings
