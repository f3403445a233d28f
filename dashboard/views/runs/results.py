"""What a run has come to: scores, curves, the probe images through the epochs, settings and log."""

from __future__ import annotations

import statistics

import streamlit as st

from dashboard.facts import urls, wording
from dashboard.facts.rounds import round_starts, round_views
from dashboard.facts.run_metrics import MetricHistory, metric_names
from dashboard.server.resources import artifacts, database
from dashboard.ui import charts
from dashboard.ui.mask_grid import MODES, Tile, mask_grid
from dashboard.views.runs.curves import figures, look_controls, shared_history
from dashboard.views.runs.facts import LiveStatus, RunHead, Scores
from dashboard.views.runs.live_component import Page, live_epoch
from dashboard.views.runs.live_facts import Number, numbers, parameters
from engine.store import keys as stored
from engine.store.base import MissingFile

LOG_TAIL_BYTES = 16_000
_MODE_ICONS = {"errors": "Errors", "fill": "Fill", "outline": "Outline", "side by side": "Side by side"}


def headline(head: RunHead, status: LiveStatus, scores: Scores | None) -> None:
    """Draw the few numbers that matter of a run that has ended, each with what it was measured against."""
    shown = [*numbers(head.reference, status)]
    if head.reference == "pseudo-label" and scores is not None and scores.truth_dice is not None:
        explained = (
            f"Mean of the predictions of {wording.count(scores.truth_images, 'validation image')} that have truth, at "
            "threshold 0.5. The network never saw it."
        )
        shown.append(
            Number("Dice vs truth, validation", wording.score(scores.truth_dice), status.weights, help=explained)
        )
    shown += [Number("Time", wording.duration(status.seconds)), *parameters(status)]
    with st.container(horizontal=True):
        for number in shown:
            note = {"delta": number.note or None, "delta_color": "off", "delta_arrow": "off"}
            st.metric(number.label, number.value, help=number.help or None, **note)
    hardware(status)


def hardware(status: LiveStatus) -> None:
    """Draw what a run trains on, once it is known."""
    if status.hardware:
        st.caption(status.hardware)


def results(head: RunHead, status: LiveStatus) -> None:
    """Draw curves, the table of epochs and the probe images of a run that has ended."""
    with database().reading() as session:
        history = shared_history(session, head.id, status)
        rounds = round_views(session, head.id) if status.rounds_total > 1 else ()
    if not history.by_epoch:
        return
    st.subheader("Curves")
    starts = round_starts(rounds, status.epochs_done, status.rounds_total)
    drawn = figures(head.reference, history, look_controls(), status.best_epoch, starts)
    for place, (name, figure) in zip([*st.columns(2), *st.columns(2)], drawn.items(), strict=False):
        with place:
            charts.show(figure, key=f"runs-{name}-{head.id}")
    epoch_table(head, history)
    masks_through_epochs(head, history)


def configuration(head: RunHead) -> None:
    """Draw all settings of a run, and first those that are not its preset's."""
    changed = head.changed
    title = f"Settings: preset {head.preset}"
    title += f" with {wording.count(len(changed), 'change')}" if changed else ", unchanged"
    with st.expander(title, icon=":material/tune:"):
        if changed:
            lines = [
                f"- {row.group} · **{row.parameter}**: {row.value} (preset: {row.preset_value})" for row in changed
            ]
            st.markdown("\n".join(lines))
        st.dataframe(
            [
                {"Group": row.group, "Parameter": row.parameter, "Value": row.value, "Preset": row.preset_value or ""}
                for row in head.config
            ],
            hide_index=True,
            column_config={"Preset": st.column_config.TextColumn(help="The preset's value, where this run's differs.")},
        )
        st.caption(f"Made with version {head.code_version} of the code.")


def log(head: RunHead, every_s: float | None) -> None:
    """Draw the end of the job's log; it is only read while it is open, and then again every `every_s` seconds."""
    if head.job_id is None:
        return
    key = f"run-log-{head.id}"
    box = st.expander("Log", icon=":material/terminal:", key=key, on_change="rerun")
    if not box.open:
        return
    with box:
        st.fragment(_log_tail, run_every=every_s)(head)
        st.link_button("Whole log", urls.run_log(head.id), icon=":material/download:")


