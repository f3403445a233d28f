"""The shared access token: whether what somebody typed is it, and the cookie that spares them from typing it again.

The cookie does not hold the token. It is a random name, signed with a key made of the token: another token ends all
cookies, and who steals one cannot tell the token to others.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from collections.abc import Callable, Mapping

from itsdangerous import BadSignature, URLSafeTimedSerializer

COOKIE = "maskloom_access"
TRIES, WINDOW_S = 5, 60.0
MOST_ADDRESSES = 1000


def is_token(typed: str, token: str) -> bool:
    """Return whether what was typed is the token, in a time that tells nothing about it."""
    return bool(token) and hmac.compare_digest(typed.encode(), token.encode())


def new_cookie(token: str) -> str:
    """Return a cookie for somebody who knows the token."""
    return _signer(token).dumps(secrets.token_urlsafe(16))


def login_key(cookies: Mapping[str, str], token: str, hours: float) -> str | None:
    """Return what stands for the login that cookies prove; None if they prove none."""
    try:
        name = _signer(token).loads(cookies.get(COOKIE, ""), max_age=int(hours * 3600))
    except BadSignature:  # too old is one too
        return None
    return hashlib.sha256(f"token {name}".encode()).hexdigest()


def _signer(token: str) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(token, salt=COOKIE, signer_kwargs={"digest_method": hashlib.sha256})


class Patience:
    """Counts tries by address: after `TRIES` in `WINDOW_S` seconds an address has to wait."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._tries: dict[str, list[float]] = {}
        self._lock = threading.Lock()

    def count(self, address: str) -> float:
        """Count a try and return 0, or return how many seconds the address has to wait before its next.

        Counted before the token is looked at: many tries at once are many tries.
        """
        with self._lock:
            now = self._clock()
            recent = [at for at in self._tries.pop(address, []) if now - at < WINDOW_S]
            wait_s = recent[0] + WINDOW_S - now if len(recent) >= TRIES else 0.0
            while len(self._tries) >= MOST_ADDRESSES:
                self._tries.pop(next(iter(self._tries)))
            self._tries[address] = recent if wait_s else [*recent, now]
            return wait_s

    def forget(self, address: str) -> None:
        """Count an address anew: it had the token."""
        with self._lock:
            self._tries.pop(address, None)
