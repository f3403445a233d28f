"""Workers beside the app give way to it: with all cores at work, pages would wait for jobs."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

import psutil

NICENESS = 10
_AUTOGROUP = Path("/proc/self/autogroup")


def give_way() -> None:
    """Lower the priority of this process and of those that it starts; alone on a machine, they are as fast as before.

    Linux shares cores out between sessions first where autogrouping is on, and niceness counts only within one. So the
    session's own niceness (sched(7)) is lowered too, if this process leads one and so shares it with no terminal.
    """
    process = psutil.Process()
    if sys.platform == "win32":
        process.nice(psutil.BELOW_NORMAL_PRIORITY_CLASS)
        return
    process.nice(max(NICENESS, process.nice()))
    if os.getsid(0) == process.pid:
        with contextlib.suppress(OSError):  # not Linux, or without autogrouping
            _AUTOGROUP.write_text(str(NICENESS))
