"""Libraries that take long to import, and that the first page shown does not need.

Streamlit imports pandas when a page first needs it. Two visits at once then import it in two threads, and one of them
gets a partly initialised module and an error instead of the page. So one thread imports them, while no other page runs.
"""

from __future__ import annotations

import importlib
import threading
from functools import cache

NAMES = ("pandas", "plotly.graph_objects")
AFTER_S = 1.0
"""Until then the browser has fetched and painted the first page; to import takes the processor from that."""

_lock = threading.Lock()


def load() -> None:
    """Return when the libraries are there. Every page but the first calls this before it runs."""
    with _lock:
        for name in NAMES:
            importlib.import_module(name)


@cache
def load_soon() -> None:
    """Import the libraries in the background, so that the second page does not wait for them either."""
    later = threading.Timer(AFTER_S, load)
    later.daemon = True
    later.start()
