"""Attempts with uploads: names, sizes and connections that break off, against the route of a page that is open."""

from __future__ import annotations

import contextlib
import json
import random
import re
import socket
import time
import unicodedata
from collections.abc import Callable, Iterator
from urllib.parse import quote, urlsplit

from benchmarks.hostile.rig import Outcome, Web, statuses, tried
from dashboard.access.token_cookie import COOKIE
from tests.assets.bad_files import encoded, picture
from tests.support.chromium import chromium, tab

LIMIT_MB = 3
OURS = "X-Maskloom-Upload: 1"


_UNSAFE = re.compile(
    r"""[<>:"\\|?*\x00-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]|^[. ]|[. ]$|^.{256}"""
    r"""|^(con|prn|aux|nul|com[0-9¹²³]|lpt\d) *(\.|$)""",
    re.IGNORECASE,
)
"""Not the product's own rule: that one could be wrong."""


class Zone:
    """A drop zone that is open in a browser, and what has been stored in its upload."""

    def __init__(self, web: Web, token: str, rng: random.Random) -> None:
        self.web, self.token, self.rng = web, token, rng
        self.address = f"/files/uploads/{token}"
        self.folder = web.root / "uploads" / token
        self.stored: dict[str, bytes] = {}

    def request(self, path: str, body: bytes, *headers: str, method: str = "POST", address: str = "") -> bytes:
        mine = [OURS, f"Cookie: {COOKIE}={self.web.cookie}", *headers]
        query = f"?path={quote(path, safe='', errors='surrogateescape')}" if path else ""
        return self.web.request(method, f"{address or self.address}{query}", *mine, body=body)

    def send(self, path: str, body: bytes, *headers: str) -> list[str]:
        """Upload a file; return what is wrong with the answer, or with what lies there afterwards."""
        answer = self.web.send(self.request(path, body, *headers))
        broken = self.web.broken(answer)
        if statuses(answer) == [200]:
            said = json.loads(answer.partition(b"\r\n\r\n")[2])
            if said["name"] in self.stored and self.stored[said["name"]] != body and path not in self.known:
                broken.append(f"{said['name']} was overwritten by {path!r}")
            self.stored[said["name"]] = body
            self.known.add(path)
        return broken + self.faults()

    known: set[str]

    def faults(self, patience_s: float = 3.0) -> list[str]:
        """Return what is wrong with the files of the upload, once the app has noticed that a connection is gone."""
        until = time.monotonic() + patience_s
        while (broken := self._faults()) and time.monotonic() < until:
            time.sleep(0.05)
        return broken

    def _faults(self) -> list[str]:
        there = {path.relative_to(self.folder).as_posix(): path for path in self.folder.rglob("*") if not path.is_dir()}
        broken = [f"{name!r} is no safe name" for name in there if any(map(_UNSAFE.search, name.split("/")))]
        broken += [f"{name!r} is no file" for name, path in there.items() if path.is_symlink() or not path.is_file()]
        broken += [
            f"{name} is not what was sent"
            for name, data in self.stored.items()
            if name not in there or there[name].read_bytes() != data
        ]
        broken += [f"{name} lies there too" for name in there.keys() - self.stored.keys()]
        return broken[:2]


@contextlib.contextmanager
def zone(web: Web, rng: random.Random) -> Iterator[Zone]:
    """Open a page with a drop zone in Chromium and yield it, as long as the page is open."""
    with chromium() as browser, tab(browser, patience_ms=120_000) as page:
        page.context.add_cookies([{"name": COOKIE, "value": web.cookie, "url": web.app.address}])
        page.goto(f"{web.app.address}/datasets")
        with page.expect_request(re.compile("/files/uploads/")) as asked:
            files = [{"name": "first.png", "mimeType": "image/png", "buffer": encoded(picture())}]
            page.locator("input.pick-files").first.set_input_files(files)  # type: ignore[arg-type]
        token = urlsplit(asked.value.url).path.rpartition("/")[2]
        asked.value.response()
        page.wait_for_timeout(1000)
        found = Zone(web, token, rng)
        found.known = set()
        web.send(found.request("", b"", method="DELETE"))
        web.remember_rows()
        yield found


