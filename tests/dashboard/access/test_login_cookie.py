"""Streamlit's login cookie: read as Streamlit writes it, and nothing else believed."""

import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from http.cookies import SimpleCookie

import anyio
import pytest
from starlette.responses import Response
from streamlit.web.server.starlette import starlette_auth_routes
from streamlit.web.server.starlette.starlette_app_utils import create_signed_value

from dashboard.access import login_cookie
from dashboard.access.login_cookie import login_of
from tests.support.entering import COOKIE_SECRET, ORIGIN, USER, user_cookies

HOURS = 24


@pytest.fixture(autouse=True)
def secret(monkeypatch):
    for module in (login_cookie, starlette_auth_routes):
        monkeypatch.setattr(module, "get_cookie_secret", lambda: COOKIE_SECRET)


async def _streamlits_own(claims: dict) -> dict[str, str]:
    response, cookies = Response(), SimpleCookie()
    await starlette_auth_routes._set_auth_cookie(response, claims, {})
    for name, value in response.raw_headers:
        if name == b"set-cookie":
            cookies.load(value.decode())
    return {name: morsel.value for name, morsel in cookies.items()}


@pytest.mark.parametrize("padding", [0, 9000])
def test_what_streamlit_writes_is_read_however_long(padding):
    claims = {"iss": "https://i", "sub": "7", "name": " Ada\n Lovelace ", "email": "ada@x.org", "email_verified": True}
    claims |= {"origin": ORIGIN, "is_logged_in": True, "groups": secrets.token_hex(padding)}
    with ThreadPoolExecutor(1) as fresh:  # this thread may have a loop at work already: a browser's
        cookies = fresh.submit(anyio.run, _streamlits_own, claims).result()
    assert (len(cookies) > 2) == bool(padding)
    login = login_of(cookies, ORIGIN, HOURS)
    assert (login.subject, login.email, login.name) == ("https://i|7", "ada@x.org", "Ada Lovelace")


@pytest.mark.parametrize(
    "claims",
    [
        {"origin": "http://another.example"},
        {"is_logged_in": False},
        {"is_logged_in": "yes"},
        {"sub": ""},
        {"iss": None},
        {"sub": "x" * 700},
    ],
)
def test_a_good_signature_is_not_enough(claims):
    assert login_of(user_cookies(), ORIGIN, HOURS)
    assert login_of(user_cookies(**claims), ORIGIN, HOURS) is None


def test_a_forged_changed_or_foreign_cookie_is_nobody():
    good = user_cookies()[USER]
    changed = ".".join([user_cookies("bob")[USER].rsplit(".", 2)[0], *good.rsplit(".", 2)[1:]])
    foreign = user_cookies(secret="x" * 32)[USER]
    for value in (foreign, changed, good[:-5] + "abcde", "", "chunks-3", "é", "a.b.c"):
        assert login_of({USER: value}, ORIGIN, HOURS) is None, value
    assert login_of({}, ORIGIN, HOURS) is None
    assert login_of({"_streamlit_user_tokens": good}, ORIGIN, HOURS) is None


def test_a_login_ends_after_its_hours(monkeypatch):
    cookies, now = user_cookies(), time.time()
    monkeypatch.setattr("itsdangerous.timed.time.time", lambda: now + 3600)
    assert login_of(cookies, ORIGIN, 2)
    assert login_of(cookies, ORIGIN, 0.5) is None


def test_two_logins_of_one_person_are_two_and_a_respelled_one_is_the_same():
    first, second = user_cookies(), user_cookies()
    assert login_of(first, ORIGIN, HOURS).key != login_of(second, ORIGIN, HOURS).key
    # The last character of a signature holds bits that mean nothing.
    value, alphabet = first[USER], "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    spelled = [value[:-1] + letter for letter in alphabet]
    keys = {login.key for text in spelled if (login := login_of({USER: text}, ORIGIN, HOURS))}
    assert keys == {login_of(first, ORIGIN, HOURS).key}


@pytest.mark.parametrize(
    ("verified", "email"), [(True, "ada@example.org"), ("true", "ada@example.org"), (None, ""), (False, "")]
)
def test_an_address_that_is_not_vouched_for_is_not_taken(verified, email):
    assert login_of(user_cookies(email_verified=verified), ORIGIN, HOURS).email == email


def test_claims_that_are_no_object_are_nobody():
    for claims in ("[]", "1", "{"):
        assert login_of({USER: create_signed_value(COOKIE_SECRET, USER, claims).decode()}, ORIGIN, HOURS) is None
