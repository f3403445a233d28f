"""What a run has produced: summary, scores, curves, masks of the probe images, rounds, settings and log."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st

from dashboard.facts import urls, wording
from dashboard.facts.reference_maps import Maps, label_maps, truth_maps
from dashboard.facts.rounds import (
    Comparison,
    RoundView,
    round_starts,
    round_views,
    teacher_classes_url,
    teacher_url,
)
from dashboard.facts.run_metrics import MetricHistory, metric_names
from dashboard.server.resources import artifacts, database
from dashboard.ui import charts
from dashboard.ui.class_filter import choose_class
from dashboard.ui.mask_grid import Mode, Tile, mask_grid
from dashboard.ui.overlay_choice import overlay_look
from dashboard.ui.pictures import class_legend
from dashboard.ui.tile_viewer import TileLook, view_tile
from dashboard.views.runs.curves import curve_controls, figures, probe_classes, shared_history
from dashboard.views.runs.facts import LiveStatus, Probe, RunHead
from engine.store import keys as stored
from engine.store.base import MissingFile
from engine.training.run_details import label_share_note

LOG_TAIL_BYTES = 16_000
ROUND_PX = 330
MASK_MODES: dict[str, Mode] = {
    "Errors": "errors",
    "Fill": "fill",
    "Outline": "outline",
    "Side by side": "side by side",
}
ROUND_MODES: dict[str, Mode] = {"Side by side": "side by side", "What changed": "errors"}
CLASS_HELP = "With one class, masks, reference and errors are of that class alone."


def notes(status: LiveStatus) -> None:
    """Draw what was doubtful about the masks of a run when it started, and what its masks owe to the labels."""
    for note in status.notes:
        st.warning(wording.escaped(note), icon=":material/warning:")
    if note := label_share_note(status.label_share):
        st.info(note, icon=":material/info:")


def results(head: RunHead, status: LiveStatus, masks_open: bool) -> None:
    """Draw what a run that has ended was: curves, masks and numbers of its epochs, each drawn when it is opened."""
    with database().reading() as session:
        history = shared_history(session, head.id, status)
        rounds = round_views(session, head.id) if status.rounds_total > 1 else ()
    if not history.by_epoch:
        return
    # Plotly is 4.7 MB of JavaScript: it is loaded for who wants to see a curve.
    curves = st.expander("Curves", icon=":material/show_chart:", key=f"runs-curves-{head.id}", on_change="rerun")
    if curves.open:
        with curves:
            starts = round_starts(rounds, status.epochs_done, status.rounds_total)
            drawn = figures(head, history, curve_controls(), status.best_epoch, starts)
            places = [place for _ in range(0, len(drawn), 2) for place in st.columns(2)]
            for place, (name, figure) in zip(places, drawn.items(), strict=False):
                with place:
                    charts.show(figure, key=f"runs-{name}-{head.id}")
    if head.probes:
        masks = st.expander(
            "Masks through the epochs",
            masks_open,
            icon=":material/animation:",
            key=f"runs-masks-{head.id}",
            on_change="rerun",
        )
        if masks.open:
            with masks:
                masks_through_epochs(head, history)
    epoch_table(head, history)


def configuration(head: RunHead, status: LiveStatus) -> None:
    """Draw all settings of a run, those that differ from the preset first, and what it trained on."""
    changed = head.changed
    title = f"Settings: preset {head.preset.replace('_', ' ')}"
    title += f" with {wording.count(len(changed), 'change')}" if changed else ", unchanged"
    with st.expander(title, icon=":material/tune:"):
        lines = [f"- {row.group} · **{row.parameter}**: {row.value} (preset: {row.preset_value})" for row in changed]
        if lines:
            st.markdown("\n".join(lines))
        st.dataframe(
            [
                {"Group": row.group, "Parameter": row.parameter, "Value": row.value, "Preset": row.preset_value or ""}
                for row in head.config
            ],
            hide_index=True,
            column_config={"Preset": st.column_config.TextColumn(help="The preset's value, where the run's differs.")},
        )
        size = f"{wording.count(status.parameter_count, 'parameter')} · " if status.parameter_count else ""
        st.caption(f"{size}{status.hardware or 'hardware not known yet'} · version {head.code_version} of the code")


def log(head: RunHead, every_s: float | None) -> None:
    """Draw the end of the job's log. It is read only while it is open, and again every `every_s` seconds."""
    if head.job_id is None:
        return
    box = st.expander("Log", icon=":material/terminal:", key=f"run-log-{head.id}", on_change="rerun")
    if not box.open:
        return
    with box:
        st.fragment(_log_tail, run_every=every_s)(head.job_id)
        st.link_button("Whole log", urls.run_log(head.id), icon=":material/download:")


