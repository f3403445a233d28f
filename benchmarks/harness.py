"""What all benchmarks share: command line, report, timing, memory, folders of images with truth, and a running app.

A benchmark is a module with `app = suite(__doc__)` and one `@app.command()` for each measurement. A measurement returns
its figures: a dict, or a list of dicts with the same keys. The harness prints the machine and a table, or JSON:

    python -m benchmarks.labels scores ../shared/data/ecssd --method saliency
    python -m benchmarks.labels --json scores ../shared/data/ecssd --method saliency

Needs requirements-dev.txt. Benchmarks that read the memory or the processor time of a process are run on Linux.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import psutil
import typer
from playwright.sync_api import Page

from engine.datasets.truth_file import read_truth
from engine.imaging import codec
from tests.support.chromium import chromium, tab
from tests.support.installation import REPOSITORY
from tests.support.running_app import RunningApp, running
from tests.support.shared_data import SHARED_DATA

ECSSD, EGGS = SHARED_DATA / "ecssd", SHARED_DATA / "eggs-and-pans"
PARTS = {"all": slice(None), "even": slice(0, None, 2), "odd": slice(1, None, 2)}
"""Even are files 0, 2, 4 … in the order of their names: on ecssd and nuclei, those that the defaults were chosen on."""

# In the page: resolves with the milliseconds from an action until a condition holds in a painted frame.
TIMED = """
([act, holds]) => new Promise((resolve, reject) => {
  const everything = (selector, from = document) => [...from.querySelectorAll(selector)].concat(
    ...[...from.querySelectorAll("*")].filter((e) => e.shadowRoot).map((e) => everything(selector, e.shadowRoot)));
  const done = eval(holds)(everything);
  const began = performance.now();
  eval(act)(everything);
  const check = () => {
    if (done()) return requestAnimationFrame(() => resolve(performance.now() - began));
    if (performance.now() - began > 60000) return reject(new Error("not within a minute"));
    requestAnimationFrame(check);
  };
  requestAnimationFrame(check);
})
"""

Row = Mapping[str, Any]
Folder = Annotated[Path, typer.Argument(help="Folder with images/ and truth/, paired by stem.")]
Part = Annotated[str, typer.Option(help="all, even or odd files; the defaults were chosen on even ones.")]
Foreground = Annotated[int, typer.Option(help="Truth values from this on are foreground.")]
Params = Annotated[list[str] | None, typer.Option("-p", help="A parameter, NAME=VALUE; may be repeated.")]
DataRoot = Annotated[Path | None, typer.Option("--data-root", help="Keeps drawn data for the next time.")]


class Failed(list[Row]):
    """Rows that are reported like any others, after which the command ends with exit code 1."""


def suite(doc: str | None) -> typer.Typer:
    """Return the command line of a benchmark's module; `doc` is its help."""

    def options(as_json: Annotated[bool, typer.Option("--json", help="Print JSON, not a table.")] = False) -> None:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        if not as_json:
            print(machine(), flush=True)

    def report(rows: Row | Sequence[Row], as_json: bool) -> None:
        print(json.dumps(rows) if as_json else table(rows))
        if isinstance(rows, Failed):
            raise typer.Exit(1)

    return typer.Typer(
        help=doc, callback=options, result_callback=report, add_completion=False, pretty_exceptions_enable=False
    )


def note(text: str) -> None:
    """Print how far a measurement is, apart from its figures."""
    print(text, file=sys.stderr, flush=True)


def machine() -> str:
    """Return what figures have to be read with: date, processor, memory, system, and the load before."""
    info = Path("/proc/cpuinfo")
    names = [line for line in info.read_text().splitlines() if line.startswith("model name")] if info.exists() else []
    processor = names[0].partition(": ")[2] if names else platform.processor()
    memory = psutil.virtual_memory().total / 2**30
    system = f"{platform.platform(terse=True)}, Python {platform.python_version()}"
    load = psutil.getloadavg()[0]
    return f"{date.today()}: {psutil.cpu_count()} cores of {processor}, {memory:.0f} GiB, {system}, load {load:.1f}"


