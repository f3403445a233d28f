"""What each role may do at a page: no button for what it may not, and no way around the button."""

import pytest
from sqlalchemy import select
from sqlalchemy.exc import NoResultFound

from dashboard.access import identity
from dashboard.access.mode import AccessMode
from dashboard.access.rights import show_error
from dashboard.pages import pages
from dashboard.server import resources
from dashboard.ui import job_panel
from dashboard.views.runs import marks as run_marks
from db import jobs, submissions
from db.actors import ANONYMOUS, LOCAL, TOKEN, Actor, NotAllowed, Role
from db.models import AuditEntry, Dataset, JobKind, Person
from tests.support.entering import login_wanted, user_cookies
from tests.support.installation import add_discs

VIEWER, EDITOR = Actor("Vera", Role.VIEWER, "v" * 32), Actor("Ed", Role.EDITOR, "e" * 32)
PAGES = [name for name, page in pages().items() if page.is_offered(AccessMode.LOGIN, Role.VIEWER)]
WRITING = [
    *("Import", "Try the sample set", "Start training", "Delete", "Pin", "Archive", "Make masks for all 6 images"),
    *("Predict", "Save this recipe", "Import a recipe", "Measure", "New sweep"),
]


@pytest.fixture
def shared(dashboard):
    with login_wanted():
        yield dashboard


@pytest.fixture
def at_the_page(monkeypatch):
    """Return a function that says whose cookies the browser of a page under test has."""

    def come(cookies: dict[str, str]) -> None:
        monkeypatch.setattr(identity, "cookies_of_page", lambda: cookies)

    come({})
    return come


def arrive(role: Role, subject: str) -> dict[str, str]:
    """Log somebody in as `role` and return their cookies; an admin is there before them."""
    for each in ("ann", subject):
        cookies = user_cookies(each)
        identity.log_in(resources.database(), cookies)
    with identity.acting_as(LOCAL), resources.database().writing() as session:
        session.scalars(select(Person).where(Person.subject.endswith(f"|{subject}"))).one().role = role
    return cookies


@pytest.mark.parametrize("page", pages())
def test_an_anonymous_visitor_sees_only_the_sign_in_page(shared, at_the_page, open_page, page):
    add_discs(shared)
    app = (
        open_page(f"views/{page}/page.py")
        if page not in ("home", "account", "people")
        else open_page("views/datasets/page.py")
    )
    assert [title.value for title in app.title] == ["Maskloom"]
    assert [button.label for button in app.button] == ["Log in"]
    assert "discs" not in str(app)


@pytest.mark.parametrize("page", PAGES)
def test_a_viewer_sees_pages_without_buttons_that_write(shared, at_the_page, open_page, page):
    add_discs(shared)
    at_the_page(arrive(Role.VIEWER, "vera"))
    app = open_page("views/datasets/page.py").switch_page(f"views/{page}/page.py").run()
    assert not app.exception and app.title[0].value != "Log in"
    labels = [button.label for button in app.button]
    assert not [label for label in labels if label.startswith(tuple(WRITING))], labels


def test_only_an_editor_may_train(shared, at_the_page, open_page):
    add_discs(shared)
    at_the_page(arrive(Role.VIEWER, "vera"))
    app = open_page("views/train/page.py")
    assert any("requires the role editor, and your role is viewer" in info.value for info in app.info)
    at_the_page(arrive(Role.EDITOR, "ed"))
    app = open_page("views/train/page.py")
    assert "Start training" in [button.label for button in app.button]
    assert not any("requires the role editor" in info.value for info in app.info)


def test_a_person_without_a_role_sees_only_the_sign_in_page(shared, at_the_page, open_page):
    add_discs(shared)
    at_the_page(arrive(Role.NONE, "nora"))
    app = open_page("views/datasets/page.py")
    assert any("You have no role yet" in info.value for info in app.info)
    assert [button.label for button in app.button] == ["Log out"] and "discs" not in str(app)


@pytest.mark.parametrize("who", [ANONYMOUS, VIEWER])
def test_actions_without_permission_are_rejected_by_the_database(dashboard, submitted, who):
    dataset = add_discs(dashboard)
    with dashboard.database.writing() as session:
        job_id = jobs.submit(session, JobKind.IMPORT, {}).id
    with identity.acting_as(who):
        for forbidden in (
            lambda: job_panel.stop_job(job_id),
            lambda: job_panel.retry_job(job_id),
            lambda: run_marks.delete_one("0" * 32),
            lambda: run_marks.set_pinned(["0" * 32], True),
            lambda: resources.database().writing().__enter__(),
        ):
            with pytest.raises(NotAllowed):
                forbidden()
    assert submitted == [] and not dashboard.job(job_id).stop_requested
    with dashboard.database.reading() as session:
        assert session.get(Dataset, dataset.id) is not None
        assert not session.scalars(select(AuditEntry)).all()


@pytest.mark.parametrize("who", [EDITOR, TOKEN])
def test_only_admins_import_folders_of_the_server(dashboard, who):
    for kind in ("folder", "zip"):
        with identity.acting_as(who), pytest.raises(NotAllowed), resources.database().writing() as session:
            submissions.submit_import(session, "etc", {"kind": kind, "path": "/etc"})
    with identity.acting_as(who), resources.database().writing() as session:
        submissions.submit_import(session, "mine", {"kind": "upload", "token": "0" * 32})
    with dashboard.database.reading() as session:
        assert [row.name for row in session.scalars(select(Dataset))] == ["mine"]


def test_missing_permission_is_shown_and_other_errors_are_not_hidden(monkeypatch):
    shown = []
    monkeypatch.setattr("streamlit.error", lambda sentence, icon: shown.append(sentence))
    with pytest.raises(NotAllowed) as caught:
        VIEWER.require(Role.ADMIN)
    assert show_error(caught.value) and shown == [str(caught.value)]
    assert "takes an admin, and your role is viewer" in shown[0]
    assert not show_error(ValueError("x"))


def test_an_object_deleted_meanwhile_gives_a_message(dashboard, monkeypatch):
    shown = []
    monkeypatch.setattr("streamlit.warning", lambda sentence, icon: shown.append(sentence))
    with dashboard.database.reading() as session, pytest.raises(NoResultFound) as caught:
        session.get_one(Dataset, "0" * 32)
    assert show_error(caught.value)
    assert "deleted in another tab" in shown[0]


def test_without_a_login_everything_works_as_the_local_person(dashboard, submitted, open_page):
    app = open_page("views/datasets/page.py")
    assert not app.exception
    with resources.database().writing() as session:
        submissions.submit_import(session, "mine", {"kind": "folder", "path": "/data"})
    with dashboard.database.reading() as session:
        assert [entry.who for entry in session.scalars(select(AuditEntry))] == ["local"]
