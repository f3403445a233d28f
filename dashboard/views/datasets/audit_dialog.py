"""The images of an audit to draw on, one after the other."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from dashboard.facts import urls
from dashboard.facts.corrections import drawn_classes
from dashboard.facts.wording import escaped
from dashboard.server import resources
from dashboard.ui.step_buttons import step_buttons
from dashboard.ui.viewer import Brush, Pane, viewer
from db.audit_set import AuditMasks, AuditSet, audit_set
from db.models import Image

OPENED = "audit-opened"
NOTHING = "no mask: draw all of it"


def open_audit_image(image_id: str) -> None:
    """Open an image of the audit, with the next `correct_audit`."""
    st.session_state[OPENED] = image_id


def correct_audit(dataset_id: str, drawn: AuditSet, masks: Sequence[AuditMasks]) -> None:
    """Draw the dialog as long as an image is open."""
    if st.session_state.get(OPENED) in {image.id for image in drawn.images}:
        _dialog(dataset_id, masks)


@st.dialog("Correct the whole image", width="large", on_dismiss=lambda: st.session_state.pop(OPENED, None))
def _dialog(dataset_id: str, masks: Sequence[AuditMasks]) -> None:
    with resources.database().reading() as session:
        drawn, classes = audit_set(session, dataset_id), drawn_classes(session, dataset_id)
    images = list(drawn.images)
    at = next((at for at, image in enumerate(images) if image.id == st.session_state[OPENED]), 0)
    image, later = images[at], images[at + 1 :] + images[:at]
    open_ = [each.id for each in later if each.id not in drawn.finished]
    with st.container(horizontal=True, vertical_alignment="center"):
        step_buttons(OPENED, images[at - 1].id if at else None, open_[0] if open_ else None)
        start = _choose_start([each for each in masks if each.classes or len(classes.names) < 3])
        state = "finished" if image.id in drawn.finished else "not yet finished"
        st.markdown(
            f"**{len(drawn.finished)} of {len(images)}** finished · {escaped(image.name)}, {state}", width="content"
        )
    viewer(
        [_pane(dataset_id, image, start)],
        brush=Brush(dataset_id, image.id, classes, start.id if start else "", tells=True, blank=start is None),
        class_colours=classes.colours if start and start.classes else (),
        height_px=600,
        key="audit-image",
    )
    st.caption(
        "Correct everything that is wrong, then press *Finished*: all that is shown counts as right. The mask that an "
        "image began with scores a little higher on it than others, because small errors stay. Use *ignore* where "
        "nobody can decide."
    )


def _choose_start(masks: Sequence[AuditMasks]) -> AuditMasks | None:
    chosen = st.selectbox(
        "Begin with",
        [*range(len(masks)), NOTHING],
        format_func=lambda at: f"{masks[at].name} ({masks[at].kind})" if isinstance(at, int) else at,
        key="audit-start",
        label_visibility="collapsed",
        width=300,
        help="The mask that you correct. It is not part of the audit before the image is finished.",
    )
    return masks[chosen] if isinstance(chosen, int) else None


def _pane(dataset_id: str, image: Image, start: AuditMasks | None) -> Pane:
    address = urls.image(dataset_id, image.id)
    if start is None:
        return Pane("Image", address)
    of, classes_of = (urls.label, urls.label_classes) if start.kind == "mask set" else _PREDICTED
    classes = classes_of(start.set_id, image.id) if start.classes else None
    return Pane(f"Mask of {start.name}", address, mask=of(start.set_id, image.id), classes=classes)


_PREDICTED = (urls.prediction, urls.prediction_classes)
