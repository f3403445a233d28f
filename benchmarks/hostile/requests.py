"""Attempts over HTTP: to get what one has no right to, and to confuse the server."""

from __future__ import annotations

import itertools
import json
import random
import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from unittest import mock
from urllib.parse import quote

from benchmarks.hostile.rig import Outcome, Web, statuses, tried
from dashboard.access import token_cookie
from dashboard.facts import urls
from dashboard.pages import page_paths, page_routes
from dashboard.server.routes import ROUTES
from tests.support.entering import ACCESS_TOKEN

DAY_S = 86_400
SOCKET = ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13")
KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
STREAMLITS = (
    "/_stcore/stream",
    "/_stcore/metrics",
    "/_stcore/agent/openapi.json",
    "/_stcore/agent/mcp",
    "/_stcore/agent/interact",
    "/_stcore/script-health-check",
    "/_stcore/upload_file/a/b",
    "/media/0123456789abcdef.png",
    "/component/a/index.html",
    "/static/index.html",
    "/app/static/x.png",
    "/auth/login",
    "/oauth2callback",
    "/index.html",
)
"""Addresses of Streamlit, which a stranger has nothing of either."""
_ABSENT = (*("/pictures", "live", "log.txt", "epoch.json", "/classes/", "/uncertainty/", "preview", "rounds", "probe"),)
"""In addresses of what the installation has none of, or that need a query."""
_OWNERS = {
    "dataset": "datasets",
    "label_set": "label_sets",
    "prediction_set": "prediction_sets",
    "run": "runs",
    "job": "jobs",
    "exports": "jobs WHERE kind = 'export'",
}
_FOLDERS = {"datasets": "dataset", "labels": "label_set", "predictions": "prediction_set", "runs": "run"}


def addresses(root: Path) -> list[tuple[str, str]]:
    """Return (method, path) of every route of ours, with ids of what is there."""
    with closing(sqlite3.connect(f"{(root / 'app.db').as_uri()}?mode=ro", uri=True)) as database:

        def one(what: str) -> str:
            found = database.execute(f"SELECT id FROM {what}").fetchone()
            return str(found[0]) if found else "0" * 32

        dataset, image, correction = database.execute(
            "SELECT dataset_id, image_id, file_id FROM corrections"
        ).fetchone()
        ids = {name: one(table) for name, table in _OWNERS.items()} | {"dataset": dataset, "image": image}
        ids |= {"correction": correction, "region": one("left_out_regions"), "number": "1", "epoch": "1"}
        ids["label_set"] = one("label_sets WHERE name = 'recipe'")
    found = []
    for route in [*page_routes(), *ROUTES]:
        folder = route.path.split("/")[2] if route.path.startswith(f"{urls.PREFIX}/") else ""
        own = ids.get(_FOLDERS.get(folder, folder), ids["job"])

        def value(match: re.Match[str], own: str = own) -> str:
            return own if match[1] == "id" else ids.get(match[1], "0" * 32)

        path = re.sub(r"\{(\w+)(?::\w+)?\}", value, route.path)
        found += [(method, path) for method in sorted(route.methods - {"HEAD"})]
    return found


