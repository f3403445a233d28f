"""Seconds from a click on "Predict" to all masks of a few photographs painted, in a real browser: warm and cold.

    python -m benchmarks.predict_page ../shared/data/ecssd
    python -m benchmarks.predict_page ../shared/data/ecssd --images 5 --rounds 5 --json

A small network of the preset "fast" is trained first, on photographs that are not among those predicted. Cold is the
first prediction, by a worker that starts for it and loads TensorFlow (WARM_WORKER_S=0); warm is by the worker that the
page has got ready since a network was chosen. The memory of that worker is read from /proc. Needs requirements-dev.txt,
and Linux.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from benchmarks.app import ROOT, serving, tab
from db.models import utc_now
from db.session import Database
from db.warm import readiness
from engine.core.settings import Settings

TRAINED_ON = 40
PATIENCE_MS = 120_000


def train(data: Path, data_root: str, epochs: int) -> None:
    """Import some photographs with their truth and train a network on them, by the command line."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("images", "truth"):
            (Path(folder) / name).mkdir()
            for file in sorted((data / name).iterdir())[:TRAINED_ON]:
                shutil.copyfile(file, Path(folder) / name / file.name)
        for command in (
            ["import", folder, "--name", "photographs"],
            ["train", "photographs", "--truth", "-p", f"training.epochs={epochs}"],
        ):
            subprocess.run(
                [sys.executable, "-m", "engine", *command],
                cwd=ROOT,
                env={**os.environ, "DATA_ROOT": data_root},
                check=True,
                stdout=subprocess.DEVNULL,
            )


def predict(page: Page, address: str, files: list[Path], ready: Any) -> float:
    """Drop the files on the page and press its button once `ready()`; return the seconds until all masks are there."""
    page.goto(f"{address}/predict")
    page.locator("input.pick-files").set_input_files(files)
    button = page.get_by_role("button", name=re.compile("^Predict "))
    button.wait_for()
    ready()
    began = time.perf_counter()
    button.click()
    page.locator(".tile .frame:not(.loading)").nth(len(files) - 1).wait_for(timeout=PATIENCE_MS)
    return time.perf_counter() - began


def wait_until_ready(database: Database) -> int:
    """Wait for the worker that holds a network; return its process id."""
    give_up = time.monotonic() + PATIENCE_MS / 1000
    while time.monotonic() < give_up:
        with database.reading() as session:
            found = readiness(session, utc_now(), 60)
        if found.run_ids and not found.busy:
            return int(found.worker.rpartition(":")[2])
        time.sleep(0.1)
    raise SystemExit("No worker got ready.")


def resident_mib(pid: int) -> int:
    """Return the resident memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) // 1024


def measure(data_root: str, files: list[Path], rounds: int) -> dict[str, Any]:
    """Predict the same files again and again, cold first, then warm."""
    database = Database(Settings(data_root=Path(data_root), database_url="").resolved_database_url)
    seconds: dict[str, list[float]] = {"cold": [], "warm": []}
    for name, keep_s in (("cold", "0"), ("warm", "300")):
        os.environ["WARM_WORKER_S"] = keep_s
        with serving(data_root) as (address, _), tab() as page:
            page.set_default_timeout(PATIENCE_MS)
            page.goto(address)
            page.get_by_role("heading").first.wait_for()
            for _ in range(rounds):
                ready = (lambda: wait_until_ready(database)) if name == "warm" else (lambda: None)
                seconds[name].append(round(predict(page, address, files, ready), 2))
            memory = resident_mib(wait_until_ready(database)) if name == "warm" else 0
    database.close()
    return {
        "images": len(files),
        "warm_median_s": statistics.median(seconds["warm"]),
        "cold_median_s": statistics.median(seconds["cold"]),
        **{f"{name}_s": found for name, found in seconds.items()},
        "worker_mib": memory,
    }


def main() -> None:
    """Train, predict, and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path, help="Folder with images/ and truth/.")
    parser.add_argument("--images", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    files = sorted((arguments.data / "images").iterdir())[TRAINED_ON:][: arguments.images]
    with tempfile.TemporaryDirectory() as data_root:
        train(arguments.data, data_root, arguments.epochs)
        result = measure(data_root, files, arguments.rounds)
    if arguments.json:
        print(json.dumps(result))
        return
    print(f"{result['images']} photographs, click to all masks painted, median of {arguments.rounds}:")
    print("warm {warm_median_s} s {warm_s}, cold {cold_median_s} s {cold_s}".format(**result))
    print("The worker that waits with the network has {worker_mib} MiB of memory.".format(**result))


if __name__ == "__main__":
    main()
