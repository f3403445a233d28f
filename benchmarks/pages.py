"""How quick the pages are in a real Chromium: start, previews, predictions, and pages with very much to show.

    python -m benchmarks.pages startup
    python -m benchmarks.pages previews --method saliency --method threshold
    python -m benchmarks.pages gallery --data-root /tmp/many     # drawn first where nothing is there: about 4 GB
    python -m benchmarks.pages runs
    python -m benchmarks.pages compare
    python -m benchmarks.pages brush
    python -m benchmarks.pages predict ../shared/data/ecssd

Without --data-root drawn data is thrown away afterwards (see benchmarks.drawn_runs).
"""

from __future__ import annotations

import json
import math
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Annotated, Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import typer
from playwright.sync_api import Page
from sqlalchemy import select

from benchmarks.drawn_runs import add_masks, add_runs, opened
from benchmarks.harness import (
    ECSSD,
    TIMED,
    DataRoot,
    Folder,
    back_to,
    browsing,
    click,
    data_root,
    engine,
    go_home,
    paths,
    processor_s,
    resident_mib,
    suite,
    timed,
)
from dashboard import libraries
from db import datasets
from db.columns import utc_now
from db.models import Run
from db.warm import readiness
from tests.support.chromium import chromium, tab
from tests.support.installation import add_dataset
from tests.support.predicted import add_run
from tests.support.running_app import RunningApp, running

TILES = 48
FILLED = 60  # pages after which the cache of down-scaled masks is full (dashboard/server/resources.py)
TALL = {"width": 1440, "height": 3600}  # so that all tiles of a page are in view, and so painted
PROBE, QUIET_S, PATIENCE_S, AT_REST_S = 6, 0.8, 15.0, 3.0
TRAINED_ON = 40
SLIDERS = {"saliency": "Strictness", "kmeans": "Clusters", "threshold": "Softness", "dataset_clusters": ""}
"""What is moved for each method; of dataset clusters, one cluster after another is ticked, or unticked."""

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
COMPLETE = """
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
# The milliseconds of every frame from now on, in `window.frames_`.
WATCH_FRAMES = """
() => {
  let last = performance.now();
  window.frames_ = [];
  const next = (now) => { window.frames_.push(now - last); last = now; requestAnimationFrame(next); };
  requestAnimationFrame(next);
}
"""
SAVE = "() => document.dispatchEvent(new KeyboardEvent('keydown', { key: 's' }))"
SAVED = """
(everything) => {
  const words = () => everything(".saved")[0].textContent;
  const before = words();
  return () => words() !== before && words().startsWith("Saved");
}
"""
Times = Annotated[int, typer.Option(help="How often the page is opened.")]
app = suite(__doc__)


@app.command()
def startup(times: Times = 5) -> dict[str, Any]:
    """Seconds from `streamlit run` to the first page painted, and the processor time of the web process until then; its
    memory once it is at rest, and whether TensorFlow was loaded.

    The first run migrates a new database; the others open it again.
    """
    seconds, worked, resident, loaded = [], [], [], False
    with data_root() as root, chromium() as browser, tab(browser) as page:
        for _ in range(times):
            began = time.monotonic()
            with running(root) as served:
                page.goto(served.address)
                page.get_by_role("heading").first.wait_for()
                seconds.append(time.monotonic() - began)
                worked.append(processor_s(served.pid))
                page.wait_for_timeout(1000 * (libraries.AFTER_S + AT_REST_S))
                resident.append(resident_mib(served.pid))
                loaded = loaded or "tensorflow" in Path(f"/proc/{served.pid}/maps").read_text()
            page.goto("about:blank")
    figures = {"first_s": seconds[0], "median_s": median(seconds[1:] or seconds), "each_s": seconds}
    return {**figures, "processor_s": median(worked), "resident_mib": median(resident), "tensorflow": loaded}


@app.command()
def previews(
    folder: Folder = ECSSD,
    methods: Annotated[list[str] | None, typer.Option("--method", help="Default: all four.")] = None,
    moves: int = 9,
) -> list[dict[str, Any]]:
    """Seconds from a slider's move on the Masks page to the last new mask of six probe images, and to their score.

    Every move computes masks that no cache holds. A move that leaves some masks unchanged shows it by fewer masks.
    """
    rows = []
    with data_root() as root:
        dataset_id = engine(root, "import", str(folder.resolve()), "--name", "probe")["dataset"]
        with opened(root) as installation, installation.database.writing() as session:
            chosen = [image.id for image in datasets.probe_images(session, dataset_id, PROBE)]
            datasets.set_probe_images(session, dataset_id, chosen)
        for method in methods or SLIDERS:
            with browsing(root) as (served, page):
                each = _moves(page, f"{served.address}/labels?dataset={dataset_id}&a={method}", method, moves)
            masks_s, counts, scores_s = zip(*each, strict=True)
            figures = {"masks_s": median(masks_s), "scores_s": median(scores_s)}
            rows.append({"method": method, **figures, "each_s": masks_s, "masks_that_changed": counts})
    return rows


def _moves(page: Page, address: str, method: str, count: int) -> list[tuple[float, int, float]]:
    """Return (seconds to the last new mask, new masks, seconds to their score) of moves of a method's slider."""
    arrived: dict[str, float] = {}

    def finished(request: Any) -> None:
        for address in parse_qs(urlsplit(request.url).query).get("of", []):  # images come many in one response
            if "/files/preview/" in address:
                arrived.setdefault(address, time.monotonic())

    page.on("requestfinished", finished)
    page.goto(address)
    score = page.get_by_test_id("stMetric").filter(has_text="Estimated score").get_by_text(re.compile(r"^\d\."))
    score.wait_for(timeout=300_000)
    page.wait_for_timeout(1000)
    slider = page.get_by_test_id("stSlider").filter(has_text=SLIDERS[method]).locator("input[type=range]").first
    ticks = page.locator(".cluster input")
    found = []
    for number in range(count):
        arrived.clear()
        began = time.monotonic()
        if SLIDERS[method]:
            slider.press("ArrowRight")
        else:
            ticks.nth(number).click()
        while not arrived and time.monotonic() - began < PATIENCE_S:
            page.wait_for_timeout(20)
        score.wait_for(timeout=60_000)
        score_s = time.monotonic() - began
        page.wait_for_timeout(QUIET_S * 1000)
        if arrived:
            found.append((max(arrived.values()) - began, len(arrived), score_s))
    if not found:
        raise SystemExit(f"No move of {method} changed a mask within {PATIENCE_S:.0f} s.")
    return found


