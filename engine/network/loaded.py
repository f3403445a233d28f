"""Networks that stay in the memory of a worker between its jobs, so that predictions start at once."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any, NamedTuple

KEPT = 2
"""Number of networks in memory: the two that the Predict page compares."""


class KeptNetwork(NamedTuple):
    """A stored network: the Keras model and its compiled function (`engine.network.inference.compiled`)."""

    model: Any
    network: Any


_kept: dict[str, tuple[tuple[int, int], KeptNetwork]] = {}  # the most recently used is last


def network_of(run_id: str, path: Path) -> KeptNetwork:
    """Return the network of a run from its model file, or from memory if the file has not changed.

    Raises:
        engine.network.inference.ModelError: the file is missing, damaged or not a usable network.
    """
    # Not above: importing TensorFlow takes seconds, and not every job needs it
    from engine.network.inference import compiled, load_model

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
    """Return the runs whose networks are in memory."""
    return list(_kept)


def forget() -> None:
    """Release all networks."""
    _kept.clear()
    gc.collect()


def _stamp(path: Path) -> tuple[int, int]:
    if not path.exists():
        return 0, 0
    status = path.stat()
    return status.st_mtime_ns, status.st_size
