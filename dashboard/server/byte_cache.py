"""Recent bytes, some under keys that cannot be guessed."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable

from engine.core.recent_values import RecentValues


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
