"""One image of the gallery: its scores, its masks in linked panes or with a wipe, and what produced them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from html import escape

import numpy as np
import streamlit as st

from dashboard.facts import urls, wording
from dashboard.facts.correction_queue import Place, words
from dashboard.facts.corrections import drawn_classes
from dashboard.facts.reference_maps import Maps
from dashboard.facts.scores import REFERENCE_TITLES, Reference, ScoreTable, upper_first
from dashboard.server import resources
from dashboard.ui.correct_switch import correct_switch
from dashboard.ui.correction_progress import correction_progress
from dashboard.ui.mask_grid import Mode
from dashboard.ui.pictures import class_legend
from dashboard.ui.viewer import WHOLE_UP_TO_PX, Brush, Pane, Reading, viewer
from dashboard.views.gallery.facts import Detail, MaskOrigin, Source, classes_url, mask_origin, reference_maps
from dashboard.views.gallery.order import Arrangement, Choice
from dashboard.views.gallery.queue import close_image, place_in_address
from dashboard.views.gallery.suspicion import SIGNAL_TITLES

IMAGE, PREDICTION, PROBABILITY, UNCERTAINTY = "Image", "Prediction", "Probability", "Uncertainty"
ERRORS, LABEL_ERRORS, DISAGREEMENT = "Errors", "Label errors", "Disagreement"
ALL = (IMAGE, *REFERENCE_TITLES.values(), PREDICTION, ERRORS, LABEL_ERRORS, DISAGREEMENT, PROBABILITY, UNCERTAINTY)
TITLES = {
    ERRORS: "Errors of the prediction vs truth",
    LABEL_ERRORS: "Errors of the pseudo-label vs truth",
    DISAGREEMENT: "Prediction against pseudo-label",
}
DISAGREEMENT_WORDS = ("in both", "in the prediction only", "in the pseudo-label only")
# Few panes may be tall, because they are wide.
HEIGHTS_PX = {1: 760, 2: 640, 3: 520}
MANY_PX, LEAD_PX = 440, 640
REFERENCE_WORDS: dict[Reference, str] = {"truth": "truth", "label": "pseudo-label"}
UNCERTAINTY_HELP = "Mean uncertainty of the pixels, from 0 (certain) to 1."
STABILITY_HELP = "Dice between the masks of the image and of the flipped image. It needs no truth."
SUSPICION_HELP = "Rank of the image among all of the run, 100 % being the most suspicious, averaged over: {}."


def open_image(image_id: str) -> None:
    """Put an image into the URL, so that the next rerun shows it."""
    st.query_params["image"] = image_id


def chosen_classes(source: Source, choice: Choice) -> None:
    """Draw the legend of the classes that are shown, if the run tells several apart."""
    if source.classes:
        shown = [choice.class_index] if choice.class_index else range(1, len(source.classes))
        class_legend(source.classes, shown, colours=source.class_colours)


def image_detail(source: Source, table: ScoreTable, arrangement: Arrangement, choice: Choice, image: Detail) -> None:
    """Draw the image with buttons to its neighbours and back."""
    with resources.database().reading() as session:
        origin = mask_origin(session, source.prediction_set_id)
    if origin is None:
        st.rerun()  # deleted in the meantime
    place = place_in_address(source, image.image_id)
    if place is not None:
        image = replace(image, previous_id=place.before, next_id=place.after)
    if _head(source, table, arrangement, choice, image, place):
        _editor(source, choice, image, origin.classes, place)
        return
    detail_panes(source, table, choice, image, origin.classes)
    _scores(source, image, choice)
    if image.classes:
        _class_scores(image)
    _origin(source, origin, image)


def _head(
    source: Source, table: ScoreTable, arrangement: Arrangement, choice: Choice, image: Detail, place: Place | None
) -> bool:
    """Draw the buttons; return whether the image is to be corrected."""
    where = f"{image.position + 1:,} of {image.total:,}" if image.position is not None else "Not in this selection"
    if place is not None:
        where = upper_first(words(place))
    # The text whose width changes from image to image comes last, so that the buttons stay under the pointer.
    short, style = image.name.rpartition("/")[2], "font-size:1.1rem;font-weight:600;margin:0;padding:0"
    st.html(f'<h1 style="{style}" title="{escape(image.name)}">{escape(short)}</h1>')
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button("Back to the gallery", icon=":material/arrow_back:", shortcut="Escape"):
            st.query_params["page"] = str(arrangement.page_of(table.index[image.image_id]))
            close_image()
            st.rerun()
        _step("Previous", ":material/chevron_left:", "P", image.previous_id)
        _step("Next", ":material/chevron_right:", "N", image.next_id)
        st.page_link(
            "views/compare/page.py",
            label="Open in Compare",
            icon=":material/compare:",
            query_params={"runs": source.run_id, "image": image.image_id},
            help="The same image in other runs.",
        )
        set_id, image_id = source.prediction_set_id, image.image_id
        with st.popover("Save", icon=":material/download:"):
            st.link_button("Probability, 8 bit (PNG)", urls.prediction(set_id, image_id), width="stretch")
            if numbers := classes_url(source, image_id):
                st.link_button("Most likely class, 8 bit (PNG)", numbers, width="stretch")
            if image.uncertainty is not None:
                st.link_button("Uncertainty, 8 bit (PNG)", urls.uncertainty(set_id, image_id), width="stretch")
            st.link_button("Image (PNG)", urls.image(source.dataset_id, image_id), width="stretch")
        correct = correct_switch("correct", usual=place is not None)
        score = ""
        if image.score is not None:
            at = "0.50" if choice.by_class else f"{choice.threshold:.2f}"
            score = f" · {wording.escaped(choice.score_title)} **{wording.score(image.score)}** at threshold {at}"
        st.markdown(f":gray[{where}]{score}", width="content")
    return correct


def _editor(source: Source, choice: Choice, image: Detail, classes: tuple[str, ...], place: Place | None) -> None:
    """Draw the image with its mask, to draw on."""
    with resources.database().reading() as session:
        drawn = drawn_classes(session, source.dataset_id)

    def pane(image_id: str) -> Pane:
        mask, numbers = urls.prediction(source.prediction_set_id, image_id), classes_url(source, image_id)
        return Pane(PREDICTION, urls.image(source.dataset_id, image_id), mask, classes=numbers)

    viewer(
        [pane(image.image_id)],
        key="gallery-viewer",
        threshold=choice.threshold,
        opacity=st.session_state["opacity"],
        height_px=HEIGHTS_PX[1],
        readings=_readings(source, image, classes),
        ahead=[pane(image.next_id)] if image.next_id is not None else [],
        class_colours=source.class_colours,
        brush=Brush(
            source.dataset_id,
            image.image_id,
            drawn,
            source.run_id,
            place=place.suggestion.place if place and place.suggestion else None,
        ),
    )
    with st.expander("Does it still learn?", icon=":material/trending_up:"):
        correction_progress(source.dataset_id, key="correction-progress")


def _step(label: str, icon: str, key: str, image_id: str | None) -> None:
    pressed = st.button(label, icon=icon, shortcut=key, disabled=image_id is None, key=f"step-{label.lower()}-gallery")
    if pressed and image_id is not None:
        open_image(image_id)
        st.rerun()


def _scores(source: Source, image: Detail, choice: Choice) -> None:
    note = "" if image.success is None else " · :green[success]" if image.success else " · :orange[failure]"
    with st.container(horizontal=True, gap="medium"):
        if choice.by_class:
            _metric(
                wording.escaped(upper_first(choice.score_title)) + note, wording.score(image.score), "At threshold 0.50"
            )
        for reference, dice in image.dice.items():
            title = choice.foreground_title(reference)
            if reference == choice.reference and not choice.by_class:
                title += note
            iou = f"IoU with {REFERENCE_WORDS[reference]} {wording.score(image.iou[reference])}"
            below = " · ".join(filter(None, (iou, source.weights)))
            _metric(upper_first(title), wording.score(dice), below)
        if image.teacher_dice is not None:
            _metric("Pseudo-label's Dice vs truth", wording.score(image.teacher_dice), _lead_in_words(image.lead))
        _metric("Mask covers", f"{image.area:.1%}")
        if image.uncertainty is not None:
            _metric(UNCERTAINTY, wording.score(image.uncertainty), help=UNCERTAINTY_HELP)
        if image.flip_agreement is not None:
            _metric("Stable when flipped", wording.score(image.flip_agreement), help=STABILITY_HELP)
        if image.suspicion is not None:
            signals = ", ".join(SIGNAL_TITLES[signal] for signal in image.signals)
            _metric("Suspicion", f"{image.suspicion:.0%}", help=SUSPICION_HELP.format(signals))


def _class_scores(image: Detail) -> None:
    st.caption("Scores of each class vs truth, at threshold 0.50; none where neither truth nor mask has it.")
    columns = {"Class": "name", "Dice vs truth": "dice", "IoU vs truth": "iou"}
    rows = [{title: getattr(each, part) for title, part in columns.items()} for each in image.classes]
    number = st.column_config.NumberColumn(format="%.3f")
    st.dataframe(rows, hide_index=True, width="content", column_config=dict.fromkeys(list(columns)[1:], number))


def _metric(title: str, value: str, below: str = "", help: str | None = None) -> None:
    st.metric(title, value, below or None, delta_color="off", delta_arrow="off", help=help, width="content")


def _lead_in_words(lead: float | None) -> str:
    """Return whether the prediction or the pseudo-label is nearer to truth, and by how much."""
    if lead is None:
        return ""
    if lead == 0:
        return "Both are equally good"
    return f"The {'prediction' if lead > 0 else 'pseudo-label'} is better by {abs(lead):.3f}"


def _origin(source: Source, origin: MaskOrigin, image: Detail) -> None:
    """Draw what produced the mask: the run, how it predicted, what it was trained on, and the image's dataset."""

    def link(title: str, page: str, name: str, icon: str, query: dict[str, str], after: str) -> None:
        st.caption(title, width="content")
        st.page_link(f"views/{page}/page.py", label=wording.escaped(name), icon=icon, query_params=query)
        st.caption(wording.escaped(after), width="content")

    split = f"{image.split} side of the split" if image.split else "on no side of the split"
    size = f"{image.width} × {image.height} px · {split}"
    dataset = {"dataset": source.dataset_id}
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        prediction = f"{origin.network} · {origin.prediction}"
        link("Predicted by", "runs", source.run_name, ":material/monitoring:", {"run": source.run_id}, prediction)
        if source.label_set_id:
            query = dataset | {"labels": source.label_set_id}
            link("Trained on", "labels", source.label_set_name, ":material/auto_fix_high:", query, origin.recipe)
        else:
            st.caption("Trained on truth", width="content")
        link("Image of", "datasets", source.dataset_name, ":material/photo_library:", dataset, size)


