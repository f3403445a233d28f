"""Seconds from `streamlit run` to the first page painted in a real browser, and what the web process has loaded.

    python -m benchmarks.startup [--runs 5] [--json]

The first run migrates a new database; the others open it again. Needs the packages of requirements-dev.txt.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[1]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def loads_tensorflow(pid: int) -> bool:
    """Whether the process has TensorFlow's library mapped (Linux)."""
    return "tensorflow" in Path(f"/proc/{pid}/maps").read_text()


def start_once(page: object, data_root: str) -> tuple[float, bool]:
    """Return (seconds to the first painted page, whether TensorFlow was loaded)."""
    port = free_port()
    command = [sys.executable, "-m", "streamlit", "run", "dashboard/app.py", "--server.port", str(port)]
    began = time.monotonic()
    server = subprocess.Popen(
        [*command, "--server.headless", "true"],
        cwd=ROOT,
        env={**os.environ, "DATA_ROOT": data_root},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.02)
        page.goto(f"http://127.0.0.1:{port}/")
        page.get_by_role("heading").first.wait_for()
        seconds = time.monotonic() - began
        return seconds, loads_tensorflow(server.pid)
    finally:
        server.terminate()
        server.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as data_root, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-background-networking"]
        )
        page = browser.new_page()
        measured = [start_once(page, data_root) for _ in range(arguments.runs)]
        browser.close()
    seconds = [value for value, _ in measured]
    result = {
        "first_s": round(seconds[0], 2),
        "median_s": round(statistics.median(seconds), 2),
        "runs": [round(value, 2) for value in seconds],
        "tensorflow_loaded": any(loaded for _, loaded in measured),
        "cores": os.cpu_count(),
        "machine": platform.machine(),
    }
    if arguments.json:
        print(json.dumps(result))
    else:
        print("Start to first page: {first_s} s at first, median {median_s} s of {runs}.".format(**result))
        print("TensorFlow in the web process:", "yes" if result["tensorflow_loaded"] else "no")


if __name__ == "__main__":
    main()
