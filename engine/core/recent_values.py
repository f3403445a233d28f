"""Bounded memory: values that are dropped when they have not been used for the longest time."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

V = TypeVar("V")


class RecentValues(Generic[V]):
    """Values by key, at most `limit_bytes` in total; the least recently used are dropped first. Thread-safe."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._total_bytes = 0
        self._entries: OrderedDict[Hashable, tuple[V, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> V | None:
        with self._lock:
            if key not in self._entries:
                return None
            self._entries.move_to_end(key)
            return self._entries[key][0]

    def keep(self, key: Hashable, value: V, size_bytes: int) -> None:
        with self._lock:
            self._total_bytes += size_bytes - self._entries.pop(key, (None, 0))[1]
            self._entries[key] = value, size_bytes
            while self._total_bytes > self._limit_bytes and len(self._entries) > 1:
                self._total_bytes -= self._entries.popitem(last=False)[1][1]
