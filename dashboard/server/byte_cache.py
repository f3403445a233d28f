"""Bounded memory: values that are dropped when they have not been used for the longest time."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
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


class ByteCache(RecentValues[bytes]):
    """Recent bytes, some under keys that cannot be guessed."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(limit_bytes)
        self._secret = secrets.token_bytes(32)

    def put(self, data: bytes) -> str:
        """Store `data` under a key that cannot be guessed and return the key. Equal bytes have equal keys."""
        key = hmac.new(self._secret, data, hashlib.sha256).hexdigest()[:32]
        self.keep(key, data, len(data))
        return key

    def get_or_make(self, key: str, make: Callable[[], bytes]) -> bytes:
        """Return the bytes stored under `key`, or store what `make` returns."""
        found = self.get(key)
        if found is None:
            found = make()
            self.keep(key, found, len(found))
        return found
