"""What a finished epoch changes on the page of a run that trains, the same for all who look at it in the same way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dashboard.facts import urls
from dashboard.facts.rounds import round_starts, round_views
from dashboard.server.resources import database, settings
from dashboard.views.runs.curves import Look, figures, shared_history
from dashboard.views.runs.facts import LiveStatus, RunHead, live_status, run_head
from dashboard.views.runs.live_facts import Number, numbers, parameters, version
from dashboard.views.runs.run_facts import kept_curves
from dashboard.views.runs.story import so_far
from db.models import utc_now


@dataclass(frozen=True)
class News:
    """A run as of `version`, after `epoch` epochs.

    `sentence` says how it goes, with **bold** words; `figures` are {name: Plotly's figure}; `masks` are
    {probe image: address of what the network says of it}.
    """

    version: str
    epoch: int
    numbers: tuple[Number, ...]
    sentence: str
    figures: dict[str, dict[str, Any]]
    masks: dict[str, str]


def latest_news(run_id: str, look: Look) -> News | None:
    """Return the news of a run as it stands now, None if there is no such run."""
    with database().reading() as session:
        status = live_status(session, run_id, utc_now(), settings().lost_after_s)
        head = run_head(session, run_id)
    return None if status is None or head is None else news(head, status, look)


def news(head: RunHead, status: LiveStatus, look: Look) -> News:
    """Return the news of a run as of `status`."""
    with database().reading() as session:
        history = shared_history(session, head.id, status)
        rounds = round_views(session, head.id) if status.rounds_total > 1 else ()
    starts = round_starts(rounds, status.epochs_done, status.rounds_total)
    curves = kept_curves(history.by_epoch, None, rounds, status.best_epoch, head.train_images)
    epoch = history.last_epoch
    return News(
        version=version(status),
        epoch=epoch,
        numbers=(*numbers(head.reference, status), *parameters(status)),
        sentence=so_far(curves, head.reference, status.best_epoch),
        figures=figures(head.reference, history, look, status.best_epoch, starts),
        masks={probe.image_id: urls.probe(head.id, epoch, probe.image_id) for probe in head.probes} if epoch else {},
    )
