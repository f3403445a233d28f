"""The parts of a page that follow a run while it trains, without a script for each epoch.

The bar's browser half asks a route how far the run is. When an epoch has ended it fetches the `News`, which many pages
share, and the other parts redraw themselves with them. Only another stage of the run has the page drawn anew.

```python
@st.fragment
def live(run_id):
    status = ...                                  # read anew, with every run of the fragment
    page = Page(urls.run_news(run_id, look), news(head, status, look))
    live_bar(run_id, page, snapshot(status), key="bar")
    live_numbers(page, key="numbers")
    live_curves(page, key="curves", height_px=260)
```
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from dashboard.facts import urls
from dashboard.ui import charts
from dashboard.ui.web import component
from dashboard.views.runs.live_facts import Snapshot
from dashboard.views.runs.news import News

EVERY_MS, SOON_MS = 1000, 400
"""How often a page asks, and how often while an epoch may end at any moment. It learns of an epoch within that time and
for how long the route keeps an answer."""

_bar = component("live_run", "ui/run_news.js", "views/runs/live.js", style="views/runs/live.css")
_words = component("run_words", "ui/run_news.js", "views/runs/words.js", style="views/runs/words.css")
_curves = component("run_curves", "ui/run_news.js", "views/runs/curves.js", style="views/runs/curves.css")


@dataclass(frozen=True)
class Page:
    """What a run of the script has drawn, and the address of what is newer."""

    address: str
    news: News

    @property
    def follows(self) -> dict[str, str]:
        """Return what a browser half needs to know which news are for it."""
        return {"address": self.address, "version": self.news.version}


def live_bar(run_id: str, page: Page, drawn: Snapshot, *, key: str, script_draws_epochs: bool = False) -> None:
    """Draw the bar as of `drawn`, the moment that this run of the script shows, and go on from there.

    Args:
        script_draws_epochs: the script is run for each epoch as well, as something is shown that it alone can draw.
    """
    data = {
        "url": urls.live_run(run_id),
        "news": page.address,
        "every_ms": EVERY_MS,
        "soon_ms": SOON_MS,
        "drawn": asdict(drawn),
        "script_draws": "version" if script_draws_epochs else "stage",
    }
    _bar(key=key, data=data, on_outdated_change=_noop)


def live_numbers(page: Page, *, key: str) -> None:
    """Draw the few numbers that matter."""
    numbers = [asdict(number) for number in page.news.numbers]
    _words(key=key, data={"part": "numbers", "numbers": numbers, "follows": page.follows})


def live_epoch(page: Page, *, key: str) -> None:
    """Draw the number of the newest epoch, as wide as it is."""
    _words(key=key, data={"part": "epoch", "epoch": page.news.epoch, "follows": page.follows}, width="content")


def live_curves(page: Page, *, key: str, height_px: int) -> None:
    """Draw how the run goes in a sentence, and its curves; zoom and hidden curves stay while epochs arrive.

    Streamlit gives its own chart a new identity with every change of the data, and the zoom is lost.
    """
    data = {
        "sentence": page.news.sentence,
        "figures": page.news.figures,
        "config": charts.CONFIG,
        "height_px": height_px,
        "library": urls.plotly(),
        "follows": page.follows,
    }
    _curves(key=key, data=data)


def _noop() -> None:
    """A trigger only runs the fragment when it has a callback."""
