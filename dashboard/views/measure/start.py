"""The start of the Measure page: choose masks, say what an object is, see it on one image, measure all."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import streamlit as st

from dashboard.access import rights
from dashboard.facts import wording
from dashboard.server import resources
from dashboard.ui import status
from dashboard.ui.confirm import deletion_buttons
from dashboard.ui.form import params_form
from dashboard.ui.paging import first_page, page_numbers
from dashboard.views.measure import facts
from dashboard.views.measure.facts import Masks, MeasurementView
from dashboard.views.measure.object_picture import object_picture
from dashboard.views.measure.tables import image_names, mask_of
from db import measuring
from db.columns import utc_now
from db.submissions import NotReady
from engine.imaging.codec import UnreadableImage
from engine.measuring.measurements import Scale
from engine.measuring.objects import ObjectParams
from engine.measuring.stored_masks import file_scale
from engine.measuring.table import MOST_IN_LABEL_MAP, CannotMeasure, objects_of, parse_scale
from engine.store.base import MissingFile

PAGE = "views/measure/page.py"
FIRST = ("split", "least_area_px")
PER_PAGE = 20
LIKE = "like"
"""In the address, the measurement whose settings the form begins with."""


@dataclass(frozen=True)
class _Settings:
    """What counts as an object, and the size of a pixel as it was typed; `scale` is None where the files decide."""

    params: ObjectParams
    pixel_size: str
    scale: Scale | None


def start() -> None:
    st.title("Measure")
    st.caption("Count the objects of masks, measure them, and download the tables.")
    masks = _choose_masks()
    if masks is not None:
        controls, preview = st.columns([2, 3], gap="large")
        with controls:
            place = st.container()
            settings = _settings(masks)
            with place:
                _measure(masks, settings)
        with preview:
            _preview(masks, settings)
    _earlier()


def _choose_masks() -> Masks | None:
    with resources.database().reading() as session:
        datasets = facts.dataset_choices(session)
        dataset_id, key = facts.wanted(session, st.query_params)
    if not datasets:
        status.empty_state(
            "No images yet", "Import images first, then compute their masks.", button="Import images",
            page="views/datasets/page.py",
        )  # fmt: skip
        return None
    if dataset_id in datasets and st.session_state.get("measure-address") != (dataset_id, key):
        st.session_state["measure-dataset"] = dataset_id
    _start_anew_without("measure-dataset", datasets, "The dataset was")
    left, right = st.columns(2)
    chosen = left.selectbox(
        "Dataset", list(datasets), format_func=lambda id_: datasets.get(id_, "deleted"), key="measure-dataset"
    )
    with resources.database().reading() as session:
        found = {masks.key: masks for masks in facts.mask_choices(session, chosen)}
    if not found:
        status.empty_state(
            "This dataset has no masks yet", "Compute masks of its images, or import them.", button="Compute masks",
            page="views/labels/page.py",
        )  # fmt: skip
        return None
    if key in found and st.session_state.get("measure-address") != (dataset_id, key):
        st.session_state[f"measure-masks-{chosen}"] = key
    _start_anew_without(f"measure-masks-{chosen}", found, "The masks were")
    masks = right.selectbox(
        "Masks",
        list(found),
        format_func=lambda each: f"{found[each].title} ({wording.count(found[each].images, 'image')})",
        key=f"measure-masks-{chosen}",
    )
    st.session_state["measure-address"] = (chosen, masks)
    if (dataset_id, key) != (chosen, masks):
        like = {LIKE: st.query_params[LIKE]} if LIKE in st.query_params else {}
        st.query_params.from_dict({"dataset": chosen, "masks": masks} | like)
    return found[masks]


def _start_anew_without(key: str, choices: Collection[str], what: str) -> None:
    """Rerun the page where what was chosen is gone, so that a click that belongs to it does nothing with another."""
    if st.session_state.get(key) is not None and st.session_state[key] not in choices:
        del st.session_state[key]
        st.toast(f"{what} deleted meanwhile. Another choice is shown.", icon=":material/delete:")
        st.rerun()


def _settings(masks: Masks) -> _Settings | None:
    """Draw the controls; None while they are not valid."""
    like = st.query_params.get(LIKE, "")
    with resources.database().reading() as session:
        params, pixel_size = facts.settings_of(session, like, _dataset())
    first = [st.container() for _ in FIRST]
    more = st.expander("More", icon=":material/tune:", key="measure-more")
    places = dict.fromkeys(ObjectParams.model_fields, more) | dict(zip(FIRST, first, strict=True))
    hidden = ("threshold",) if masks.owner == "truth" else ()
    form = params_form(
        ObjectParams,
        key=f"measure-objects{like}",
        start=params,
        places=places,
        leave_out=hidden,
        show_error=False,
    )
    with more:
        typed = st.text_input(
            "Pixel size",
            pixel_size,
            key=f"measure-pixel-size{like}-{_dataset()}",
            placeholder="as the files say",
            help="Such as 0.65um, or 0.65x0.8um where pixels are not square. Then sizes are also in µm.",
            persist_state="session",
        ).strip()
        with resources.database().reading() as session:
            st.caption(facts.scale_words(session, masks.owner_id if masks.owner == "truth" else _dataset()))
    if form.error:
        st.error(form.error, icon=":material/error:")
    try:
        scale = parse_scale(typed) if typed else None
    except CannotMeasure as error:
        st.error(wording.escaped(str(error)), icon=":material/error:")
        return None
    if scale is not None and not scale.is_square:
        st.caption("Pixels are not square: only areas and positions are also in µm.")
    return _Settings(form.params, typed, scale) if form.params else None


def _dataset() -> str:
    return str(st.session_state["measure-dataset"])


def _measure(masks: Masks, settings: _Settings | None) -> None:
    if rights.only_looking("Measuring"):
        return
    words = f"Measure {wording.count(masks.images, 'image')}"
    if not st.button(words, type="primary", icon=":material/play_arrow:", key="measure-go", disabled=settings is None):
        return
    assert settings is not None
    try:
        with resources.database().writing() as session:
            values = settings.params.model_dump(mode="json")
            made, job = measuring.submit_objects(session, masks.owner, masks.owner_id, values, settings.pixel_size)
    except NotReady as error:
        st.error(wording.escaped(str(error)))
        return
    resources.launcher().submit(job.id)
    st.switch_page(PAGE, query_params={"measurement": made.id})


def _preview(masks: Masks, settings: _Settings | None) -> None:
    names = image_names(masks.owner, masks.owner_id)
    key = f"measure-image-{masks.key}"
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.selectbox("Preview on", list(names), format_func=lambda id_: names.get(id_, "deleted"), key=key)
        place = list(names).index(chosen) if chosen in names else 0
        for label, icon, step in (("Previous", ":material/chevron_left:", -1), ("Next", ":material/chevron_right:", 1)):
            target = list(names)[(place + step) % len(names)] if names else ""
            st.button(
                label, icon=icon, key=f"measure-{label.lower()}", disabled=len(names) < 2,
                on_click=lambda target=target: st.session_state.update({key: target}),
            )  # fmt: skip
    if settings is None or chosen is None:
        return
    with resources.database().reading() as session:
        stamp = measuring.stamp_of(session, masks.owner, masks.owner_id)
    try:
        picture, image = mask_of(masks.owner, masks.owner_id, chosen, settings.params.threshold, stamp)
    except (MissingFile, UnreadableImage) as error:
        st.error(wording.escaped(str(error)), icon=":material/error:")
        return
    found = objects_of(picture, settings.params)
    count = len(found.classes)
    words = wording.count(count, "object").capitalize()
    if found.count != count:
        words += f", counted as {found.count:g}"
    if count:
        words += f" · {_median_area(found.labels, settings.scale or file_scale(image))}"
    if picture.numbered:
        words += " · each id of the truth is one object"
    st.caption(words)
    if not count:
        other = "" if masks.owner == "truth" else ", or another mask threshold"
        st.info(f"There is no object in this image. Try a smaller *Smallest object*{other}.")
    if count > MOST_IN_LABEL_MAP:
        st.warning(
            f"An image can have at most {MOST_IN_LABEL_MAP:,} objects. Raise *Smallest object* to leave out specks."
        )
    assert picture.image is not None
    alt = f"{image.name} with {wording.count(count, 'outlined object')}"
    object_picture(picture.image, found.labels, key="measure-preview", alt=alt)


def _median_area(labels: object, scale: Scale | None) -> str:
    import numpy as np

    median = float(np.median(np.bincount(np.asarray(labels).ravel())[1:]))
    if scale is None:
        return f"median area {median:,.0f} px²"
    return f"median area {facts.readable(median * scale.width_um * scale.height_um)} µm²"


def _earlier() -> None:
    with resources.database().reading() as session:
        total = facts.measurement_count(session)
    if not total:
        return
    st.header("Earlier measurements", divider="gray")
    page = page_numbers(total, "measurement", PER_PAGE)
    part = slice((page - 1) * PER_PAGE, page * PER_PAGE)
    with resources.database().reading() as session:
        earlier = facts.listing(session, utc_now(), resources.settings().lost_after_s, part)
    with st.container(gap="xxsmall"):
        for view in earlier:
            _row(view)


def _row(view: MeasurementView) -> None:
    with st.container(horizontal=True, vertical_alignment="center", key=f"earlier-{view.id}"):
        state = view.job.status if view.job else "finished"
        done = f"{wording.count(view.objects, 'object')} in {wording.count(view.images, 'image')}"
        parts = [done] if view.done else []
        parts += [wording.escaped(view.params), wording.ago(view.created_at, utc_now())]
        badge = "" if state == "finished" else status.badge_text(state)
        name = f"**{wording.escaped(view.title)}**"
        key = f"open-{view.id}"
        if st.button(name, icon=":material/straighten:", key=key, type="tertiary", on_click=first_page):
            st.switch_page(PAGE, query_params={"measurement": view.id})
        st.caption(f"{' · '.join(parts)} {badge}", width="stretch")
        if rights.button("Delete", icon=":material/delete:", key=f"delete-{view.id}", type="tertiary"):
            confirm_deletion(view)


@st.dialog("Delete this measurement?")
def confirm_deletion(view: MeasurementView) -> None:
    st.markdown(
        f"The table of {wording.count(view.objects, 'object')} of **{wording.escaped(view.title)}**, its saved filters "
        "and prepared downloads are deleted permanently."
    )
    st.caption("The images and masks stay.")
    deletion_buttons(lambda: _delete(view.id), "The measurement is deleted.")


def _delete(measurement_id: str) -> None:
    with resources.database().writing() as session:
        gone = measuring.delete_measurement(session, measurement_id)
    resources.remove_files(gone)
    st.query_params.from_dict({})
