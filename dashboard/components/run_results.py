"""What a run has come to so far: scores, curves, the probe images through the epochs, settings and log."""

from __future__ import annotations

import statistics
import threading
from dataclasses import dataclass, replace

import plotly.graph_objects as go
import streamlit as st
from sqlalchemy.orm import Session

from dashboard import urls, wording
from dashboard.components import charts
from dashboard.components.mask_grid import MODES, Tile, mask_grid
from dashboard.resources import artifacts, database
from dashboard.viewmodels.rounds import round_starts, round_views
from dashboard.viewmodels.run_facts import kept_curves
from dashboard.viewmodels.run_metrics import DICE_NAME, IOU_NAME, MetricHistory, Reference, metric_names
from dashboard.viewmodels.run_story import so_far
from dashboard.viewmodels.runs import LiveStatus, RunHead, Scores
from engine import artifacts as stored
from engine.artifacts import MissingFile

LOG_TAIL_BYTES = 16_000
CHART_PX = 260
_MODE_ICONS = {"errors": "Errors", "fill": "Fill", "outline": "Outline", "side by side": "Side by side"}


def headline(head: RunHead, status: LiveStatus, scores: Scores | None) -> None:
    """Draw the few numbers that matter, each with what it was measured against."""
    with st.container(horizontal=True):
        st.metric("Epochs", f"{status.epochs_done} / {status.epochs_total}")
        if status.rounds_total > 1:
            st.metric("Rounds", f"{status.rounds_done} / {status.rounds_total}", help="Of self-training, finished.")
        best = f", best epoch ({status.best_epoch})" if status.best_epoch else ""
        # What the network began from stands beside every score: it did not learn all of it here.
        note = {"delta": status.weights or None, "delta_color": "off", "delta_arrow": "off"}
        st.metric(f"{DICE_NAME[head.reference]}, validation{best}", wording.score(status.best_val_dice), **note)
        if head.reference == "pseudo-label" and scores is not None and scores.truth_dice is not None:
            st.metric(
                "Dice vs truth, validation",
                wording.score(scores.truth_dice),
                help=f"Mean of the predictions of {wording.count(scores.truth_images, 'validation image')} that have "
                "truth, at threshold 0.5. The network never saw it.",
                **note,
            )
        if not status.live:  # until then the time stands at the bar, where it goes on
            st.metric("Time", wording.duration(status.seconds))
        if status.parameter_count:
            millions = status.parameter_count / 1e6
            st.metric("Parameters", f"{millions:.1f} M" if millions >= 0.1 else f"{status.parameter_count:,}")
    if status.hardware:
        st.caption(status.hardware)


def results(head: RunHead, status: LiveStatus) -> None:
    """Draw curves, the table of epochs and the probe images. Asks only for epochs that are new."""
    with database().reading() as session:
        history = _history(session, head.id, status)
        rounds = round_views(session, head.id) if status.rounds_total > 1 else ()
    starts = round_starts(rounds, status.epochs_done, status.rounds_total)
    if not history.by_epoch:
        if status.live:
            st.info("Curves and masks appear here after the first epoch.", icon=":material/hourglass_top:")
        return
    st.subheader("Curves")
    if status.live:
        curves = kept_curves(history.by_epoch, None, rounds, status.best_epoch, head.train_images)
        if sentence := so_far(curves, head.reference, status.best_epoch):
            st.markdown(sentence)
    _curves(head, status, history, starts)
    numbers = st.expander(
        "Numbers of every epoch", icon=":material/table:", key=f"runs-numbers-{head.id}", on_change="rerun"
    )
    if numbers.open:  # nobody else needs a table of all epochs at each new one
        with numbers:
            _table(head, history)
    if head.probes:
        st.subheader("Masks through the epochs")
        _probes(head, history, status.live)


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


@st.cache_resource(max_entries=16, show_spinner=False)
def _kept_history(run_id: str) -> tuple[threading.Lock, MetricHistory]:
    """Return the one history of a run that all visitors share, and who may read on in it."""
    return threading.Lock(), MetricHistory()


def _history(session: Session, run_id: str, status: LiveStatus) -> MetricHistory:
    """Return the metrics of a run up to now; whoever comes first after an epoch reads what is new of them."""
    lock, history = _kept_history(run_id)
    with lock:
        history.fetch(session, run_id, status.attempt, status.epochs_done)
        return replace(history)


