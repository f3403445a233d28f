"""The page for admins: people, roles, and the audit log."""

import pytest
from sqlalchemy import select

from dashboard.access import identity
from dashboard.facts.people import audit_csv
from dashboard.server import resources
from db import audit
from db.actors import LOCAL
from db.models import Person
from tests.support.entering import login_wanted, user_cookies


@pytest.fixture
def people_page(dashboard, open_page, monkeypatch):
    """The page as Ann sees it, the admin, with Bob a viewer."""
    with login_wanted():
        cookies = user_cookies("ann")
        for each in (cookies, user_cookies("bob", name="Bob *the* <b>builder</b>")):
            identity.log_in(dashboard.database, each)
        monkeypatch.setattr(identity, "cookies_of_page", lambda: cookies)
        yield lambda: open_page("views/people/page.py")


def roles(installation) -> dict[str, str]:
    with installation.database.reading() as session:
        return {person.name.split()[0]: person.role for person in session.scalars(select(Person))}


def test_an_admin_changes_a_role(dashboard, people_page):
    page = people_page()
    assert not page.exception
    bob = next(box for box in page.selectbox if box.label.startswith("Role of Bob"))
    assert bob.value == "viewer"
    page = bob.select("editor").run()
    assert not page.exception and not page.error
    assert roles(dashboard) == {"Ann": "admin", "Bob": "editor"}
    assert "role changed" in list(page.dataframe[0].value["What"])


def test_the_last_admin_stays_an_admin(dashboard, people_page):
    page = people_page()
    page = next(box for box in page.selectbox if box.label == "Role of Ann").select("viewer").run()
    assert "only admin" in page.error[0].value
    assert roles(dashboard) == {"Ann": "admin", "Bob": "viewer"}
    assert next(box for box in page.selectbox if box.label == "Role of Ann").value == "admin"


def test_markdown_in_names_is_escaped(people_page):
    shown = [text.value for text in people_page().markdown]
    assert any(r"Bob \*the\*" in text and "<b>" not in text for text in shown)


def test_the_audit_is_searched(dashboard, people_page):
    page = people_page()
    assert list(page.dataframe[0].value["What"]) == ["logged in", "logged in"]
    page = page.text_input(key="audit").set_value("ann").run()
    assert list(page.dataframe[0].value["Who"]) == ["Ann"]
    page = page.text_input(key="audit").set_value("nothing like it").run()
    assert not page.dataframe and "Search for fewer" in page.info[0].value


def test_csv_cells_that_a_spreadsheet_would_execute_are_text(dashboard):
    with identity.acting_as(LOCAL), resources.database().writing() as session:
        for name in ("=1+1", "@x", "plain"):
            audit.record(session, "deleted", "dataset", "0" * 32, name)
    with dashboard.database.reading() as session:
        lines = audit_csv(session, "").splitlines()
    assert [line.split(",")[4] for line in lines] == ["name", "plain", "'@x", "'=1+1"]
    assert lines[0].startswith("time (UTC),who,action")
