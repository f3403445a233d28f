"""The gate: which roles and which senders each route accepts."""

import re

import pytest
from sqlalchemy import select
from starlette.responses import FileResponse
from streamlit.proto.BackMsg_pb2 import BackMsg

from dashboard.access import gate, identity, messages
from dashboard.access.gate import PAGES
from dashboard.facts import urls
from dashboard.pages import page_routes
from dashboard.server.routes import ROUTES
from db.actors import ANONYMOUS, LOCAL, Actor, Role
from db.models import AuditEntry, Image, Person
from engine.store import keys as stored
from tests.support.entering import forget, header, login_wanted, user_cookies
from tests.support.installation import REPOSITORY, add_discs
from tests.support.predicted import add_run
from tests.support.serving import guarded_serving

NOBODY = "0" * 32


def addresses() -> list[tuple[str, str]]:
    """Return (method, address) of all our routes, of things that are not there."""
    found = []
    for route in [*page_routes(), *ROUTES]:
        path = re.sub(r"\{\w+:number\}", "1", route.path)
        found += [(method, re.sub(r"\{\w+\}", NOBODY, path)) for method in sorted(route.methods)]
    return found


@pytest.fixture
def shared(dashboard):
    with login_wanted():
        yield dashboard


@pytest.fixture
def open_installation(dashboard):
    forget()
    yield dashboard


def arrive(installation, role: Role, subject: str = "ada") -> dict[str, str]:
    """Log somebody in and return their cookies."""
    cookies = user_cookies(subject)
    identity.log_in(installation.database, cookies)
    with installation.database.writing() as session:
        session.scalars(select(Person).where(Person.subject.endswith(f"|{subject}"))).one().role = role
    return cookies


def a_thumbnail(installation) -> str:
    with installation.database.reading() as session:
        image = session.scalars(select(Image)).first()
    return f"/files/datasets/{image.dataset_id}/thumbs/{image.id}"


def test_all_routes_are_checked():
    assert len(addresses()) >= 27 and ("POST", f"/files/uploads/{NOBODY}") in addresses()
    stems = {f"/{path.parent.name}" for path in (REPOSITORY / "dashboard" / "views").glob("*/page.py")}
    assert stems | {"/"} == PAGES


def test_every_route_rejects_anonymous_visitors(shared):
    with guarded_serving() as server:
        for method, address in addresses():
            answer = server.ask(address, method)
            assert answer.status == 401, f"{method} {address}"
            if method != "HEAD":
                assert b"Log in first" in answer.body
        other = ("/a/route/that/somebody/adds", "/_stcore/metrics", "/files", "/datasets/1", "/staticfile")
        ends_like_a_probe = ("/files/x/_stcore/health", "/train%3f/_stcore/health", "/media/x/_stcore/host-config")
        for address in (*other, *ends_like_a_probe):
            assert server.ask(address).status == 401, address


def test_public_paths_reach_the_app(shared):
    with guarded_serving() as server:
        # 404 is the answer of the routes here: this test server has none of Streamlit's.
        for address in (
            "/",
            "/train",
            "/static/js/index.js",
            "/_stcore/health",
            "/train/_stcore/health",
            "/auth/login",
        ):
            assert server.ask(address).status == 404, address
        for address in ("/", "/static/js/index.js", "/_stcore/health", "/oauth2callback"):
            assert server.ask(address, "POST").status == 401, address


@pytest.mark.parametrize(("role", "reads", "writes"), [
    (Role.NONE, 403, 403), (Role.VIEWER, 200, 403), (Role.EDITOR, 200, 410), (Role.ADMIN, 200, 410),
])  # fmt: skip
def test_each_role_gets_its_permissions(shared, role, reads, writes):
    add_discs(shared)
    cookie = header(arrive(shared, role))
    upload = {"x_maskloom_upload": "1", "sec_fetch_site": "same-origin"}
    with guarded_serving() as server:
        assert server.ask(a_thumbnail(shared), cookie=cookie).status == reads
        assert server.ask(f"/files/uploads/{NOBODY}?path=a.png", "POST", b"x", cookie=cookie, **upload).status == writes
        assert server.ask(f"/files/uploads/{NOBODY}", "DELETE", cookie=cookie, **upload).status == writes


