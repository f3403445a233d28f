"""Whether a request was meant for this app: by the name it was asked under, and by the page that asks.

A page on another site can make a browser send requests here, and can even make its own name point here (DNS
rebinding). It cannot change what the browser writes into Host, Origin and Sec-Fetch-Site.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

from dashboard.access.entrance import is_loopback, login_origin
from engine.core.settings import settings

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
OURS = ("same-origin", "none")


def host_name(host: str) -> str:
    """Return the name in a Host header, without its port; empty if it is none."""
    try:
        parts = urlsplit(f"//{host}")
        strange = parts.path or parts.query or parts.fragment or parts.username is not None or parts.port == 0
        return "" if strange else (parts.hostname or "").rstrip(".")
    except ValueError:
        return ""


def answers_to(host: str, listening_on: str) -> bool:
    """Return whether the app goes by the name in a Host header.

    An address in numbers is nobody's to point elsewhere, so it is taken where the app listens to other machines.
    """
    name = host_name(host)
    if is_loopback(name):
        return True
    try:
        ipaddress.ip_address(name)
        return not is_loopback(listening_on)
    except ValueError:
        return bool(name) and name in settings().other_hosts | {urlsplit(login_origin()).hostname}


def is_our_page(headers: Mapping[str, str]) -> bool:
    """Return whether a request comes from a page of ours, or from no page at all."""
    if headers.get("sec-fetch-site", "same-origin") not in OURS:
        return False
    origin = headers.get("origin")
    if origin is None or (origin and origin == login_origin()):
        return True
    parts = urlsplit(origin)
    return parts.scheme in ("http", "https") and parts.netloc == headers.get("host")
