"""Preparing a child process that works for another process of Maskloom."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading


def prepare_process(alone: bool = False) -> None:
    """Leave Ctrl-C to the parent, end with it, and use one thread unless `alone`. The initializer of a pool."""
    import cv2

    if not alone:
        cv2.setNumThreads(1)  # one process per core needs no threads within
    with contextlib.suppress(ValueError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then ends its processes
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A killed parent cannot end its processes, and they would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
