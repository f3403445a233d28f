"""Seconds from a slider's move on the Labels page to the last new mask of eight probe images, in a real browser.

    python -m benchmarks.previews [FOLDER] [--moves 9] [--json]

FOLDER (images/, truth/) is imported first; ../shared/data/ecssd if left out. Every move draws masks that no cache has.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Page

from benchmarks.app import ROOT, serving, tab

SLIDERS = {"kmeans": "Clusters", "threshold": "Softness", "saliency": "Strictness"}
QUIET_S, PATIENCE_S = 0.8, 15.0


def moves(page: Page, address: str, dataset_id: str, method: str, count: int) -> list[float]:
    """Return the seconds of `count` moves of a method's slider."""
    arrived: dict[str, float] = {}
    page.on(
        "requestfinished",
        lambda request: arrived.setdefault(request.url, time.monotonic()) if "/files/preview/" in request.url else None,
    )
    page.goto(f"{address}/labels?dataset={dataset_id}&a={method}")
    page.locator(".tile .frame:not(.loading)").first.wait_for(timeout=60_000)
    page.wait_for_timeout(3000)
    slider = page.get_by_test_id("stSlider").filter(has_text=SLIDERS[method]).locator("input[type=range]").first
    seconds = []
    for _ in range(count):
        arrived.clear()
        began = time.monotonic()
        slider.press("ArrowRight")
        while time.monotonic() - began < PATIENCE_S:
            page.wait_for_timeout(20)
            if arrived and time.monotonic() - max(arrived.values()) > QUIET_S:
                break
        if arrived:
            seconds.append(round(max(arrived.values()) - began, 2))
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "../shared/data/ecssd")
    parser.add_argument("--moves", type=int, default=9)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    result = {}
    with tempfile.TemporaryDirectory() as data_root:
        environment = {**os.environ, "DATA_ROOT": data_root}
        command = [sys.executable, "-m", "engine", "import", str(arguments.folder), "--name", "probe", "--json"]
        imported = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
        dataset_id = json.loads(imported.stdout)["dataset"]
        for method in SLIDERS:
            with serving(data_root) as (address, _), tab() as page:
                seconds = moves(page, address, dataset_id, method, arguments.moves)
            result[method] = {"median_s": statistics.median(seconds), "moves": seconds}
    if arguments.json:
        print(json.dumps(result))
        return
    for method, figures in result.items():
        print(f"{method:10} median {figures['median_s']} s of {figures['moves']}")


if __name__ == "__main__":
    main()
