"""Who asks: from the cookies of a request or of an open page to the actor in whose name is read and written."""

from __future__ import annotations

import contextvars
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

import streamlit as st
from sqlalchemy.exc import OperationalError

from dashboard.access import token_cookie
from dashboard.access.entrance import Entrance, entrance, login_origin
from dashboard.access.login_cookie import Login, login_of
from db import people
from db.actors import APP, LOCAL, STRANGER, TOKEN, Actor, Role
from db.models import utc_now
from db.session import Database
from engine.core.settings import settings

_acting: contextvars.ContextVar[Actor | None] = contextvars.ContextVar("acting", default=None)


@contextmanager
def acting_as(actor: Actor) -> Iterator[None]:
    """Do what the block does in the name of `actor`: of whoever sent a request, or of the app itself."""
    mark = _acting.set(actor)
    try:
        yield
    finally:
        _acting.reset(mark)


def current(database: Database) -> Actor:
    """Return who acts at this moment; a stranger where nobody has proved to be anyone."""
    chosen = _acting.get()
    if chosen is not None:
        return chosen
    # An open page keeps the cookies it came with: whether they are still good is looked at each time.
    return LOCAL if entrance() == Entrance.OPEN else identify(database, cookies_of_page())


def cookies_of_page() -> Mapping[str, str]:
    """Return the cookies with which the browser connected to the page that runs."""
    return st.context.cookies.to_dict()


def identify(database: Database, cookies: Mapping[str, str]) -> Actor:
    """Return whom cookies prove somebody to be; a stranger if nobody, or if their login has ended."""
    if entrance() == Entrance.OPEN:
        return LOCAL
    proof = _proof(cookies)
    if proof is None:
        return STRANGER
    with database.reading() as session:
        if people.has_ended(session, proof if isinstance(proof, str) else proof.key):
            return STRANGER
        if isinstance(proof, str):
            return TOKEN
        person = people.by_subject(session, proof.subject)
        return people.actor(person) if person is not None else STRANGER


def be_seen(database: Database, who: Actor) -> None:
    """Write down now and then that a person is here."""
    if not who.id:
        return
    now = utc_now()
    with database.reading() as session:
        if people.seen_lately(session, who.id, now):
            return
    # Nobody waits for this, nor is sent away, where another process holds the database for long.
    with suppress(OperationalError), acting_as(APP), database.writing() as session:
        people.touch(session, who.id, now)


def log_in(database: Database, cookies: Mapping[str, str]) -> None:
    """Write down that the person whom new cookies name has logged in; nothing if they name nobody."""
    proof, chosen = _proof(cookies), settings()
    if isinstance(proof, Login):
        with acting_as(APP), database.writing() as session:
            people.log_in(session, proof.subject, proof.email, proof.name, Role(chosen.new_people), chosen.admins)


def log_out(database: Database, cookies: Mapping[str, str]) -> None:
    """End the login that cookies prove, also for whoever else may hold them."""
    proof, who = _proof(cookies), identify(database, cookies)
    if proof is not None and who is not STRANGER:
        with acting_as(APP), database.writing() as session:
            people.end_login(session, proof if isinstance(proof, str) else proof.key, who)


def _proof(cookies: Mapping[str, str]) -> Login | str | None:
    """Return the login that cookies prove, or the key of one with the shared token."""
    chosen = settings()
    if entrance() == Entrance.LOGIN:
        return login_of(cookies, login_origin(), chosen.login_hours)
    return token_cookie.login_key(cookies, chosen.access_token.get_secret_value(), chosen.login_hours)
