"""Streamlit's login cookie: its validity and its claims.

Streamlit signs it after a login at the identity provider, and itself reads it only for the pages. Our routes and pages
read it here, with Streamlit's own key and signature (docs/adr/0010-access-control.md).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from streamlit.auth_util import get_cookie_with_chunks
from streamlit.web.server.server_util import get_cookie_secret
from streamlit.web.server.starlette.starlette_app_utils import decode_signed_value
from streamlit.web.server.starlette.starlette_server_config import AUTH_COOKIE_MAX_AGE_SECONDS, USER_COOKIE_NAME

HOURS_OF_STREAMLIT = AUTH_COOKIE_MAX_AGE_SECONDS / 3600
LONGEST_SUBJECT = 600


@dataclass(frozen=True)
class Login:
    """One login: `subject` is the issuer and its id of the person, `key` identifies this login without revealing its
    cookie. `email` is empty unless the provider has verified it.
    """

    key: str
    subject: str
    email: str
    name: str


def login_of(cookies: Mapping[str, str], origin: str, hours: float) -> Login | None:
    """Return the login of the cookies; None if there is none, or it is forged, expired, or from another app.

    Args:
        origin: scheme and host that the login must be valid for.
        hours: how long a login is valid.
    """
    secret, days = get_cookie_secret(), min(hours, HOURS_OF_STREAMLIT) / 24

    def piece(name: str) -> bytes | None:
        # Cookies are sent as ISO 8859-1.
        value = cookies.get(name, "").encode("latin-1", errors="replace")
        return decode_signed_value(secret, name, value, max_age_days=days) if value else None

    try:
        signed = get_cookie_with_chunks(piece, USER_COOKIE_NAME) or b""
        claims = json.loads(signed) if signed else None
    except ValueError:
        return None
    if (
        signed is None
        or not isinstance(claims, dict)
        or claims.get("is_logged_in") is not True
        or claims.get("origin") != origin
    ):
        return None
    issuer, subject = claims.get("iss"), claims.get("sub")
    if not issuer or not subject or len(f"{issuer}|{subject}") > LONGEST_SUBJECT:
        return None
    email = str(claims.get("email") or "")[:320]
    name = claims.get("name") or claims.get("preferred_username") or email or subject
    return Login(
        # From the signed claims, not the cookie: the same signature has several encodings.
        key=hashlib.sha256(signed).hexdigest(),
        subject=f"{issuer}|{subject}",
        email=email if claims.get("email_verified") in (True, "true") else "",
        name=" ".join(str(name).split())[:200],
    )
