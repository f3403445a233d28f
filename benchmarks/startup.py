"""Seconds from `streamlit run` to the first page painted in a real browser, and whether TensorFlow was loaded for it.

    python -m benchmarks.startup [--runs 5] [--json]

The first run migrates a new database; the others open it again. Needs requirements-dev.txt, and Linux to
look into the process.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.app import serving, tab


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    seconds, loaded = [], False
    with tempfile.TemporaryDirectory() as data_root, tab() as page:
        for _ in range(arguments.runs):
            began = time.monotonic()
            with serving(data_root) as (address, server):
                page.goto(address)
                page.get_by_role("heading").first.wait_for()
                seconds.append(round(time.monotonic() - began, 2))
                loaded = loaded or "tensorflow" in Path(f"/proc/{server.pid}/maps").read_text()
            page.goto("about:blank")
    result = {"first_s": seconds[0], "median_s": statistics.median(seconds), "runs": seconds, "tensorflow": loaded}
    if arguments.json:
        print(json.dumps(result))
    else:
        print("Start to first page: {first_s} s at first, median {median_s} s of {runs}.".format(**result))
        print("TensorFlow in the web process:", "yes" if loaded else "no")


if __name__ == "__main__":
    main()
