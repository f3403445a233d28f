"""How long pages and routes take while many people use the app and jobs run beside it.

    python -m benchmarks.many_sessions load --sessions 50 --jobs 4 --seconds 60

Each session opens one page after the other, as links do, with a pause of some seconds, and fetches the images that the
page shows. A session is the browser's half of the conversation with the app, without a browser: 50 of them would
compute on the cores that are measured. Four trainings run meanwhile. An error is a page with an exception, or a
response of 400 and above. Ends with 1 if there was one.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any
from urllib.parse import urlsplit

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect

from benchmarks.harness import Failed, data_root, note, suite
from benchmarks.live_sessions import LARGEST_MESSAGE_BYTES, PATIENCE_S, Http
from db import submissions
from engine import VERSION
from engine.core.run_config import config_from
from tests.support.installation import REPOSITORY, Installation, add_discs
from tests.support.predicted import add_label_set, add_run
from tests.support.running_app import running

IMAGES, TRAINED_PX = 48, 64
PAUSE_S = (2.0, 6.0)
IMAGES_OF_A_PAGE = 12
_ADDRESS = re.compile(rb"/files/(?:datasets|labels|runs|predictions)/[0-9a-f]{32}/[0-9a-zA-Z_/.?=&-]+")
app = suite(__doc__)


class Measured:
    """Seconds of each page and of the routes, and what went wrong."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self.errors: Counter[str] = Counter()

    def rows(self) -> list[dict[str, Any]]:
        return [
            {
                "page": page,
                "opened": len(each),
                "median_s": median(each),
                "nine_of_ten_s": sorted(each)[len(each) * 9 // 10],
                "slowest_s": max(each),
                "errors": self.errors[page],
            }
            for page, each in sorted(self.seconds.items())
        ]


@app.command()
def load(sessions: int = 50, jobs: int = 4, seconds: float = 60) -> list[dict[str, Any]] | Failed:
    """Seconds from asking for a page to its end, for each page, and for one image, and errors."""
    measured = Measured()
    with data_root() as root, running(root, MAX_WORKERS=str(jobs)) as served:
        installation = served.installation
        pages = _fill(installation)
        with trainings(installation, next(iter(pages.values())).partition("=")[2], jobs):
            asyncio.run(_talk(served.address, pages, sessions, seconds, measured))
    rows = measured.rows()
    for what, count in measured.errors.items():
        note(f"{what}: {count}")
    return Failed(rows) if measured.errors else rows


def _fill(installation: Installation) -> dict[str, str]:
    """Store a dataset, masks and a run with predictions; return {page: query} of what sessions open."""
    dataset = add_discs(installation, IMAGES, size_px=256)
    label_set_id = add_label_set(installation, dataset)
    run = add_run(installation, dataset, "run", label_set_id=label_set_id, epochs=30)
    of_dataset = f"dataset={dataset.id}"
    pages = {"datasets": of_dataset, "labels": of_dataset, "train": of_dataset, "measure": ""}
    pages |= {"runs": f"run={run.id}", "gallery": f"run={run.id}", "predict": "", "": ""}
    return pages


@contextmanager
def trainings(installation: Installation, dataset_id: str, count: int) -> Iterator[None]:
    """Train so many runs, each in a worker of its own, until the block ends."""
    values = {
        "training": {"epochs": 5000},
        "model": {"image_size": TRAINED_PX},
        "early_stopping": {"enabled": False},
        "self_training": {"rounds": 1},
    }
    config = config_from("fast", values).model_dump(mode="json")
    with installation.database.writing() as session:
        for number in range(count):
            submissions.submit_train(session, dataset_id, None, f"trains {number}", "fast", config, VERSION)
    environment = {**os.environ, **installation.settings.as_environment(), "MAX_WORKERS": str(count)}
    command = [sys.executable, "-m", "engine.work.worker"]
    workers = [
        subprocess.Popen(command, cwd=REPOSITORY, env=environment, stderr=subprocess.DEVNULL) for _ in range(count)
    ]
    try:
        yield
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()


async def _talk(address: str, pages: dict[str, str], sessions: int, seconds: float, measured: Measured) -> None:
    ends = time.monotonic() + seconds
    talks = [_Session(address, pages, ends, random.Random(number), measured).talk() for number in range(sessions)]
    for result in await asyncio.gather(*talks, return_exceptions=True):
        if isinstance(result, BaseException):
            measured.errors[f"a session broke off: {result!r}"[:200]] += 1


class _Session:
    """One person, who opens pages until the time is over."""

    def __init__(
        self, address: str, pages: dict[str, str], ends: float, rng: random.Random, measured: Measured
    ) -> None:
        self._host = urlsplit(address).netloc
        self._pages, self._ends, self._rng, self._measured = pages, ends, rng, measured

    async def talk(self) -> None:
        await asyncio.sleep(self._rng.uniform(0, PAUSE_S[1]))
        url = f"ws://{self._host}/_stcore/stream"
        async with connect(url, subprotocols=["streamlit"], max_size=LARGEST_MESSAGE_BYTES, open_timeout=60) as socket:
            http = await Http.open(self._host)
            while time.monotonic() < self._ends:
                page = self._rng.choice(list(self._pages))
                began = time.monotonic()
                images = await asyncio.wait_for(self._open(socket, page), PATIENCE_S)
                self._measured.seconds[page or "home"].append(time.monotonic() - began)
                for image in images:
                    began = time.monotonic()
                    await http.get(image)
                    self._measured.seconds["one image"].append(time.monotonic() - began)
                    if http.status >= 400:
                        self._measured.errors["one image"] += 1
                await asyncio.sleep(self._rng.uniform(*PAUSE_S))
            http.close()

    async def _open(self, socket: ClientConnection, page: str) -> list[str]:
        """Run the script of a page to its end; return addresses of images that it shows."""
        message = BackMsg()
        message.rerun_script.query_string = self._pages[page]
        message.rerun_script.page_name = page
        await socket.send(message.SerializeToString())
        images: dict[str, None] = {}
        async for data in socket:
            found = ForwardMsg()
            found.ParseFromString(bytes(data))
            kind = found.WhichOneof("type")
            images.update(dict.fromkeys(address.decode() for address in _ADDRESS.findall(bytes(data))))
            if kind == "delta" and found.delta.new_element.WhichOneof("type") == "exception":
                self._measured.errors[page or "home"] += 1
            if kind == "script_finished" and found.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY:
                return list(images)[:IMAGES_OF_A_PAGE]
        raise ConnectionError("The app closed the connection.")


if __name__ == "__main__":
    app()
