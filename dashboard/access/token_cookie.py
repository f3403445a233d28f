"""The shared access token: its check, and the cookie that stores the login.

The cookie does not contain the token. It is a random name, signed with a key derived from the token: a new token
invalidates all cookies, and a stolen cookie does not reveal the token.
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
TRIES, TRIES_OF_ALL, WINDOW_S = 5, 30, 60.0
MOST_ADDRESSES = 1000


def is_token(typed: str, token: str) -> bool:
    """Return whether `typed` is the token, compared in constant time."""
    return bool(token) and hmac.compare_digest(typed.encode(), token.encode())


def new_cookie(token: str) -> str:
    """Return a new cookie."""
    return _signer(token).dumps(secrets.token_urlsafe(16))


def login_key(cookies: Mapping[str, str], token: str, hours: float) -> str | None:
    """Return the key of the login in the cookies, None if there is no valid one."""
    try:
        name = _signer(token).loads(cookies.get(COOKIE, ""), max_age=int(hours * 3600))
    except BadSignature:  # raised for expired cookies too
        return None
    return hashlib.sha256(f"token {name}".encode()).hexdigest()


def _signer(token: str) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(token, salt=COOKIE, signer_kwargs={"digest_method": hashlib.sha256})


class Patience:
    """Counts wrong tries: after `TRIES` in `WINDOW_S` seconds an address has to wait, after `TRIES_OF_ALL` everybody.

    A right token is never counted nor refused: nobody can lock others out.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._tries: dict[str, list[float]] = {}
        self._all: list[float] = []
        self._lock = threading.Lock()

    def wrong(self, address: str) -> float:
        """Count a wrong try and return 0, or return how many seconds the address has to wait before the next."""
        with self._lock:
            now = self._clock()
            recent = [at for at in self._tries.pop(address, []) if now - at < WINDOW_S]
            self._all = [at for at in self._all if now - at < WINDOW_S]
            full = [tries for tries, most in ((recent, TRIES), (self._all, TRIES_OF_ALL)) if len(tries) >= most]
            wait_s = max((tries[0] + WINDOW_S - now for tries in full), default=0.0)
            while len(self._tries) >= MOST_ADDRESSES:
                self._tries.pop(next(iter(self._tries)))
            self._tries[address] = recent if wait_s else [*recent, now]
            self._all += [] if wait_s else [now]
            return wait_s
