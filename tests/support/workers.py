"""A real worker process, and what a test waits for."""

from __future__ import annotations

import contextlib
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import psutil

from tests.support.installation import REPOSITORY, Installation

PATIENCE_S = 900  # only a test that has failed waits so long


def start_worker(installation: Installation, largest_file_bytes: int | None = None) -> subprocess.Popen[bytes]:
    """Start a worker as the app does. Files cannot grow beyond `largest_file_bytes`, as on a full disk."""

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file_bytes, largest_file_bytes))

    return subprocess.Popen(
        [sys.executable, "-m", "engine.work.worker"],
        cwd=REPOSITORY,
        env=installation.settings.as_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=limited if largest_file_bytes else None,
    )


def kill_worker(process: subprocess.Popen[Any]) -> None:
    """Kill a worker and the processes below it, as a power cut does."""
    with contextlib.suppress(psutil.NoSuchProcess):
        below = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        for each in below:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
    process.wait()


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)
