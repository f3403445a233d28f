"""One image of the gallery: its scores, its masks in panes that zoom as one or wiped, and what made them."""

from __future__ import annotations

import streamlit as st

from dashboard.facts import urls, wording
from dashboard.facts.scores import SCORE_TITLES, Reference, ScoreTable, upper_first
from dashboard.server import resources
from dashboard.views.gallery.detail_panes import detail_panes
from dashboard.views.gallery.facts import Detail, Source
from dashboard.views.gallery.mask_origin import MaskOrigin, mask_origin
from dashboard.views.gallery.order import Arrangement, Choice
from dashboard.views.gallery.suspicion import SIGNAL_TITLES

UNCERTAINTY = "Uncertainty"
UNCERTAINTY_HELP = "How far the network is from a clear yes or no: the mean of the map, from 0 (sure) to 1."
MIRROR_HELP = "Dice between the network's masks of the image and of its mirror image. No truth is needed for it."
SUSPICION_HELP = "Where the image ranks among all of the run, 100 % being the most suspicious, on average by: {}."


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
    _scores(origin, found, choice)
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
            "views/compare/page.py",
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


def _scores(origin: Source, found: Detail, choice: Choice) -> None:
    with st.container(horizontal=True, gap="medium"):
        for reference in ("truth", "label"):
            if reference in found.dice:
                _score(origin, found, choice, reference)
        if found.teacher_dice is not None:
            _fact("Pseudo-label's Dice vs truth", wording.score(found.teacher_dice), _rivalry(found))
        _fact("Mask covers", f"{found.area:.1%}")
        if found.uncertainty is not None:
            _fact(UNCERTAINTY, wording.score(found.uncertainty), help=UNCERTAINTY_HELP)
        if found.flip_agreement is not None:
            _fact("Agrees with its mirror", wording.score(found.flip_agreement), help=MIRROR_HELP)
        if found.suspicion is not None:
            reasons = [SIGNAL_TITLES[signal] for signal in found.signals]
            _fact("Suspicion", f"{found.suspicion:.0%}", help=SUSPICION_HELP.format(", ".join(reasons)))


def _score(origin: Source, found: Detail, choice: Choice, reference: Reference) -> None:
    verdict = found.success if reference == choice.reference else None
    note = "" if verdict is None else " · :green[success]" if verdict else " · :orange[failure]"
    iou = f"IoU with {in_words(reference)} {wording.score(found.iou[reference])}"
    _fact(
        upper_first(SCORE_TITLES[reference]) + note,
        wording.score(found.dice[reference]),
        " · ".join(filter(None, (iou, origin.weights))),
    )


def _fact(title: str, value: str, below: str = "", help: str | None = None) -> None:
    st.metric(title, value, below or None, delta_color="off", delta_arrow="off", help=help, width="content")


def _rivalry(found: Detail) -> str:
    """Return which of the network and the pseudo-label that taught it is nearer to truth, and by how much."""
    apart = abs((found.dice.get("truth") or 0) - (found.teacher_dice or 0))
    sentences = {
        "network": f"The prediction is better by {apart:.3f}",
        "label": f"The pseudo-label is better by {apart:.3f}",
        "same": "Both are equally good",
    }
    return sentences.get(found.better, "")


def in_words(reference: Reference) -> str:
    """Return a reference as it stands in a sentence."""
    return {"truth": "truth", "label": "pseudo-label"}[reference]


def _origin(made: MaskOrigin, found: Detail) -> None:
    """Draw what made the mask: the run, how it drew, what taught it, and where the image comes from."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption("Made by", width="content")
        st.page_link(
            "views/runs/page.py",
            label=wording.escaped(made.run_name),
            icon=":material/monitoring:",
            query_params={"run": made.run_id},
        )
        st.caption(wording.escaped(f"{made.network} · {made.drawing}"), width="content")
        if made.label_set_id:
            st.caption("Learned from", width="content")
            st.page_link(
                "views/labels/page.py",
                label=wording.escaped(made.label_set_name),
                icon=":material/auto_fix_high:",
                query_params={"dataset": made.dataset_id, "labels": made.label_set_id},
            )
            st.caption(wording.escaped(made.recipe), width="content")
        else:
            st.caption("Learned from truth", width="content")
        st.caption("Image of", width="content")
        st.page_link(
            "views/datasets/page.py",
            label=wording.escaped(made.dataset_name),
            icon=":material/photo_library:",
            query_params={"dataset": made.dataset_id},
        )
        side = f"{found.split} side of the split" if found.split else "on no side of the split"
        st.caption(f"{found.width} × {found.height} px · {side}", width="content")