def detail_panes(source: Source, table: ScoreTable, choice: Choice, image: Detail, classes: tuple[str, ...]) -> None:
    """Draw the panes, one of them large, and below them the choice of others; the URL stores it."""
    names = pane_names(table)
    place = st.container()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        beside = st.toggle("Side by side", key="beside", bind="query-params", persist_state="session")
        wipe = st.toggle("Wipe between two", key="wipe", bind="query-params", persist_state="session")
        contours = st.toggle(
            "Contours",
            key="contours",
            bind="query-params",
            persist_state="session",
            help="Masks as thin lines: the prediction's just inside its border, the reference's just outside.",
        )
        shown = _choose_two(names) if wipe else _choose_panes(names, table)
    panes = _panes(source, table, choice, image.image_id, contours)
    ahead: dict[str, Pane] = {}
    if image.next_id is not None and image.width * image.height <= WHOLE_UP_TO_PX:
        ahead = _panes(source, table, choice, image.next_id, contours)
    led = "" if wipe or beside else panes[first_name(shown, choice.reference)].title
    with place:
        viewer(
            [panes[name] for name in shown],
            key="gallery-viewer",
            threshold=choice.threshold,
            opacity=st.session_state["opacity"],
            wipe=wipe,
            height_px=LEAD_PX if led else HEIGHTS_PX.get(1 if wipe else len(shown), MANY_PX),
            readings=_readings(source, image, classes),
            full_px=(image.width, image.height),
            ahead=[ahead[name] for name in shown] if ahead else [],
            only_class=choice.class_index or None,
            class_colours=source.class_colours,
            lead=led,
            moves_threshold=True,
        )
        chosen_classes(source, choice)


