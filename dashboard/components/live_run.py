"""The bar of a run that trains. Its browser half asks a route how far the run is, and has the page drawn anew only
when an epoch, a round or the run itself has ended.

```python
@st.fragment
def live(run_id):
    status = ...                                  # read anew, with every run of the fragment
    live_run(run_id, snapshot(status), key="live")
```
"""

from __future__ import annotations

from dataclasses import asdict

from dashboard import urls
from dashboard.components.web import component
from dashboard.viewmodels.live import Snapshot

EVERY_MS, SOON_MS = 1000, 400
"""How often a page asks, and how often while an epoch may end at any moment. It learns of an epoch within that time and
for how long the route keeps an answer."""

_render = component("live_run", "live_run.js", style="live_run.css")


def live_run(run_id: str, drawn: Snapshot, *, key: str) -> None:
    """Draw the bar as of `drawn`, the moment that this run of the script shows, and go on from there."""
    data = {"url": urls.live_run(run_id), "every_ms": EVERY_MS, "soon_ms": SOON_MS, "drawn": asdict(drawn)}
    _render(key=key, data=data, on_outdated_change=_noop)


def _noop() -> None:
    """A trigger only runs the fragment when it has a callback."""
