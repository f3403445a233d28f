"""How this installation is entered: by whoever sits at the machine, by a shared token, or by logging in.

Told from Streamlit's secrets and our settings once, when the app starts: a secrets file that is removed later opens
nothing.
"""

from __future__ import annotations

import enum
import importlib.util
import ipaddress
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from streamlit.auth_util import get_origin_from_redirect_uri, get_secrets_auth_section

from engine.core.settings import Settings, settings

SHORTEST_TOKEN = 20
SHORTEST_SECRET = 32
LOOPBACK_NAMES = ("localhost", "localhost.localdomain")


class Entrance(enum.StrEnum):
    """OPEN: only this machine reaches the app, and whoever does is at home. TOKEN: who knows the shared access token
    is let in. LOGIN: an identity provider says who somebody is, and the database what they may do.
    """

    OPEN = "open"
    TOKEN = "token"
    LOGIN = "login"


@lru_cache(maxsize=1)
def entrance() -> Entrance:
    """Return how this process is entered."""
    return _entrance(get_secrets_auth_section(), settings())


def _entrance(auth: Mapping[str, Any], chosen: Settings) -> Entrance:
    if auth:
        return Entrance.LOGIN
    return Entrance.TOKEN if chosen.access_token.get_secret_value() else Entrance.OPEN


@lru_cache(maxsize=1)
def login_origin() -> str:
    """Return scheme and host under which people log in, as the secrets name it; empty without a login."""
    return get_origin_from_redirect_uri() or ""


def is_loopback(address: str | None) -> bool:
    """Return whether an address or a host name can only mean this machine itself."""
    if not address:
        return False
    try:
        return ipaddress.ip_address(address.strip("[]")).is_loopback
    except ValueError:
        return address.lower() in LOOPBACK_NAMES


def reason_not_to_start(address: str, auth: Mapping[str, Any], chosen: Settings) -> str | None:
    """Return the sentence that ends the start of an app that strangers could enter, None if none could.

    Args:
        address: what Streamlit is told to listen on.
        auth: the section [auth] of Streamlit's secrets; empty where there is none.
    """
    if auth:
        return _fault_of_login(auth)
    token = chosen.access_token.get_secret_value()
    if token and len(token) < SHORTEST_TOKEN:
        return f"ACCESS_TOKEN must have at least {SHORTEST_TOKEN} characters. Got {len(token)}."
    if is_loopback(address) or (token and chosen.allow_remote):
        return None
    missing = " and ".join(
        name for name, given in (("ALLOW_REMOTE=1", chosen.allow_remote), ("an ACCESS_TOKEN", token)) if not given
    )
    return (
        f"Listening on {address!r} would let everybody in who reaches this machine. Set {missing}, or a login in "
        ".streamlit/secrets.toml (docs/how-to/share-with-others.md), or listen on 127.0.0.1."
    )


def _fault_of_login(auth: Mapping[str, Any]) -> str | None:
    where = "The section [auth] of .streamlit/secrets.toml"
    redirect = urlsplit(str(auth.get("redirect_uri", "")))
    if redirect.scheme not in ("http", "https") or not redirect.path.endswith("/oauth2callback"):
        return f"{where} needs a redirect_uri: the address of the app, ending in /oauth2callback."
    if len(str(auth.get("cookie_secret", ""))) < SHORTEST_SECRET:
        return f"{where} needs a cookie_secret of at least {SHORTEST_SECRET} random characters."
    if not providers(auth):
        return f"{where} names no identity provider: client_id, client_secret and server_metadata_url."
    if any(importlib.util.find_spec(name) is None for name in ("authlib", "httpx2")):
        return "Logging in needs the packages authlib and httpx2: pip install -r requirements.txt."
    return None


def providers(auth: Mapping[str, Any]) -> list[str | None]:
    """Return the names of the identity providers; None is the one without a name."""
    named = [name for name, value in auth.items() if isinstance(value, Mapping) and "client_id" in value]
    return [None, *named] if auth.get("client_id") else named


def login_providers() -> list[str | None]:
    """Return the names of the identity providers of this installation."""
    return providers(get_secrets_auth_section())
