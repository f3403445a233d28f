"""The gate: a middleware that checks every request and every open page, for all routes and pages.

It denies by default. Anonymous visitors get a short list of paths: enough to log in, and no content of the
installation. The rest of a request runs as the identified actor.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from email.message import Message as MailMessage
from http.cookies import SimpleCookie

import anyio
from sqlalchemy.exc import SQLAlchemyError
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit import get_option

from dashboard.access import hosts, identity
from dashboard.access.headers import guard
from dashboard.access.messages import admitted
from dashboard.access.mode import AccessMode, access_mode, is_loopback, login_origin
from dashboard.access.token_route import PATH as TOKEN_PATH
from dashboard.access.token_route import asking
from dashboard.facts import urls
from dashboard.pages import page_paths
from dashboard.server import resources
from db import audit
from db.actors import ANONYMOUS, LOCAL, Actor, Role
from db.session import DatabaseRefused

# Without content: whether the app is running, and the configuration of its frontend.
ALWAYS_PUBLIC = ("/_stcore/health", "/_stcore/host-config")
LOGIN, LOGOUT, CALLBACK = "/auth/login", "/auth/logout", "/oauth2callback"
PAGES = page_paths()
# The public frontend, and the redirects to the identity provider and back.
PUBLIC_WITH_LOGIN = PAGES | {"/favicon.png", "/manifest.json", LOGIN, LOGOUT, CALLBACK}
# The frontend also requests these two below the path of a page, and nothing else may end like them.
PROBES = frozenset(f"{page.rstrip('/')}{probe}" for page in PAGES for probe in ALWAYS_PUBLIC)
POLICY_VIOLATION = 1008

log = logging.getLogger("maskloom.access")


class Refused(Exception):
    """The request is denied: an HTTP status and a message."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status, self.sentence = status, sentence


class Gate:
    """ASGI middleware around everything the app serves."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._answer(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._connect(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = HTTPConnection(scope)
        send = _with_headers(send)
        try:
            _check_sender(asked)
            who = await _check_person(asked)
        except Refused as refused:
            await _refusal(asked, refused)(scope, receive, send)
            return
        path = _path(scope)
        if path == LOGOUT or path == f"{TOKEN_PATH}/leave":
            await anyio.to_thread.run_sync(identity.log_out, resources.database(), asked.cookies)
        elif path == CALLBACK:
            send = _recording_login(send)
        elif path.startswith(f"{urls.PREFIX}/"):
            send = _recording_download(send, path)
        with identity.acting_as(who):
            await self._app(scope, receive, send)

    async def _connect(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = HTTPConnection(scope)
        who = ANONYMOUS
        try:
            _check_name_and_machine(asked)
            if not hosts.is_our_page({"host": "", **_only(asked.headers, "origin", "host")}):
                raise Refused(403, "Only Maskloom's own pages may connect.")
            who = await _person(asked)
            if who is ANONYMOUS and access_mode() != AccessMode.LOGIN:
                raise Refused(401, "Enter the access token first.")
        except Refused:
            await send({"type": "websocket.close", "code": POLICY_VIOLATION})
            return
        if not who.role.allows(Role.VIEWER):
            scope = {**scope, "headers": _without_session(scope["headers"])}
        opened = access_mode() == AccessMode.OPEN
        await self._app(scope, receive if opened else _admitting(asked, who, receive), send)


def _path(scope: Scope) -> str:
    """Return the path below the base path of the app."""
    base = (get_option("server.baseUrlPath") or "").strip("/")
    path = scope["path"]
    return path[len(base) + 1 :] or "/" if base and path.startswith(f"/{base}/") else path


def _check_sender(asked: HTTPConnection) -> None:
    """
    Raises:
        Refused: for a wrong host name, another machine, or a page of another site.
    """
    _check_name_and_machine(asked)
    path, method = _path(asked.scope), asked.scope["method"]
    opens_page = method == "GET" and asked.headers.get("sec-fetch-mode") == "navigate"
    if opens_page and path in PAGES | {CALLBACK, TOKEN_PATH}:
        return  # the only targets of links and of the identity provider
    if not hosts.is_our_page(asked.headers):
        raise Refused(403, "Only Maskloom's own pages may request this.")


def _check_name_and_machine(asked: HTTPConnection) -> None:
    name = asked.headers.get("host", "")
    listening_on = get_option("server.address") or ""
    if not hosts.answers_to(name, listening_on):
        shown = hosts.host_name(name)[:100]
        raise Refused(421, f"The host name {shown!r} is not allowed. If it should be, add it to ALLOWED_HOSTS.")
    # Checked at the start already, unless another server than Streamlit's runs the app.
    client = asked.client.host if asked.client else None
    if access_mode() == AccessMode.OPEN and not is_loopback(client):
        raise Refused(403, "This app is only available on the machine that runs it.")


async def _person(asked: HTTPConnection) -> Actor:
    if access_mode() == AccessMode.OPEN:
        return LOCAL
    return await anyio.to_thread.run_sync(lambda: identity.identify(resources.database(), asked.cookies))


async def _check_person(asked: HTTPConnection) -> Actor:
    """Return the actor of a request, ANONYMOUS for public paths.

    Raises:
        Refused: the path requires a login, or a higher role.
    """
    path = _path(asked.scope)
    if _is_public(path, asked.scope["method"]):
        return LOCAL if access_mode() == AccessMode.OPEN else ANONYMOUS
    who = await _person(asked)
    if who is ANONYMOUS:
        raise Refused(401, "Log in first." if access_mode() == AccessMode.LOGIN else "Enter the access token first.")
    needed = Role.VIEWER if asked.scope["method"] in hosts.SAFE_METHODS else Role.EDITOR
    if not who.role.allows(needed):
        raise Refused(403, f"This requires at least the role {needed}. An admin can change that.")
    return who


def _is_public(path: str, method: str) -> bool:
    if path in PROBES:
        return method in hosts.SAFE_METHODS
    if access_mode() == AccessMode.TOKEN:
        return path == TOKEN_PATH
    return method in hosts.SAFE_METHODS and (path in PUBLIC_WITH_LOGIN or path.startswith("/static/"))


def _refusal(asked: HTTPConnection, refused: Refused) -> Response:
    wants_page = asked.headers.get("sec-fetch-mode", "navigate") == "navigate"
    if refused.status == 401 and access_mode() == AccessMode.TOKEN and wants_page and asked.scope["method"] == "GET":
        return asking(401)
    return JSONResponse({"error": refused.sentence}, refused.status, {"Cache-Control": "no-store"})


def _only(headers: Headers, *names: str) -> dict[str, str]:
    return {name: headers[name] for name in names if name in headers}


def _without_session(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return the headers of a connection without the session id to resume, for visitors without permission."""
    name = b"sec-websocket-protocol"
    return [(key, b",".join(value.split(b",")[:2]) if key == name else value) for key, value in headers]


