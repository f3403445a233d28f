"""How far a run has come: small numbers as JSON, weights and optimizer as arrays, in one file that is swapped whole."""

from __future__ import annotations

import json
import math
import zipfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from engine.artifacts import replacing

Ended = Literal["", "finished", "early", "stopped", "nan"]
STATE_FILE = "state.npz"


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
    """Write state and arrays as one file, whole or not at all."""
    with replacing(folder / STATE_FILE) as beside:
        np.savez(beside, state=np.array(json.dumps(asdict(state))), **arrays)


def load_state(folder: Path) -> tuple[TrainingState, dict[str, np.ndarray]]:
    """Return what `save_state` wrote into `folder`, or a fresh state and no arrays.

    Raises:
        ValueError: the file is there and cannot be read.
    """
    path = folder / STATE_FILE
    if not path.exists():
        return TrainingState(), {}
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"The state of this run ({path.name}) is damaged, so it cannot resume. Start it anew."
        ) from error
    values: dict[str, Any] = json.loads(str(arrays.pop("state")))
    for name in ("checkpoint", "early_stopping", "reduce_lr"):
        values[name] = Patience(**values[name])
    return TrainingState(**values), arrays
