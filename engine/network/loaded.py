"""Networks that stay in the memory of a worker between its jobs, so that predictions start at once."""

from __future__ import annotations

import gc
from typing import Any, NamedTuple

from engine.store.base import MissingFile, Store
from engine.store.keys import best_model_key

KEPT = 2
"""Number of networks in memory: the two that the Predict page compares."""


class KeptNetwork(NamedTuple):
    """A stored network: the Keras model and its compiled function (`engine.network.inference.compiled`)."""

    model: Any
    network: Any


_kept: dict[str, tuple[str, KeptNetwork]] = {}  # the most recently used is last


def network_of(run_id: str, files: Store) -> KeptNetwork:
    """Return the best network of a run, from memory if its file has not changed.

    Raises:
        engine.network.inference.ModelError: the file is missing, damaged or not a usable network.
    """
    # Not above: importing TensorFlow takes seconds, and not every job needs it
    from engine.network.inference import compiled

    key = best_model_key(run_id)
    version = files.version(key) if files.exists(key) else ""
    held = _kept.pop(run_id, None)
    if held is None or held[0] != version:
        while len(_kept) >= KEPT:
            del _kept[next(iter(_kept))]
        model = load_best(run_id, files)
        held = version, KeptNetwork(model, compiled(model))
    _kept[run_id] = held
    return held[1]


def load_best(run_id: str, files: Store) -> Any:
    """Return the Keras model of a run's best epoch.

    Raises:
        engine.network.inference.ModelError: the file is missing, damaged or not a usable network.
    """
    from engine.network.inference import ModelError, load_model

    try:
        with files.local(best_model_key(run_id)) as path:
            return load_model(path)
    except MissingFile:
        raise ModelError("There is no model file best.keras. The run has not finished an epoch yet.") from None


def run_ids() -> list[str]:
    """Return the runs whose networks are in memory."""
    return list(_kept)


def forget() -> None:
    """Release all networks."""
    _kept.clear()
    gc.collect()
