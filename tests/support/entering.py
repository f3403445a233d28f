"""Access for tests: an installation with a login or a token, and cookies signed as Streamlit and we sign them."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from streamlit.web.server.starlette.starlette_app_utils import create_signed_value

from dashboard.access import hosts, identity, login_cookie, mode
from engine.core import settings as settings_module

ORIGIN = "http://127.0.0.1"
COOKIE_SECRET = secrets.token_urlsafe(32)
ACCESS_TOKEN = secrets.token_urlsafe(24)
USER = "_streamlit_user"


def forget() -> None:
    """Clear the caches of the access mode and the settings."""
    settings_module.settings.cache_clear()
    mode.access_mode.cache_clear()
    mode.login_origin.cache_clear()


@contextmanager
def login_wanted() -> Iterator[None]:
    """Run the block in an installation that people log in to, under `ORIGIN`."""
    forget()
    auth = {"client_id": "x", "redirect_uri": f"{ORIGIN}/oauth2callback"}
    with (
        patch.object(mode, "get_secrets_auth_section", lambda: auth),
        patch.object(login_cookie, "get_cookie_secret", lambda: COOKIE_SECRET),
        patch.object(identity, "login_origin", lambda: ORIGIN),
        patch.object(hosts, "login_origin", lambda: ORIGIN),
    ):
        yield
    forget()


def user_cookies(subject: str = "ada", secret: str = COOKIE_SECRET, **claims: Any) -> dict[str, str]:
    """Return the cookies that Streamlit sets for somebody who comes back from the identity provider."""
    told = {
        "iss": "https://people.example",
        "sub": subject,
        "name": subject.capitalize(),
        "email": f"{subject}@example.org",
        "email_verified": True,
        "nonce": secrets.token_hex(4),
        "origin": ORIGIN,
        "is_logged_in": True,
        "provider": "default",
    }
    return {USER: create_signed_value(secret, USER, json.dumps(told | claims)).decode()}


def header(cookies: dict[str, str]) -> str:
    """Return cookies as a browser sends them."""
    return "; ".join(f"{name}={value}" for name, value in cookies.items())