def _curves(head: RunHead, status: LiveStatus, history: MetricHistory, starts: dict[int, str]) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        log_scale = st.toggle("Logarithmic loss", key="runs-log-scale", persist_state="session")
        smoothing = st.slider(
            "Smoothing",
            0.0,
            0.95,
            0.0,
            step=0.05,
            key="runs-smoothing",
            help="Weight of the past in a moving average. The raw values stay, faint.",
            width=280,
            persist_state="session",
        )
    moment = (status.attempt, status.epochs_done, status.best_epoch, tuple(starts.items()))
    look = _Look(head.reference, log_scale, smoothing, *moment)
    places = [*st.columns(2), *st.columns(2)]
    if status.live:
        for place, (name, figure) in zip(places, _live_figures(head.id, look, history).items(), strict=False):
            with place:
                charts.show_live(figure, key=f"runs-{name}-{head.id}", height_px=CHART_PX)
        return
    for place, (name, figure) in zip(places, _figures(look, history).items(), strict=False):
        with place:
            charts.show(figure, key=f"runs-{name}-{head.id}")


@dataclass(frozen=True)
class _Look:
    """All that the curves of a run depend on."""

    reference: Reference
    log_scale: bool
    smoothing: float
    attempt: int
    epochs_done: int
    best_epoch: int | None
    starts: tuple[tuple[int, str], ...]


@st.cache_data(max_entries=48, show_spinner=False)
def _live_figures(run_id: str, look: _Look, _history: MetricHistory) -> dict[str, str]:
    """Return the curves of a run that trains. Every page that is open on it shows the same, so one draws for all."""
    return {name: charts.as_json(figure) for name, figure in _figures(look, _history).items()}


def _figures(look: _Look, history: MetricHistory) -> dict[str, go.Figure]:
    titles = {"loss": "Loss", "dice": DICE_NAME[look.reference], "iou": IOU_NAME[look.reference]}
    starts = dict(look.starts)
    figures = {
        metric: charts.curves_figure(
            _sides(history, metric),
            title=title,
            log=look.log_scale and metric == "loss",
            smoothing=look.smoothing,
            best_epoch=look.best_epoch,
            starts=starts,
            height_px=CHART_PX,
        )
        for metric, title in titles.items()
    }
    epochs, rates = history.series("learning_rate")
    if rates:
        curve = charts.Curve("learning rate", epochs, rates)
        figures["rate"] = charts.curves_figure(
            [curve], title="Learning rate", log=True, starts=starts, height_px=CHART_PX
        )
    return figures


def _sides(history: MetricHistory, metric: str) -> list[charts.Curve]:
    sides = (("train", metric), ("validation", f"val_{metric}"))
    found = [(group, *history.series(name)) for group, name in sides]
    return [charts.Curve("", epochs, values, group=group) for group, epochs, values in found if epochs]


def _table(head: RunHead, history: MetricHistory) -> None:
    names = metric_names(head.reference)
    formats = {words: st.column_config.NumberColumn(format="%.4f") for words in names.values()}
    formats[names["learning_rate"]] = st.column_config.NumberColumn(format="%.2e")
    st.dataframe(history.table(names), hide_index=True, height=280, column_config=formats)
    st.link_button("Download as CSV", urls.metrics_csv(head.id), icon=":material/download:")


def _probes(head: RunHead, history: MetricHistory, live: bool) -> None:
    epoch, mode, threshold = _probe_controls(head, sorted(history.by_epoch), live)
    tiles = [
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
    mask_grid(
        tiles,
        key=f"runs-probes-{head.id}",
        mode=mode,
        threshold=threshold,
        tile_px=460 if mode == "side by side" else 230,
        aspect=statistics.median(probe.aspect for probe in head.probes),
        selectable=False,
    )
    reference = "truth" if head.reference == "truth" else "the pseudo-label that taught this run"
    st.caption(f"The reference is {reference}.")


def _reference(head: RunHead, image_id: str) -> str:
    if head.label_set_id:
        return urls.label(head.label_set_id, image_id, 384)
    return urls.truth(head.dataset_id, image_id, 384, version=head.truth_version)


def _probe_controls(head: RunHead, epochs: list[int], live: bool) -> tuple[int, str, float]:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        epoch = _epoch_slider(head.id, epochs, live)
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
    return epoch, mode, threshold


def _epoch_slider(run_id: str, epochs: list[int], live: bool) -> int:
    """Draw the slider over the epochs; while the run trains, it can follow the newest."""
    if live and st.toggle("Follow the newest epoch", True, key=f"runs-follow-{run_id}", persist_state="session"):
        st.markdown(f"Epoch **{epochs[-1]}**", width="content")
        return epochs[-1]
    if len(epochs) == 1:
        st.markdown("Epoch **1**", width="content")
        return epochs[0]
    key = f"runs-epoch-{run_id}"
    if st.session_state.get(key) not in epochs:
        st.session_state[key] = epochs[-1]
    return st.select_slider("Epoch", epochs, key=key, width=320)