@app.command()
def gallery(chosen: DataRoot = None, images: int = 10_000, pages: int = 100) -> dict[str, Any]:
    """A run with 10,000 masks: page after page, then the mask threshold step by step, and the app's memory.

    Seconds from the click to the next page until all 48 tiles are painted, and from a key on the threshold slider
    until successes, failures and mean Dice have changed; of a few hundred images a step may change none of them.
    """
    with data_root(chosen) as root:
        run_id = _stored(root, 1, lambda: [add_masks(root, images)["run"]])[0]
        with browsing(root) as (served, page):
            turns, memory = turn_pages(served, page, run_id, pages)
            thresholds = _thresholds(page)
    return {
        "page_s": median(turns),
        "page_worst_s": max(turns),
        "threshold_s": median(thresholds),
        **{f"memory_after_{after}_mib": memory[min(after, pages)] for after in (0, 20, FILLED, pages)},
    }


def turn_pages(served: RunningApp, page: Page, run_id: str, pages: int) -> tuple[list[float], list[float]]:
    """Open a gallery and turn its pages; return the seconds of each, and the app's memory in MiB before and after."""
    page.set_viewport_size(TALL)
    page.goto(f"{served.address}/gallery?run={run_id}")
    page.locator(".tile").first.wait_for()
    page.get_by_label("Next page").wait_for()
    page.wait_for_timeout(3000)
    turns, memory = [], [resident_mib(served.pid)]
    for _ in range(pages):
        turns.append(timed(page, click('[aria-label="Next page"]'), TILES_PAINTED))
        memory.append(resident_mib(served.pid))
    return turns, memory


def _thresholds(page: Page) -> list[float]:
    """Move the mask threshold a step at a time; return the seconds until the counts of the whole run have changed."""
    page.get_by_role("button", name="Filter", exact=True).click()
    page.get_by_role("slider", name="Mask threshold").focus()
    found = []
    for step in range(20):
        waiting = f'window.measured = ({TIMED})(["() => null", {json.dumps(COUNTS_CHANGED)}])'
        page.evaluate(f"{{ {waiting}; null }}")
        page.keyboard.press("ArrowRight" if step < 10 else "ArrowLeft")
        found.append(page.evaluate("window.measured") / 1000)
        page.wait_for_timeout(300)
    return found


@app.command()
def runs(chosen: DataRoot = None, count: int = 1_000, times: Times = 7) -> dict[str, float]:
    """The Runs page with 1,000 runs of 100 epochs: seconds from a click in the top bar to the complete page."""
    with data_root(chosen) as root:
        _stored(root, count, lambda: add_runs(root, count, 100)["runs"])
        with browsing(root) as (served, page):
            page.goto(f"{served.address}/runs")
            page.locator("h1").wait_for()
            page.wait_for_timeout(3000)
            found = []
            for _ in range(times):
                go_home(page)
                link = click('[data-testid="stTopNavLink"]', "Runs")
                found.append(timed(page, link, COMPLETE.replace("TITLE", "Runs")))
    return {"runs": count, "page_s": median(found), "page_worst_s": max(found)}


@app.command()
def compare(chosen: DataRoot = None, count: int = 10, images: int = 100, times: Times = 7) -> dict[str, float]:
    """The Compare page with 10 runs of 200 epochs: seconds from the browser's Back to the complete page."""
    with data_root(chosen) as root:
        ids = _stored(root, count, lambda: add_runs(root, count, 200, images)["runs"])
        with browsing(root) as (served, page):
            found = []
            for _ in range(times):
                address = f"{served.address}/compare?runs={','.join(ids)}"
                found.append(back_to(page, address, COMPLETE.replace("TITLE", "Compare")))
    return {"runs": count, "page_s": median(found), "page_worst_s": max(found)}


