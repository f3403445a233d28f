"""The people who log in, their roles, and the logins that were ended before they expired."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from db import audit
from db.actors import Actor, Role
from db.columns import utc_now
from db.models import EndedLogin, Person

ENDED_KEPT = timedelta(days=40)
"""Longer than a login lives by itself: after that its cookie is refused for its age."""
SEEN_EVERY = timedelta(minutes=5)


class LastAdmin(ValueError):
    """The change would leave nobody who may set roles."""


def actor(person: Person) -> Actor:
    """Return a person as an actor."""
    return Actor(person.name, Role(person.role), person.id)


def by_subject(session: Session, subject: str) -> Person | None:
    """Return the person with this subject at the identity provider, if they have logged in before."""
    return session.scalar(select(Person).where(Person.subject == subject))


def listing(session: Session) -> list[Person]:
    """Return everybody who has ever logged in, by name."""
    return list(session.scalars(select(Person).order_by(func.lower(Person.name), Person.created_at)))


def log_in(
    session: Session, subject: str, email: str, name: str, newcomers: Role, admin_emails: Collection[str]
) -> Person:
    """Return the person, created if new, and record that they logged in.

    Args:
        email: an address that the provider vouches for, else empty.
        newcomers: the role of people who log in for the first time.
        admin_emails: addresses in lower case; whoever has one is admin. If there are none, the first person is.
    """
    person = by_subject(session, subject)
    if person is None:
        anybody = session.scalar(select(func.count(Person.id)))
        first = not admin_emails and not anybody
        person = Person(subject=subject, role=Role.ADMIN if first else newcomers)
        session.add(person)
    person.email, person.name, person.last_seen_at = email, name, utc_now()
    if email.lower() in admin_emails:
        person.role = Role.ADMIN
    session.flush()
    session.info["actor"] = actor(person)
    audit.record(session, "logged in", "person", person.id, person.name, f"as {person.role}")
    return person


def seen_lately(session: Session, person_id: str, now: datetime) -> bool:
    """Return whether `touch` stored a short while ago that a person is here."""
    last = session.scalar(select(Person.last_seen_at).where(Person.id == person_id))
    return last is not None and now - last < SEEN_EVERY


def touch(session: Session, person_id: str, now: datetime) -> None:
    """Store that a person is here now."""
    session.get_one(Person, person_id).last_seen_at = now


def set_role(session: Session, person_id: str, role: Role) -> None:
    """Give a person another role, and record it.

    Raises:
        NotAllowed: the actor is no admin.
        LastAdmin: nobody else is one.
    """
    audit.actor_of(session).require(Role.ADMIN)
    person = session.get_one(Person, person_id)
    if person.role == role:
        return
    others = select(func.count(Person.id)).where(Person.role == Role.ADMIN, Person.id != person_id)
    if person.role == Role.ADMIN and not session.scalar(others):
        raise LastAdmin(f"{person.name!r} is the only admin. Make somebody else admin first.")
    audit.record(session, "role changed", "person", person.id, person.name, f"from {person.role} to {role}")
    person.role = role


def end_login(session: Session, key: str, who: Actor) -> None:
    """End a login permanently, whoever still holds its cookie; `key` is a hash of the cookie."""
    session.execute(delete(EndedLogin).where(EndedLogin.ended_at < utc_now() - ENDED_KEPT))
    if session.get(EndedLogin, key) is None:
        session.add(EndedLogin(key=key))
        session.info["actor"] = who
        audit.record(session, "logged out", "person", who.id, who.name)


def has_ended(session: Session, key: str) -> bool:
    """Return whether a login was ended by `end_login`."""
    return session.get(EndedLogin, key) is not None
