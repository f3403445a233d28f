"""The zip of a large set of masks through the real app: first byte, whole download, and memory of the web process.

    python -m benchmarks.zip_download --data-root FOLDER [--clients 3]

FOLDER is one that `benchmarks.drawn_predictions` has filled; its largest set of predictions is taken. The third
measurement is a client that reads as slowly as a bad line, while a second asks for a picture: nothing may pile up.
"""

from __future__ import annotations

import argparse
import http.client
import threading
import time
import zipfile
from pathlib import Path
from tempfile import TemporaryFile

from sqlalchemy import func, select

from benchmarks.app import serving
from dashboard.facts import urls
from db.models import Prediction
from db.session import Database
from engine.core.settings import Settings

CHUNK = 1 << 16
SLOW_S, SLOW_BYTES_PER_S = 15.0, 200_000


def largest_set(data_root: str) -> tuple[str, int]:
    """Return (id, masks) of the set with the most predictions."""
    database = Database(Settings(data_root=Path(data_root), database_url="").resolved_database_url)
    with database.reading() as session:
        count = func.count()
        query = (
            select(Prediction.prediction_set_id, count).group_by(Prediction.prediction_set_id).order_by(count.desc())
        )
        found = session.execute(query).first()
    database.close()
    if found is None:
        raise SystemExit(f"There is no prediction in {data_root}.")
    return found[0], found[1]


class Memory:
    """The resident memory of a process, sampled ten times a second; `growth_bytes` is its peak over the start."""

    def __init__(self, pid: int) -> None:
        self._path = Path(f"/proc/{pid}/statm")
        self._start = self._peak = self._now()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def growth_bytes(self) -> int:
        self._ended.set()
        self._thread.join()
        return self._peak - self._start

    def _now(self) -> int:
        return int(self._path.read_text().split()[1]) * 4096

    def _watch(self) -> None:
        while not self._ended.wait(0.1):
            self._peak = max(self._peak, self._now())


def ask(address: str, path: str) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=600)
    connection.request("GET", path)
    return connection, connection.getresponse()


def download(address: str, path: str, check: int | None = None) -> tuple[float, float, int]:
    """Return (seconds to the first byte of the body, seconds in all, bytes); `check` is how many masks it must hold."""
    began = time.monotonic()
    connection, response = ask(address, path)
    assert response.status == 200, response.status
    size = len(response.read(1))
    first_s = time.monotonic() - began
    with TemporaryFile() as kept:
        kept.write(b"P")
        while chunk := response.read(CHUNK):
            size += len(chunk)
            kept.write(chunk)
        total_s = time.monotonic() - began
        if check is not None:
            names = zipfile.ZipFile(kept).namelist()
            assert len(names) == check + 1 and names[-1] == "scores.csv", len(names)
    connection.close()
    return first_s, total_s, size


def several(address: str, path: str, clients: int) -> list[float]:
    """Download with several clients at once; return the longest waits for a first byte and for a small picture."""
    found: list[tuple[float, float, int]] = []
    threads = [threading.Thread(target=lambda: found.append(download(address, path))) for _ in range(clients)]
    for thread in threads:
        thread.start()
    waits = []
    while any(thread.is_alive() for thread in threads):
        began = time.monotonic()
        connection, response = ask(address, "/_stcore/health")
        response.read()
        connection.close()
        waits.append(time.monotonic() - began)
        time.sleep(0.2)
    return [max(first for first, _, _ in found), max(waits)]


def slowly(address: str, path: str) -> int:
    """Read for a while like a bad line, then hang up; return the bytes that came."""
    connection, response = ask(address, path)
    ends, size = time.monotonic() + SLOW_S, 0
    while time.monotonic() < ends:
        size += len(response.read(SLOW_BYTES_PER_S // 10))
        time.sleep(0.1)
    connection.close()
    return size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", required=True)
    parser.add_argument("--clients", type=int, default=3)
    asked = parser.parse_args()
    set_id, masks = largest_set(asked.data_root)
    path = urls.prediction_zip(set_id)
    with serving(asked.data_root) as (address, server):
        download(address, urls.prediction_csv(set_id))  # what the first request of a process loads is no zip's
        memory = Memory(server.pid)
        first_s, total_s, size = download(address, path, masks)
        print(f"{masks:,} masks, {size / 1e6:,.0f} MB")
        grown = memory.growth_bytes() / 2**20
        print(f"one client: first byte {first_s:.2f} s, all {total_s:.1f} s, memory +{grown:.0f} MiB")
        memory = Memory(server.pid)
        first_s, wait_s = several(address, path, asked.clients)
        grown = memory.growth_bytes() / 2**20
        print(f"{asked.clients} at once: first byte {first_s:.2f} s at most, memory +{grown:.0f} MiB; ", end="")
        print(f"another request meanwhile waited {wait_s:.2f} s at most")
        memory = Memory(server.pid)
        size = slowly(address, path)
        print(f"a slow client that hangs up after {size / 1e6:.1f} MB: memory +{memory.growth_bytes() / 2**20:.0f} MiB")


if __name__ == "__main__":
    main()
