"""Faults while somebody corrects an image in Chromium with a real mouse: is every stroke there afterwards?

    outcomes = inject(rig, browser, faults=50, seed=1)

Every fault has an image of its own. A few rows of pixels are drawn, the fault follows at a drawn moment, and then what
a person would do: start the app, make room, load the newer correction. Lost is a stroke that is not stored in the end,
without the page having said so: the browser that is closed has to ask first if something is not saved. Of a browser
that is killed, what the page had called saved must be there, and nothing but whole strokes.
"""

from __future__ import annotations

import contextlib
import random
import re
import subprocess
import sys
from dataclasses import dataclass, field

import numpy as np
from playwright.sync_api import Browser, Error, Page, expect

from db import corrections, datasets
from db.models import Image
from engine.datasets import corrections as stored_corrections
from tests.faults import invariants
from tests.faults.kinds import HOLD
from tests.faults.rig import Rig
from tests.support.chromium import tab
from tests.support.installation import add_dataset, disc
from tests.support.predicted import add_label_set, add_run

SIDE_PX = 200
ROWS = range(20, 180, 4)
PATIENCE_MS = 120_000
SAVED = re.compile("^(Saved|Finished), revision")


@dataclass
class Outcome:
    """What became of one fault."""

    kind: str
    fault: str
    strokes: int
    broken: list[str] = field(default_factory=list)


