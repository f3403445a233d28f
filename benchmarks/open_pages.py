"""Pages of the app that are open on a run: real ones in Chromium, or their half of the conversation without a browser.

Both note when they came to show an epoch: {epoch: time.time()}.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import random
import re
import shutil
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import quote, urlencode, urlsplit

from playwright.sync_api import Page, sync_playwright
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect

from dashboard.facts import urls

Sightings = dict[int, float]
_PICTURES = re.compile(rb"/files/runs/[0-9a-f]{32}/probe/[0-9]+/[0-9a-f]{32}")
LARGEST_MESSAGE_BYTES = 100_000_000

# A page shows an epoch once both the number above and the curves have it and the frame is drawn.
_WATCH = """
window.sightings = {};
setInterval(() => {
  const inside = (selector) => [...document.querySelectorAll('[data-testid^=stBidiComponent]')]
    .flatMap((e) => [...(e.shadowRoot?.querySelectorAll(selector) ?? [])]);
  const number = inside('.number').find((part) => /^Epochs/.test(part.innerText));
  const shown = Number((number?.innerText.match(/([0-9]+) [/] [0-9]+/) ?? [])[1]);
  const charts = inside('.chart').filter((chart) => chart.data);
  const last = (x) => Number((x?._inputArray ?? x ?? [0]).at(-1));
  const drawn = Math.max(0, ...charts.map((chart) => last(chart.data[0].x)));
  const epoch = Math.min(shown, drawn);
  if (epoch && !(epoch in sightings)) {
    sightings[epoch] = 0;
    requestAnimationFrame(() => setTimeout(() => { sightings[epoch] = Date.now() / 1000; }, 0));
  }
}, 50);
"""


class ChromiumPages:
    """Pages that are open all the time and asleep, as hidden tabs of a phone are, until somebody looks at them."""

    def __init__(self, pages: list[Page]) -> None:
        self._pages = [(page, page.context.new_cdp_session(page)) for page in pages]
        self._set("frozen")

    def _set(self, state: str) -> None:
        for _, protocol in self._pages:
            protocol.send("Page.setWebLifecycleState", {"state": state})

    @contextmanager
    def awake(self) -> Iterator[list[Sightings]]:
        """Wake the pages; the list that is yielded is filled when the block ends."""
        self._set("active")
        seen: list[Sightings] = []
        yield seen
        for page, _ in self._pages:
            noted = page.evaluate("window.sightings")
            seen.append({int(epoch): moment for epoch, moment in noted.items() if moment})
        self._set("frozen")


@contextmanager
def chromium_pages(address: str, count: int) -> Iterator[ChromiumPages]:
    """Open `count` pages, each with a profile of its own as that many people would have."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=flags)
        pages = []
        for _ in range(count):  # one after the other: together they take minutes on two cores
            page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
            page.set_default_timeout(120_000)
            page.add_init_script(_WATCH)
            page.goto(address)
            page.locator(".number").first.wait_for()
            pages.append(page)
        yield ChromiumPages(pages)
        browser.close()


@contextmanager
def protocol_pages(address: str, count: int) -> Iterator[ProtocolPages]:
    """Prepare to hold `count` conversations with the app as its pages do, without drawing anything."""
    yield ProtocolPages(address, count)


@dataclass(frozen=True)
class ProtocolPages:
    """Conversations that begin when somebody looks, and end with it."""

    address: str
    count: int

    @contextmanager
    def awake(self) -> Iterator[list[Sightings]]:
        """Hold the conversations; the list that is yielded is filled while they go on."""
        with _conversations(self.address, self.count) as seen:
            yield seen


@contextmanager
def _conversations(address: str, count: int) -> Iterator[list[Sightings]]:
    seen: list[Sightings] = [{} for _ in range(count)]
    faults: list[object] = []
    ready, enough, loop = threading.Event(), asyncio.Event(), asyncio.new_event_loop()
    pages = [_ProtocolPage(address, each) for each in seen]

    async def talk(enough: asyncio.Event) -> None:
        talks = [asyncio.create_task(page.talk()) for page in pages]
        while not all(seen) and not any(task.done() for task in talks):
            await asyncio.sleep(0.05)
        ready.set()
        await asyncio.wait([asyncio.create_task(enough.wait()), *talks], return_when=asyncio.FIRST_COMPLETED)
        for task in talks:
            task.cancel()
        ends = await asyncio.gather(*talks, return_exceptions=True)
        faults.extend(end for end in ends if not isinstance(end, asyncio.CancelledError))

    thread = threading.Thread(target=lambda: loop.run_until_complete(talk(enough)), daemon=True)
    thread.start()
    ready.wait(timeout=120)
    yield seen
    loop.call_soon_threadsafe(enough.set)
    thread.join()
    loop.close()
    if faults:
        raise SystemExit(f"A conversation with the app broke off: {faults[0]!r}")


