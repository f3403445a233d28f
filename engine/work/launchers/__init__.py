"""Starting workers: one file per backend, chosen by the LAUNCHER setting."""

from __future__ import annotations

from engine.launchers.base import Launcher
from engine.launchers.local import LocalLauncher
from engine.settings import Settings

_LAUNCHERS = {"local": LocalLauncher}


def launcher(settings: Settings) -> Launcher:
    """Return the launcher that the settings name."""
    return _LAUNCHERS[settings.launcher](settings)
