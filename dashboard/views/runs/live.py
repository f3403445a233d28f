"""A run while it trains: progress bar, numbers, curves and masks that update without running the script.

The bar's JavaScript polls a route for the progress. When an epoch has ended it fetches the `News`, which many pages
share, and the other components redraw themselves. Only a new stage of the run makes the script run again.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import streamlit as st

from dashboard.facts import urls
from dashboard.facts.run_metrics import MetricHistory
from dashboard.server.resources import database
from dashboard.ui import charts
from dashboard.ui.web import component
from dashboard.views.runs import results
from dashboard.views.runs.curves import CurveSettings, News, curve_controls, news, shared_history
from dashboard.views.runs.facts import LiveStatus, RunHead
from dashboard.views.runs.live_facts import Snapshot, snapshot

EVERY_MS, SOON_MS = 1000, 400
"""How often a page polls, and how often while an epoch may end at any moment. It learns of an epoch within that time
plus the time for which the route caches an answer."""

_bar = component("live_run", "ui/run_news.js", "views/runs/live.js", style="views/runs/live.css")
_words = component("run_words", "ui/run_news.js", "views/runs/words.js", style="views/runs/words.css")
_curves = component("run_curves", "ui/run_news.js", "views/runs/curves.js", style="views/runs/curves.css")


@dataclass(frozen=True)
class Page:
    """What the script has drawn, and the URL of newer news."""

    address: str
    news: News

    @property
    def follows(self) -> dict[str, str]:
        """Return what a component needs to recognise the news it should show."""
        return {"address": self.address, "version": self.news.version}


def run_live(head: RunHead, status: LiveStatus) -> None:
    """Draw a run that trains or is queued."""
    with database().reading() as session:
        history = shared_history(session, head.id, status)
    top = st.container()  # filled last, once it is known which parts only the script can draw
    if history.by_epoch:
        page, alone = _results(head, status, history)
    else:
        st.info("Curves and masks appear here after the first epoch.", icon=":material/hourglass_top:")
        page, alone = _page(head, status, CurveSettings()), True
    with top:
        _live_bar(head.id, page, snapshot(status), script_draws_epochs=not alone)
        numbers = [asdict(number) for number in page.news.numbers]
        _words(key=f"runs-head-{head.id}", data={"part": "numbers", "numbers": numbers, "follows": page.follows})
        results.notes(status)


def _results(head: RunHead, status: LiveStatus, history: MetricHistory) -> tuple[Page, bool]:
    """Draw the results after the first epoch; return the page, and whether it follows the epochs without the script."""
    masks, curves = st.container(), st.container()
    with curves:
        st.subheader("Curves")
        page = _page(head, status, curve_controls())
    # Streamlit's own chart gets a new identity with every change of its data, which would reset the zoom.
    data = {
        "sentence": page.news.sentence,
        "figures": page.news.figures,
        "config": charts.CONFIG,
        "library": urls.plotly(),
        "follows": page.follows,
    }
    with curves:
        _curves(key=f"runs-live-curves-{head.id}", data=data)
    with masks:
        if head.probes:
            st.subheader("Masks through the epochs")
        following = results.masks_through_epochs(head, history, lambda: _live_epoch(head, page), page.follows)
    table_open = results.epoch_table(head, history)
    return page, following and not table_open


def _page(head: RunHead, status: LiveStatus, chosen: CurveSettings) -> Page:
    return Page(urls.run_news(head.id, chosen.log_scale, chosen.smoothing), news(head, status, chosen))


def _live_epoch(head: RunHead, page: Page) -> int:
    """Draw the number of the newest epoch; return it."""
    data = {"part": "epoch", "epoch": page.news.epoch, "follows": page.follows}
    _words(key=f"runs-newest-{head.id}", data=data, width="content")
    return page.news.epoch


def _live_bar(run_id: str, page: Page, drawn: Snapshot, script_draws_epochs: bool) -> None:
    """Draw the bar as of `drawn`, the moment that this run of the script shows.

    Args:
        script_draws_epochs: the script also runs for each epoch, because something is shown that only it can draw.
    """
    data = {
        "url": urls.live_run(run_id),
        "news": page.address,
        "every_ms": EVERY_MS,
        "soon_ms": SOON_MS,
        "drawn": asdict(drawn),
        "script_draws": "version" if script_draws_epochs else "stage",
    }
    # A trigger only runs the fragment when it has a callback.
    _bar(key=f"runs-live-{run_id}", data=data, on_outdated_change=lambda: None)