def _log_tail(job_id: str) -> None:
    try:
        text = artifacts().tail(stored.job_log_key(job_id), LOG_TAIL_BYTES)
    except MissingFile:
        st.caption("Nothing has been logged yet.")
        return
    st.code(text, language=None, height=320, wrap_lines=True)


def epoch_table(head: RunHead, history: MetricHistory) -> bool:
    """Draw the table of all epochs if it is open; return whether it is."""
    key = f"runs-numbers-{head.id}"
    box = st.expander("Numbers of every epoch", icon=":material/table:", key=key, on_change="rerun")
    if not box.open:
        return False
    with box:
        names = metric_names(head.reference, head.classes)
        formats = {words: st.column_config.NumberColumn(format="%.4f") for words in names.values()}
        formats[names["learning_rate"]] = st.column_config.NumberColumn(format="%.2e")
        st.dataframe(history.table(names), hide_index=True, height=280, column_config=formats)
        st.link_button("Download as CSV", urls.metrics_csv(head.id), icon=":material/download:")
    return True


def masks_through_epochs(
    head: RunHead,
    history: MetricHistory,
    live_epoch: Callable[[], int] | None = None,
    follows: Mapping[str, str] | None = None,
) -> bool:
    """Draw the predictions of the probe images after an epoch; return whether they follow the newest one.

    Args:
        live_epoch: draws the newest epoch of a run that trains, and returns it.
        follows: of a run that trains, what the grid needs to follow its epochs (see `mask_grid`).
    """
    if not head.probes:
        return True
    with st.container(horizontal=True, vertical_alignment="bottom"):
        following = live_epoch is not None and st.toggle(
            "Follow the newest epoch", True, key=f"runs-follow-{head.id}", persist_state="session"
        )
        epoch = live_epoch() if following and live_epoch else _epoch_slider(head.id, sorted(history.by_epoch))
        mode, threshold = _mask_controls(MASK_MODES, "probe")
        only_class = choose_class(head.classes, f"runs-class-{head.id}", CLASS_HELP, persist_state="session") or None
    tiles = [_probe_tile(head, epoch, probe, mode) for probe in head.probes]
    if head.classes and mode != "errors":
        class_legend(
            head.classes,
            [only_class] if only_class else range(1, len(head.classes)),
            colours=head.class_colours,
            undivided=not all(tile.classes for tile in tiles),
        )
    look = overlay_look(head.dataset_id)
    clicked = mask_grid(
        tiles,
        key=f"runs-probes-{head.id}",
        mode=mode,
        threshold=threshold,
        tile_px=460 if mode == "side by side" else 230,
        aspect=_aspect(head),
        only_class=only_class,
        class_colours=head.class_colours,
        mask_colour=look.colour,
        follows=follows if following else None,
    )
    if clicked:
        view_tile(tiles, clicked, TileLook(mode, threshold, 0.5, look, only_class, class_colours=head.class_colours))
    reference = "truth" if head.reference == "truth" else "the pseudo-label that this run was trained on"
    undivided = bool(head.classes) and not (head.label_set_id or head.truth_in_classes)
    st.caption(f"The reference is {reference}{', which no longer has the classes of this run' if undivided else ''}.")
    return following


def _mask_controls(modes: Mapping[str, Mode], what: str) -> tuple[Mode, float]:
    """Draw the view and the mask threshold of a grid; return them."""
    kept: dict[str, Any] = {"persist_state": "session"}
    first = next(iter(modes))
    view = st.segmented_control("Show", list(modes), default=first, required=True, key=f"runs-{what}-mode", **kept)
    threshold = st.slider("Mask threshold", 0.05, 0.95, 0.5, 0.05, key=f"runs-{what}-threshold", width=220, **kept)
    return modes[view], threshold


def _aspect(head: RunHead) -> float:
    return statistics.median(probe.aspect for probe in head.probes)


def _probe_tile(head: RunHead, epoch: int, probe: Probe, mode: Mode) -> Tile:
    reference, classes = _reference(head, probe.image_id), probe_classes(head, epoch, probe)
    if mode == "errors" and not (classes and reference.classes):  # classes on both sides, or foreground on both
        reference, classes = _reference(head, probe.image_id, in_classes=False), None
    if not probe.has_reference:
        reference = Maps(None)
    return Tile(
        id=probe.image_id,
        title=probe.name,
        image=urls.image(head.dataset_id, probe.image_id, 384),
        mask=urls.probe(head.id, epoch, probe.image_id),
        reference=reference.levels,
        badge=probe.split,
        classes=classes,
        reference_classes=reference.classes,
    )


