"""Faults at drawn moments of real jobs, on the real app with real workers: what breaks, and what goes on afterwards.

    python -m benchmarks.faults --faults 200 --seed 1                  # about half an hour on two idle cores
    python -m benchmarks.faults --seed 1 --only 17                     # the one that broke, once more
    python -m benchmarks.faults --faults 20 --kind "disk full" --keep FOLDER

Each fault is injected into one job: import, label, train, predict or export. Then all invariants of
`tests/faults/invariants.py` are checked, the job is resumed or retried until it has finished, and they are checked
again. Every --browser-th fault whose job has a panel is gone on with in Chromium, the others by the function that the
button calls. Two installations (--rigs) run side by side, each on one disk, with one app, from its first fault to its
last. What is drawn follows from the seed and the fault's number; what the clock of a real machine adds does not.
Ends with 1 if anything broke. Needs requirements-dev.txt and Linux; as root a disk is really filled, else a limit on
the size of files stands for it.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import random
import shutil
import sqlite3
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from tests.faults.browser import press
from tests.faults.episodes import Episodes, Outcome
from tests.faults.kinds import KINDS, Kind
from tests.faults.rig import Rig
from tests.support.chromium import chromium, tab

CLEAN_UP_EVERY = 20
NO_PANEL = ("export",)
"""A file to take home is asked for anew, not gone on with, unless its worker is lost."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kind", choices=[kind.name for kind in KINDS], default=None)
    parser.add_argument("--only", type=int, default=None, help="the number of one fault")
    parser.add_argument("--rigs", type=int, default=2)
    parser.add_argument("--browser", type=int, default=5, help="every so manieth fault in Chromium")
    parser.add_argument("--keep", type=Path, default=None, help="where logs and database of what broke are copied to")
    arguments = parser.parse_args()
    numbers = list(range(arguments.faults)) if arguments.only is None else [arguments.only]
    rigs = min(arguments.rigs, len(numbers))
    parts = [numbers[first::rigs] for first in range(rigs)]
    began = time.monotonic()
    work = partial(run_part, arguments.seed, arguments.kind, arguments.browser, arguments.keep)
    with ProcessPoolExecutor(rigs, mp_context=multiprocessing.get_context("spawn")) as pool:
        outcomes = sorted((each for part in pool.map(work, parts) for each in part), key=lambda each: each.number)
    print(table(outcomes, arguments.seed, time.monotonic() - began))
    sys.exit(any(each.broken for each in outcomes))


def chosen(seed: int, number: int, only: str | None) -> tuple[Kind, str]:
    """Return the kind of fault and of job of a number: every kind in turn, on a job that is drawn."""
    kinds = [kind for kind in KINDS if only in (None, kind.name)]
    kind = kinds[number % len(kinds)]
    return kind, random.Random(f"{seed}/{number}").choice(kind.jobs)


def run_part(seed: int, only: str | None, browser_every: int, keep: Path | None, numbers: list[int]) -> list[Outcome]:
    """Run some of the faults on one installation; told on standard output one by one."""
    outcomes: list[Outcome] = []
    with (
        tempfile.TemporaryDirectory(prefix="faults-") as folder,
        Rig(Path(folder)) as rig,
        chromium() as browser,
        tab(browser) as page,
    ):
        rig.start_app()
        episodes = Episodes(rig, seed)
        broken = episodes.prepare()
        if broken:
            raise SystemExit(f"Without any fault, these do not hold: {broken}")
        for count, number in enumerate(numbers, start=1):
            kind, job = chosen(seed, number, only)
            in_browser = number % browser_every == 0 and job not in NO_PANEL
            outcome = episodes.run(number, kind, job, partial(press, page) if in_browser else None)
            if count % CLEAN_UP_EVERY == 0 or number == numbers[-1]:
                outcome.broken += episodes.clean_up()
            print(line(outcome), flush=True)
            if outcome.broken and keep is not None:
                _keep(rig, keep / f"{seed}-{number}")
            outcomes.append(outcome)
    return outcomes


def _keep(rig: Rig, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for path in [rig.log, *rig.root.glob("jobs/*.log"), *rig.root.glob("logs/*.jsonl")]:
        with contextlib.suppress(OSError):
            shutil.copy2(path, folder)
    # Whoever closes the database's file as any other file loses the locks that SQLite holds on it in this process.
    with (
        contextlib.closing(sqlite3.connect(rig.root / "app.db")) as live,
        contextlib.closing(sqlite3.connect(folder / "app.db")) as copy,
    ):
        live.backup(copy)


def line(outcome: Outcome) -> str:
    """Return what happened at one fault."""
    on = f"{outcome.state}, finished after {outcome.attempts} attempts and {outcome.presses} presses"
    by = f" ({outcome.pressed_by})" if outcome.presses else ""
    told = "; ".join(outcome.broken) or "all holds"
    where = f"{outcome.number:3d} {outcome.kind}, {outcome.job} {outcome.moment}: {outcome.fault}"
    return f"{where} -> {on}{by}, {outcome.seconds:.0f} s: {told}"


def table(outcomes: list[Outcome], seed: int, seconds: float) -> str:
    """Return the faults by kind, and what to call to repeat each that broke something."""
    head = ("kind", "injected", "survived", "went on alone", "resumed or retried", "in Chromium", "broke")
    rows = [head]
    for kind in KINDS:
        of_kind = [each for each in outcomes if each.kind == kind.name]
        pressed = [each for each in of_kind if each.presses]
        broken = [each for each in of_kind if each.broken]
        counts = (len(of_kind), len(of_kind) - len(broken), len(of_kind) - len(pressed), len(pressed))
        in_browser = sum(each.pressed_by == "browser" for each in pressed)
        rows.append((kind.name, *map(str, counts), str(in_browser), str(len(broken))))
    rows.append(("all", *(str(sum(int(row[column]) for row in rows[1:])) for column in range(1, len(head)))))
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.append(f"Seed {seed}, {seconds / 60:.1f} minutes.")
    for each in outcomes:
        if each.broken:
            lines.append(f"Repeat with --seed {seed} --only {each.number}: {line(each)}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
