"""Starting workers: one file per backend, chosen by the LAUNCHER setting."""

from __future__ import annotations

from engine.core.settings import Settings
from engine.work.launchers.base import Launcher
from engine.work.launchers.local import LocalLauncher

_LAUNCHERS = {"local": LocalLauncher}


def launcher(settings: Settings) -> Launcher:
    """Return the launcher that the settings name."""
    return _LAUNCHERS[settings.launcher](settings)