def uploads(web: Web, rng: random.Random) -> Iterator[Outcome]:
    with zone(web, rng) as found:
        for name in _names(rng):
            yield tried(f"the name {name[:60]!r}", found.send, name, rng.randbytes(rng.randrange(1, 5000)))
        for name, attempt in _ATTEMPTS.items():
            yield tried(name, attempt, found)
        yield tried("discarded", _discarded, found)


def _names(rng: random.Random) -> list[str]:
    n = rng.randrange(1000)
    return [
        *(
            "../" * rng.randrange(1, 20) + "x.png",
            f"/etc/x{n}.png",
            f"C:\\x{n}.png",
            f"a/../../x{n}.png",
            f"images/./{n}.png",
        ),
        *(
            "",
            ".",
            "..",
            "/",
            "//",
            "...",
            " ",
            "\t",
            "a\0b.png",
            f"a\nb{n}.png",
            f"\x1b[2J{n}.png",
            f"{n}\u202egnp.exe",
        ),
        *(
            "x" * rng.randrange(300, 9000) + ".png",
            "写" * 200 + ".png",
            "a/" * rng.randrange(20, 300) + "x.png",
            "x." + "p" * 400,
        ),
        *(
            "CON",
            f"con.{n}.png",
            "aux /x.png",
            "NUL.tar.gz",
            "COM¹.png",
            f"x{n}.png:stream",
            f"x{n}.png.",
            f"x{n}.png ",
        ),
        *(
            f"A{n}.png",
            f"a{n}.PNG",
            unicodedata.normalize("NFC", f"é{n}"),
            unicodedata.normalize("NFD", f"é{n}"),
            f"É{n}",
        ),
        *(
            f"a?{n}.png",
            f"a*{n}.png",
            f"a|{n}.png",
            f'a"{n}.png',
            f"d{n}",
            f"d{n}/x.png",
            f"e{n}/x.png",
            f"e{n}",
            f"e{n}/X.png",
        ),
        *(
            ".htaccess",
            f".{n}.part",
            "a/.hidden/x.png",
            f"<b>{n}</b>.png",
            "\udcff\udcfe.png",
            "ß.png",
            "SS.png",
            "ı.png",
            "I.png",
        ),
    ]


def _status(zone: Zone, request: bytes, *right: int) -> list[str]:
    answer = zone.web.send(request)
    wrong = [] if statuses(answer) and statuses(answer)[0] in right else [f"answered with {statuses(answer)}"]
    return wrong + zone.web.broken(answer) + zone.faults()


def _broken_off(zone: Zone, sent: int) -> list[str]:
    """Say more than is sent, and go; then the whole file has to fit."""
    size = LIMIT_MB * 1_000_000 * 2 // 3
    request = zone.request("broken.bin", b"", f"Content-Length: {size}") + b"x" * sent
    with socket.create_connection(("127.0.0.1", zone.web.port)) as connection:
        connection.sendall(request)
        time.sleep(0.05)
    time.sleep(0.3)
    return zone.web.broken(b"") + zone.faults()


def _over_the_limit(zone: Zone) -> list[str]:
    body = b"x" * (LIMIT_MB * 1_000_000 + 1)
    return _status(zone, zone.request("large.bin", b"", f"Content-Length: {len(body)}") + body[:100_000], 413)


