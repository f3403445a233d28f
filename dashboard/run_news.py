"""What a finished epoch changes on the page of a run that trains, made once for all who look at it in the same way."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from dashboard import urls
from dashboard.components import charts
from dashboard.components.run_curves import Look, figures, shared_history
from dashboard.resources import database, settings
from dashboard.viewmodels.live import Number, numbers, parameters, version
from dashboard.viewmodels.rounds import round_starts, round_views
from dashboard.viewmodels.run_facts import kept_curves
from dashboard.viewmodels.run_story import so_far
from dashboard.viewmodels.runs import LiveStatus, RunHead, live_status, run_head
from db.models import utc_now


@dataclass(frozen=True)
class News:
    """A run as of `version`, after `epoch` epochs.

    `sentence` says how it goes, with **bold** words; `figures` are {name: Plotly figure as JSON}; `masks` are
    {probe image: address of what the network says of it}.
    """

    version: str
    epoch: int
    numbers: tuple[Number, ...]
    sentence: str
    figures: dict[str, str]
    masks: dict[str, str]


def latest_news(run_id: str, look: Look) -> News | None:
    """Return the news of a run as it stands now, None if there is no such run."""
    with database().reading() as session:
        status = live_status(session, run_id, utc_now(), settings().lost_after_s)
        head = run_head(session, run_id)
    return None if status is None or head is None else news(head, status, look)


def news(head: RunHead, status: LiveStatus, look: Look) -> News:
    """Return the news of a run as of `status`."""
    return _news(head.id, version(status), look, head, status)


@st.cache_data(max_entries=48, show_spinner=False)
def _news(run_id: str, version: str, look: Look, _head: RunHead, _status: LiveStatus) -> News:
    with database().reading() as session:
        history = shared_history(session, run_id, _status)
        rounds = round_views(session, run_id) if _status.rounds_total > 1 else ()
    starts = round_starts(rounds, _status.epochs_done, _status.rounds_total)
    curves = kept_curves(history.by_epoch, None, rounds, _status.best_epoch, _head.train_images)
    drawn = figures(_head.reference, history, look, _status.best_epoch, starts) if history.by_epoch else {}
    epoch = history.last_epoch
    return News(
        version=version,
        epoch=epoch,
        numbers=(*numbers(_head.reference, _status), *parameters(_status)),
        sentence=so_far(curves, _head.reference, _status.best_epoch),
        figures={name: charts.as_json(figure) for name, figure in drawn.items()},
        masks={probe.image_id: urls.probe(run_id, epoch, probe.image_id) for probe in _head.probes} if epoch else {},
    )