def test_a_login_is_valid_until_it_is_ended(shared):
    add_discs(shared)
    cookies = arrive(shared, Role.VIEWER)
    other = user_cookies()
    with guarded_serving() as server:
        assert server.ask(a_thumbnail(shared), cookie=header(cookies)).status == 200
        server.ask("/auth/logout", cookie=header(cookies), sec_fetch_site="cross-site", sec_fetch_mode="navigate")
        assert server.ask(a_thumbnail(shared), cookie=header(cookies)).status == 200, "another site logs nobody out"
        server.ask("/auth/logout", cookie=header(cookies))
        assert server.ask(a_thumbnail(shared), cookie=header(cookies)).status == 401
        assert server.ask(a_thumbnail(shared), cookie=header(other)).status == 200, "only this login has ended"
    with shared.database.reading() as session:
        told = list(session.scalars(select(AuditEntry).order_by(AuditEntry.id)))
    assert [(entry.who, entry.action) for entry in told[-2:]] == [("Ada", "logged in"), ("Ada", "logged out")]


def test_a_cookie_of_an_unknown_person_is_rejected(shared):
    add_discs(shared)
    with guarded_serving() as server:
        assert server.ask(a_thumbnail(shared), cookie=header(user_cookies("carol"))).status == 401


def test_a_download_is_recorded_with_its_person(shared):
    dataset = add_discs(shared)
    cookie = header(arrive(shared, Role.VIEWER))
    with guarded_serving() as server:
        assert server.ask(f"/files/datasets/{dataset.id}/report.csv", cookie=cookie).status == 200
    with shared.database.reading() as session:
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "exported")).one()
    assert (entry.who, entry.kind, entry.object_id) == ("Ada", "datasets", dataset.id)
    assert entry.name == "discs import report.csv"


@pytest.mark.parametrize("name", ["plain.keras", "with a blank.keras", "ä 'quoted' \"x\".keras"])
def test_the_name_of_a_download_is_read_as_starlette_writes_it(tmp_path, name):
    (tmp_path / "file").write_bytes(b"")
    response = FileResponse(tmp_path / "file", filename=name)
    assert gate._file_name(response.headers["content-disposition"]) == name


def test_a_model_with_a_plain_name_is_recorded_with_it(shared):
    run = add_run(shared, add_discs(shared), "plainrun")
    shared.files.write(stored.best_model_key(run.id), b"model")
    cookie = header(arrive(shared, Role.VIEWER))
    with guarded_serving() as server:
        assert server.ask(urls.model(run.id), cookie=cookie).status == 200
    with shared.database.reading() as session:
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "exported")).one()
    assert entry.name == "plainrun.keras"


NUMBERS = ["192.168.1.5", "127.0.0.1/x", "[::1", "x@127.0.0.1", ""]
HOSTS = ["evil.example", "evil.example:80", "127.0.0.1.evil.example", *NUMBERS]


@pytest.mark.parametrize("host", HOSTS)
def test_other_host_names_are_rejected(open_installation, host):
    with guarded_serving() as server:
        assert server.ask("/files/preview/" + NOBODY, host=host).status in (400, 421)


def test_names_of_this_machine_and_allowed_hosts_are_accepted(dashboard, monkeypatch):
    monkeypatch.setenv("ALLOWED_HOSTS", "Masks.example, lab")
    forget()
    with guarded_serving() as server:
        for host in ("127.0.0.1", "localhost:8501", "[::1]:8501", "masks.example", "LAB:80", "lab."):
            assert server.ask("/files/preview/" + NOBODY, host=host).status == 404, host