def _reference(head: RunHead, image_id: str, in_classes: bool = True) -> Maps:
    """Return what the run was trained on, with its classes if it has several."""
    if head.label_set_id:
        return label_maps(head.label_set_id, image_id, 384, in_classes=in_classes and bool(head.classes))
    truth, version = head.truth_in_classes if in_classes else None, head.truth_version
    return truth_maps(head.dataset_id, image_id, 384, run_id=head.id, in_classes=truth, version=version)


def _epoch_slider(run_id: str, epochs: list[int]) -> int:
    if len(epochs) == 1:
        st.markdown("Epoch **1**", width="content")
        return epochs[0]
    key = f"runs-epoch-{run_id}"
    if st.session_state.get(key) not in epochs:
        st.session_state[key] = epochs[-1]
    return st.select_slider("Epoch", epochs, key=key, width=320)


def rounds_section(head: RunHead) -> None:
    """Draw the finished rounds of self-training: labels and masks of each round, in numbers and images."""
    with database().reading() as session:
        views = round_views(session, head.id)
    if not views:
        return
    st.subheader("Self-training: teacher and student")
    st.caption(
        "In each round a new network, the student, is trained on labels, the teacher; its masks then correct the "
        "labels of the next round. Whether a round is accepted depends on images and masks alone, for the reason "
        "given." + (" Truth took no part in the decision." if any(view.has_truth for view in views) else "")
    )
    with st.container(horizontal=True):
        for view in views:
            _round(view)
    if head.probes:
        _round_masks(head, views)


def _round(view: RoundView) -> None:
    with st.container(border=True, width=ROUND_PX, key=f"round-{view.number}"):
        verdict = ":green-badge[:material/check: Accepted]" if view.accepted else ":orange-badge[Rejected]"
        st.markdown(f"**Round {view.number}** {verdict}")
        lines = ["| | Teacher | Student |", "|:--|--:|--:|", *(_row(comparison) for comparison in view.comparisons)]
        st.markdown("\n".join(lines))
        if view.reason:
            st.markdown(wording.escaped(view.reason))
        parts = [f"Epochs {view.first_epoch} to {view.last_epoch}", wording.count(view.images, "image")]
        if view.left_out:
            parts.append(f"{view.left_out:,} dropped")
        st.caption(" · ".join(parts))


def _row(comparison: Comparison) -> str:
    gain = comparison.gain
    change = f" :{'green' if gain > 0 else 'orange'}[{gain:+.3f}]" if gain else ""
    teacher, student = wording.score(comparison.teacher), wording.score(comparison.student)
    return f"| {comparison.name} | {teacher} | **{student}**{change} |"


def _round_masks(head: RunHead, views: tuple[RoundView, ...]) -> None:
    numbers = [view.number for view in views if _has_masks(head, view.number)]
    if not numbers:
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        number = numbers[0]
        if len(numbers) > 1:
            # One key for each count of rounds, so that a new round is shown when it has ended.
            key = f"runs-round-{head.id}-{len(numbers)}"
            number = st.segmented_control("Round", numbers, default=numbers[-1], required=True, key=key)
        mode, threshold = _mask_controls(ROUND_MODES, "round")
    beside = mode == "side by side"
    if head.classes and mode != "errors":
        class_legend(head.classes, colours=head.class_colours)
    words = ("teacher and student", "student alone", "teacher alone")
    tiles = [_round_tile(head, number, probe, beside) for probe in head.probes]
    clicked = mask_grid(
        tiles,
        key=f"runs-rounds-{head.id}",
        mode=mode,
        threshold=threshold,
        tile_px=230,
        aspect=_aspect(head),
        class_colours=head.class_colours,
        error_words=words,
    )
    if clicked:
        view_tile(tiles, clicked, TileLook(mode, threshold, class_colours=head.class_colours, error_words=words))
    st.caption(
        "Image, the labels trained on (teacher), and the student's masks, from left to right."
        if beside
        else "The student's masks against the labels it was trained on: where they differ, either may be right."
    )


def _round_tile(head: RunHead, number: int, probe: Probe, beside: bool) -> Tile:
    teacher = teacher_url(head.id, head.label_set_id, number, probe.image_id, 384)
    student = urls.round_mask(head.id, number, probe.image_id, 384)
    taught = drawn = None
    if head.classes:
        taught = teacher_classes_url(head.id, head.label_set_id, number, probe.image_id, 384)
        drawn = urls.round_mask_classes(head.id, number, probe.image_id, 384)
    return Tile(
        id=probe.image_id,
        title=probe.name,
        image=urls.image(head.dataset_id, probe.image_id, 384),
        mask=teacher if beside else student,
        reference=student if beside else teacher,
        badge=probe.split,
        classes=taught if beside else drawn,
        reference_classes=drawn if beside else taught,
    )


def _has_masks(head: RunHead, number: int) -> bool:
    return any(artifacts().exists(stored.round_mask_key(head.id, number, probe.image_id)) for probe in head.probes)