def table(rows: Row | Sequence[Row]) -> str:
    """Return rows as a Markdown table, as docs/benchmarks.md has them; a single row as one line for each figure."""
    if isinstance(rows, Mapping):
        width = max(map(len, rows), default=0)
        return "\n".join(f"{name:{width}}  {_cell(value)}" for name, value in rows.items())
    if not rows:
        return "No rows."
    cells = [list(rows[0]), *([_cell(value) for value in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["| " + " | ".join(map(str.ljust, line, widths)) + " |" for line in cells]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_cell(each)}" for name, each in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(_cell, value))
    return "none" if value is None else str(value)


def seconds(work: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    """Return what `work` takes by a clock, in seconds."""
    began = clock()
    work()
    return clock() - began


def in_turns(rounds: int, **works: Callable[[], float]) -> list[dict[str, float]]:
    """Return what each of `works` measured in each round, by name.

    Every second round goes the other way round, so that a machine that gets slower counts against nobody.
    """
    names = list(works)
    turns = []
    for number in range(rounds):
        measured = {name: works[name]() for name in (names if number % 2 == 0 else reversed(names))}
        turns.append({name: measured[name] for name in names})
    return turns


def resident_mib(pid: int) -> float:
    """Return the resident memory of a process in MiB."""
    return psutil.Process(pid).memory_info().rss / 2**20


def processor_s(pid: int) -> float:
    """Return the processor time that a process has taken so far in seconds; 0 when it has ended."""
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return times.user + times.system


def paths(folder: Path, part: str = "all") -> list[tuple[Path, Path]]:
    """Return image and truth of each pair in a part of the folder, in the order of their names.

    Raises:
        SystemExit: there is none.
    """
    truth = {path.stem: path for path in (folder / "truth").iterdir()}
    images = sorted(path for path in (folder / "images").iterdir() if path.stem in truth)
    if not images[PARTS[part]]:
        raise SystemExit(f"'{folder}' holds no pair of images/ and truth/ in its part '{part}'.")
    return [(path, truth[path.stem]) for path in images[PARTS[part]]]


def pairs(folder: Path, part: str = "all", foreground: int = 1) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield image (uint8 RGB (H, W, 3)) and truth (bool (H, W)) of each pair, in the order of their names."""
    for image, truth in paths(folder, part):
        yield codec.decode_image(image.read_bytes()), read_truth(truth.read_bytes()).values >= foreground


@contextmanager
def data_root(chosen: Path | None = None) -> Iterator[Path]:
    """Yield a folder for an installation: the chosen one, or one that is deleted afterwards."""
    with tempfile.TemporaryDirectory() as temporary:
        root = (chosen or Path(temporary) / "data").resolve()
        root.mkdir(parents=True, exist_ok=True)
        yield root


def engine(root: Path, *words: str) -> dict[str, Any]:
    """Run `python -m engine` on the installation in `root`; return what it printed as JSON.

    Raises:
        SystemExit: the command failed; it has printed why.
    """
    environment = {**os.environ, "DATA_ROOT": str(root), "DATABASE_URL": ""}
    command = [sys.executable, "-m", "engine", *words, "--json"]
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"`engine {words[0]}` ended with exit code {done.returncode}. {done.stdout.strip()}")
    return json.loads(done.stdout)


@contextmanager
def browsing(root: Path, **environment: str) -> Iterator[tuple[RunningApp, Page]]:
    """Yield the app running on the installation in `root`, and an empty tab of Chromium."""
    with running(root, **environment) as app, chromium() as browser, tab(browser, patience_ms=120_000) as page:
        page.set_viewport_size({"width": 1440, "height": 1300})
        yield app, page


def timed(page: Page, act: str, holds: str) -> float:
    """Return the seconds from an action in the page until a condition holds there."""
    return page.evaluate(TIMED, [act, holds]) / 1000


def click(selector: str, words: str = "") -> str:
    """Return an action for `timed`: a click on the element whose text ends with these words."""
    return f"""(everything) => everything('{selector}')
      .find((element) => element.textContent.trim().endsWith("{words}")).click()"""


def go_home(page: Page) -> None:
    page.get_by_test_id("stTopNavLink").filter(has_text="Home").click()
    page.get_by_role("heading", name="Maskloom", level=1).wait_for()
    page.wait_for_timeout(1500)


def back_to(page: Page, address: str, holds: str) -> float:
    """Open an address, go home, and return the seconds from the browser's Back until a condition holds there."""
    page.goto(address)
    page.locator("h1").wait_for()
    page.wait_for_timeout(4000)
    go_home(page)
    return timed(page, "() => history.back()", holds)