def access(web: Web, rng: random.Random) -> Iterator[Outcome]:
    """Every route with a random wrong proof, and every wrong proof on random routes."""
    known = addresses(web.root)
    pages = [("GET", path) for path in sorted(page_paths())]
    others = [("POST" if "agent" in path else "GET", path) for path in STREAMLITS]
    for path in [path for method, path in known if method == "GET"]:
        yield tried(f"GET {path} with the right cookie", _given, web, path)
    proofs = _proofs(web, rng)
    for number, (method, path) in enumerate([*known, *pages, *others]):
        name = rng.choice(list(proofs))
        yield tried(f"{method} {path} with {name}", _refused, web, method, path, proofs[name](), number)
    for name, proof in proofs.items():
        method, path = rng.choice(known)
        yield tried(f"{name}: {method} {path}", _refused, web, method, path, proof(), 0)
    stored = [path for method, path in known if method == "GET" and path.startswith(urls.PREFIX)]
    for name, change in _PATHS.items():
        path = change(rng.choice(stored))
        yield tried(f"{name}: {path}", _refused, web, "GET", path, [], 0)
    for method in ("HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "POST", "TRACE", "PROPFIND", "get", "G\x7fT"):
        path = rng.choice(stored)
        yield tried(f"{method} {path}", _refused, web, method, path, [], 0)
    yield from _sockets(web, rng)
    yield from _foreign_pages(web, rng, stored)
    yield from _guesses(web, rng)
    yield tried("a login that was ended", _after_leaving, web, rng.choice(stored))


def _cookie(web: Web, value: str | None = None, name: str = token_cookie.COOKIE) -> str:
    return f"Cookie: {name}={web.cookie if value is None else value}"


def _proofs(web: Web, rng: random.Random) -> dict[str, Callable[[], list[str]]]:
    """Return headers that prove nothing, by what they try."""
    good = web.cookie
    at = rng.randrange(len(good) // 2)
    body, _, signature = good.rpartition(".")

    def old() -> str:
        past_s = time.time() - 30 * DAY_S
        with mock.patch("itsdangerous.timed.time.time", lambda: past_s):
            return token_cookie.new_cookie(ACCESS_TOKEN)

    def cookie(value: str, name: str = token_cookie.COOKIE) -> Callable[[], list[str]]:
        return lambda: [_cookie(web, value, name)]

    cut = good[: rng.randrange(1, len(good) - 1)]
    other = token_cookie.new_cookie(ACCESS_TOKEN[:-1] + ("a" if ACCESS_TOKEN[-1] != "a" else "b"))
    return {
        "no proof": lambda: [],
        "a cut cookie": cookie(cut),
        "a cookie with a changed sign": cookie(good[:at] + chr(97 + (ord(good[at]) - 96) % 26) + good[at + 1 :]),
        "a cookie without its signature": cookie(body),
        "a cookie with the signature alone": cookie(f".{signature}"),
        "a cookie of another token": cookie(other),
        "a cookie that has expired": cookie(old()),
        "a cookie of the future cut": cookie(good + "A"),
        "an empty cookie": cookie(""),
        "the token as cookie": cookie(ACCESS_TOKEN),
        "the cookie under another name": cookie(good, rng.choice(("session", "Maskloom_access", "access"))),
        "Streamlit's cookie": cookie("eyJ1c2VyIjogMX0=", "_streamlit_user"),
        "a cookie of 7 kB": cookie("A" * 7000),
        "a cookie that is no text": cookie("\udcff\udc80\udcfe"),
        "a bearer token": lambda: [f"Authorization: Bearer {ACCESS_TOKEN}"],
        "a basic password": lambda: ["Authorization: Basic YWRtaW46YWRtaW4="],
        "the token in a header": lambda: [f"X-Access-Token: {ACCESS_TOKEN}"],
        "a forwarded address": lambda: ["X-Forwarded-For: 127.0.0.1", "X-Real-IP: ::1", "Forwarded: for=127.0.0.1"],
        "a forwarded person": lambda: ["X-Forwarded-User: admin", "Remote-User: admin", "X-Auth-Request-Email: a@b.c"],
        "another address for the proxy": lambda: ["X-Original-URL: /_stcore/health", "X-Rewrite-URL: /access"],
        "another method": lambda: ["X-HTTP-Method-Override: HEAD", "X-Method-Override: OPTIONS"],
        "a page of ours": lambda: [f"Origin: http://127.0.0.1:{web.port}", f"Referer: http://127.0.0.1:{web.port}/"],
        "a navigation": lambda: ["Sec-Fetch-Mode: navigate", "Sec-Fetch-Site: none", "Sec-Fetch-Dest: document"],
        "a prefetch": lambda: ["Purpose: prefetch", "Sec-Purpose: prefetch", "Sec-Fetch-Site: same-origin"],
        "the upload's header": lambda: ["X-Maskloom-Upload: 1"],
    }


def _given(web: Web, path: str) -> list[str]:
    """Ask with a right: without this, a refusal would say nothing."""
    answer = web.send(web.request("GET", f"{path}{'?width=64&height=64' if 'left-out/' in path else ''}", _cookie(web)))
    right = statuses(answer) == [200] or any(part in path for part in _ABSENT)
    return web.broken(answer) + ([] if right else [f"answered with {statuses(answer)}"])


def _refused(web: Web, method: str, path: str, headers: list[str], number: int) -> list[str]:
    query = f"?token={quote(ACCESS_TOKEN)}" if number % 3 == 1 else ""
    body = f"token={ACCESS_TOKEN}".encode() if method in ("POST", "PUT", "PATCH") and path != "/access" else b""
    answer = web.send(web.request(method, path + query, *headers, body=body))
    return web.broken(answer, public=False) + ([] if statuses(answer) else ["no answer"])


def _denied(web: Web, asked: bytes) -> list[str]:
    return web.broken(web.send(asked), public=False)


def _sent(web: Web, asked: bytes, patience_s: float) -> list[str]:
    return web.broken(web.send(asked, patience_s))


_PATHS: dict[str, Callable[[str], str]] = {
    "health behind it": lambda path: f"{path}/_stcore/health",
    "host-config behind it": lambda path: f"{path}/_stcore/host-config",
    "health as a parameter": lambda path: f"{path};/_stcore/health",
    "health as a query": lambda path: f"{path}?/_stcore/health",
    "health behind an encoded slash": lambda path: f"{path}%2f_stcore%2fhealth",
    "health behind an encoded question mark": lambda path: f"{path}%3f/_stcore/health",
    "health behind NUL": lambda path: f"{path}%00/_stcore/health",
    "health as a fragment": lambda path: f"{path}#/_stcore/health",
    "from the public page": lambda path: f"/access/..{path}",
    "from the public page, encoded": lambda path: f"/access/%2e%2e{path}",
    "from health": lambda path: f"/_stcore/health/../..{path}",
    "two slashes": lambda path: f"/{path}",
    "an inner double slash": lambda path: path.replace("/files/", "/files//", 1),
    "capitals": lambda path: path.replace("/files", "/FILES", 1),
    "a dot": lambda path: f"/.{path}",
    "an encoded letter": lambda path: path.replace("f", "%66", 1),
    "a backslash": lambda path: path.replace("/", "\\", 2)[1:],
    "a whole address": lambda path: f"http://127.0.0.1{path}",
    "a slash at the end": lambda path: f"{path}/",
    "media": lambda path: f"/media/..{path}/_stcore/health",
}


def _sockets(web: Web, rng: random.Random) -> Iterator[Outcome]:
    here = f"Origin: http://127.0.0.1:{web.port}"
    control = web.send(web.request("GET", "/_stcore/stream", *SOCKET, KEY, here, _cookie(web)), idle_s=0.3)
    yield "a page connects", [] if statuses(control) == [101] else [f"answered with {statuses(control)}"]
    foreign = f"Origin: http://{rng.getrandbits(20):x}.example"
    cases: dict[str, list[str]] = {
        "no cookie": [here],
        "no cookie, no origin": [],
        "a foreign origin": [foreign, _cookie(web)],
        "origin null": ["Origin: null", _cookie(web)],
        "an origin with our name in it": [f"Origin: http://127.0.0.1:{web.port}.example", _cookie(web)],
        "another port": [f"Origin: http://127.0.0.1:{web.port + 1}", _cookie(web)],
        "the token as a protocol": [here, f"Sec-WebSocket-Protocol: streamlit, {ACCESS_TOKEN}"],
        "a cut cookie": [here, _cookie(web, web.cookie[:-2])],
    }
    for (name, headers), path in zip(cases.items(), itertools.cycle(("/_stcore/stream", "/runs/_stcore/stream"))):
        asked = web.request("GET", path, *SOCKET, KEY, *headers)
        yield tried(f"websocket with {name}: {path}", _denied, web, asked)


def _foreign_pages(web: Web, rng: random.Random, stored: list[str]) -> Iterator[Outcome]:
    """Requests with the right cookie that another site's page caused, or that name another host."""
    cases: dict[str, tuple[str, list[str]]] = {
        "a foreign origin": ("", [f"Origin: https://{rng.getrandbits(20):x}.example"]),
        "cross-site": ("", ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors"]),
        "same-site": ("", ["Sec-Fetch-Site: same-site"]),
        "cross-site as a navigation": ("", ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate"]),
        "another host": (f"{rng.getrandbits(20):x}.example", []),
        "a host that begins like ours": ("127.0.0.1.example", []),
        "a person in the host": ("127.0.0.1@evil.example", []),
        "no host": (" ", []),
        "a host of many signs": ("a" * 3000, []),
        "a forwarded host": ("evil.example", ["X-Forwarded-Host: 127.0.0.1"]),
    }
    for name, (host, headers) in cases.items():
        path = rng.choice(stored)
        asked = web.request("GET", path, _cookie(web), *headers, host=host)
        yield tried(f"{name}: {path}", _denied, web, asked)


def _guesses(web: Web, rng: random.Random) -> Iterator[Outcome]:
    bodies = {
        "a prefix": f"token={ACCESS_TOKEN[:-1]}",
        "capitals": f"token={ACCESS_TOKEN.swapcase()}",
        "nothing": "token=",
        "a list": f"token[]={ACCESS_TOKEN}",
        "JSON": json.dumps({"token": ACCESS_TOKEN}),
        "two": f"token=wrong&token={ACCESS_TOKEN}",
        "NUL": f"token={ACCESS_TOKEN}%00",
        "no text": "token=%ff%fe%00%d8",
        "SQL": "token=' OR 1=1 --",
        "5 kB": "token=" + "a" * 5000,
        "a million fields": "&".join(["a=b"] * 900),
        "a surrogate": "token=%ed%a0%80",
    }
    for name, body in bodies.items():
        headers = [f"X-Forwarded-For: 10.0.0.{rng.randrange(255)}", "Content-Type: application/x-www-form-urlencoded"]

        def guess(body: str = body, headers: list[str] = headers) -> list[str]:
            answer = web.send(web.request("POST", "/access", *headers, body=body.encode()))
            given = ["a cookie for a wrong token"] if b"set-cookie" in answer.lower() else []
            return given + web.broken(answer, public=False)

        yield tried(f"a guess with {name}", guess)

    def right() -> list[str]:
        answer = web.send(web.request("POST", "/access", body=f"token={ACCESS_TOKEN}".encode()))
        return [] if statuses(answer) == [303] else [f"the right token: {statuses(answer)}"]

    yield tried("the right token after others' wrong ones", right)


def _after_leaving(web: Web, path: str) -> list[str]:
    answer = web.send(web.request("POST", "/access", body=f"token={ACCESS_TOKEN}".encode()))
    found = re.search(rb"set-cookie: ([^;]+)", answer, re.IGNORECASE)
    assert found, answer
    cookie = f"Cookie: {found[1].decode()}"
    before = statuses(web.send(web.request("GET", "/", cookie)))
    web.send(web.request("GET", "/access/leave", cookie))
    answer = web.send(web.request("GET", path, cookie))
    return ([] if before == [200] else [f"before: {before}"]) + web.broken(answer, public=False)


def without_token(web: Web, rng: random.Random) -> Iterator[Outcome]:
    """The app that is open to its machine: names and pages that are not of this machine get nothing."""
    stored = [path for method, path in addresses(web.root) if method == "GET" and path.startswith(urls.PREFIX)]
    for name, outcome in _foreign_pages(web, rng, stored):
        yield f"open app, {name}", outcome
    foreign = f"Origin: http://{rng.getrandbits(20):x}.example"
    for headers in ([foreign], ["Origin: null"], ["Sec-Fetch-Site: cross-site"], []):
        path = rng.choice([path for method, path in addresses(web.root) if method in ("POST", "DELETE")])
        method = rng.choice(("POST", "DELETE"))
        asked = web.request(method, path, *headers, body=b"x" * rng.randrange(1, 100))
        yield tried(f"open app, {method} {path} {headers}", _denied, web, asked)
    asked = web.request("GET", "/_stcore/stream", *SOCKET, KEY, foreign)
    yield tried("open app, websocket of a foreign page", _denied, web, asked)


def http(web: Web, rng: random.Random) -> Iterator[Outcome]:
    """Requests that are none, or nearly, with and without a right."""
    known = [path for method, path in addresses(web.root) if method == "GET"]
    for name, data in _odd_requests(web, rng, known):
        with_right = data.replace(b"\r\n", f"\r\n{_cookie(web)}\r\n".encode(), 1)
        patience_s = 1.0 if name.startswith("half") else 10.0
        yield tried(name, _sent, web, data, patience_s)
        yield tried(f"{name} with the cookie", _sent, web, with_right, patience_s)


def _odd_requests(web: Web, rng: random.Random, known: list[str]) -> Iterator[tuple[str, bytes]]:
    up = rng.randrange(3, 9)
    climbs = ("../", "..%2f", "%2e%2e/", "%2e%2e%2f", "..%5c", "..\\", "%252e%252e%252f", "..%c0%af", "..;/", "....//")
    places = ("/files/", "/files/datasets/", "/static/", "/media/", "/component/", "/app/static/", "/")
    for climb in climbs:
        place, target = rng.choice(places), rng.choice(("etc/passwd", "canary.txt", "app.db", "data/app.db"))
        yield f"climbing by {climb}", web.request("GET", f"{place}{climb * up}{target}")
    for climb in climbs[:6]:
        inside = rng.choice(known).rpartition("/")[0]
        yield f"climbing from a row by {climb}", web.request("GET", f"{inside}/{climb * up}canary.txt")
    for odd in ("%00", "%0d%0aX-Injected:%201", "%ff%fe", "%ed%a0%80", "%", "%zz", "%u002e", "\u202e", "*", "~root"):
        yield f"a name of {odd!r}", web.request("GET", f"{rng.choice(known).rpartition('/')[0]}/{odd}")
    for value in ("1e999", "nan", "-1", "9" * rng.randrange(4300, 6000), "0x10", "1;2", "٣", "inf", "", "1_0"):
        name = rng.choice(
            ("threshold", "size", "row", "width", "run", "kind", "colour", "images", "smoothing", "version")
        )
        path = rng.choice(known)
        yield f"{name}={value[:10]} of {path}", web.request("GET", f"{path}?{name}={quote(value)}&{name}=1")
    for digits in (1, 9, 10, 5000):
        path = re.sub(r"/1/", f"/{'9' * digits}/", next(each for each in known if "rounds" in each))
        yield f"a round of {digits} digits", web.request("GET", path)
    path = rng.choice(known)
    yield "a recipe that is deep", web.request("GET", f"{path}?recipe={quote('[' * 3000)}")
    yield "a long address", web.request("GET", path + "?" + "a" * rng.randrange(20_000, 60_000))
    yield "10,000 parameters", web.request("GET", path + "?" + "&".join(f"a{n}=1" for n in range(10_000)))
    yield "a long header", web.request("GET", path, "X-Long: " + "b" * 100_000)
    yield "many headers", web.request("GET", path, *(f"X-{n}: {n}" for n in range(2000)))
    yield "a header without a name", web.request("GET", path, ": x")
    yield "a folded header", web.request("GET", path, "X-Folded: a\r\n  b")
    yield "a header with NUL", web.request("GET", path, "X-Nul: a\0b")
    yield "a header that is no text", web.request("GET", path, "X-Odd: \udcff\udcfe")
    yield "two lengths", web.request("POST", "/access", "Content-Length: 3", body=b"token=a")
    yield "two hosts", web.request("GET", path, "Host: evil.example")
    yield "a negative length", web.request("POST", "/access", "Content-Length: -1")
    yield "a length of 10^30", web.request("POST", "/access", f"Content-Length: {10**30}")
    yield "a length that is a word", web.request("POST", "/access", "Content-Length: many")
    yield "half a body", web.request("POST", "/access", "Content-Length: 500") + b"token="
    yield "half a chunk", web.request("POST", "/access", "Transfer-Encoding: chunked") + b"ff\r\ntoken"
    yield "half a head", web.request("GET", path)[: rng.randrange(20, 60)]
    yield (
        "chunks of nonsense",
        web.request("POST", "/access", "Transfer-Encoding: chunked") + b"zz\r\nhello\r\n0\r\n\r\n",
    )
    yield "a chunk of 2^64", web.request("POST", "/access", "Transfer-Encoding: chunked") + b"f" * 16 + b"\r\n" * 3
    smuggled = b"0\r\n\r\n" + web.request("GET", path)
    yield "chunked and a length", web.request("POST", "/access", "Transfer-Encoding: chunked", body=smuggled)
    yield "an unknown encoding", web.request("POST", "/access", "Transfer-Encoding: gzip, chunked") + b"0\r\n\r\n"
    files = [each for each in known if "/images/" in each or each.endswith("model.keras")]
    for value in _RANGES:
        stored = rng.choice(files)
        yield f"Range: {value[:30]} of {stored}", web.request("GET", stored, f"Range: {value}")
    for header in _CONDITIONS:
        stored = rng.choice(files)
        yield f"{header[:40]} of {stored}", web.request("GET", stored, header, "Range: bytes=0-3")
    pieces = web.request("GET", "/_stcore/health", "Connection: keep-alive") * rng.randrange(3, 30)
    yield "many requests at once", pieces + web.request("GET", path)
    yield "HTTP/0.9", f"GET {path}\r\n\r\n".encode()
    yield "HTTP/2 by force", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    yield "HTTP/9.9", web.request("GET", path).replace(b"HTTP/1.1", b"HTTP/9.9")
    yield "TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + rng.randbytes(100) + b"\r\n\r\n"
    yield "noise", rng.randbytes(500) + b"\r\n\r\n"
    yield "an upgrade to HTTP/2", web.request("GET", path, "Upgrade: h2c", "HTTP2-Settings: AAMAAABk")
    yield "a websocket on a file", web.request("GET", rng.choice(known), *SOCKET, KEY)
    yield "a websocket without its key", web.request("GET", "/_stcore/stream", *SOCKET)
    frame = b"\x81\xfe" + rng.randbytes(300)
    yield "noise on a websocket", web.request("GET", "/_stcore/stream", *SOCKET, KEY) + frame
    yield "expecting 100", web.request("POST", "/access", "Expect: 100-continue", body=b"token=a")
    yield "an odd Accept-Encoding", web.request("GET", path, "Accept-Encoding: " + "gzip," * 2000)
    yield "an odd language", web.request("GET", "/", "Accept-Language: " + "x" * 5000)


_RANGES = (
    *("bytes=0-0,2-2,4-4", "bytes=-1", "bytes=99999999-", "bytes=5-2", "lines=1", f"bytes=0-{10**20}", "bytes="),
    *("bytes=" + ",".join(f"{n}-{n}" for n in range(0, 3000, 2)), "bytes=--1", "bytes=٣-٤", "bytes=a-b"),
)
_CONDITIONS = (
    *("If-Range: 9", "If-None-Match: *", "If-None-Match: W/", "If-Modified-Since: yesterday", 'If-Match: "a'),
    *("If-Unmodified-Since: Thu, 01 Jan 1970 00:00:00 GMT", f"If-Modified-Since: {'9' * 500}"),
)
