"""Moves the clock of the processes that the fault rig starts: Python runs this file at start where it is on the path.

FAULTS_CLOCK names a folder. The files "app" and "worker" in it hold by how many seconds the wall clock of the app, or
of workers and what they start, is wrong; they are read again every tenth of a second, so a clock moves while it runs.
Monotonic clocks stay right, as they do when a machine's clock is set.
"""

import ctypes
import gc
import os
import pathlib
import sys
import time
from datetime import datetime, timedelta

_AGAIN_S = 0.1


def _move_clock(file: pathlib.Path) -> None:
    true_time, true_time_ns = time.time, time.time_ns
    true_now = vars(datetime)["now"].__get__(None, datetime)
    read = {"at": -1.0, "offset_s": 0.0}

    def offset_s() -> float:
        if time.monotonic() - read["at"] > _AGAIN_S:
            try:
                read["offset_s"] = float(file.read_text() or 0)
            except OSError:
                read["offset_s"] = 0.0
            read["at"] = time.monotonic()
        return read["offset_s"]

    def now(cls: type, tz: object = None) -> datetime:
        return true_now(tz) + timedelta(seconds=offset_s())

    time.time = lambda: true_time() + offset_s()
    time.time_ns = lambda: true_time_ns() + int(offset_s() * 1e9)
    # datetime is written in C and cannot be assigned to; another class in its place would break isinstance and pickle.
    gc.get_referents(vars(datetime))[0]["now"] = classmethod(now)
    ctypes.pythonapi.PyType_Modified(ctypes.py_object(datetime))


if os.environ.get("FAULTS_CLOCK"):
    _move_clock(pathlib.Path(os.environ["FAULTS_CLOCK"]) / ("app" if "streamlit" in sys.orig_argv else "worker"))
