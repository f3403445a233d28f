"""Every page, tab and dialog for everybody: WCAG 2.2 AA by axe-core in both themes, by keyboard, on a narrow screen."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Browser, Page, expect

from db.models import PredictionSet
from tests.browser.conftest import PATIENCE_MS
from tests.support.accessibility import axe_findings
from tests.support.installation import Installation, add_discs
from tests.support.object_measurements import measure
from tests.support.predicted import add_label_set, add_run
from tests.support.running_app import RunningApp
from tests.support.swept import add_run_sweep

WIDE, NARROW = {"width": 1440, "height": 900}, {"width": 800, "height": 900}
STILL = """() => document.querySelector('[data-test-script-state="notRunning"]')
    && !document.querySelector('[data-stale="true"], [data-testid="stSkeleton"]')"""

# What a narrow screen cuts off: the page itself, and the text of buttons, tabs and links in it, shadow trees included.
CUT_OFF = """() => {
  const everything = (from) => [...from.querySelectorAll("*")].flatMap(
    (each) => each.shadowRoot ? [each, ...everything(each.shadowRoot)] : [each]);
  const main = document.querySelector('[data-testid="stMain"]');
  const found = main.scrollWidth > main.clientWidth + 1
    ? [`the page is ${main.scrollWidth} px wide, and ${main.clientWidth} px are shown`] : [];
  for (const button of everything(document.body)) {
    if (!button.matches("button, [role=tab], a[href], [role=radio]") || !button.checkVisibility()) continue;
    for (const each of [button, ...everything(button)]) {
      const style = getComputedStyle(each);
      if (style.overflowX !== "visible" && each.scrollWidth > each.clientWidth + 1 && each.clientWidth > 1
          && each.textContent.trim())
        found.push(`'${button.textContent.trim()}' is cut off`);
    }
  }
  return [...new Set(found)];
}"""
PRIMARY = """() => [...document.querySelectorAll('[data-testid="stBaseButton-primary"]')]
    .filter((each) => each.checkVisibility() && !each.closest("[role=dialog]")).map((each) => each.textContent)"""


@dataclass
class Shown:
    """What there is to see, by the names that the addresses of pages use."""

    address: str
    ids: dict[str, str]
    page: Page
    faults: list[str] = field(default_factory=list)


def fill(installation: Installation) -> dict[str, str]:
    """Store a dataset with truth, a mask set of it, two finished runs, what they predict, and a sweep; return ids."""
    dataset = add_discs(installation, 6, size_px=96)
    labels = add_label_set(installation, dataset)
    run, other = (add_run(installation, dataset, name, label_set_id=labels) for name in ("first", "second"))
    with installation.database.reading() as session:
        prediction_set = session.query(PredictionSet).filter_by(run_id=run.id).one().id
    return {
        "dataset": dataset.id,
        "labels": labels,
        "run": run.id,
        "other": other.id,
        "set": prediction_set,
        "sweep": add_run_sweep(installation, dataset, [0.2, 0.8, None, 0.5]).id,
        "measurement": measure(installation, "prediction_set", prediction_set).id,
    }


@pytest.fixture(scope="module")
def shown(common_app: RunningApp, browser: Browser) -> Iterator[Shown]:
    common_app.empty()
    page = browser.new_page(viewport=WIDE)
    page.set_default_timeout(PATIENCE_MS)
    found = Shown(common_app.address, fill(common_app.installation), page)
    page.on("pageerror", lambda error: found.faults.append(f"script: {error}"))
    page.on("console", lambda line: found.faults.append(f"console: {line.text}") if line.type == "error" else None)
    page.on("response", lambda got: found.faults.append(f"{got.status} {got.url}") if got.status >= 400 else None)
    yield found
    page.context.close()


def tab(name: str) -> Callable[[Page], None]:
    def open_(page: Page) -> None:
        page.get_by_role("tab", name=re.compile(f"^{name}")).click()
        expect(page.get_by_role("tab", name=re.compile(f"^{name}"))).to_have_attribute("aria-selected", "true")

    return open_


def dialog(opener: str) -> Callable[[Page], None]:
    """Return what opens a dialog by a click on the first element of a selector."""

    def open_(page: Page) -> None:
        page.locator(opener).first.click()
        page.get_by_role("dialog").wait_for()

    return open_


def first_tile(page: Page) -> None:
    page.locator(".tile").first.click()


def as_it_opens(page: Page) -> None:
    pass


VIEWS: dict[str, tuple[str, Callable[[Page], None]]] = {
    "Home": ("/", as_it_opens),
    "Datasets": ("/datasets", as_it_opens),
    "Images": ("/datasets?dataset={dataset}", as_it_opens),
    "Truth": ("/datasets?dataset={dataset}", tab("Truth")),
    "Audit": ("/datasets?dataset={dataset}", tab("Audit")),
    "Corrections": ("/datasets?dataset={dataset}", tab("Corrections")),
    "Files": ("/datasets?dataset={dataset}", tab("Files")),
    "Delete a dataset": ("/datasets?dataset={dataset}", dialog(".st-key-delete button")),
    "An image": ("/datasets?dataset={dataset}", dialog(".tile")),
    "Masks": ("/labels?dataset={dataset}&a=threshold", as_it_opens),
    "Mask set": ("/labels?dataset={dataset}&labels={labels}&a=threshold", as_it_opens),
    "Correct a mask": ("/labels?dataset={dataset}&labels={labels}&a=threshold", dialog(".tile")),
    "Train": ("/train?dataset={dataset}&labels={labels}", as_it_opens),
    "Runs": ("/runs", as_it_opens),
    "Run": ("/runs?run={run}", as_it_opens),
    "Sweeps": ("/sweeps", as_it_opens),
    "Sweep": ("/sweeps?sweep={sweep}", as_it_opens),
    "New sweep": ("/sweeps?new=1&dataset={dataset}", as_it_opens),
    "New sweep of a method": ("/sweeps?new=1&dataset={dataset}&method=threshold", as_it_opens),
    "Gallery": ("/gallery?run={run}", as_it_opens),
    "Detail": ("/gallery?run={run}", first_tile),
    "Compare": ("/compare?runs={run},{other}", as_it_opens),
    "Predict": ("/predict", as_it_opens),
    "Predictions": ("/predict?set={set}", as_it_opens),
    "Measure": ("/measure?run={run}", as_it_opens),
    "Measurement": ("/measure?measurement={measurement}", as_it_opens),
    "Measured images": ("/measure?measurement={measurement}", tab("Images")),
    "Plots of objects": ("/measure?measurement={measurement}", tab("Plots")),
}


def at_rest(page: Page) -> None:
    """Wait until the script has ended and what it sent is drawn."""
    page.get_by_role("heading", level=1).first.wait_for()
    page.wait_for_function(STILL)
    expect(page.get_by_test_id("stException")).to_have_count(0)


@pytest.mark.parametrize("view", VIEWS)
def test_a_page_is_for_everybody(shown, view):
    page, (address, open_) = shown.page, VIEWS[view]
    shown.faults.clear()
    page.set_viewport_size(WIDE)
    page.emulate_media(color_scheme="light")
    page.goto(shown.address + address.format(**shown.ids))
    at_rest(page)
    open_(page)
    at_rest(page)
    found = [f"primary buttons: {names}" for names in [page.evaluate(PRIMARY)] if len(names) > 1]
    found += [f"light, {line}" for line in axe_findings(page)]
    page.emulate_media(color_scheme="dark")
    at_rest(page)
    page.set_viewport_size(NARROW)
    at_rest(page)
    found += [f"dark, 800 px, {line}" for line in axe_findings(page)]
    found += [f"800 px, {line}" for line in page.evaluate(CUT_OFF)]
    found += shown.faults
    assert not found, f"{view}:\n" + "\n".join(found)


def test_an_address_without_a_page_says_so_and_leads_home(shown):
    page = shown.page
    answer = page.goto(f"{shown.address}/nosuchpage")
    assert answer is not None and answer.status == 404
    expect(page.get_by_role("heading", level=1)).to_have_text("There is no such page")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert axe_findings(page) == []
    page.get_by_role("link", name="Go to Home").click()
    page.get_by_role("heading", name="Maskloom", level=1).wait_for()


def test_a_page_says_that_the_app_is_down_and_comes_back_with_it(shown, open_tab):
    page = open_tab("about:blank")
    page.route("**/_stcore/health", lambda route: route.abort())
    page.goto(shown.address)
    expect(page.get_by_role("dialog")).to_contain_text("Maskloom is not running; trainings go on.")
    expect(page.get_by_role("dialog")).not_to_contain_text("internet")
    page.unroute("**/_stcore/health")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("heading", name="Maskloom", level=1)).to_be_visible()


# Name of what has the focus, and whether it or a part of it around shows a ring: an outline, a shadow or a border.
FOCUSED = """() => {
  let one = document.activeElement;
  while (one.shadowRoot?.activeElement) one = one.shadowRoot.activeElement;
  const rings = (each) => {
    const style = getComputedStyle(each);
    return (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2) || /[1-9]/.test(
      style.boxShadow.replace(/rgba?\\([^)]*\\)/g, ""));
  };
  const up = one.parentElement?.parentElement;
  const around = [one, one.parentElement, up, up?.parentElement, one.nextElementSibling].filter(Boolean);
  const words = one.getAttribute("aria-label") ?? one.textContent;
  return [`${one.className} ${one.tagName} ${one.getAttribute("data-testid") ?? ""} ${words.slice(0, 40)}`,
    one.matches("input") || around.some(rings)];  // a text field shows its cursor
}"""


def test_keyboard_focus_is_a_ring_on_links_tiles_and_choices(shown):
    """Focus by the Tab key, from the top of the page to the first tile: everything on the way shows where one is."""
    page = shown.page
    page.set_viewport_size(WIDE)
    page.goto(f"{shown.address}/gallery?run={shown.ids['run']}")
    at_rest(page)
    page.evaluate("document.activeElement.blur()")
    bare, seen = [], []
    for _ in range(80):
        page.keyboard.press("Tab")
        name, shows = page.evaluate(FOCUSED)
        seen.append(name)
        if not shows:
            bare.append(name)
        if name.startswith("tile"):
            break
    assert seen[-1].startswith("tile"), seen
    assert not bare, "\n".join(["No ring on:", *bare])
