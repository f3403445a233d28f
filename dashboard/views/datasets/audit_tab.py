"""The tab that says how good masks are: images drawn at random, corrected wholly, never trained on."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

import streamlit as st

from dashboard.access import rights
from dashboard.facts import urls
from dashboard.facts.audit import audit_csv, audit_table
from dashboard.facts.datasets import DatasetView
from dashboard.facts.wording import count, escaped
from dashboard.server import resources
from dashboard.server.audit_scores import audit_scores, masks_stamp
from dashboard.ui import charts
from dashboard.ui.confirm import deletion_button
from dashboard.ui.mask_grid import Tile, mask_grid
from dashboard.views.datasets.audit_dialog import correct_audit, open_audit_image
from db import audit_set as audits
from db import corrections
from db.actors import Role
from db.audit_set import AuditMasks, AuditSet
from db.models import Image
from engine.prediction.audit import Scores

USUAL, LEAST = 20, 2


def audit_tab(view: DatasetView) -> None:
    """Draw the tab."""
    with resources.database().reading() as session:
        drawn, masks = audits.audit_set(session, view.id), audits.audit_masks(session, view.id)
        free = audits.free_images(session, view.id)
    st.markdown(
        "**How good are the masks of all images?** Images drawn at random are corrected wholly and never trained on. "
        "They give the Dice of every mask set and network, with the interval in which that of the whole dataset lies."
    )
    if not drawn.images:
        _draw_form(view, free, "Draw", USUAL)
        return
    _progress(view, drawn, masks)
    if drawn.complete:
        _scores(drawn, masks)
    clicked = mask_grid(
        [_tile(view, image, image.id in drawn.finished) for image in drawn.images],
        mode="image",
        tile_px=150,
        aspect=median(image.width / image.height for image in drawn.images),
        key=f"audit-{view.id}",
    )
    if clicked and not rights.only_looking("Correcting"):
        open_audit_image(clicked)
    correct_audit(view.id, drawn, masks)
    if rights.may(Role.EDITOR) and free:
        with st.expander("Draw more", icon=":material/casino:"):
            st.caption("More images make the intervals narrower. Those that are finished stay.")
            _draw_form(view, free, "Draw", len(drawn.images) + min(free, USUAL), drawn=len(drawn.images))


def _draw_form(view: DatasetView, free: int, label: str, usual: int, drawn: int = 0) -> None:
    most = drawn + free
    if most < LEAST:
        st.info(
            "At least two images without a correction are needed: what was learned from cannot be tested. Add images."
        )
        return
    if rights.only_looking("Drawing an audit"):
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        least = max(LEAST, drawn + 1)
        number = st.number_input(
            "Images", least, most, min(max(usual, least), most), key=f"audit-count-{view.id}", width=140
        )
        pressed = st.button(label, type="secondary" if drawn else "primary", icon=":material/casino:", key="audit-draw")
    if not drawn and free < view.images:
        st.caption(
            f"{count(view.images - free, 'image')} cannot be drawn, because somebody corrected them already. The audit "
            "stands for the others."
        )
    if pressed:
        with resources.database().writing() as session:
            corrections.draw_audit(session, view.id, int(number))
        st.rerun()


def _progress(view: DatasetView, drawn: AuditSet, masks: Sequence[AuditMasks]) -> None:
    done, total = len(drawn.finished), len(drawn.images)
    left = total - done
    with st.container(horizontal=True, vertical_alignment="center"):
        st.progress(done / total, f"{done} of {count(total, 'image')} finished", width=320)
        if rights.may(Role.EDITOR):
            if left and st.button(
                "Correct the next", type="primary", icon=":material/ink_highlighter:", key="audit-next"
            ):
                open_audit_image(next(image.id for image in drawn.images if image.id not in drawn.finished))
            if st.button("Discard the audit", icon=":material/delete:", type="tertiary", key="audit-discard"):
                _confirm_discard(view, drawn)
    if left and not masks:
        st.caption("There are no masks to score yet. They can be computed meanwhile, or later.")


def _scores(drawn: AuditSet, masks: Sequence[AuditMasks]) -> None:
    scored = _scored(drawn, masks)
    if not scored:
        st.info(
            "The audit is complete. Its scores appear here as soon as a mask set or a run has masks of these images."
        )
        return
    best, scores = max(scored, key=lambda each: (each[0].trained_on == 0, each[1].dice.mean))
    st.markdown(
        f"The masks of **{escaped(best.name)}** have a Dice of **{scores.dice.mean:.2f}** against the audit. That of "
        f"the whole dataset is between **{scores.dice.low:.2f} and {scores.dice.high:.2f}**, 95 % certain."
    )
    charts.intervals(
        [(each.name, score.dice.low, score.dice.mean, score.dice.high) for each, score in scored],
        key="audit-intervals",
        x_title="Dice vs audit, with 95 % interval",
    )
    rows = audit_table(scored)
    number = st.column_config.NumberColumn(format="%.2f")
    numbers = {title: number for title in rows[0] if title.startswith(("Dice", "IoU"))}
    st.dataframe(rows, hide_index=True, column_config=numbers)
    if any(each.trained_on for each, _ in scored):
        st.caption("Scores of runs that were trained on images of the audit, before these were drawn, are too high.")
    if any(each.classes for each, _ in scored):
        st.caption("With several classes these are scores of foreground, whatever its class.")
    st.download_button("CSV", audit_csv(rows), "audit.csv", "text/csv", icon=":material/download:", key="audit-csv")


def _scored(drawn: AuditSet, masks: Sequence[AuditMasks]) -> list[tuple[AuditMasks, Scores]]:
    found = []
    place = st.empty()
    for done, each in enumerate(masks):
        place.progress(done / len(masks), f"Scoring {escaped(each.name)}, {done + 1} of {len(masks)}")
        with resources.database().reading() as session:
            stamp = masks_stamp(session, each)
        scores = audit_scores(drawn, each, stamp)
        found += [(each, scores)] if scores else []
    place.empty()
    return found


def _tile(view: DatasetView, image: Image, finished: bool) -> Tile:
    badge = "finished" if finished else "not yet"
    return Tile(
        image.id, image.name, urls.thumbnail(view.id, image.id), badge=badge, tone="good" if finished else "neutral"
    )


@st.dialog("Discard this audit?", icon=":material/delete:")
def _confirm_discard(view: DatasetView, drawn: AuditSet) -> None:
    st.markdown(
        f"The {count(len(drawn.images), 'image')} of the audit become images like all others. Their corrections are "
        "kept and are learned from, so they cannot be drawn again. There are no scores against them any more."
    )
    left, right = st.columns(2)
    if left.button("Keep it", key="audit-keep", width="stretch"):
        st.rerun()
    if deletion_button("Discard the audit", key="audit-discard-go", place=right):
        with resources.database().writing() as session:
            audits.discard(session, view.id)
        st.rerun()
