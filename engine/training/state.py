"""The state of a run: numbers as JSON, weights and optimizer as arrays, in one file that is replaced atomically."""

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


@dataclass
class Patience:
    """The best value of a metric and how many epochs ago it was."""

    best: float | None = None
    best_epoch: int = 0
    waited: int = 0

    def improves(self, monitor: str, value: float, epoch: int, min_delta: float = 0.0) -> bool:
        """Record the value of an epoch; return whether it is the best by more than `min_delta`. NaN never is."""
        sign = -1 if monitor.removeprefix("val_") == "loss" else 1
        better = math.isfinite(value) and (self.best is None or sign * (value - self.best) > min_delta)
        if better:
            self.best, self.best_epoch, self.waited = value, epoch, 0
        else:
            self.waited += 1
        return better


@dataclass
class TrainingState:
    """The state after `epoch` finished epochs. `seconds` includes all attempts."""

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
    """Write state and arrays as one file, atomically. The previous file is kept in case this one is damaged later.

    Without arrays the run has ended and cannot be resumed, so no previous file is kept.
    """
    path, earlier = folder / STATE_FILE, folder / EARLIER_FILE
    with replacing(path) as beside:
        np.savez(beside, allow_pickle=False, state=np.array(json.dumps(asdict(state))), **arrays)
        if path.exists():
            path.replace(earlier)  # if this process dies here, `load_state` reads that file
    if not arrays:
        earlier.unlink(missing_ok=True)


def load_state(folder: Path) -> tuple[TrainingState, dict[str, np.ndarray]]:
    """Return the newest intact state that `save_state` wrote into `folder`, or a new state and no arrays.

    Raises:
        ValueError: there are files, all damaged. They are renamed, so that the next call returns a new state.
    """
    existing = [path for path in (folder / STATE_FILE, folder / EARLIER_FILE) if path.exists()]
    for path in existing:
        try:
            return _read(path)
        except Exception as error:  # damaged zip files raise anything from BadZipFile to KeyError
            log.warning("%s is damaged (%s: %s).", path.name, type(error).__name__, error)
    if existing:
        for path in existing:
            path.replace(path.with_name(f"{path.name}.damaged"))
        raise ValueError(
            "The state of this run is damaged, so it cannot resume after its last epoch. Retry starts with the first."
        )
    return TrainingState(), {}


def _read(path: Path) -> tuple[TrainingState, dict[str, np.ndarray]]:
    with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    values: dict[str, Any] = json.loads(str(arrays.pop("state")))
    for name in ("checkpoint", "early_stopping", "reduce_lr"):
        values[name] = Patience(**values[name])
    return TrainingState(**values), arrays
