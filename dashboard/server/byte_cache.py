"""A small store of bytes in memory that forgets what was used longest ago."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable


class ByteCache:
    """Bytes by key, at most `limit_bytes` together. Safe to use from several threads."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._entries: OrderedDict[str, bytes] = OrderedDict()
        self._total_bytes = 0
        self._lock = threading.Lock()
        self._secret = secrets.token_bytes(32)

    def get(self, key: str) -> bytes | None:
        with self._lock:
            found = self._entries.get(key)
            if found is not None:
                self._entries.move_to_end(key)
            return found

    def put(self, data: bytes) -> str:
        """File `data` under a key nobody can guess and return the key. The same bytes get the same key again."""
        key = hmac.new(self._secret, data, hashlib.sha256).hexdigest()[:32]
        self._keep(key, data)
        return key

    def get_or_make(self, key: str, make: Callable[[], bytes]) -> bytes:
        """Return what is filed under `key`, made first if it is not there."""
        found = self.get(key)
        if found is None:
            found = make()
            self._keep(key, found)
        return found

    def _keep(self, key: str, data: bytes) -> None:
        with self._lock:
            self._total_bytes += len(data) - len(self._entries.pop(key, b""))
            self._entries[key] = data
            while self._total_bytes > self._limit_bytes and len(self._entries) > 1:
                _, dropped = self._entries.popitem(last=False)
                self._total_bytes -= len(dropped)
