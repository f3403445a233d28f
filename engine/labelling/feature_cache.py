"""A cache, in the folder of a dataset, of what label methods compute of its images: features, and slow fits."""

from __future__ import annotations

import hashlib
import json
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from engine.core.settings import settings
from engine.store import keys as stored
from engine.store.base import MissingFile, Store

LIMIT_BYTES = 1_000_000_000
"""Of a dataset: some 2,000 images at 320 px. What does not fit is computed each time."""

COUNTED_S = 60.0
"""For how long a process knows how much is kept: counting lists every file, which takes long in an object store."""


class _Counted(NamedTuple):
    size: int
    at: float


_counted: dict[tuple[Path, str], _Counted] = {}


@dataclass(frozen=True)
class FeatureCache:
    """Bytes by the settings that they depend on and the image, whose content counts and not its name.

    Deleting any of it, or the whole folder, is always safe: it is computed again.
    """

    files: Store
    dataset_id: str
    limit_bytes: int = LIMIT_BYTES

    def get(self, computed_with: str, image: np.ndarray) -> bytes | None:
        """Return what was kept for an image, uint8 RGB (H, W, 3), and settings as text; None if nothing was."""
        with suppress(MissingFile):
            return self.files.read(self._key(computed_with, image))
        return None

    def keep(self, computed_with: str, image: np.ndarray, data: bytes) -> None:
        """Store what was computed, if there is room: what was kept for other settings makes way, and jobs go first."""
        if not self.files.exists(stored.dataset_folder(self.dataset_id)):
            return  # it was deleted meanwhile; a folder without a row would stay
        key = self._key(computed_with, image)
        with suppress(OSError):  # a full disk must not end what can do without
            room = self._bytes() + len(data) <= self.limit_bytes
            if not room and self._gave_way(key):
                room = self._bytes(anew=True) + len(data) <= self.limit_bytes
            if room and self.files.free_bytes() - len(data) >= settings().free_disk_floor_mb * 1_000_000:
                self.files.write(key, data)
                counted = _counted[self._place]
                _counted[self._place] = counted._replace(size=counted.size + len(data))

    def _gave_way(self, key: str) -> bool:
        """Delete what was kept for other settings than those of a key; return whether there was any."""
        folder = stored.features_folder(self.dataset_id)
        others = [
            name for name in self.files.listing(folder).folders if f"/{name}/" not in key and name != stored.FITTED
        ]
        for name in others:
            self.files.delete(f"{folder}/{name}")
        return bool(others)

    def _bytes(self, *, anew: bool = False) -> int:
        """Return how much is kept; what other processes have added within COUNTED_S may be missing."""
        counted = _counted.get(self._place)
        if anew or counted is None or time.monotonic() - counted.at > COUNTED_S:
            counted = _Counted(self.files.size(stored.features_folder(self.dataset_id)), time.monotonic())
            _counted[self._place] = counted
        return counted.size

    @property
    def _place(self) -> tuple[Path, str]:
        return self.files.root, self.dataset_id

    def fitted(self, key: str) -> dict[str, Any] | None:
        """Return the state of a method that was fitted to the dataset (see `recipe_key.fit_key`); None if unknown."""
        with suppress(MissingFile, ValueError):  # a damaged file is none
            kept = json.loads(self.files.read(stored.fitted_key(self.dataset_id, key)))
            if isinstance(kept, dict) and kept.get("digest") == _digest(kept.get("state")):
                state: dict[str, Any] = kept["state"]
                return state
        return None

    def keep_fitted(self, key: str, state: dict[str, Any]) -> None:
        """Store the state of a method that was fitted to the dataset."""
        if self.files.exists(stored.dataset_folder(self.dataset_id)):
            with suppress(OSError):
                kept = {"state": state, "digest": _digest(state)}
                self.files.write(stored.fitted_key(self.dataset_id, key), json.dumps(kept).encode())

    def _key(self, computed_with: str, image: np.ndarray) -> str:
        digest = hashlib.blake2b(computed_with.encode(), digest_size=8).hexdigest()
        return stored.features_key(self.dataset_id, digest, f"{fingerprint(image):016x}")


def _digest(state: Any) -> str:
    return hashlib.blake2b(json.dumps(state).encode(), digest_size=8).hexdigest()


def fingerprint(image: np.ndarray) -> int:
    """Return 64 bits that depend on an image's content and shape only."""
    digest = hashlib.blake2b(repr(image.shape).encode(), digest_size=8)
    digest.update(image.data)
    return int.from_bytes(digest.digest())
