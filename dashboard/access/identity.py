"""The actor of a request or an open page, identified by its cookies."""

from __future__ import annotations

import contextvars
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

import streamlit as st
from sqlalchemy.exc import OperationalError

from dashboard.access import token_cookie
from dashboard.access.login_cookie import Login, login_of
from dashboard.access.mode import AccessMode, access_mode, login_origin
from db import people
from db.actors import ANONYMOUS, APP, LOCAL, TOKEN, Actor, Role
from db.columns import utc_now
from db.session import Database
from engine.core.settings import settings

_acting: contextvars.ContextVar[Actor | None] = contextvars.ContextVar("acting", default=None)


@contextmanager
def acting_as(actor: Actor) -> Iterator[None]:
    """Run the block as `actor`: the sender of a request, or the app itself."""
    mark = _acting.set(actor)
    try:
        yield
    finally:
        _acting.reset(mark)


def current(database: Database) -> Actor:
    """Return the current actor, ANONYMOUS if not logged in."""
    chosen = _acting.get()
    if chosen is not None:
        return chosen
    # An open page keeps its first cookies, so their validity is checked each time.
    return LOCAL if access_mode() == AccessMode.OPEN else identify(database, cookies_of_page())


def cookies_of_page() -> Mapping[str, str]:
    """Return the cookies with which the browser connected to the page that runs."""
    return st.context.cookies.to_dict()


def identify(database: Database, cookies: Mapping[str, str]) -> Actor:
    """Return the actor that cookies identify, ANONYMOUS if there is none or the login has ended."""
    if access_mode() == AccessMode.OPEN:
        return LOCAL
    proof = _proof(cookies)
    if proof is None:
        return ANONYMOUS
    with database.reading() as session:
        if people.has_ended(session, proof if isinstance(proof, str) else proof.key):
            return ANONYMOUS
        if isinstance(proof, str):
            return TOKEN
        person = people.by_subject(session, proof.subject)
        return people.actor(person) if person is not None else ANONYMOUS


def record_visit(database: Database, who: Actor) -> None:
    """Record from time to time that a person is active."""
    if not who.id:
        return
    now = utc_now()
    with database.reading() as session:
        if people.seen_lately(session, who.id, now):
            return
    # A visit must not fail if another process locks the database for long.
    with suppress(OperationalError), acting_as(APP), database.writing() as session:
        people.touch(session, who.id, now)


def log_in(database: Database, cookies: Mapping[str, str]) -> None:
    """Record the login of the person that new cookies identify, if any."""
    proof, chosen = _proof(cookies), settings()
    if isinstance(proof, Login):
        with acting_as(APP), database.writing() as session:
            people.log_in(session, proof.subject, proof.email, proof.name, Role(chosen.new_people), chosen.admins)


def log_out(database: Database, cookies: Mapping[str, str]) -> None:
    """End the login of these cookies, including all copies of them."""
    proof, who = _proof(cookies), identify(database, cookies)
    if proof is not None and who is not ANONYMOUS:
        with acting_as(APP), database.writing() as session:
            people.end_login(session, proof if isinstance(proof, str) else proof.key, who)


def _proof(cookies: Mapping[str, str]) -> Login | str | None:
    """Return the login of cookies, or the key of a login with the shared token."""
    chosen = settings()
    if access_mode() == AccessMode.LOGIN:
        return login_of(cookies, login_origin(), chosen.login_hours)
    return token_cookie.login_key(cookies, chosen.access_token.get_secret_value(), chosen.login_hours)
