"""Networks that stay in the memory of one process between its jobs, ready to draw."""

from __future__ import annotations

import gc
from typing import Any, NamedTuple

from engine.store.base import MissingFile, Store
from engine.store.keys import best_model_key

KEPT = 2
"""Networks held at once: the two that the Predict page compares."""


class KeptNetwork(NamedTuple):
    """A stored network: the Keras model, and the same as `engine.network.inference.compiled` makes it."""

    model: Any
    network: Any


_kept: dict[str, tuple[str, KeptNetwork]] = {}  # the one used last comes last


def network_of(run_id: str, files: Store) -> KeptNetwork:
    """Return the best network of a run; from memory where its file is the same as before.

    Raises:
        engine.network.inference.ModelError: the file is missing, damaged or no network that can be used.
    """
    from engine.network.inference import compiled  # TensorFlow: seconds that only predictions have to wait

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
        engine.network.inference.ModelError: the file is missing, damaged or no network that can be used.
    """
    from engine.network.inference import ModelError, load_model

    try:
        with files.local(best_model_key(run_id)) as path:
            return load_model(path)
    except MissingFile:
        raise ModelError("There is no model file best.keras. The run has not finished an epoch yet.") from None


def run_ids() -> list[str]:
    """Return the runs whose networks are held."""
    return list(_kept)


def forget() -> None:
    """Let go of all networks."""
    _kept.clear()
    gc.collect()