def pane_names(table: ScoreTable) -> list[str]:
    """Return the available panes, the same for all images of a run, so that none appears or disappears."""
    truth, label = ("truth" in table.references), ("label" in table.references)
    available = {
        REFERENCE_TITLES["truth"]: truth,
        REFERENCE_TITLES["label"]: label,
        ERRORS: truth,
        LABEL_ERRORS: truth and label,
        DISAGREEMENT: label,
        UNCERTAINTY: table.has_uncertainty,
    }
    return [name for name in ALL if available.get(name, True)]


def first_name(shown: Sequence[str], reference: Reference) -> str:
    """Return the pane that is large at first: where the prediction is wrong, or else the prediction."""
    wanted = (ERRORS if reference == "truth" else DISAGREEMENT, PREDICTION)
    return next((name for name in wanted if name in shown), shown[0])


def default_names(table: ScoreTable) -> list[str]:
    """Return the panes shown by default: as many as fill their rows."""
    titles = [REFERENCE_TITLES[reference] for reference in REFERENCE_TITLES if reference in table.references]
    if len(titles) == 2:
        return [IMAGE, *titles, PREDICTION, ERRORS, PROBABILITY]
    if titles:
        return [IMAGE, *titles, PREDICTION, ERRORS if "truth" in table.references else DISAGREEMENT]
    return [IMAGE, PREDICTION, PROBABILITY]


