"""Logging in for real: a browser, the running app and an identity provider; the pages of each role."""

from __future__ import annotations

import http.client
import re
import secrets
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect
from streamlit.web.server.starlette.starlette_app_utils import create_signed_value

from dashboard.pages import page_routes
from dashboard.server.routes import ROUTES
from db.models import AuditEntry, Image, Person
from tests.browser.conftest import PATIENCE_MS
from tests.support.accessibility import axe_findings
from tests.support.installation import add_discs
from tests.support.oidc import Provider, provider
from tests.support.running_app import RunningApp, running

COOKIE_SECRET = secrets.token_urlsafe(32)
ADA, BOB = ("Ada Lovelace", "ada@example.org"), ("Bob <b>Ross</b>", "bob@example.org")
OF_STREAMLIT = ["/media/0.png", "/component/x/index.html", "/_stcore/bidi-components/x", "/_stcore/metrics"]


@pytest.fixture(scope="module")
def identities() -> Iterator[Provider]:
    with provider(ada=ADA, bob=BOB) as running_provider:
        yield running_provider


@pytest.fixture(scope="module")
def app_with_login(identities: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    folder = tmp_path_factory.mktemp("login")
    file = identities.secrets_file(folder, COOKIE_SECRET)
    with running(folder / "data", "--secrets.files", str(file)) as started:
        yield started


@pytest.fixture
def app(app_with_login: RunningApp) -> RunningApp:
    """The app with a login, nobody who has logged in, and a dataset in it."""
    app_with_login.empty()
    add_discs(app_with_login.installation)
    return app_with_login


@pytest.fixture
def context_of(browser: Browser) -> Iterator[Callable[[], BrowserContext]]:
    """Return a function that opens a browser of somebody else: with cookies of its own."""
    made: list[BrowserContext] = []

    def open_() -> BrowserContext:
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        context.set_default_timeout(PATIENCE_MS)
        made.append(context)
        return context

    yield open_
    for context in made:
        context.close()


def log_in(context: BrowserContext, address: str, name: str) -> Page:
    page = context.new_page()
    page.goto(address)
    page.get_by_role("button", name="Log in").wait_for()
    assert axe_findings(page) == []
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("link", name=name).click()
    page.get_by_test_id("stTopNavLink").first.wait_for()
    return page


def status(address: str, path: str, context: BrowserContext | None = None, method: str = "GET") -> int:
    """Return how a request is answered, with the cookies of a browser or with none."""
    cookies = context.cookies() if context else []
    headers = {"Cookie": "; ".join(f"{cookie['name']}={cookie['value']}" for cookie in cookies)}
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=30)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse().status
    connection.close()
    return answer


def a_picture(app: RunningApp) -> str:
    with app.installation.database.reading() as session:
        image = session.query(Image).first()
    return f"/files/datasets/{image.dataset_id}/thumbs/{image.id}"


def test_an_anonymous_visitor_sees_only_the_sign_in_page(app, context_of):
    page = context_of().new_page()
    for path in ["/", "/datasets", "/people", "/account"]:
        page.goto(app.address + path)
        page.get_by_role("button", name="Log in").wait_for()
        expect(page.get_by_test_id("stTopNavLink")).to_have_count(0)
        assert "discs" not in page.content()
    for route in [*page_routes(), *ROUTES]:
        path = re.sub(r"\{number:int\}|\{epoch:int\}", "1", route.path)
        path = re.sub(r"\{\w+\}", "0" * 32, path)
        for method in route.methods:
            assert status(app.address, path, method=method) == 401, f"{method} {path}"
    for path in OF_STREAMLIT:
        assert status(app.address, path) == 401, path
    assert status(app.address, "/_stcore/upload_file/x/y", method="PUT") in (401, 403)
    assert status(app.address, a_picture(app)) == 401


