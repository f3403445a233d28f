"""The access mode of the installation: open to the local machine, a shared token, or a login.

Read from Streamlit's secrets and our settings once, when the app starts: removing the secrets file later does not
open the app.
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


class AccessMode(enum.StrEnum):
    """OPEN: the app is reachable only from this machine, and every visitor is an admin. TOKEN: visitors need the shared
    access token. LOGIN: visitors log in at an identity provider, and the database has their roles.
    """

    OPEN = "open"
    TOKEN = "token"
    LOGIN = "login"


@lru_cache(maxsize=1)
def access_mode() -> AccessMode:
    """Return the access mode of this process."""
    return _access_mode(get_secrets_auth_section(), settings())


def _access_mode(auth: Mapping[str, Any], chosen: Settings) -> AccessMode:
    if auth:
        return AccessMode.LOGIN
    return AccessMode.TOKEN if chosen.access_token.get_secret_value() else AccessMode.OPEN


@lru_cache(maxsize=1)
def login_origin() -> str:
    """Return scheme and host of the login, from the secrets; empty without a login."""
    return get_origin_from_redirect_uri() or ""


def is_loopback(address: str | None) -> bool:
    """Return whether an address or a host name can only refer to this machine."""
    if not address:
        return False
    try:
        return ipaddress.ip_address(address.strip("[]")).is_loopback
    except ValueError:
        return address.lower() in LOOPBACK_NAMES


def reason_not_to_start(address: str, auth: Mapping[str, Any], chosen: Settings) -> str | None:
    """Return why an app that would be open to other machines must not start, None if it may start.

    Args:
        address: the address that Streamlit listens on.
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
        f"Listening on {address!r} would give access to everybody who reaches this machine. Set {missing}, or a login "
        "in .streamlit/secrets.toml (docs/how-to/share-with-others.md), or listen on 127.0.0.1."
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
    named: list[str | None] = []
    named += [name for name, value in auth.items() if isinstance(value, Mapping) and "client_id" in value]
    return [None, *named] if auth.get("client_id") else named


def login_providers() -> list[str | None]:
    """Return the names of the identity providers of this installation."""
    return providers(get_secrets_auth_section())