def _choose_panes(names: list[str], table: ScoreTable) -> list[str]:
    chosen = st.pills(
        "Panes",
        names,
        selection_mode="multi",
        default=default_names(table),
        key="panes",
        bind="query-params",
        persist_state="session",
        label_visibility="collapsed",
        wrap=True,
    )
    return [name for name in names if name in chosen] or [IMAGE]


def _choose_two(names: list[str]) -> list[str]:
    def choose(label: str, default: str) -> str:
        index, key = names.index(default), label.lower()
        return st.selectbox(label, names, index=index, key=key, bind="query-params", persist_state="session", width=180)

    reference = next((title for title in REFERENCE_TITLES.values() if title in names), IMAGE)
    return [choose("Left", reference), choose("Right", PREDICTION)]


def _panes(source: Source, table: ScoreTable, choice: Choice, image_id: str, contours: bool) -> dict[str, Pane]:
    """Return every pane of an image by its name; one without its reference has a note instead."""
    image = urls.image(source.dataset_id, image_id)
    mask = urls.prediction(source.prediction_set_id, image_id)
    row = table.index[image_id]
    references: dict[Reference, Maps] = {
        reference: reference_maps(source, reference, image_id) if np.isfinite(dice[row, 0]) else Maps(None)
        for reference, dice in table.dice.items()
    }
    truth, label = references["truth"], references["label"]
    predicted = Maps(mask, classes_url(source, image_id))
    over: Mode = "outline" if contours else "fill"
    no_truth = "" if any(truth) else "This image has no truth."
    no_label = "" if label.levels else "This image has no pseudo-label."
    # Labels of foreground alone are compared with truth as foreground, and the other way round
    foreground = Maps(urls.truth(source.dataset_id, image_id, version=source.truth_version)) if any(truth) else truth
    by_class = label.classes is not None and truth.classes is not None
    taught, actual = (label, truth) if by_class else (Maps(label.levels), foreground)
    drawn = references[choice.reference] if contours else Maps(None)

    def pane(title: str, mask: Maps, reference: Maps, mode: Mode, note: str = "") -> Pane:
        words = DISAGREEMENT_WORDS if title == TITLES[DISAGREEMENT] else None
        return Pane(title, image, mask[0], reference[0], mode, words, note, mask[1], reference[1])

    panes: Sequence[Pane] = (
        pane(IMAGE, predicted, drawn, "outline") if contours else Pane(IMAGE, image),
        pane("Truth", Maps(None), truth, over, no_truth),
        pane("Pseudo-label", Maps(None), label, over, no_label),
        pane(PREDICTION, predicted, Maps(None), over),
        pane(TITLES[ERRORS], predicted if truth.classes else Maps(mask), truth, "errors", no_truth),
        pane(TITLES[LABEL_ERRORS], taught, actual, "errors", no_truth or no_label),
        pane(TITLES[DISAGREEMENT], predicted if label.classes else Maps(mask), label, "errors", no_label),
        Pane(PROBABILITY, image, mask, mode="probability"),
        Pane(UNCERTAINTY, image, urls.uncertainty(source.prediction_set_id, image_id), mode="probability"),
    )
    return dict(zip(ALL, panes, strict=True))


def _readings(source: Source, image: Detail, classes: tuple[str, ...]) -> list[Reading]:
    """Return what the viewer shows of the pixel under the pointer, independent of the panes."""
    image_id, set_id = image.image_id, source.prediction_set_id
    mask = urls.prediction(set_id, image_id)
    readings = [Reading(PROBABILITY, mask)]
    if numbers := classes_url(source, image_id):
        readings.append(Reading(PREDICTION, numbers, "class", source.classes, mask))
    if image.uncertainty is not None:
        readings.append(Reading(UNCERTAINTY, urls.uncertainty(set_id, image_id), "share"))
    if image.dice.get("label") is not None:
        levels, numbers = reference_maps(source, "label", image_id)
        readings.append(Reading("Pseudo-label", levels or "", "label"))
        if numbers:
            readings.append(Reading("Pseudo-label, class", numbers, "class", source.classes))
    if image.dice.get("truth") is not None:
        levels, numbers = reference_maps(source, "truth", image_id)
        if numbers:
            readings.append(Reading("Truth", numbers, "class", source.classes))
        elif len(classes) > 2:
            address = urls.truth(source.dataset_id, image_id, classes=True, version=source.truth_version)
            readings.append(Reading("Truth", address, "class", classes))
        else:
            readings.append(Reading("Truth", levels or "", "mask", classes))
    return readings
