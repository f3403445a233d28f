"""Checks that a request is meant for this app: its host name, and the page that sent it.

A page of another site can make a browser send requests here, and can even make its own name point here (DNS
rebinding). It cannot change the headers Host, Origin and Sec-Fetch-Site.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

from dashboard.access.mode import is_loopback, login_origin
from engine.core.settings import settings

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
OURS = ("same-origin", "none")


def host_name(host: str) -> str:
    """Return the name in a Host header, without its port; empty if it is invalid."""
    try:
        parts = urlsplit(f"//{host}")
        invalid = parts.path or parts.query or parts.fragment or parts.username is not None or parts.port == 0
        return "" if invalid else (parts.hostname or "").rstrip(".")
    except ValueError:
        return ""


def answers_to(host: str, listening_on: str) -> bool:
    """Return whether the host name in a Host header is allowed.

    A numeric address cannot be redirected by DNS, so it is allowed if the app listens to other machines.
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
    """Return whether a request comes from one of our pages, or from no page at all."""
    if headers.get("sec-fetch-site", "same-origin") not in OURS:
        return False
    origin = headers.get("origin")
    if origin is None or (origin and origin == login_origin()):
        return True
    parts = urlsplit(origin)
    return parts.scheme in ("http", "https") and parts.netloc == headers.get("host")
