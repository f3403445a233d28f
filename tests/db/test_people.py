"""People and their roles, and what is written down about them."""

import pytest
from sqlalchemy import select

from db import audit, datasets, people, recipes, submissions
from db.actors import APP, Actor, NotAllowed, Role
from db.columns import utc_now
from db.models import AuditEntry, EndedLogin, Person
from db.people import ENDED_KEPT, SEEN_EVERY, LastAdmin
from db.session import Database
from tests.support.installation import add_discs


def log_in(installation, subject: str, newcomers=Role.VIEWER, admins=frozenset(), email: str = "") -> Person:
    with installation.database.writing() as session:
        return people.log_in(session, subject, email, subject, newcomers, admins)


def test_the_first_is_admin_and_the_next_are_what_is_set(installation):
    assert log_in(installation, "a").role == Role.ADMIN
    assert log_in(installation, "b").role == Role.VIEWER
    assert log_in(installation, "c", Role.NONE).role == Role.NONE
    assert log_in(installation, "b", Role.EDITOR).role == Role.VIEWER, "who has been here keeps the role"


def test_named_admins_are_admins_whenever_they_come_and_nobody_else_is(installation):
    admins = frozenset({"boss@example.org"})
    assert log_in(installation, "a", admins=admins).role == Role.VIEWER
    assert log_in(installation, "b", admins=admins, email="Boss@Example.org").role == Role.ADMIN
    assert log_in(installation, "a", admins=admins, email="boss@example.org").role == Role.ADMIN


def test_only_an_admin_sets_roles_and_one_is_always_left(installation):
    ann, bob = log_in(installation, "ann"), log_in(installation, "bob")
    bobs = Database(installation.database.url, actor=lambda: people.actor(bob))
    with pytest.raises(NotAllowed), bobs.writing(Role.VIEWER) as session:
        people.set_role(session, bob.id, Role.ADMIN)
    with pytest.raises(LastAdmin, match="only admin"), installation.database.writing() as session:
        people.set_role(session, ann.id, Role.EDITOR)
    with installation.database.writing() as session:
        people.set_role(session, bob.id, Role.ADMIN)
        people.set_role(session, ann.id, Role.NONE)
    with installation.database.reading() as session:
        assert {person.name: person.role for person in people.listing(session)} == {"ann": "none", "bob": "admin"}
        assert [(e.action, e.detail) for e in audit.entries(session, "role changed")] == [
            ("role changed", "from admin to none"),
            ("role changed", "from viewer to admin"),
        ]
    bobs.close()


def test_who_may_not_write_gets_no_session_at_all(installation):
    for role, allowed in ((Role.NONE, False), (Role.VIEWER, False), (Role.EDITOR, True), (Role.ADMIN, True)):
        theirs = Database(installation.database.url, actor=lambda role=role: Actor("x", role))
        if allowed:
            with theirs.writing() as session:
                assert audit.actor_of(session).name == "x"
        else:
            with pytest.raises(NotAllowed), theirs.writing():
                raise AssertionError("A session was given.")
        theirs.close()


def test_what_is_done_is_written_down_with_the_change_or_not_at_all(installation):
    theirs = Database(installation.database.url, actor=lambda: Actor("Ed", Role.ADMIN, "e" * 32))
    dataset = add_discs(installation)
    with theirs.writing() as session:
        label_set, job = submissions.submit_label(session, dataset.id, "=labels", "threshold", {}, 0, "1")
        job.status = "finished"
    with theirs.writing() as session:
        recipes.delete_label_set(session, label_set.id)
    with pytest.raises(RuntimeError), theirs.writing() as session:
        datasets.delete_dataset(session, dataset.id)
        raise RuntimeError("the disk is full")
    with installation.database.reading() as session:
        told = [(e.who, e.person_id, e.action, e.kind, e.name) for e in audit.entries(session)]
    assert told == [
        ("Ed", "e" * 32, "deleted", "label set", "=labels"),
        ("Ed", "e" * 32, "labelled", "label set", "=labels"),
    ]
    theirs.close()


def test_the_audit_is_searched_by_every_word_and_as_it_is_written(installation):
    with installation.database.writing() as session:
        for name in ("100% wool", "100 sheep", "a_b"):
            audit.record(session, "deleted", "dataset", "0" * 32, name)
    with installation.database.reading() as session:
        assert [e.name for e in audit.entries(session, "DELETED 100")] == ["100 sheep", "100% wool"]
        assert [e.name for e in audit.entries(session, "%")] == ["100% wool"]
        assert [e.name for e in audit.entries(session, "a_b")] == ["a_b"]
        assert audit.count(session, "wool sheep") == 0 and audit.count(session) == 3
        assert [e.name for e in audit.entries(session, limit=1, offset=1)] == ["100 sheep"]
        assert audit.entries(session)[0].who == "this machine"


def test_an_ended_login_stays_ended_and_is_forgotten_when_it_could_not_live(installation):
    with installation.database.writing() as session:
        session.add(EndedLogin(key="old", ended_at=utc_now() - ENDED_KEPT - SEEN_EVERY))
    for _ in range(2):
        with installation.database.writing() as session:
            people.end_login(session, "new", APP)
    with installation.database.reading() as session:
        assert people.has_ended(session, "new") and not people.has_ended(session, "old")
        assert len(session.scalars(select(AuditEntry)).all()) == 1


def test_being_here_is_written_down_now_and_then(installation):
    ann = log_in(installation, "ann")
    later = utc_now() + SEEN_EVERY
    with installation.database.writing() as session:
        assert people.seen_lately(session, ann.id, utc_now()) and not people.seen_lately(session, ann.id, later)
        people.touch(session, ann.id, later)
    with installation.database.reading() as session:
        assert people.seen_lately(session, ann.id, later)