class Correcting:
    """A tab in which an image is corrected by strokes of one pixel's height; each is in a row of its own."""

    def __init__(self, page: Page, address: str) -> None:
        self.page, self.asked = page, False
        page.set_viewport_size({"width": 1280, "height": 1400})
        page.goto(address)
        self.status = page.locator(".saved")
        expect(self.status).to_have_text(re.compile("Nothing drawn yet|revision"), timeout=PATIENCE_MS)
        shown = page.locator(".size output")
        while (now := int(shown.text_content().split()[0])) != 1:
            page.keyboard.press("[" if now > 1 else "]")

    def draw(self, row: int) -> None:
        box = self.page.locator(".pane canvas").first.bounding_box()
        scale = box["width"] / SIDE_PX
        y = box["y"] + (row + 0.5) * scale
        self.page.mouse.move(box["x"] + 30.5 * scale, y)
        self.page.mouse.down()
        self.page.mouse.move(box["x"] + 150.5 * scale, y, steps=6)
        self.page.mouse.up()

    def until_saved(self) -> None:
        """Wait as a person would, who loads a newer correction where the page says that there is one."""
        newer = self.page.get_by_role("button", name="Load the newer one")
        for _ in range(PATIENCE_MS // 100):
            if newer.is_visible():
                newer.click()
            if SAVED.match(self.status.text_content()):
                return
            self.page.wait_for_timeout(100)
        raise AssertionError(f"The page still says {self.status.text_content()!r}.")

    def close(self) -> None:
        """Close the tab; if the browser asks, stay until everything is saved."""

        def stay(dialog) -> None:
            self.asked = True
            dialog.dismiss()

        self.page.on("dialog", stay)
        self.page.close(run_before_unload=True)
        with contextlib.suppress(Error):  # that it is closed
            while not self.asked:
                self.page.wait_for_timeout(50)
        if self.asked:
            self.until_saved()


def inject(rig: Rig, browser: Browser, faults: int, seed: int, only: str | None = None) -> list[Outcome]:
    """Inject faults of all kinds in turn, or `only` of one, on an installation whose app runs."""
    pairs = [disc(SIDE_PX, 50, seed=number) for number in range(faults)]
    dataset = add_dataset(rig.installation, "discs", pairs)
    run = add_run(rig.installation, dataset, "run", label_set_id=add_label_set(rig.installation, dataset))
    with rig.installation.database.reading() as session:
        images = datasets.images(session, dataset.id)
    outcomes = []
    for number, image in enumerate(images):
        kind = only or list(KINDS)[number % len(KINDS)]
        address = f"{rig.address}/gallery?run={run.id}&image={image.id}&sort=Name&correct=true"
        outcomes.append(_one(rig, browser, image, address, kind, random.Random(f"{seed}/{number}")))
    return outcomes


def _one(rig: Rig, browser: Browser, image: Image, address: str, kind: str, rng: random.Random) -> Outcome:
    rows = rng.sample(ROWS, rng.randint(1, 5))
    outcome = Outcome(kind, "", len(rows))
    with tab(browser, PATIENCE_MS) as page:
        try:
            editor = Correcting(page, address)
            for row in rows:
                editor.draw(row)
            page.wait_for_timeout(rng.uniform(0, 1500))
            outcome.fault, needed = KINDS[kind](rig, browser, editor, address, rows, rng)
            found = _stored_rows(rig, image)
            if needed - found or found - set(ROWS):
                outcome.broken.append(f"rows {sorted(needed)} were drawn, and {sorted(found)} are stored")
        except Exception as error:  # a fault that breaks the measurement itself is no survived one
            outcome.broken.append(f"{type(error).__name__}: {str(error)[:300]}")
    outcome.broken += invariants.broken_database(rig.root)
    return outcome


def _stored_rows(rig: Rig, image: Image) -> set[int]:
    """Return the rows of whole strokes that the newest correction shows."""
    with rig.installation.database.reading() as session:
        newest = corrections.current(session, image.dataset_id, [image.id]).get(image.id)
    if newest is None:
        return set()
    drawn = stored_corrections.read(rig.installation.files, newest) == 1
    partly = set(np.flatnonzero(drawn.any(axis=1)).tolist())
    return partly - {row for row in partly if drawn[row].sum() < 119}


def _browser_closed(rig, browser, editor, address, rows, rng) -> tuple[str, set[int]]:
    said = editor.status.text_content()
    editor.close()
    return f"closed the tab, which said {said!r}" + (", and asked" if editor.asked else ""), set(rows)


def _browser_killed(rig, browser, editor, address, rows, rng) -> tuple[str, set[int]]:
    said = editor.status.text_content()
    editor.page.close()
    return f"killed the tab, which said {said!r}", set(rows) if SAVED.match(said) else set()


def _app_killed(rig, browser, editor, address, rows, rng) -> tuple[str, set[int]]:
    rig.kill_app()
    late = rng.choice(ROWS)
    editor.draw(late)
    rig.start_app()
    editor.until_saved()
    return "killed the app, drew, and started it", {*rows, late}


def _disk_full(rig, browser, editor, address, rows, rng) -> tuple[str, set[int]]:
    leave = rng.choice([0, 0, 16]) * 1024
    rig.disk.fill(leave, rig.processes)
    try:
        late = rng.choice(ROWS)
        editor.draw(late)
        editor.page.wait_for_timeout(rng.uniform(1000, 4000))
        said = editor.status.text_content()
    finally:
        rig.disk.free(rig.processes)
    editor.until_saved()
    return f"filled the disk ({leave} bytes left), drew; the page said {said!r}", {*rows, late}


def _database_held(rig, browser, editor, address, rows, rng) -> tuple[str, set[int]]:
    command = [sys.executable, "-c", HOLD, str(rig.root / "app.db"), "EXCLUSIVE", str(rng.uniform(1, 8))]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL):
        late = rng.choice(ROWS)
        editor.draw(late)
    editor.until_saved()
    return "another process held the database", {*rows, late}


def _two_editors(rig, browser, editor, address, rows, rng) -> tuple[str, set[int]]:
    late = rng.choice(ROWS)
    with tab(browser, PATIENCE_MS) as page:
        other = Correcting(page, address)
        other.draw(late)
        page.wait_for_timeout(rng.uniform(0, 1500))
        own = rng.choice(ROWS)
        editor.draw(own)
        other.until_saved()
        editor.until_saved()
        other.until_saved()
    return "somebody else drew on the same image", {*rows, late, own}


KINDS = {
    "browser closed": _browser_closed,
    "browser killed": _browser_killed,
    "app killed": _app_killed,
    "disk full": _disk_full,
    "database held": _database_held,
    "two editors": _two_editors,
}
