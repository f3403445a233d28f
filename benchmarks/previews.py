"""Seconds from a slider's move on the Labels page to the last new mask of six probe images, in a real browser.

    python -m benchmarks.previews [FOLDER] [--moves 9] [--methods saliency,kmeans] [--json]

FOLDER (images/, truth/) is imported first; ../shared/data/ecssd if left out. Every move draws masks that no cache has;
a move that leaves some masks as they were is told by how many came. `judged_s` is until the masks' quality is shown.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from playwright.sync_api import Page

from benchmarks.app import ROOT, serving, tab
from db import datasets
from db.session import Database
from engine.core.settings import Settings

SLIDERS = {
    "saliency": "Strictness",
    "kmeans": "Clusters",
    "threshold": "Softness",
    "dataset_clusters": "",  # one cluster after another is ticked, or unticked
}
PROBE = 6
QUIET_S, PATIENCE_S = 0.8, 15.0


@dataclass(frozen=True)
class Move:
    """One press of an arrow key: seconds to the last new mask, how many came, and seconds until quality is shown."""

    seconds: float
    masks: int
    judged_s: float


def moves(page: Page, address: str, dataset_id: str, method: str, count: int) -> list[Move]:
    """Return what `count` moves of a method's slider took."""
    arrived: dict[str, float] = {}
    page.on(
        "requestfinished",
        lambda request: arrived.setdefault(request.url, time.monotonic()) if "/files/preview/" in request.url else None,
    )
    page.goto(f"{address}/labels?dataset={dataset_id}&a={method}")
    judged = page.get_by_test_id("stMetric").filter(has_text="Estimated score").get_by_text(re.compile(r"^\d\."))
    judged.wait_for(timeout=300_000)
    page.wait_for_timeout(1000)
    slider = page.get_by_test_id("stSlider").filter(has_text=SLIDERS[method]).locator("input[type=range]").first
    ticks = page.locator(".cluster input")
    made = []
    for number in range(count):
        arrived.clear()
        began = time.monotonic()
        if SLIDERS[method]:
            slider.press("ArrowRight")
        else:
            ticks.nth(number).click()
        while not arrived and time.monotonic() - began < PATIENCE_S:
            page.wait_for_timeout(20)
        judged.wait_for(timeout=60_000)
        judged_s = time.monotonic() - began
        page.wait_for_timeout(QUIET_S * 1000)
        if arrived:
            made.append(Move(round(max(arrived.values()) - began, 2), len(arrived), round(judged_s, 2)))
    if not made:
        raise SystemExit(f"No move of {method} changed a mask within {PATIENCE_S:.0f} s.")
    return made


def choose_probe(data_root: str, dataset_id: str) -> None:
    """Make the probe PROBE images, evenly spread."""
    database = Database(Settings(data_root=Path(data_root), database_url="").resolved_database_url)
    with database.writing() as session:
        chosen = [image.id for image in datasets.probe_images(session, dataset_id, PROBE)]
        datasets.set_probe_images(session, dataset_id, chosen)
    database.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "../shared/data/ecssd")
    parser.add_argument("--moves", type=int, default=9)
    parser.add_argument("--methods", default=",".join(SLIDERS))
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    result = {}
    with tempfile.TemporaryDirectory() as data_root:
        environment = {**os.environ, "DATA_ROOT": data_root}
        command = [sys.executable, "-m", "engine", "import", str(arguments.folder), "--name", "probe", "--json"]
        imported = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
        dataset_id = json.loads(imported.stdout)["dataset"]
        choose_probe(data_root, dataset_id)
        for method in arguments.methods.split(","):
            with serving(data_root) as (address, _), tab() as page:
                made = moves(page, address, dataset_id, method, arguments.moves)
            result[method] = {
                "median_s": statistics.median(move.seconds for move in made),
                "judged_s": statistics.median(move.judged_s for move in made),
                "moves": [asdict(move) for move in made],
            }
    if arguments.json:
        print(json.dumps(result))
        return
    for method, figures in result.items():
        each = ", ".join(f"{move['seconds']} ({move['masks']})" for move in figures["moves"])
        print(
            f"{method:16} {PROBE} probe images: median {figures['median_s']:.2f} s to the last new mask, "
            f"{figures['judged_s']:.2f} s to its quality; each move (masks that changed): {each}"
        )


if __name__ == "__main__":
    main()
