"""Networks that stay in the memory of one process between its jobs, ready to draw."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any, NamedTuple

KEPT = 2
"""Networks held at once: the two that the Predict page compares."""


class KeptNetwork(NamedTuple):
    """A stored network: the Keras model, and the same as `engine.network.inference.compiled` makes it."""

    model: Any
    network: Any


_kept: dict[str, tuple[tuple[int, int], KeptNetwork]] = {}  # the one used last comes last


def network_of(run_id: str, path: Path) -> KeptNetwork:
    """Return the network of a run from its model file; from memory where the file is the same as before.

    Raises:
        engine.network.inference.ModelError: the file is missing, damaged or no network that can be used.
    """
    from engine.network.inference import (  # TensorFlow: seconds that only those who predict shall wait
        compiled,
        load_model,
    )

    stamp = _stamp(path)
    held = _kept.pop(run_id, None)
    if held is None or held[0] != stamp:
        while len(_kept) >= KEPT:
            del _kept[next(iter(_kept))]
        model = load_model(path)
        held = stamp, KeptNetwork(model, compiled(model))
    _kept[run_id] = held
    return held[1]


def run_ids() -> list[str]:
    """Return the runs whose networks are held."""
    return list(_kept)


def forget() -> None:
    """Let go of all networks."""
    _kept.clear()
    gc.collect()


def _stamp(path: Path) -> tuple[int, int]:
    if not path.exists():
        return 0, 0
    found = path.stat()
    return found.st_mtime_ns, found.st_size