def _admitting(asked: HTTPConnection, who: Actor, receive: Receive) -> Receive:
    """Return a `receive` that identifies the sender of each message again, because the login may have ended."""

    async def inner() -> Message:
        nonlocal who
        while True:
            message = await receive()
            data = message.get("bytes") if message["type"] == "websocket.receive" else None
            if not data:
                return message
            before, who = who, await _person(asked)
            accepted = admitted(data, who, could_view=before.role.allows(Role.VIEWER))
            if accepted is not None:
                return {**message, "bytes": accepted}

    return inner


def _with_headers(send: Send) -> Send:
    """Return a `send` that adds the headers of `guard`, and marks login cookies as Secure under https."""

    async def inner(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            guard(headers)
            if login_origin().startswith("https:"):
                message["headers"] = [_secure(*pair) for pair in message["headers"]]
        await send(message)

    return inner


def _secure(name: bytes, value: bytes) -> tuple[bytes, bytes]:
    return name, value + b"; Secure" if name == b"set-cookie" and b"secure" not in value.lower() else value


def _on_start(send: Send, note: Callable[[Message], Awaitable[None]]) -> Send:
    async def inner(message: Message) -> None:
        if message["type"] == "http.response.start":
            await note(message)
        await send(message)

    return inner


def _recording_login(send: Send) -> Send:
    """Return a `send` that records a login at the identity provider, before the response is sent."""

    async def note(message: Message) -> None:
        fresh: SimpleCookie = SimpleCookie()
        for value in Headers(raw=message["headers"]).getlist("set-cookie"):
            fresh.load(value)
        cookies = {name: morsel.value for name, morsel in fresh.items()}
        await anyio.to_thread.run_sync(identity.log_in, resources.database(), cookies)

    return _on_start(send, note)


def _recording_download(send: Send, path: str) -> Send:
    """Return a `send` that records which file was downloaded."""

    async def note(message: Message) -> None:
        attached = Headers(raw=message["headers"]).get("content-disposition", "")
        if message["status"] == 200 and attached.startswith("attachment"):
            await anyio.to_thread.run_sync(_record_download, path, _file_name(attached))

    return _on_start(send, note)


def _file_name(disposition: str) -> str:
    """Return the name in a Content-Disposition, which Starlette writes in one of two ways."""
    message = MailMessage()
    message["Content-Disposition"] = disposition
    return message.get_filename("")


def _record_download(path: str, file_name: str) -> None:
    kind, _, rest = path.removeprefix(f"{urls.PREFIX}/").partition("/")
    try:
        with resources.database().writing(Role.VIEWER) as session:
            audit.record(session, "exported", kind[:32], rest.partition("/")[0][:32], file_name[:1024])
    except (SQLAlchemyError, DatabaseRefused):
        log.exception("A download could not be recorded.")
