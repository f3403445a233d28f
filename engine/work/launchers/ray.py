"""Workers as actors of a Ray cluster, each requested by a row and started by a process that connects to it.

The app itself never connects: Ray ends processes whose cluster is gone.
"""

from __future__ import annotations

import sys

from db.models import Launch
from engine.work.launchers.command import CommandLauncher, worker_options


class RayLauncher(CommandLauncher):
    """Starts workers of this machine as `local` does, and others in the cluster of RAY_ADDRESS."""

    name = "ray"

    def command(self, launch: Launch) -> list[str]:
        needs = ["--gpu"] if launch.needs_gpu else []
        needs += ["--memory-mb", str(launch.needs_memory_mb)] if launch.needs_memory_mb else []
        return [sys.executable, "-m", "engine.work.ray_worker", *needs, *worker_options(launch, self._settings)]


LAUNCHER = RayLauncher
