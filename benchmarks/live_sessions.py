"""What many people who watch one run cost it, and how soon each of them sees a new epoch.

    python -m benchmarks.live_sessions watch [FOLDER] --sessions 20 --pairs 3 --epochs 3

FOLDER (images/, truth/) is imported first; ../shared/data/eggs-and-pans if left out. One run trains on its truth. In
alternating stretches of its epochs nobody watches, then pages do. A page is the browser's half of the conversation with
the app, without a browser: Chromium would compute on the cores that train, as the browsers of 20 people never would.
Latency is from the epoch's row in the database to the page that shows it. Give `-p model.image_size=192` for shorter
epochs.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import random
import re
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from sqlalchemy import func, select
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect

from benchmarks.harness import EGGS, Folder, Params, data_root, engine, in_turns, processor_s, suite
from dashboard.facts import urls
from db import submissions
from db.models import Metric
from db.session import Database
from engine import VERSION
from engine.core.parameters import from_assignments
from engine.core.run_config import config_from
from tests.support.installation import REPOSITORY, Installation
from tests.support.running_app import running

Sightings = dict[int, float]
"""When an epoch was first seen, by time.time()."""
PATIENCE_S = 300.0
LARGEST_MESSAGE_BYTES = 100_000_000
_IMAGES = re.compile(rb"/files/runs/[0-9a-f]{32}/probe/[0-9]+/[0-9a-f]{32}")
app = suite(__doc__)


@app.command()
def watch(
    folder: Folder = EGGS, sessions: int = 20, pairs: int = 3, epochs: int = 3, params: Params = None
) -> dict[str, Any]:
    """Seconds of an epoch without and with pages that watch it, latencies, and the app's own processor time."""
    with data_root() as root:
        dataset_id = engine(root, "import", str(folder.resolve()), "--name", "watched")["dataset"]
        with (
            running(root) as served,
            training(served.installation, dataset_id, params or []) as run_id,
            closing(Epochs(served.installation.database, run_id)) as written,
        ):
            written.wait_for(2)  # the first compiles
            return compare(written, served.pid, f"{served.address}/runs?run={run_id}", sessions, pairs, epochs)


@contextmanager
def training(installation: Installation, dataset_id: str, params: list[str]) -> Iterator[str]:
    """Yield the id of a run that a worker trains until the block ends."""
    config = config_from("fast", from_assignments(["training.epochs=500", "early_stopping.enabled=false", *params]))
    with installation.database.writing() as session:
        values = config.model_dump(mode="json")
        run, _ = submissions.submit_train(session, dataset_id, None, "watched", "fast", values, VERSION)
    environment = {**os.environ, "DATA_ROOT": str(installation.settings.data_root), "DATABASE_URL": ""}
    command = [sys.executable, "-m", "engine.work.worker"]
    worker = subprocess.Popen(command, cwd=REPOSITORY, env=environment, stderr=subprocess.DEVNULL)
    try:
        yield run.id
    finally:
        worker.kill()
        worker.wait()


class Epochs:
    """Notes when each epoch of a run was written."""

    def __init__(self, database: Database, run_id: str) -> None:
        self.written: Sightings = {}
        self._database, self._run_id = database, run_id
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def close(self) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        query = select(func.max(Metric.epoch)).where(Metric.run_id == self._run_id)
        while not self._ended.wait(0.02):
            with self._database.reading() as session:
                epoch = session.scalar(query)
            if epoch:
                self.written.setdefault(epoch, time.time())

    @property
    def last(self) -> int:
        return max(self.written, default=0)

    def wait_for(self, epoch: int) -> None:
        give_up = time.monotonic() + PATIENCE_S
        while self.last < epoch:
            if time.monotonic() > give_up:
                raise SystemExit(f"Epoch {epoch} did not end within {PATIENCE_S:.0f} s.")
            time.sleep(0.1)

    def stretch(self, count: int) -> float:
        """Wait for the current epoch to end, then for `count` more; return their mean seconds."""
        first = self.last + 1
        self.wait_for(first + count)
        return (self.written[first + count] - self.written[first]) / count


