"""Files in an object store against local files: transfers, an epoch of training, and a gallery of 10,000 masks.

The object store is moto's S3 server in a process of its own on this machine, so that what is measured is what Maskloom
and its client cost, not a network.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, cast
from unittest import mock

import numpy as np

from benchmarks import pages
from benchmarks.drawn_runs import add_masks
from benchmarks.harness import ECSSD, Folder, browsing, data_root, in_turns, pairs, seconds, suite
from db.session import Database
from engine.core import settings as settings_module
from engine.core.settings import Settings
from engine.store.disk import CACHE
from engine.store.local import LocalStore
from engine.store.opening import open_store
from engine.training.job import run as train
from tests.support.installation import Installation, add_dataset
from tests.support.s3_server import S3Server, running_s3_server
from tests.support.training_job import Context, submit_train

OBJECT_BYTES = 20_000
app = suite(__doc__)


@contextmanager
def s3() -> Iterator[S3Server]:
    """Yield a server that this process and those that it starts find by their variables."""
    with running_s3_server() as server, mock.patch.dict(os.environ, server.environment):
        yield server


@app.command()
def transfers(objects: int = 500, rounds: int = 3) -> list[dict[str, Any]]:
    """Objects of 20 kB a second, written and read one after the other, by obstore and, where it is installed, s3fs."""
    data = np.random.default_rng(0).bytes(OBJECT_BYTES)
    with s3() as server:
        clients: dict[str, Any] = {"obstore": _obstore(server.bucket())}
        with suppress(ImportError):
            clients["s3fs"] = _s3fs(server.bucket(), server)
        writes = {name: partial(_rate, objects, partial(put, data=data)) for name, (put, _) in clients.items()}
        reads = {name: partial(_rate, objects, get) for name, (_, get) in clients.items()}
        written, read = in_turns(rounds, **writes), in_turns(rounds, **reads)
    return [
        {
            "client": name,
            "written_per_s": median(turn[name] for turn in written),
            "read_per_s": median(turn[name] for turn in read),
        }
        for name in clients
    ]


def _rate(objects: int, work: Callable[[str], object]) -> float:
    return objects / seconds(lambda: [work(f"objects/{number}") for number in range(objects)])


def _obstore(url: str) -> tuple[Callable[[str, bytes], object], Callable[[str], object]]:
    import obstore
    from obstore.store import from_url

    store = from_url(url)
    return lambda key, data: obstore.put(store, key, data), lambda key: obstore.get(store, key).bytes()


def _s3fs(url: str, server: S3Server) -> tuple[Callable[[str, bytes], object], Callable[[str], object]]:
    import s3fs

    files = s3fs.S3FileSystem(
        key="tests", secret="tests", endpoint_url=server.address, client_kwargs={"region_name": "us-east-1"}
    )
    root = url.removeprefix("s3://")
    return lambda key, data: files.pipe_file(f"{root}/{key}", data), lambda key: files.cat_file(f"{root}/{key}")


@dataclass
class _Timed(Context):
    """Remembers when the first batch of each epoch was reported."""

    began: dict[int, float] = field(default_factory=dict)

    def progress(self, done: int, total: int, **told: Any) -> None:
        if told.get("phase") == "training":
            self.began.setdefault(told["epoch"], time.monotonic())
        super().progress(done, total, **told)


@app.command()
def training(folder: Folder = ECSSD, images: int = 120, rounds: int = 3, image_size: int = 128) -> dict[str, Any]:
    """Seconds of the second epoch, from its first batch to that of the third, with what is stored at its end."""
    chosen = [pair for pair, _ in zip(pairs(folder, foreground=128), range(images), strict=False)]
    with s3() as server, TemporaryDirectory() as temporary:

        def epoch(name: str, store_url: str) -> float:
            root = Path(temporary) / f"{name}-{time.monotonic_ns()}"
            root.mkdir()
            current = Settings(data_root=root, database_url="", store_url=store_url)
            database = Database(current.resolved_database_url)
            database.migrate()
            files = cast(LocalStore, open_store(current))
            installation = Installation(current, database, files)
            dataset = add_dataset(installation, name, chosen)
            if store_url:  # a machine that has none of the images yet
                installation.files = cast(LocalStore, replace(cast(Any, files), root=root / "another machine"))
            size = {"model": {"image_size": image_size, "depth": 4, "base_filters": 16}}
            _, job = submit_train(installation, dataset, epochs=3, batch_size=8, groups=size)
            context = _Timed(installation)
            train(job, cast(Any, context))
            database.close()
            return context.began[3] - context.began[2]

        turns = in_turns(rounds, local=lambda: epoch("local", ""), objects=lambda: epoch("objects", server.bucket()))
    local, objects = (median(turn[name] for turn in turns) for name in ("local", "objects"))
    return {"local_s": local, "objects_s": objects, "times": objects / local, "each": turns}


@app.command()
def gallery(images: int = 10_000, opened: int = 20) -> list[dict[str, Any]]:
    """Seconds from the click to the next page of a run with 10,000 masks until all 48 tiles are painted.

    First with an empty cache, as on a machine that has none of the files yet, then the same pages again.
    """
    found = []
    with s3() as server, data_root() as root, mock.patch.dict(os.environ, {"STORE_URL": server.bucket()}):
        settings_module.settings.cache_clear()
        run_id = add_masks(root, images)["run"]
        shutil.rmtree(root / CACHE)
        for cache in ("empty", "filled"):
            with browsing(root) as (served, page):
                turns, _ = pages.turn_pages(served, page, run_id, opened)
            found.append({"cache": cache, "page_s": median(turns), "page_worst_s": max(turns)})
    return found


if __name__ == "__main__":
    app()