@app.command()
def brush(times: Times = 7) -> dict[str, Any]:
    """An image of 12 megapixels: the frames while painting long strokes, and seconds from S until it says "Saved"."""
    with data_root() as root, browsing(root) as (served, page):
        rows, columns = np.mgrid[:3000, :4000]
        image = np.dstack([rows // 12, columns // 16, (rows + columns) // 30]).astype(np.uint8)
        pair = image, np.hypot(rows - 1500, columns - 2000) < 900
        dataset = add_dataset(served.installation, "large", [pair])
        run = add_run(served.installation, dataset, "large")
        with served.installation.database.reading() as session:
            [row] = datasets.images(session, dataset.id)
        page.set_viewport_size({"width": 1440, "height": 1000})
        page.goto(f"{served.address}/gallery?run={run.id}&image={row.id}&correct=true")
        page.get_by_text("Nothing drawn yet").wait_for()
        box = page.locator(".pane canvas").first.bounding_box()
        page.wait_for_timeout(3000)
        page.evaluate(WATCH_FRAMES)
        frames, saves = [], []
        for stroke in range(times):
            page.mouse.move(box["x"] + 300, box["y"] + 100 + 40 * stroke)
            page.evaluate("window.frames_.length = 0")
            page.mouse.down()
            for step in range(100):
                turn = step / 10
                x, y = 300 + 200 * math.sin(turn), 100 + 40 * stroke + 60 * math.sin(turn / 2)
                page.mouse.move(box["x"] + x, box["y"] + y)
            frames += page.evaluate("window.frames_.slice()")
            page.mouse.up()
            saves.append(timed(page, SAVE, SAVED))
    return {"frame_ms": median(frames), "slowest_frame_ms": max(frames), "save_s": median(saves), "each_save_s": saves}


def _stored(root: Path, count: int, add: Callable[[], list[str]]) -> list[str]:
    """Return the ids of the runs in an installation; `add` stores them where there are fewer than `count`."""
    with opened(root) as installation, installation.database.reading() as session:
        ids = list(session.scalars(select(Run.id)))
    return ids if len(ids) >= count else add()


@app.command()
def predict(
    folder: Folder, images: int = 5, rounds: Annotated[int, typer.Option(min=1)] = 5, epochs: int = 2
) -> dict[str, Any]:
    """Seconds from a click on "Predict" to all masks of a few photographs painted, by a cold and a warm worker.

    A small network of the preset fast is trained first, on photographs that are not among those predicted. A cold
    worker is started for the prediction and loads TensorFlow (WARM_WORKER_S=0); a warm one was started by the page when
    a network was chosen, and holds it.
    """
    files = paths(folder)
    if len(files) <= TRAINED_ON:
        raise SystemExit(f"'{folder}' holds {len(files)} pairs; {TRAINED_ON} are trained on, and more are predicted.")
    with data_root() as root:
        for source in [file for pair in files[:TRAINED_ON] for file in pair]:
            target = root / "photographs" / source.parent.name / source.name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
        engine(root, "import", str(root / "photographs"), "--name", "photographs")
        engine(root, "train", "photographs", "--truth", "--preset", "fast", "-p", f"training.epochs={epochs}")
        new = [image for image, _ in files[TRAINED_ON : TRAINED_ON + images]]
        with browsing(root, WARM_WORKER_S="0") as (served, page):
            cold = [_prediction(page, served, new, warm=False) for _ in range(rounds)]
        with browsing(root, WARM_WORKER_S="300") as (served, page):
            warm = [_prediction(page, served, new, warm=True) for _ in range(rounds)]
            memory = resident_mib(_warm_worker(served))
    medians = {"warm_s": median(warm), "cold_s": median(cold)}
    return {**medians, "warm_each_s": warm, "cold_each_s": cold, "worker_mib": memory}


def _prediction(page: Page, served: RunningApp, files: list[Path], warm: bool) -> float:
    """Drop the files on the page and press its button; return the seconds until all masks are there."""
    page.goto(f"{served.address}/predict")
    page.locator("input.pick-files").set_input_files(files)
    button = page.get_by_role("button", name=re.compile("^Predict "))
    button.wait_for()
    if warm:
        _warm_worker(served)
    began = time.perf_counter()
    button.click()
    page.locator(".tile .frame:not(.loading)").nth(len(files) - 1).wait_for()
    return time.perf_counter() - began


def _warm_worker(served: RunningApp) -> int:
    """Wait for the worker that holds a network and is idle; return its process id."""
    give_up = time.monotonic() + 120
    while time.monotonic() < give_up:
        with served.installation.database.reading() as session:
            found = readiness(session, utc_now(), 60)
        if found.run_ids and not found.busy:
            return int(found.worker.rpartition(":")[2])
        time.sleep(0.1)
    raise SystemExit("No worker holds a network.")


if __name__ == "__main__":
    app()