def compare(epochs: Epochs, app_pid: int, address: str, sessions: int, pairs: int, count: int) -> dict[str, Any]:
    """Return seconds per epoch in alternating stretches without and with pages, and latencies of the pages.

    The processor time of the app does not depend on what else the machine does.
    """
    latencies: list[float] = []
    shares: list[float] = []

    def watched() -> float:
        with conversations(address, sessions) as seen:
            first = epochs.last + 1
            began, used = time.monotonic(), processor_s(app_pid)
            epoch_s = epochs.stretch(count)
            shares.append((processor_s(app_pid) - used) / (time.monotonic() - began))
            time.sleep(2.0)  # the last epoch has to arrive
        counted = range(first, first + count + 1)
        latencies.extend(page[each] - epochs.written[each] for page in seen for each in counted if each in page)
        return epoch_s

    turns = in_turns(pairs, alone=lambda: epochs.stretch(count), watched=watched)
    slower = [100 * (turn["watched"] / turn["alone"] - 1) for turn in turns]
    watched_s = statistics.median(turn["watched"] for turn in turns)
    return {
        "pages": sessions,
        "epoch_s": statistics.median(turn["alone"] for turn in turns),
        "watched_epoch_s": watched_s,
        "slower_percent": statistics.median(slower),  # what else the machine does spoils single pairs
        "slower_percent_each_pair": slower,
        "app_percent_of_a_core": 100 * statistics.mean(shares),
        "app_s_per_epoch": statistics.mean(shares) * watched_s,
        "update_s": statistics.median(latencies) if latencies else None,
        "update_p95_s": sorted(latencies)[int(0.95 * len(latencies))] if latencies else None,
        "updates": len(latencies),
        "updates_expected": sessions * pairs * (count + 1),
    }


@contextmanager
def conversations(address: str, count: int) -> Iterator[list[Sightings]]:
    """Hold `count` conversations with the app as its pages do; what they see is added to the list."""
    seen: list[Sightings] = [{} for _ in range(count)]
    faults: list[object] = []
    ready, enough, loop = threading.Event(), asyncio.Event(), asyncio.new_event_loop()
    pages = [ProtocolPage(address, each) for each in seen]

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


class ProtocolPage:
    """One page: it runs the script and fragments when the app says so, polls, and fetches news and images."""

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
                if fragment_id in self._tasks:
                    self._tasks[fragment_id].cancel()
        elif kind == "delta":
            self._look(message.delta)
        self._show_images(address.decode() for address in _IMAGES.findall(data))

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

    def _show_images(self, addresses: Iterable[str]) -> None:
        fresh = set(addresses) - self._got
        if fresh:
            self._got |= fresh
            self._tasks[f"images {time.time()}"] = asyncio.create_task(self._fetch(fresh))

    def _begin(self, name: str, work: object) -> None:
        if name in self._tasks:
            self._tasks[name].cancel()
        self._tasks[name] = asyncio.create_task(work)

    async def _tick(self, asked: object) -> None:
        while True:
            await asyncio.sleep(asked.interval)
            await self._run(asked.fragment_id, auto=True)

    async def _poll(self, fragment_id: str) -> None:
        """Poll as the live component in the browser does (dashboard/views/runs)."""
        drawn, reported = self._drawn, ""
        known, soon = drawn["drawn"]["version"], drawn["drawn"]["soon"]
        connection = await Http.open(self._host)
        while True:
            pace = self._drawn["soon_ms" if soon else "every_ms"]
            await asyncio.sleep(pace / 1000 * random.uniform(0.8, 1.2))
            if self._drawn is not drawn:
                drawn = self._drawn
                known = drawn["drawn"]["version"]
            now = json.loads(await connection.get(drawn["url"]))
            soon, field = now["soon"], drawn["script_draws"]
            if now[field] != drawn["drawn"][field]:
                if now["version"] != reported:
                    reported = now["version"]
                    await self._run(fragment_id)
            elif now["version"] != known:
                news = json.loads(await connection.get(f"{drawn['news']}&version={quote(now['version'], safe='')}"))
                known = news["version"]
                self._saw(news["numbers"])
                self._show_images(news["masks"].values())

    async def _fetch(self, addresses: set[str]) -> None:
        """Ask for images as the grid of masks does: many at once."""
        connection = await Http.open(self._host)
        await connection.get(f"{urls.PICTURES}?{urlencode([('of', address) for address in sorted(addresses)])}")
        connection.close()


class Http:
    """One connection that stays open, for GET requests one after the other."""

    def __init__(self, host: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._host, self._reader, self._writer = host, reader, writer

    @classmethod
    async def open(cls, host: str) -> Http:
        name, _, port = host.partition(":")
        return cls(host, *await asyncio.open_connection(name, int(port)))

    async def get(self, path: str) -> bytes:
        asked = f"GET {path} HTTP/1.1\r\nHost: {self._host}\r\nAccept-Encoding: gzip\r\n\r\n"
        self._writer.write(asked.encode())
        head = await self._reader.readuntil(b"\r\n\r\n")
        if b" 200 " not in head.partition(b"\r\n")[0]:
            raise ConnectionError(f"{path}: {head.decode(errors='replace').partition(chr(13))[0]}")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        body = await self._reader.readexactly(int(length[1])) if length else b""
        return gzip.decompress(body) if b"content-encoding: gzip" in head.lower() else body

    def close(self) -> None:
        self._writer.close()


if __name__ == "__main__":
    app()
