"""Starting workers: one file per backend, which exports `LAUNCHER`; the LAUNCHER setting is the file's name."""

from __future__ import annotations

import importlib

from engine.core.settings import Settings
from engine.work.launchers.base import Launcher


def launcher(settings: Settings) -> Launcher:
    """Return the launcher that the settings name."""
    backend: type[Launcher] = importlib.import_module(f"{__name__}.{settings.launcher}").LAUNCHER
    return backend(settings)
