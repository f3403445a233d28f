"""How far a run has come: small numbers as JSON, weights and optimizer as arrays, in one file that is swapped whole."""

from __future__ import annotations

import json
import logging
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from engine.store.disk import replacing

Ended = Literal["", "finished", "early", "stopped", "nan"]
STATE_FILE, EARLIER_FILE = "state.npz", "state.earlier.npz"

log = logging.getLogger("maskloom.training")


def goal(monitor: str) -> int:
    """Return 1 if more of a metric is better, -1 if less is."""
    return -1 if monitor.removeprefix("val_") == "loss" else 1


@dataclass
class Patience:
    """How long a metric has not improved."""

    best: float | None = None
    best_epoch: int = 0
    waited: int = 0

    def improves(self, monitor: str, value: float, epoch: int, min_delta: float = 0.0) -> bool:
        """Note the value of an epoch; return whether it is the best yet, by more than `min_delta`. NaN never is."""
        sign = goal(monitor)
        better = math.isfinite(value) and (self.best is None or sign * (value - self.best) > min_delta)
        if better:
            self.best, self.best_epoch, self.waited = value, epoch, 0
        else:
            self.waited += 1
        return better


@dataclass
class TrainingState:
    """Where a run stands after `epoch` finished epochs. `seconds` counts all attempts together."""

    epoch: int = 0
    seconds: float = 0.0
    rate_factor: float = 1.0
    checkpoint: Patience = field(default_factory=Patience)
    early_stopping: Patience = field(default_factory=Patience)
    reduce_lr: Patience = field(default_factory=Patience)
    best_metrics: dict[str, float] = field(default_factory=dict)
    ended: Ended = ""
    reason: str = ""


def save_state(folder: Path, state: TrainingState, arrays: dict[str, np.ndarray]) -> None:
    """Write state and arrays as one file, whole or not at all. The one before is kept, in case this is damaged later.

    Without arrays a run has ended for good, and nothing is kept to go on from.
    """
    path, earlier = folder / STATE_FILE, folder / EARLIER_FILE
    with replacing(path) as beside:
        np.savez(beside, state=np.array(json.dumps(asdict(state))), **arrays)
        if path.exists():
            path.replace(earlier)  # if this process dies here, `load_state` finds it there
    if not arrays:
        earlier.unlink(missing_ok=True)


def load_state(folder: Path) -> tuple[TrainingState, dict[str, np.ndarray]]:
    """Return what `save_state` wrote into `folder` last and is whole, or a fresh state and no arrays.

    Raises:
        ValueError: something is there and none of it is whole. It is set aside, so that the next call starts afresh.
    """
    found = [path for path in (folder / STATE_FILE, folder / EARLIER_FILE) if path.exists()]
    for path in found:
        try:
            return _read(path)
        except Exception as error:  # what damaged zips raise goes from BadZipFile to zlib.error and KeyError
            log.warning("%s is damaged (%s: %s).", path.name, type(error).__name__, error)
    if found:
        for path in found:
            path.replace(path.with_name(f"{path.name}.damaged"))
        raise ValueError(
            "The state of this run is damaged, so it cannot go on after its last epoch. Retry begins with the first."
        )
    return TrainingState(), {}


def _read(path: Path) -> tuple[TrainingState, dict[str, np.ndarray]]:
    with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    values: dict[str, Any] = json.loads(str(arrays.pop("state")))
    for name in ("checkpoint", "early_stopping", "reduce_lr"):
        values[name] = Patience(**values[name])
    return TrainingState(**values), arrays
