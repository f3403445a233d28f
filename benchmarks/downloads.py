"""The zip of a large set of masks through the real app: first byte, whole download, and memory of the web process.

    python -m benchmarks.downloads zips --data-root /tmp/many/masks

The folder is one that `benchmarks.drawn_runs masks` has filled; its largest set of predictions is taken.
"""

from __future__ import annotations

import shutil
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Annotated, Any
from urllib.request import urlopen

import typer
from sqlalchemy import func, select

from benchmarks.drawn_runs import opened
from benchmarks.harness import resident_mib, suite
from dashboard.facts import urls
from db.models import Prediction
from tests.support.running_app import running

CHUNK = 1 << 16
app = suite(__doc__)


@app.command()
def zips(
    data_root: Annotated[Path, typer.Option(help="An installation with predictions.")], clients: int = 3
) -> list[dict[str, Any]]:
    """Seconds to the first byte and in all, and how much memory the app took more than before: one client, then more.

    At the same time another client asks for something small; `other_request_s` is its longest wait.
    """
    count = func.count()
    query = select(Prediction.prediction_set_id, count).group_by(Prediction.prediction_set_id).order_by(count.desc())
    with opened(data_root) as installation, installation.database.reading() as session:
        largest = session.execute(query).first()
    if largest is None:
        raise SystemExit(f"There is no prediction in {data_root}.")
    set_id, masks = largest
    rows = []
    with running(data_root.resolve()) as served:
        # A first request, so that the imports of the process are not measured.
        download(served.address + urls.scores_csv("prediction_set", set_id))
        zip_url = served.address + urls.masks_zip("prediction_set", set_id)
        for number in (1, clients):
            with memory_growth(served.pid) as growth:
                found, wait_s = several(served.address, zip_url, number, masks)
            firsts, totals, sizes = zip(*found, strict=True)
            row = {"clients": number, "masks": masks, "megabytes": sizes[0] / 1e6, "first_byte_s": max(firsts)}
            rows.append({**row, "all_s": max(totals), "memory_mib": max(growth), "other_request_s": wait_s})
    return rows


@contextmanager
def memory_growth(pid: int) -> Iterator[list[float]]:
    """Yield a list that is filled, ten times a second, with the MiB that a process holds more than at the start."""
    start, growth, ended = resident_mib(pid), [0.0], threading.Event()

    def sample() -> None:
        while not ended.wait(0.1):
            growth.append(resident_mib(pid) - start)

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield growth
    finally:
        ended.set()
        thread.join()


def download(url: str, masks: int | None = None) -> tuple[float, float, int]:
    """Return (seconds to the first byte of the body, seconds in all, bytes) of a file, a zip with so many masks."""
    began = time.monotonic()
    with urlopen(url, timeout=600) as response, TemporaryFile() as stored:
        stored.write(response.read(1))
        first_s = time.monotonic() - began
        shutil.copyfileobj(response, stored, CHUNK)
        total_s, size = time.monotonic() - began, stored.tell()
        if masks is not None:
            names = zipfile.ZipFile(stored).namelist()
            assert len(names) == masks + 1 and names[-1] == "scores.csv", len(names)
    return first_s, total_s, size


def several(app_url: str, zip_url: str, clients: int, masks: int) -> tuple[list[tuple[float, float, int]], float]:
    """Download with several clients at once; return what each took, and the longest wait for a small answer."""
    found: list[tuple[float, float, int]] = []
    threads = [threading.Thread(target=lambda: found.append(download(zip_url, masks))) for _ in range(clients)]
    for thread in threads:
        thread.start()
    waits = [0.0]
    while any(thread.is_alive() for thread in threads):
        waits.append(download(f"{app_url}/_stcore/health")[1])
        time.sleep(0.2)
    if len(found) < clients:
        raise SystemExit("A download failed.")
    return found, max(waits)


if __name__ == "__main__":
    app()