class _ProtocolPage:
    """One page: it runs the script and fragments when the app says so, polls, and fetches news and pictures."""

    def __init__(self, address: str, seen: Sightings) -> None:
        parts = urlsplit(address)
        self._host, self._page, self._query = parts.netloc, parts.path.strip("/"), parts.query
        self._seen = seen
        self._got: set[str] = set()
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def talk(self) -> None:
        url = f"ws://{self._host}/_stcore/stream"
        async with connect(url, subprotocols=["streamlit"], max_size=LARGEST_MESSAGE_BYTES) as socket:
            self._socket = socket
            await self._run()
            try:
                async for data in socket:
                    await self._take(socket, bytes(data))
            finally:
                for task in self._tasks.values():
                    task.cancel()

    async def _run(self, fragment_id: str = "", auto: bool = False) -> None:
        message = BackMsg()
        message.rerun_script.query_string = self._query
        message.rerun_script.page_name = self._page
        message.rerun_script.fragment_id = fragment_id
        message.rerun_script.is_auto_rerun = auto
        await self._socket.send(message.SerializeToString())

    async def _take(self, socket: ClientConnection, data: bytes) -> None:
        message = ForwardMsg()
        message.ParseFromString(data)
        kind = message.WhichOneof("type")
        if kind == "auto_rerun":
            self._begin(message.auto_rerun.fragment_id, self._tick(message.auto_rerun))
        elif kind == "stop_auto_rerun":
            for fragment_id in message.stop_auto_rerun.fragment_ids:
                self._tasks[fragment_id].cancel()
        elif kind == "delta":
            self._look(message.delta)
        self._show_pictures(address.decode() for address in _PICTURES.findall(data))

    def _look(self, delta: object) -> None:
        element = delta.new_element
        if element.WhichOneof("type") != "bidi_component" or not element.bidi_component.json:
            return
        data = json.loads(element.bidi_component.json)
        if data.get("part") == "numbers":
            self._saw(data["numbers"])
        if "drawn" in data:
            self._drawn = data
            if "poll" not in self._tasks:
                self._begin("poll", self._poll(delta.fragment_id))

    def _saw(self, numbers: list[dict[str, str]]) -> None:
        epochs = next(number["value"] for number in numbers if number["label"] == "Epochs")
        self._seen.setdefault(int(epochs.partition(" / ")[0]), time.time())

    def _show_pictures(self, addresses: Iterable[str]) -> None:
        fresh = set(addresses) - self._got
        if fresh:
            self._got |= fresh
            self._tasks[f"pictures {time.time()}"] = asyncio.create_task(self._fetch(fresh))

    def _begin(self, name: str, work: object) -> None:
        if name in self._tasks:
            self._tasks[name].cancel()
        self._tasks[name] = asyncio.create_task(work)

    async def _tick(self, asked: object) -> None:
        while True:
            await asyncio.sleep(asked.interval)
            await self._run(asked.fragment_id, auto=True)

    async def _poll(self, fragment_id: str) -> None:
        """Do what web/live_run.js does."""
        drawn, told = self._drawn, ""
        known, soon = drawn["drawn"]["version"], drawn["drawn"]["soon"]
        connection = await _Http.open(self._host)
        while True:
            pace = self._drawn["soon_ms" if soon else "every_ms"]
            await asyncio.sleep(pace / 1000 * random.uniform(0.8, 1.2))
            if self._drawn is not drawn:
                drawn = self._drawn
                known = drawn["drawn"]["version"]
            now = json.loads(await connection.get(drawn["url"]))
            soon, field = now["soon"], drawn["script_draws"]
            if now[field] != drawn["drawn"][field]:
                if now["version"] != told:
                    told = now["version"]
                    await self._run(fragment_id)
            elif now["version"] != known:
                news = json.loads(await connection.get(f"{drawn['news']}&version={quote(now['version'], safe='')}"))
                known = news["version"]
                self._saw(news["numbers"])
                self._show_pictures(news["masks"].values())

    async def _fetch(self, addresses: set[str]) -> None:
        """Ask for pictures as web/pictures.js does: many at once."""
        connection = await _Http.open(self._host)
        await connection.get(f"{urls.PICTURES}?{urlencode([('of', address) for address in sorted(addresses)])}")
        connection.close()


class _Http:
    """One connection that stays open, for GET requests one after the other."""

    def __init__(self, host: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._host, self._reader, self._writer = host, reader, writer

    @classmethod
    async def open(cls, host: str) -> _Http:
        name, _, port = host.partition(":")
        return cls(host, *await asyncio.open_connection(name, int(port)))

    async def get(self, path: str) -> bytes:
        asked = f"GET {path} HTTP/1.1\r\nHost: {self._host}\r\nAccept-Encoding: gzip\r\n\r\n"
        self._writer.write(asked.encode())
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        body = await self._reader.readexactly(int(length[1])) if length else b""
        return gzip.decompress(body) if b"content-encoding: gzip" in head.lower() else body

    def close(self) -> None:
        self._writer.close()
