"""What 20 people who watch one run cost it, and how soon each of them sees a new epoch.

    python -m benchmarks.live_sessions [FOLDER] [--sessions 20] [--browsers 5] [--pairs 3] [--epochs 3] [--json]

FOLDER (images/, truth/) is imported first; ../shared/data/eggs-and-pans if left out. One run trains on its truth. In
alternating stretches of its epochs nobody watches, then pages do: 20 conversations without a browser (--how protocol),
which is what the app itself costs, or pages of Chromium (--how chromium), which here draw on the cores that train, as
the browsers of 20 people never would; more than a few of them leave little for the training on two cores. Latency is
from the epoch's row in the database to the page that shows it. Give `-p model.image_size=192` for shorter epochs.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from sqlalchemy import func, select

from benchmarks.app import ROOT, serving
from benchmarks.open_pages import ChromiumPages, ProtocolPages, Sightings, chromium_pages, protocol_pages
from db import submissions
from db.models import Metric
from db.session import Database
from engine import VERSION
from engine.core.parameters import from_assignments
from engine.core.run_config import config_from
from engine.core.settings import Settings

LOOK_EVERY_S = 0.02
PATIENCE_S = 300.0
Pages = ChromiumPages | ProtocolPages
Opening = Callable[[str, int], AbstractContextManager[Pages]]
HOW: dict[str, Opening] = {"protocol": protocol_pages, "chromium": chromium_pages}


class Epochs:
    """Notes when each epoch of a run was written."""

    def __init__(self, database: Database, run_id: str) -> None:
        self.written: Sightings = {}
        self._database, self._run_id = database, run_id
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        query = select(func.max(Metric.epoch)).where(Metric.run_id == self._run_id)
        while True:
            with self._database.reading() as session:
                epoch = session.scalar(query)
            if epoch:
                self.written.setdefault(epoch, time.time())
            time.sleep(LOOK_EVERY_S)

    @property
    def last(self) -> int:
        return max(self.written, default=0)

    def wait_for(self, epoch: int) -> None:
        give_up = time.monotonic() + PATIENCE_S
        while self.last < epoch:
            if time.monotonic() > give_up:
                raise SystemExit(f"Epoch {epoch} did not end within {PATIENCE_S:.0f} s.")
            time.sleep(0.1)

    def stretch(self, count: int) -> list[float]:
        """Wait for the epoch at hand to end, then for `count` more; return the seconds of each."""
        first = self.last + 1
        self.wait_for(first + count)
        return [self.written[epoch + 1] - self.written[epoch] for epoch in range(first, first + count)]


def compare(epochs: Epochs, app: int, pages: Pages, sessions: int, pairs: int, count: int) -> dict:
    """Return seconds per epoch without and with pages, in alternating stretches, and latencies of the pages.

    `app` is the process id of the app: what its pages cost does not depend on what else the machine does.
    """
    quiet, watched, latencies, shares, seconds = [], [], [], [], []
    for pair in range(pairs):
        # Every second pair the other way round, so that a drift of the machine counts for neither.
        for busy in (False, True) if pair % 2 == 0 else (True, False):
            if not busy:
                quiet.append(statistics.mean(epochs.stretch(count)))
                continue
            with pages.awake() as seen:
                first = epochs.last + 1
                began, used = time.monotonic(), cpu_seconds(app)
                watched.append(statistics.mean(epochs.stretch(count)))
                used = cpu_seconds(app) - used
                shares.append(used / (time.monotonic() - began))
                seconds.append(used / (time.monotonic() - began) * watched[-1])
                time.sleep(2.0)  # the last epoch has to arrive
            counted = range(first, first + count + 1)
            latencies += [
                sightings[epoch] - epochs.written[epoch]
                for sightings in seen
                for epoch in counted
                if epoch in sightings
            ]
    expected = sessions * pairs * (count + 1)
    slower = [100 * (busy / idle - 1) for busy, idle in zip(watched, quiet, strict=True)]
    return {
        "epoch_s": round(statistics.median(quiet), 3),
        "watched_epoch_s": round(statistics.median(watched), 3),
        "slower_percent": round(statistics.median(slower), 1),  # what else the machine does spoils single pairs
        "slower_percent_each_pair": [round(each, 1) for each in slower],
        "app_cpu_percent": round(100 * statistics.mean(shares), 1),
        "app_s_per_epoch": round(statistics.mean(seconds), 3),
        "median_update_s": round(statistics.median(latencies), 3) if latencies else None,
        "p95_update_s": round(sorted(latencies)[int(0.95 * len(latencies))], 3) if latencies else None,
        "updates": f"{len(latencies)} of {expected}",
    }


def cpu_seconds(process_id: int) -> float:
    """Return the processor time that a process has taken (Linux)."""
    fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def imported(folder: Path, environment: dict[str, str]) -> str:
    command = [sys.executable, "-m", "engine", "import", str(folder), "--name", "watched", "--json"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)["dataset"]


@contextmanager
def training(database: Database, dataset_id: str, params: list[str], environment: dict[str, str]) -> Iterator[str]:
    """Yield the id of a run that a worker of its own trains until the block ends."""
    config = config_from("fast", from_assignments(["training.epochs=500", "early_stopping.enabled=false", *params]))
    with database.writing() as session:
        run, _ = submissions.submit_train(
            session, dataset_id, None, "watched", "fast", config.model_dump(mode="json"), VERSION
        )
    worker = subprocess.Popen(
        [sys.executable, "-m", "engine.work.worker"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield run.id
    finally:
        worker.kill()
        worker.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "../shared/data/eggs-and-pans")
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--browsers", type=int, default=5, help="pages of Chromium")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=3, help="epochs that count in each stretch")
    parser.add_argument("--how", choices=[*HOW, "both"], default="both")
    parser.add_argument("-p", dest="params", action="append", default=[])
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    result = {}
    with tempfile.TemporaryDirectory() as data_root:
        environment = {**os.environ, "DATA_ROOT": data_root, "DATABASE_URL": "", "TF_CPP_MIN_LOG_LEVEL": "2"}
        dataset_id = imported(arguments.folder, environment)
        database = Database(Settings(data_root=Path(data_root), database_url="").resolved_database_url)
        with (
            training(database, dataset_id, arguments.params, environment) as run_id,
            serving(data_root) as (address, server),
        ):
            epochs = Epochs(database, run_id)
            epochs.wait_for(2)  # the first compiles
            address = f"{address}/runs?run={run_id}"
            for how in HOW if arguments.how == "both" else [arguments.how]:
                sessions = arguments.browsers if how == "chromium" else arguments.sessions
                with HOW[how](address, sessions) as pages:
                    figures = compare(epochs, server.pid, pages, sessions, arguments.pairs, arguments.epochs)
                result[how] = {"pages": sessions, **figures}
                report(how, result[how], arguments)
    if arguments.json:
        print(json.dumps(result))


def report(how: str, figures: dict, arguments: argparse.Namespace) -> None:
    if arguments.json:
        return
    print(
        f"{figures['pages']} pages ({how}): an epoch takes {figures['epoch_s']:.2f} s unwatched, "
        f"{figures['watched_epoch_s']:.2f} s watched: {figures['slower_percent']:+.1f} % "
        f"(each pair: {figures['slower_percent_each_pair']}). "
        f"The app takes {figures['app_s_per_epoch']} s of processor time for an epoch, "
        f"{figures['app_cpu_percent']} % of one core. "
        f"Row written to page: median {figures['median_update_s']} s, 95 % within {figures['p95_update_s']} s; "
        f"{figures['updates']} came.",
        flush=True,
    )


if __name__ == "__main__":
    main()
