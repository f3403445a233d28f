"""Self-training of a run, round by round: numbers and pictures of the labels that taught and of what was learned."""

from __future__ import annotations

import statistics

import streamlit as st

from dashboard.facts import urls, wording
from dashboard.facts.rounds import Comparison, RoundView, round_views, teacher_url
from dashboard.server.resources import artifacts, database
from dashboard.ui.mask_grid import Mode, Tile, mask_grid
from dashboard.views.runs.facts import RunHead
from engine.store import keys as stored

PANEL_PX = 330
MODES: dict[str, Mode] = {"Side by side": "side by side", "What changed": "errors"}


def rounds_section(head: RunHead) -> None:
    """Draw the finished rounds of a run; nothing where there are none."""
    with database().reading() as session:
        views = round_views(session, head.id)
    if not views:
        return
    st.subheader("Self-training: teacher and student")
    st.caption(
        "In each round a fresh network, the student, learns from labels, the teacher; its masks then correct the "
        "labels of the next round. A round is accepted or not by what images and masks alone tell, for the reason "
        "given." + (" Truth took no part in the decision." if any(view.has_truth for view in views) else "")
    )
    with st.container(horizontal=True):
        for view in views:
            _panel(view)
    if head.probes:
        _pictures(head, views)


def _panel(view: RoundView) -> None:
    with st.container(border=True, width=PANEL_PX, key=f"round-{view.number}"):
        verdict = ":green-badge[:material/check: Accepted]" if view.accepted else ":orange-badge[Not taken over]"
        st.markdown(f"**Round {view.number}** {verdict}")
        lines = ["| | Teacher | Student |", "|:--|--:|--:|"]
        lines += [_line(comparison) for comparison in view.comparisons]
        st.markdown("\n".join(lines))
        if view.reason:
            st.markdown(wording.escaped(view.reason))
        parts = [f"Epochs {view.first_epoch} to {view.last_epoch}", wording.count(view.images, "image")]
        if view.left_out:
            parts.append(f"{view.left_out:,} left out")
        st.caption(" · ".join(parts))


def _line(comparison: Comparison) -> str:
    gain = comparison.gain
    change = f" :{'green' if gain > 0 else 'orange'}[{gain:+.3f}]" if gain else ""
    return (
        f"| {comparison.name} | {wording.score(comparison.teacher)} | **{wording.score(comparison.student)}**{change} |"
    )


def _pictures(head: RunHead, views: tuple[RoundView, ...]) -> None:
    numbers = [view.number for view in views if _has_masks(head, view.number)]
    if not numbers:
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        number = numbers[0]
        if len(numbers) > 1:
            # A key for each count of rounds: when another has ended, it is the one shown
            key = f"runs-round-{head.id}-{len(numbers)}"
            number = st.segmented_control("Round", numbers, default=numbers[-1], required=True, key=key)
        mode = st.segmented_control(
            "Show",
            list(MODES),
            default="Side by side",
            required=True,
            key="runs-round-mode",
            persist_state="session",
        )
        threshold = st.slider(
            "Mask threshold", 0.05, 0.95, 0.5, step=0.05, key="runs-round-threshold", width=220, persist_state="session"
        )
    beside = mode == "Side by side"
    mask_grid(
        [_tile(head, number, probe.image_id, probe.name, probe.split, beside) for probe in head.probes],
        key=f"runs-rounds-{head.id}",
        mode=MODES[mode],
        threshold=threshold,
        tile_px=230,
        aspect=statistics.median(probe.aspect for probe in head.probes),
        selectable=False,
        error_words=("teacher and student", "student alone", "teacher alone"),
    )
    st.caption(
        "Image, the labels that taught (teacher), and the student's masks, from left to right."
        if beside
        else "The student's masks measured against the labels that taught it: where they differ, either may be right."
    )


def _tile(head: RunHead, number: int, image_id: str, name: str, split: str, beside: bool) -> Tile:
    teacher = teacher_url(head.id, head.label_set_id, number, image_id, 384)
    student = urls.round_mask(head.id, number, image_id, 384)
    return Tile(
        id=image_id,
        title=name,
        image=urls.image(head.dataset_id, image_id, 384),
        mask=teacher if beside else student,
        reference=student if beside else teacher,
        badge=split,
    )


def _has_masks(head: RunHead, number: int) -> bool:
    return any(artifacts().exists(stored.round_mask_key(head.id, number, probe.image_id)) for probe in head.probes)
