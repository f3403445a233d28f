"""How quick the pages are when there is very much to show, in a real Chromium, and how much memory the app then holds.

    python -m benchmarks.pages                       # seeds a temporary folder first: some minutes and about 4 GB
    python -m benchmarks.pages --data-root /tmp/many # what is there already is not drawn again

Gallery: a run with 10,000 masks; from the click on a page's number until all 48 tiles are painted, and from a key
press on the threshold slider until successes, failures and mean Dice have changed; 100 pages one after the other, with
the resident memory of the web process after each. Runs and Compare: 1,000 runs of 100 epochs, ten runs of 200 epochs;
from a click in the top bar (Compare: on the browser's Back) until every part of the page stands. All are medians.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from playwright.sync_api import Page
from sqlalchemy import func, select

from benchmarks.app import serving, tab
from benchmarks.drawn_predictions import SHARED_DATA, add_run
from benchmarks.drawn_runs import add_runs
from db.models import Prediction, PredictionSet, Run
from db.session import Database
from engine.core.settings import Settings

TILES = 48
FILLED = 60  # pages after which the memory of down-scaled masks is full (dashboard/server/resources.py)
TALL = {"width": 1440, "height": 3600}  # so that all tiles of a page are in view, and so painted

# In the page: resolves with the milliseconds from an action until a condition holds in a painted frame.
TIMED = """
([act, holds]) => new Promise((resolve, reject) => {
  const everything = (selector, from = document) => [...from.querySelectorAll(selector)].concat(
    ...[...from.querySelectorAll("*")].filter((e) => e.shadowRoot).map((e) => everything(selector, e.shadowRoot)));
  const done = eval(holds)(everything);
  const began = performance.now();
  eval(act)(everything);
  const look = () => {
    if (done()) return requestAnimationFrame(() => resolve(performance.now() - began));
    if (performance.now() - began > 60000) return reject(new Error("not within a minute"));
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
})
"""
TILES_PAINTED = f"""
(everything) => {{
  const ids = () => everything(".tile").map((tile) => tile.dataset.id).join();
  const before = ids();
  return () => ids() !== before && everything(".tile").length === {TILES}
    && everything(".tile .frame.loading").length === 0;
}}
"""
COUNTS_CHANGED = """
(everything) => {
  const read = () => everything('[data-testid="stMetricValue"]').slice(0, 3).map((value) => value.textContent).join();
  const before = read();
  return () => read() !== before;
}
"""

# The script has ended, and every table and chart that it sent is drawn.
STANDS = """
(everything) => () => {
  const title = everything("h1")[0]?.textContent ?? "";
  const shown = (selector) => everything(selector).filter((element) => !element.closest("details:not([open])"));
  const charts = shown('[data-testid="stPlotlyChart"]'), tables = shown('[data-testid="stDataFrame"]');
  return title.startsWith("TITLE") && everything('[data-test-script-state="notRunning"]').length > 0
    && !everything('[data-stale="true"]').length && charts.length + tables.length > 0
    && charts.every((chart) => chart.querySelector(".main-svg"))
    && tables.every((table) => table.querySelector("canvas"));
}
"""


def timed(page: Page, act: str, holds: str) -> float:
    """Return the seconds from an action in the page until a condition holds there."""
    return page.evaluate(TIMED, [act, holds]) / 1000


def open_at(page: Page, address: str, ready: str) -> None:
    page.goto(address)
    page.wait_for_selector(ready, timeout=60_000)


def go_to_page(page: Page, number: int) -> float:
    """Click a page number under the grid; return the seconds until its tiles are painted."""
    click = f"""(everything) => everything('[data-testid="stPagination"] button')
      .find((button) => button.textContent.trim() === "{number}").click()"""
    return timed(page, click, TILES_PAINTED)


def resident_mib(pid: int) -> float:
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0]) / 1024


def gallery(page: Page, address: str, run_id: str, pid: int, pages: int) -> dict[str, object]:
    """Turn `pages` pages of the gallery and move the threshold; return what was measured."""
    page.set_viewport_size(TALL)
    open_at(page, f"{address}/gallery?run={run_id}", ".tile")
    page.wait_for_timeout(3000)
    turns, memory = [], [resident_mib(pid)]
    for number in range(2, pages + 2):
        turns.append(go_to_page(page, number))
        memory.append(resident_mib(pid))
    slides = thresholds(page)
    return {
        "gallery_page_s": round(median(turns), 3),
        "gallery_page_worst_s": round(max(turns), 3),
        "threshold_s": round(median(slides), 3),
        "memory_start_mib": round(memory[0]),
        "memory_after_20_mib": round(memory[min(20, pages)]),
        "memory_after_60_mib": round(memory[min(FILLED, pages)]),
        "memory_after_all_mib": round(memory[-1]),
        "memory_most_mib": round(max(memory)),
    }


def thresholds(page: Page) -> list[float]:
    """Move the mask threshold a step at a time; return the seconds until the counts of the whole run have followed."""
    slider = page.get_by_role("slider", name="Mask threshold")
    slider.focus()
    found = []
    for step in range(20):
        key = "ArrowRight" if step % 20 < 10 else "ArrowLeft"
        page.evaluate("window.measured = undefined")
        waiting = f'window.measured = ({TIMED})(["() => null", {json.dumps(COUNTS_CHANGED)}])'
        page.evaluate(f"{{ {waiting}; null }}")
        page.keyboard.press(key)
        found.append(page.evaluate("window.measured") / 1000)
        page.wait_for_timeout(300)
    return found


def by_click(page: Page, name: str, times: int) -> float:
    """Return the median seconds from a click on a page's name in the top bar until the page stands."""
    found = []
    for _ in range(times):
        go_home(page)
        click = f"""(everything) => everything('[data-testid="stTopNavLink"]')
          .find((link) => link.textContent.endsWith("{name}")).click()"""
        found.append(timed(page, click, STANDS.replace("TITLE", name)))
    return round(median(found), 3)


def by_going_back(page: Page, address: str, title: str, times: int) -> float:
    """Return the median seconds from the browser's Back until the page at an address stands again."""
    found = []
    for _ in range(times):
        open_at(page, address, "h1")
        page.wait_for_timeout(4000)
        go_home(page)
        found.append(timed(page, "() => history.back()", STANDS.replace("TITLE", title)))
    return round(median(found), 3)


def go_home(page: Page) -> None:
    page.get_by_test_id("stTopNavLink").filter(has_text="Home").click()
    page.get_by_role("heading", name="Maskloom", level=1).wait_for()
    page.wait_for_timeout(1500)


def run_with_most_masks(database: Database) -> tuple[str, int]:
    query = (
        select(Run.id, func.count())
        .join(PredictionSet, PredictionSet.run_id == Run.id)
        .join(Prediction, Prediction.prediction_set_id == PredictionSet.id)
        .group_by(Run.id)
        .order_by(func.count().desc())
    )
    with database.reading() as session:
        found = session.execute(query.limit(1)).one_or_none()
    return (found[0], found[1]) if found else ("", 0)


def seeded_masks(root: Path, images: int) -> str:
    """See that a run with `images` masks is there; return its id."""
    with opened(root) as database:
        run_id, masks = run_with_most_masks(database)
    return run_id if masks >= images else add_run(root, SHARED_DATA / "ecssd", images)


def seeded_runs(root: Path, runs: int, epochs: int, images: int) -> list[str]:
    """See that `runs` runs of `epochs` epochs are there, with masks of `images` images; return their ids."""
    with opened(root) as database, database.reading() as session:
        there = list(session.scalars(select(Run.id)))
    return there if len(there) >= runs else add_runs(root, runs, epochs, images)


@contextmanager
def opened(root: Path) -> Iterator[Database]:
    root.mkdir(parents=True, exist_ok=True)
    database = Database(Settings(data_root=root).resolved_database_url)
    database.migrate()
    try:
        yield database
    finally:
        database.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data-root", type=Path, help="Where the drawn runs are kept; made if need be.")
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=1_000)
    parser.add_argument("--pages", type=int, default=100, help="Gallery pages to turn.")
    parser.add_argument("--times", type=int, default=7, help="Times that Runs and Compare are opened.")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = arguments.data_root or Path(temporary)
        masks, many, ten = root / "masks", root / "runs", root / "compare"
        run_id = seeded_masks(masks, arguments.images)
        seeded_runs(many, arguments.runs, 100, 0)
        compared = seeded_runs(ten, 10, 200, 100)
        with serving(str(masks)) as (address, server), tab() as page:
            print(json.dumps(gallery(page, address, run_id, server.pid, arguments.pages)), flush=True)
        with serving(str(many)) as (address, _), tab() as page:
            open_at(page, f"{address}/runs", "h1")
            page.wait_for_timeout(3000)
            print(json.dumps({"runs_page_s": by_click(page, "Runs", arguments.times)}), flush=True)
        with serving(str(ten)) as (address, _), tab() as page:
            there = f"{address}/compare?runs={','.join(compared)}"
            print(json.dumps({"compare_page_s": by_going_back(page, there, "Compare", arguments.times)}))


if __name__ == "__main__":
    main()
