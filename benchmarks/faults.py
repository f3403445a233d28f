"""Faults at drawn moments of real jobs, on the real app with real workers: what breaks, and what resumes afterwards.

    python -m benchmarks.faults inject --faults 200 --seed 1           # about half an hour on two idle cores
    python -m benchmarks.faults inject --faults 200 --seed 1 --seed 2 --seed 3
    python -m benchmarks.faults inject --seed 1 --only 17              # the one that broke, once more
    python -m benchmarks.faults inject --faults 20 --kind "disk full" --keep FOLDER
    python -m benchmarks.faults inject --faults 14 --job objects
    python -m benchmarks.faults inject --faults 40 --database postgresql
    python -m benchmarks.faults inject --faults 100 --store s3         # on PostgreSQL, too
    python -m benchmarks.faults operations --faults 90 --seed 1        # delete, back up, restore, upgrade, …
    python -m benchmarks.faults corrections            # while somebody draws

Each fault is injected into one job: import, label, train, predict, objects or export. Then all invariants of
`tests/faults/invariants.py` are checked, the job is resumed or retried until it has finished, and they are checked
again. Every --browser-th fault whose job has a panel is resumed in Chromium, the others by the function that the
button calls. Two installations (--rigs) run side by side, each on one disk, with one app, from its first fault to its
last. What is drawn follows from the seed and the fault's number; what the clock of a real machine adds does not.
Ends with 1 if anything broke. Needs Linux; as root a disk is really filled, else a limit on the size of files stands
for it.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import random
import shutil
import sqlite3
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.harness import Failed, note, suite
from tests.faults import correction_faults
from tests.faults.browser import press
from tests.faults.episodes import Episodes, Outcome
from tests.faults.kinds import KINDS, ON_POSTGRESQL, ON_S3, Kind
from tests.faults.operations import KINDS as KINDS_OF_STEPS
from tests.faults.operations import OPERATIONS, Operations
from tests.faults.rig import Rig
from tests.support.chromium import chromium, tab
from tests.support.postgresql import running_server
from tests.support.s3_server import running_s3_server

CLEAN_UP_EVERY = 20
PLACES = {"sqlite": KINDS, "postgresql": ON_POSTGRESQL, "s3": ON_S3}
"""The kinds of fault by where rows, and files, are."""
NO_PANEL = ("export",)
"""An export is submitted again, not resumed, unless its worker is lost."""
app = suite(__doc__)


@app.command()
def inject(
    faults: int = 200,
    seeds: Annotated[list[int] | None, typer.Option("--seed", help="May be repeated; default: 1.")] = None,
    kind: Annotated[str | None, typer.Option(help="One kind of fault; default: all.")] = None,
    only: Annotated[int | None, typer.Option(help="The number of one fault.")] = None,
    job: Annotated[str | None, typer.Option(help="One kind of job; default: all.")] = None,
    rigs: int = 2,
    browser: Annotated[int, typer.Option(help="Every nth fault is resumed in Chromium.")] = 5,
    keep: Annotated[Path | None, typer.Option(help="Copy logs and database of what broke here.")] = None,
    database: Annotated[str, typer.Option(help="sqlite or postgresql.")] = "sqlite",
    store: Annotated[str, typer.Option(help="local, or s3, with PostgreSQL: moto's server.")] = "local",
) -> list[dict[str, Any]]:
    """Inject faults: how many of each kind were survived, and how their jobs were resumed."""
    numbers = list(range(faults)) if only is None else [only]
    faults_of = [(seed, number) for seed in seeds or [1] for number in numbers]
    rigs = min(rigs, len(faults_of))
    place = "s3" if store == "s3" else database
    work = partial(run_part, place, kind, job, browser, keep)
    with ProcessPoolExecutor(rigs, mp_context=multiprocessing.get_context("spawn")) as pool:
        parts = pool.map(work, [faults_of[first::rigs] for first in range(rigs)])
        outcomes = [outcome for part in parts for outcome in part]
    for each in outcomes:
        if each.broken:
            note(f"Repeat with --seed {each.seed} --only {each.number}: {line(each)}")
    known = PLACES[place]
    rows = [row(each.name, [outcome for outcome in outcomes if outcome.kind == each.name]) for each in known]
    rows.append(row("all", outcomes))
    return Failed(rows) if any(each.broken for each in outcomes) else rows


@app.command()
def corrections(
    faults: int = 50, seed: int = 1, kind: Annotated[str | None, typer.Option(help="One kind; default: all.")] = None
) -> list[dict[str, Any]]:
    """Break things while a mouse draws in Chromium: strokes of how many faults were kept, for each kind."""
    with tempfile.TemporaryDirectory(prefix="faults-") as folder, Rig(Path(folder)) as rig, chromium() as browser:
        rig.start_app()
        outcomes = correction_faults.inject(rig, browser, faults, seed, kind)
    for each in outcomes:
        note(f"{each.kind}, {each.strokes} strokes: {each.fault}: {'; '.join(each.broken) or 'nothing lost'}")
    rows = [
        {"kind": name, "injected": len(of_kind), "nothing lost": sum(not each.broken for each in of_kind)}
        for name in correction_faults.KINDS
        if (of_kind := [each for each in outcomes if each.kind == name])
    ]
    return Failed(rows) if any(each.broken for each in outcomes) else rows


@app.command()
def operations(
    faults: int = 90,
    seeds: Annotated[list[int] | None, typer.Option("--seed", help="May be repeated; default: 1.")] = None,
    operation: Annotated[str | None, typer.Option(help="One operation; default: all.")] = None,
) -> list[dict[str, Any]]:
    """Kill, fill the disk or hold the database at exact steps of deletions, backups, restores, upgrades and more."""
    outcomes = []
    pairs = [(name, kind) for kind in KINDS_OF_STEPS for name in ([operation] if operation else OPERATIONS)]
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        for seed in seeds or [1]:
            with contextlib.closing(Operations(Path(folder) / str(seed), seed)) as rig:
                for number in range(faults):
                    each = rig.run(number, *pairs[number % len(pairs)])
                    at = f"{each.fault.kind} at step {each.fault.step} of {each.of_steps}"
                    note(f"{seed}/{number:3d} {each.operation}, {at}: {'; '.join(each.broken) or 'all holds'}")
                    outcomes.append(each)
    rows = [
        {"operation": name}
        | {
            f"{kind}{what}": sum(
                each.operation == name and each.fault.kind == kind and not (what and each.broken) for each in outcomes
            )
            for kind in KINDS_OF_STEPS
            for what in ("", ", survived")
        }
        for name in ([operation] if operation else OPERATIONS)
    ]
    return Failed(rows) if any(each.broken for each in outcomes) else rows


def chosen(
    seed: int, number: int, only: str | None, job: str | None = None, known: Sequence[Kind] = KINDS
) -> tuple[Kind, str]:
    """Return the kind of fault and of job of a number: every kind in turn, on a job that is drawn."""
    kinds = [kind for kind in known if only in (None, kind.name) and (job is None or job in kind.jobs)]
    if not kinds:
        names = ", ".join(f"{kind.name} ({', '.join(kind.jobs)})" for kind in known)
        raise SystemExit(f"There is no kind of fault '{only or 'any'}' of the job '{job or 'any'}'. Known: {names}.")
    kind = kinds[number % len(kinds)]
    return kind, job or random.Random(f"{seed}/{number}").choice(kind.jobs)


def run_part(
    place: str,
    only: str | None,
    only_job: str | None,
    browser_every: int,
    keep: Path | None,
    faults: list[tuple[int, int]],
) -> list[Outcome]:
    """Run some of the faults, each a seed and a number, on one installation; each is reported when it is over."""
    outcomes: list[Outcome] = []
    with (
        tempfile.TemporaryDirectory(prefix="faults-") as folder,
        running_server() if place != "sqlite" else contextlib.nullcontext() as server,
        running_s3_server() if place == "s3" else contextlib.nullcontext() as s3,
        Rig(Path(folder), server=server, s3=s3) as rig,
        chromium() as browser,
        tab(browser) as page,
    ):
        rig.start_app()
        episodes = Episodes(rig)
        broken = episodes.prepare()
        if broken:
            raise SystemExit(f"Without any fault, these do not hold: {broken}")
        for count, (seed, number) in enumerate(faults, start=1):
            kind, job = chosen(seed, number, only, only_job, PLACES[place])
            in_browser = number % browser_every == 0 and job not in NO_PANEL
            outcome = episodes.run(seed, number, kind, job, partial(press, page) if in_browser else None)
            if count % CLEAN_UP_EVERY == 0 or count == len(faults):
                outcome.broken += episodes.clean_up()
            note(line(outcome))
            if outcome.broken and keep is not None:
                _keep(rig, keep / f"{seed}-{number}")
            outcomes.append(outcome)
    return outcomes


def _keep(rig: Rig, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for path in [rig.log, *rig.root.glob("jobs/*.log"), *rig.root.glob("logs/*.jsonl")]:
        with contextlib.suppress(OSError):
            shutil.copy2(path, folder)
    if rig.url:
        return
    # Closing the database's file as any other file loses the locks that SQLite holds on it in this process.
    with (
        contextlib.closing(sqlite3.connect(rig.root / "app.db")) as live,
        contextlib.closing(sqlite3.connect(folder / "app.db")) as copy,
    ):
        live.backup(copy)


def line(outcome: Outcome) -> str:
    """Return what happened at one fault."""
    end = f"{outcome.state}, finished after {outcome.attempts} attempts and {outcome.presses} presses"
    by = f" ({outcome.pressed_by})" if outcome.presses else ""
    broken = "; ".join(outcome.broken) or "all holds"
    where = f"{outcome.seed}/{outcome.number:3d} {outcome.kind}, {outcome.job} {outcome.moment}: {outcome.fault}"
    return f"{where} -> {end}{by}, {outcome.seconds:.0f} s: {broken}"


def row(kind: str, outcomes: list[Outcome]) -> dict[str, Any]:
    """Count outcomes: survived, resumed in the browser, by the button's function, or without a person."""
    pressed = [each for each in outcomes if each.presses]
    in_browser = sum(each.pressed_by == "browser" for each in pressed)
    return {
        "kind": kind,
        "injected": len(outcomes),
        "survived": sum(not each.broken for each in outcomes),
        "resumed in Chromium": in_browser,
        "by the button's function": len(pressed) - in_browser,
        "by itself": len(outcomes) - len(pressed),
    }


if __name__ == "__main__":
    app()