def _over_in_chunks(zone: Zone) -> list[str]:
    piece = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    body = piece * (LIMIT_MB * 1_000_000 // 0x10000 + 2) + b"0\r\n\r\n"
    answer = zone.web.send(zone.request("chunks.bin", b"", "Transfer-Encoding: chunked") + body)
    wrong = [] if statuses(answer) in ([413], []) else [f"answered with {statuses(answer)}"]
    return wrong + zone.web.broken(answer) + zone.faults()


def _nearly_full(zone: Zone) -> list[str]:
    body = zone.rng.randbytes(LIMIT_MB * 1_000_000 - sum(map(len, zone.stored.values())))
    broken = zone.send("full.bin", body)
    broken += [] if "full.bin" in zone.stored else ["what fits was refused"]
    broken += zone.send("full.bin", body[::-1])  # the same file again replaces itself
    return broken + _status(zone, zone.request("more.bin", b"xy"), 413) + _deleted(zone, "full.bin")


def _deleted(zone: Zone, path: str) -> list[str]:
    zone.stored.pop(path, None)
    return _status(zone, zone.request(path, b"", method="DELETE"), 200)


def _twice_at_once(zone: Zone) -> list[str]:
    one, other = zone.rng.randbytes(200_000), zone.rng.randbytes(200_000)
    port = zone.web.port
    with (
        socket.create_connection(("127.0.0.1", port)) as first,
        socket.create_connection(("127.0.0.1", port)) as second,
    ):
        for half in (slice(0, 100_000), slice(100_000, None)):
            for connection, body in ((first, one), (second, other)):
                connection.sendall(
                    (zone.request("same.bin", b"", "Content-Length: 200000") if not half.start else b"") + body[half]
                )
        answers = [first.recv(9000), second.recv(9000)]
    wrong = [] if [statuses(each) for each in answers] == [[200], [200]] else [f"{answers}"]
    data = (zone.folder / "same.bin").read_bytes()
    zone.stored["same.bin"] = data
    return wrong + ([] if data in (one, other) else ["the two are mixed"]) + zone.web.broken(b"") + zone.faults()


def _without(zone: Zone, drop: str, *right: int, extra: tuple[str, ...] = ()) -> list[str]:
    asked = zone.request("no.png", b"x", *extra).decode("latin-1")
    lines = [line for line in asked.split("\r\n") if not drop or not line.startswith(drop)]
    return _status(zone, "\r\n".join(lines).encode("latin-1"), *right)


def _read_back(zone: Zone) -> list[str]:
    name, data = next(iter(zone.stored.items()))
    answers = [zone.web.send(zone.request(path, b"", method="GET")) for path in ("", name, f"../{zone.token}/{name}")]
    return ["an upload was read"] * any(data in answer for answer in answers) + zone.web.broken(answers[0])


def _discarded(zone: Zone) -> list[str]:
    zone.stored.clear()
    return _status(zone, zone.request("", b"", method="DELETE"), 200)


_ATTEMPTS: dict[str, Callable[[Zone], list[str]]] = {
    "without the header of our pages": lambda zone: _without(zone, "X-Maskloom", 403),
    "without the cookie": lambda zone: _without(zone, "Cookie", 401),
    "from a foreign origin": lambda zone: _without(zone, "", 403, extra=("Origin: https://evil.example",)),
    "from another site": lambda zone: _without(zone, "", 403, extra=("Sec-Fetch-Site: cross-site",)),
    "to an unknown upload": lambda zone: _status(
        zone, zone.request("x", b"x", address="/files/uploads/" + "0" * 32), 410
    ),
    "to an upload named ..": lambda zone: _status(
        zone, zone.request("x", b"x", address="/files/uploads/%2e%2e"), 400, 404, 410
    ),
    "to an upload with NUL": lambda zone: _status(
        zone, zone.request("x", b"x", address=f"{zone.address}%00"), 400, 404, 410
    ),
    "by PUT": lambda zone: _status(zone, zone.request("x", b"x", method="PUT"), 405),
    "read back": _read_back,
    "broken off at once": lambda zone: _broken_off(zone, 0),
    "broken off after 1 byte": lambda zone: _broken_off(zone, 1),
    "broken off after 1.9 MB": lambda zone: _broken_off(zone, 1_900_000),
    "broken off again": lambda zone: _broken_off(zone, 1_000_000),
    "over the limit by its length": _over_the_limit,
    "over the limit in chunks": _over_in_chunks,
    "a length of 10^400": lambda zone: _status(zone, zone.request("x", b"", "Content-Length: 1" + "0" * 400), 400, 413),
    "a length that is a word": lambda zone: _status(zone, zone.request("x", b"", "Content-Length: x"), 400),
    "chunks of nonsense": lambda zone: _status(
        zone, zone.request("x", b"", "Transfer-Encoding: chunked") + b"zz\r\n\r\n", 400
    ),
    "two paths": lambda zone: _status(
        zone, zone.request("", b"x", method="DELETE", address=f"{zone.address}?path=no&path=no2"), 200
    ),
    "deleting above": lambda zone: _status(zone, zone.request("../../app.db", b"", method="DELETE"), 200),
    "deleting what is not there": lambda zone: _status(zone, zone.request("none.png", b"", method="DELETE"), 200),
    "nearly full, replaced, then too much": _nearly_full,
    "two of one name at once": _twice_at_once,
}