@pytest.mark.parametrize("headers", [
    {"sec_fetch_site": "cross-site"}, {"sec_fetch_site": "same-site"}, {"origin": "http://evil.example"},
    {"origin": "null"}, {"origin": ""}, {"origin": "https://127.0.0.1:1"},
    {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate"},
])  # fmt: skip
def test_a_page_of_another_site_can_neither_upload_nor_read(open_installation, headers):
    upload = {"x_maskloom_upload": "1", **headers}
    with guarded_serving() as server:
        assert server.ask(f"/files/uploads/{NOBODY}?path=a.png", "POST", b"x", **upload).status == 403
        assert server.ask(f"/files/preview/{NOBODY}", **headers).status == 403
        assert server.ask("/static/js/index.js", **headers).status == 403


def test_a_link_of_another_site_opens_a_page(open_installation):
    with guarded_serving() as server:
        assert server.ask("/runs", sec_fetch_site="cross-site", sec_fetch_mode="navigate").status == 404  # not 403
        assert server.ask("/runs", "POST", sec_fetch_site="cross-site", sec_fetch_mode="navigate").status == 403


def test_every_response_has_the_headers(open_installation):
    with guarded_serving() as server:
        for answer in (server.ask("/"), server.ask("/", host="evil.example"), server.ask("/files/preview/" + NOBODY)):
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["x-frame-options"] == "DENY"
            assert "camera=()" in answer.headers["permissions-policy"]
            assert answer.headers["referrer-policy"] in ("same-origin", "no-referrer")
            assert answer.headers["content-security-policy"].startswith("default-src")
        policy = server.ask("/").headers["content-security-policy"]
        scripts = next(part for part in policy.split("; ") if part.startswith("script-src"))
        assert "'unsafe-" not in scripts and "http" not in policy and "frame-ancestors 'none'" in policy


def test_the_local_visitor_is_recorded_as_local(open_installation):
    dataset = add_discs(open_installation)
    with guarded_serving() as server:
        assert server.ask(f"/files/datasets/{dataset.id}/report.csv").status == 200
        # A proxy on this machine forwards the address of another machine.
        assert server.ask(f"/files/datasets/{dataset.id}/report.csv", x_forwarded_for="192.168.1.7").status == 403
    with open_installation.database.reading() as session:
        assert [entry.who for entry in session.scalars(select(AuditEntry))] == ["local"]


def message(**fields) -> bytes:
    made = BackMsg()
    for name, value in fields.items():
        if name == "rerun_script":
            for key, text in value.items():
                setattr(made.rerun_script, key, text)
            made.rerun_script.widget_states.widgets.add(id="button", trigger_value=True)
        else:
            setattr(made, name, value)
    return made.SerializeToString()


def test_an_anonymous_visitor_can_only_rerun_the_whole_page():
    pressed = message(rerun_script={"fragment_id": "live", "query_string": "run=1", "page_script_hash": "abc"})
    for before in (True, False):
        accepted = BackMsg.FromString(messages.admitted(pressed, ANONYMOUS, could_view=before)).rerun_script
        assert (accepted.query_string, accepted.page_script_hash, accepted.fragment_id) == ("run=1", "abc", "")
        assert bool(accepted.widget_states.widgets) != before, "the button Log in can be pressed, and no other"
    for other in (message(clear_cache=True), message(stop_script=True), b"\xff\xff", b"x" * 70_000, b""):
        assert messages.admitted(other, ANONYMOUS, could_view=False) is None
    assert messages.admitted(pressed, Actor("v", Role.VIEWER), could_view=True) == pressed


def test_only_an_admin_clears_the_cache():
    asked = message(clear_cache=True)
    assert messages.admitted(asked, Actor("e", Role.EDITOR), could_view=True) is None
    assert messages.admitted(asked, LOCAL, could_view=True) == asked