def test_the_first_person_is_admin_and_gives_the_next_one_a_role(app, context_of):
    adas, bobs = context_of(), context_of()
    ada = log_in(adas, app.address, ADA[0])
    bob = log_in(bobs, app.address, "Bob")
    picture = a_picture(app)
    assert status(app.address, picture, bobs) == 200
    assert status(app.address, f"/files/uploads/{'0' * 32}", bobs, "POST") == 403
    bob.goto(f"{app.address}/train")
    bob.get_by_text("Training requires the role editor").wait_for()
    expect(bob.get_by_role("button", name="Start training")).to_have_count(0)
    expect(bob.get_by_test_id("stTopNavLink").filter(has_text="People")).to_have_count(0)

    ada.get_by_test_id("stTopNavLink").filter(has_text="People").first.click()
    ada.get_by_text("bob@example.org").wait_for()
    assert axe_findings(ada) == []
    expect(ada.locator("b", has_text="Ross")).to_have_count(0)
    ada.get_by_label("Role of Bob").click()
    ada.get_by_role("option", name="Editor").click()
    ada.get_by_role("heading", name="Audit log").wait_for()
    expect(ada.get_by_label("Role of Bob")).to_have_count(1)  # the old element disappears after the rerun
    expect(ada.get_by_label("Role of Bob")).to_have_value("Editor")
    bob.reload()
    bob.get_by_role("button", name="Start training").wait_for()
    bob.goto(f"{app.address}/datasets")
    bob.get_by_text("Import images").first.click()
    expect(bob.get_by_text("Folder on the server")).to_have_count(0)
    bob.get_by_text("Sample set").click()
    bob.get_by_role("button", name="Import", exact=True).click()
    bob.get_by_role("heading", name="Sample scenes").wait_for()

    with app.installation.database.reading() as session:
        told = [(each.who, each.action, each.name) for each in session.query(AuditEntry).order_by(AuditEntry.id)]
    assert told == [
        (ADA[0], "logged in", ADA[0]),
        (BOB[0], "logged in", BOB[0]),
        (ADA[0], "role changed", BOB[0]),
        (BOB[0], "imported", "Sample scenes"),
    ]


def test_logging_out_locks_again_also_for_who_kept_the_cookie(app, context_of):
    context = context_of()
    page = log_in(context, app.address, ADA[0])
    other_tab = context.new_page()
    other_tab.goto(f"{app.address}/datasets")
    other_tab.get_by_text("discs").first.wait_for()
    kept, picture = context.cookies(), a_picture(app)
    assert status(app.address, picture, context) == 200
    page.goto(f"{app.address}/account")
    page.get_by_role("button", name="Log out").click()
    page.get_by_role("button", name="Log in").wait_for()
    assert status(app.address, picture, context) == 401
    other_tab.get_by_role("button", name="discs").first.click()
    other_tab.get_by_role("button", name="Log in").click()
    other_tab.get_by_role("heading", name="Who are you?").wait_for()
    thief = context_of()
    thief.add_cookies(kept)
    assert status(app.address, picture, thief) == 401
    stolen = thief.new_page()
    stolen.goto(app.address)
    stolen.get_by_role("button", name="Log in").wait_for()


def test_a_forged_cookie_is_nobody(app, context_of):
    context = context_of()
    log_in(context, app.address, ADA[0])
    with app.installation.database.reading() as session:
        subject = session.query(Person).one().subject.partition("|")
    claims = f'{{"iss": "{subject[0]}", "sub": "{subject[2]}", "is_logged_in": true, "origin": "{app.address}"}}'
    picture = a_picture(app)
    for key, expected in ((COOKIE_SECRET, 200), ("another secret " * 3, 401)):
        forger = context_of()
        value = create_signed_value(key, "_streamlit_user", claims).decode()
        forger.add_cookies([{"name": "_streamlit_user", "value": value, "url": app.address}])
        assert status(app.address, picture, forger) == expected


def test_the_secrets_appear_in_no_log(app, context_of, identities):
    context = context_of()
    log_in(context, app.address, ADA[0])
    printed = app.log.read_text()
    for secret in [COOKIE_SECRET, *(cookie["value"] for cookie in context.cookies() if "user" in cookie["name"])]:
        assert secret not in printed