def _log_tail(head: RunHead) -> None:
    try:
        text = artifacts().tail(stored.job_log_key(head.job_id or ""), LOG_TAIL_BYTES)
    except MissingFile:
        st.caption("Nothing has been logged yet.")
        return
    st.code(text, language=None, height=320, wrap_lines=True)


def epoch_table(head: RunHead, history: MetricHistory) -> bool:
    """Draw the table of all epochs where it is opened; return whether it is."""
    box = st.expander(
        "Numbers of every epoch", icon=":material/table:", key=f"runs-numbers-{head.id}", on_change="rerun"
    )
    if box.open:  # nobody else needs a table of all epochs
        with box:
            _table(head, history)
    return box.open


def _table(head: RunHead, history: MetricHistory) -> None:
    names = metric_names(head.reference)
    formats = {words: st.column_config.NumberColumn(format="%.4f") for words in names.values()}
    formats[names["learning_rate"]] = st.column_config.NumberColumn(format="%.2e")
    st.dataframe(history.table(names), hide_index=True, height=280, column_config=formats)
    st.link_button("Download as CSV", urls.metrics_csv(head.id), icon=":material/download:")


def masks_through_epochs(head: RunHead, history: MetricHistory, page: Page | None = None) -> bool:
    """Draw what the network said of the probe images after an epoch; return whether it is the newest, and goes on.

    Args:
        page: of a run that trains.
    """
    if not head.probes:
        return True
    st.subheader("Masks through the epochs")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        following = page is not None and st.toggle(
            "Follow the newest epoch", True, key=f"runs-follow-{head.id}", persist_state="session"
        )
        if following:
            epoch = page.news.epoch
            live_epoch(page, key=f"runs-newest-{head.id}")
        else:
            epoch = _epoch_slider(head.id, sorted(history.by_epoch))
        mode = st.segmented_control(
            "Show",
            [mode for mode in MODES if mode in _MODE_ICONS],
            default="errors",
            required=True,
            format_func=_MODE_ICONS.__getitem__,
            key="runs-probe-mode",
            persist_state="session",
        )
        threshold = st.slider(
            "Mask threshold", 0.05, 0.95, 0.5, step=0.05, key="runs-probe-threshold", width=220, persist_state="session"
        )
    mask_grid(
        _tiles(head, epoch),
        key=f"runs-probes-{head.id}",
        mode=mode,
        threshold=threshold,
        tile_px=460 if mode == "side by side" else 230,
        aspect=statistics.median(probe.aspect for probe in head.probes),
        selectable=False,
        follows=page.follows if following else None,
    )
    reference = "truth" if head.reference == "truth" else "the pseudo-label that taught this run"
    st.caption(f"The reference is {reference}.")
    return following


def _tiles(head: RunHead, epoch: int) -> list[Tile]:
    return [
        Tile(
            id=probe.image_id,
            title=probe.name,
            image=urls.image(head.dataset_id, probe.image_id, 384),
            mask=urls.probe(head.id, epoch, probe.image_id),
            reference=_reference(head, probe.image_id) if probe.has_reference else None,
            badge=probe.split,
        )
        for probe in head.probes
    ]


def _reference(head: RunHead, image_id: str) -> str:
    if head.label_set_id:
        return urls.label(head.label_set_id, image_id, 384)
    return urls.truth(head.dataset_id, image_id, 384, version=head.truth_version)


def _epoch_slider(run_id: str, epochs: list[int]) -> int:
    if len(epochs) == 1:
        st.markdown("Epoch **1**", width="content")
        return epochs[0]
    key = f"runs-epoch-{run_id}"
    if st.session_state.get(key) not in epochs:
        st.session_state[key] = epochs[-1]
    return st.select_slider("Epoch", epochs, key=key, width=320)
