"""How long pages and images take while many people use the app and jobs run: the slowest, and every error.

    python -m benchmarks.many_sessions browse --sessions 50 --minutes 3

Photographs with masks are drawn first (see benchmarks.drawn_runs). A training, a measurement of objects and label jobs
run until the end, four at a time. A session is the browser's half of the conversation with the app, without a browser,
which would compute on the cores that are measured. It opens one page after another, each at an address that a link has,
asks for the images that the page names, and reads for 10 to 30 s. A page's time is from the request to the end of its
script; what only asks (fragments that repeat themselves) goes on meanwhile and is not counted.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect

from benchmarks.drawn_runs import add_masks
from benchmarks.harness import data_root, note, suite
from benchmarks.live_sessions import LARGEST_MESSAGE_BYTES, PATIENCE_S, Http, ProtocolPage
from db import measuring, submissions
from db.models import Dataset, Job, JobStatus, LabelSet
from engine import VERSION
from engine.core.run_config import config_from
from engine.labelling.base import find_method
from engine.measuring.objects import ObjectParams
from tests.support.installation import REPOSITORY, Installation
from tests.support.running_app import running

READS_S = 10.0, 30.0
ROUTES_AT_ONCE = 6
"""Connections of a browser to one server."""
AT_ONCE = 4
LABEL_JOBS = 10
"""More than end within the minutes that are measured, so that none of the workers is ever without a job."""
_IMAGES = re.compile(rb'"(/files/(?:datasets|labels|predictions)/[0-9a-f]{32}/[^"\\\\]*)"')
app = suite(__doc__)


@app.command()
def browse(sessions: int = 50, minutes: float = 3.0, images: int = 1000) -> list[dict[str, Any]]:
    """Seconds of each page and of images: median, 95 % and slowest, with errors."""
    with data_root() as root:
        run_id = add_masks(root, images)["run"]
        with running(root, MAX_WORKERS="4") as served:
            addresses = _addresses(served.installation, run_id)
            with _jobs(served.installation) as running_now:
                seen = asyncio.run(_visits(served.address.removeprefix("http://"), addresses, sessions, minutes * 60))
                at_the_end = running_now()
    rows = [
        {
            "what": what,
            "requests": len(times),
            "median_s": statistics.median(times) if times else None,
            "p95_s": sorted(times)[int(0.95 * len(times))] if times else None,
            "slowest_s": max(times, default=None),
            "errors": seen.errors.get(what, []),
        }
        for what, times in sorted(seen.times.items())
    ]
    note(f"{at_the_end} of {AT_ONCE} jobs ran at the end.")
    return rows


class _Seen:
    def __init__(self) -> None:
        self.times: dict[str, list[float]] = {}
        self.errors: dict[str, list[str]] = {}

    def took(self, what: str, began: float) -> None:
        self.times.setdefault(what, []).append(time.monotonic() - began)

    def failed(self, what: str, why: str) -> None:
        self.times.setdefault(what, [])
        self.errors.setdefault(what, []).append(why)


def _addresses(installation: Installation, run_id: str) -> list[str]:
    with installation.database.reading() as session:
        dataset_id, label_set_id = session.query(Dataset).one().id, session.query(LabelSet).one().id
    return [
        *("", "datasets", f"datasets?dataset={dataset_id}", f"labels?dataset={dataset_id}&labels={label_set_id}"),
        *("train", f"train?dataset={dataset_id}", "runs", f"runs?run={run_id}", f"gallery?run={run_id}"),
        *(f"gallery?run={run_id}&page=7", f"compare?runs={run_id}", f"predict?run={run_id}", "measure", "sweeps"),
    ]


@contextmanager
def _jobs(installation: Installation) -> Iterator[Callable[[], int]]:
    """Run four jobs at a time until the block ends; yield what counts those that run at the moment."""
    with installation.database.writing() as session:
        dataset, label_set = session.query(Dataset).one(), session.query(LabelSet).one()
        config = config_from("fast", {"training": {"epochs": 1000}, "early_stopping": {"enabled": False}})
        values = config.model_dump(mode="json")
        submissions.submit_train(session, dataset.id, None, "in training", "fast", values, VERSION)
        params = ObjectParams().model_dump(mode="json")
        measuring.submit_objects(session, "label_set", label_set.id, params)
        for seed in range(LABEL_JOBS):
            params = find_method("saliency").params().model_dump(mode="json")
            submissions.submit_label(session, dataset.id, f"saliency {seed}", "saliency", params, seed, VERSION)

    def running_now() -> int:
        with installation.database.reading() as session:
            return session.query(Job).filter_by(status=JobStatus.RUNNING).count()

    environment = {**installation.settings.as_environment(), "MAX_WORKERS": str(AT_ONCE)}
    with ExitStack() as stack:
        for _ in range(AT_ONCE):
            worker = subprocess.Popen(
                [sys.executable, "-m", "engine.work.worker"],
                cwd=REPOSITORY,
                env=environment,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            stack.callback(worker.wait)
            stack.callback(os.killpg, worker.pid, signal.SIGKILL)
        while running_now() < AT_ONCE:
            time.sleep(0.2)
        yield running_now


async def _visits(host: str, addresses: list[str], sessions: int, for_s: float) -> _Seen:
    seen, until = _Seen(), time.monotonic() + for_s
    await asyncio.gather(
        _health(host, seen, until),
        *(_Visitor(host, addresses, seen, random.Random(number)).browse(until) for number in range(sessions)),
    )
    return seen


async def _health(host: str, seen: _Seen, until: float) -> None:
    while time.monotonic() < until:
        await _fetched(host, ["/_stcore/health"], "health", seen)
        await asyncio.sleep(1.0)


async def _fetched(host: str, paths: list[str], what: str, seen: _Seen) -> None:
    """Ask for paths one after the other over a connection of their own."""
    if not paths:
        return
    connection = await Http.open(host)
    for path in paths:
        began = time.monotonic()
        try:
            await connection.get(path)
        except (OSError, asyncio.IncompleteReadError) as exc:
            seen.failed(what, f"{path}: {exc}")
            break
        seen.took(what, began)
    connection.close()


class _Visitor(ProtocolPage):
    """One session that goes from page to page. Pages repeat and ask for news as ProtocolPage does."""

    def __init__(self, host: str, addresses: list[str], seen: _Seen, rng: random.Random) -> None:
        super().__init__(f"http://{host}/{rng.choice(addresses)}", {})
        self._addresses, self._all, self._rng = addresses, seen, rng
        self._images: set[str] = set()
        self._ended = asyncio.Event()

    async def browse(self, until: float) -> None:
        await asyncio.sleep(self._rng.uniform(0, READS_S[1]))  # people do not come at the same moment
        url = f"ws://{self._host}/_stcore/stream"
        async with connect(url, subprotocols=["streamlit"], max_size=LARGEST_MESSAGE_BYTES) as socket:
            self._socket = socket
            listening = asyncio.create_task(self._listen())
            while time.monotonic() < until:
                await self._open(self._rng.choice(self._addresses), listening)
                await asyncio.sleep(self._rng.uniform(*READS_S))
            listening.cancel()
        self._forget()

    async def _open(self, address: str, listening: asyncio.Task[None]) -> None:
        self._forget()
        self._page, _, self._query = address.partition("?")
        self._name = f"page {self._page or 'home'}"
        began = time.monotonic()
        self._ended.clear()
        await self._run()
        ended = asyncio.create_task(self._ended.wait())
        await asyncio.wait([ended, listening], timeout=PATIENCE_S, return_when=asyncio.FIRST_COMPLETED)
        if listening.done():
            listening.result()
        if not ended.done():
            ended.cancel()
            self._all.failed(self._name, f"no end within {PATIENCE_S:.0f} s")
            return
        self._all.took(self._name, began)
        images = sorted(self._images)
        parts = [images[first::ROUTES_AT_ONCE] for first in range(ROUTES_AT_ONCE)]
        await asyncio.gather(*(_fetched(self._host, part, "image", self._all) for part in parts))

    async def _listen(self) -> None:
        async for data in self._socket:
            await self._take(self._socket, bytes(data))

    async def _take(self, socket: ClientConnection, data: bytes) -> None:
        message = ForwardMsg()
        message.ParseFromString(data)
        kind = message.WhichOneof("type")
        if kind == "script_finished" and message.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY:
            self._ended.set()
        elif kind == "delta" and message.delta.new_element.WhichOneof("type") == "exception":
            self._all.failed(self._name, message.delta.new_element.exception.message)
        elif kind == "page_not_found":
            self._all.failed(self._name, "no such page")
        self._images |= {address.decode() for address in _IMAGES.findall(data)}
        await super()._take(socket, data)

    def _saw(self, numbers: list[dict[str, str]]) -> None:
        """When an epoch is seen does not matter here."""

    def _show_images(self, addresses: Iterable[str]) -> None:
        """Those of a live run are counted as any others."""
        self._images |= set(addresses)

    def _forget(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        self._tasks.clear()
        self._images.clear()


if __name__ == "__main__":
    app()
