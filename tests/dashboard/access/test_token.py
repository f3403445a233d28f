"""The shared access token: its cookie, its page, and the limit of tries."""

import time

import pytest

from dashboard.access import token_cookie, token_route
from dashboard.access.token_cookie import (
    COOKIE,
    TRIES,
    TRIES_OF_ALL,
    WINDOW_S,
    Patience,
    is_token,
    login_key,
    new_cookie,
)
from tests.support.entering import ACCESS_TOKEN, forget
from tests.support.serving import guarded_serving

FORM = {"content_type": "application/x-www-form-urlencoded"}


@pytest.fixture
def installed(dashboard, monkeypatch):
    monkeypatch.setenv("ACCESS_TOKEN", ACCESS_TOKEN)
    forget()
    token_route.patience.cache_clear()
    yield dashboard
    forget()


def log_in(server, typed: str, **headers: str):
    return server.ask("/access", "POST", f"token={typed}".encode(), **FORM, **headers)


def test_only_the_exact_token_is_accepted():
    assert is_token("a" * 20, "a" * 20)
    assert not is_token("a" * 19, "a" * 20) and not is_token("é", "a" * 20) and not is_token("", "")


def test_a_cookie_is_valid_for_its_hours_and_its_token(monkeypatch):
    cookie = new_cookie(ACCESS_TOKEN)
    assert ACCESS_TOKEN not in cookie
    assert login_key({COOKIE: cookie}, ACCESS_TOKEN, 1)
    assert login_key({COOKIE: cookie}, ACCESS_TOKEN, 1) != login_key(
        {COOKIE: new_cookie(ACCESS_TOKEN)}, ACCESS_TOKEN, 1
    )
    for bad in (cookie[:-2], "", "a.b.c", ACCESS_TOKEN):
        assert login_key({COOKIE: bad}, ACCESS_TOKEN, 1) is None
    assert login_key({COOKIE: cookie}, "another token of 28 characters", 1) is None
    now = time.time()
    monkeypatch.setattr("itsdangerous.timed.time.time", lambda: now + 3601)
    assert login_key({COOKIE: cookie}, ACCESS_TOKEN, 1) is None


def test_an_address_has_to_wait_after_some_wrong_tries():
    now = 0.0
    patience = Patience(lambda: now)
    assert [patience.wrong("a") for _ in range(TRIES)] == [0.0] * TRIES
    assert patience.wrong("a") == WINDOW_S and patience.wrong("b") == 0
    now = WINDOW_S / 2
    assert patience.wrong("a") == WINDOW_S / 2
    now = WINDOW_S
    assert patience.wrong("a") == 0
    for number in range(3 * token_cookie.MOST_ADDRESSES):
        patience.wrong(f"address {number}")
    assert len(patience._tries) <= token_cookie.MOST_ADDRESSES + 1


def test_wrong_tries_of_all_addresses_together_are_limited():
    now = 0.0
    patience = Patience(lambda: now)
    assert [patience.wrong(f"address {number}") for number in range(TRIES_OF_ALL)] == [0.0] * TRIES_OF_ALL
    assert patience.wrong("another") == WINDOW_S
    now = WINDOW_S
    assert patience.wrong("another") == 0


def test_nothing_is_available_without_the_token(installed):
    with guarded_serving() as server:
        for path in ("/", "/datasets", "/files/preview/" + "0" * 32, "/static/js/index.js", "/access/leave"):
            shown = server.ask(path)
            assert shown.status == 401 and b"Access token" in shown.body and b"static/" not in shown.body
            assert "default-src 'none'" in shown.headers["content-security-policy"]
            assert server.ask(path, sec_fetch_mode="no-cors").headers["content-type"] == "application/json"
        assert log_in(server, "wrong").status == 401
        right = log_in(server, ACCESS_TOKEN)
        assert right.status == 303 and right.headers["location"] == "/"
        set_cookie = right.headers["set-cookie"]
        assert "HttpOnly" in set_cookie and "SameSite=lax" in set_cookie and ACCESS_TOKEN not in set_cookie
        cookie = set_cookie.partition(";")[0]
        assert server.ask("/files/preview/" + "0" * 32, cookie=cookie).status == 404
        assert server.ask("/access/leave", cookie=cookie).status == 303
        assert server.ask("/files/preview/" + "0" * 32, cookie=cookie).status == 401, "the login has ended"


def test_guessing_is_limited_and_the_token_is_not_read_from_a_url(installed):
    with guarded_serving() as server:
        assert server.ask(f"/?token={ACCESS_TOKEN}").status == 401
        assert server.ask(f"/access?token={ACCESS_TOKEN}").status == 200
        assert [log_in(server, "wrong").status for _ in range(TRIES)] == [401] * TRIES
        refused = log_in(server, "wrong")
        assert refused.status == 429 and 0 < int(refused.headers["retry-after"]) <= WINDOW_S + 1
        assert log_in(server, ACCESS_TOKEN).status == 303, "wrong tries lock nobody out"


def test_a_form_of_another_site_is_rejected(installed):
    with guarded_serving() as server:
        for headers in ({"sec_fetch_site": "cross-site"}, {"origin": "http://evil.example"}, {"origin": "null"}):
            assert log_in(server, ACCESS_TOKEN, **headers).status == 403
        assert log_in(server, "x" * 5000).status == 413
