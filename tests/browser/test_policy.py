"""The pages' Content-Security-Policy in a real browser: no page breaks it, and it does forbid."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from db import runs
from db.models import PredictionSet
from tests.support.photographs import add_photographs
from tests.support.predicted import add_label_set, add_run

pytestmark = pytest.mark.shared

TILE = ".tile .frame:not(.loading)"  # its pictures have come and are drawn
NOTE = """document.addEventListener('securitypolicyviolation', event =>
    console.error(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}`))"""


def violations(page: Page) -> list[str]:
    """Collect, from now on, what the browser says that the policy forbids."""
    told: list[str] = []
    page.add_init_script(NOTE)
    page.on(
        "console",
        lambda line: told.append(line.text) if "policy: " in line.text or "Security Policy" in line.text else None,
    )
    return told


def test_no_page_asks_for_what_the_policy_forbids(app, open_tab):
    installation = app.installation
    dataset = add_photographs(installation, 12)
    label_set = add_label_set(installation, dataset)
    run, other = (add_run(installation, dataset, name, label_set_id=label_set) for name in ("photographs", "again"))
    with installation.database.writing() as session:
        for epoch in (1, 2, 3):
            numbers = {"loss": 1 / epoch, "val_loss": 1 / epoch, "val_dice": epoch / 4}
            for each in (run, other):
                runs.save_metrics(session, each.id, epoch, numbers)
        prediction_set = session.query(PredictionSet).filter_by(run_id=run.id).one().id
    page = open_tab(app.address)
    told = violations(page)
    for address, drawn in {
        "/": ".stButton",
        f"/datasets?dataset={dataset.id}": TILE,
        f"/labels?dataset={dataset.id}&labels={label_set}": TILE,
        f"/train?dataset={dataset.id}&labels={label_set}": "img",
        f"/runs?run={run.id}": TILE,
        f"/gallery?run={run.id}": TILE,
        f"/compare?runs={run.id},{other.id}": ".js-plotly-plot",
        f"/predict?set={prediction_set}": TILE,
    }.items():
        page.goto(app.address + address)
        page.locator(drawn).first.wait_for()
        expect(page.get_by_test_id("stException")).to_have_count(0)
        assert page.evaluate("document.fonts.status") in ("loaded", "loading")
        assert told == [], address


def test_the_policy_keeps_out_what_a_name_might_smuggle_in(app, open_tab):
    page = open_tab(app.address)
    told = violations(page)
    page.reload()
    page.get_by_role("heading", name="Maskloom").wait_for()
    page.evaluate(
        """() => {
            const script = document.createElement('script');
            script.textContent = 'window.smuggled = 1';
            document.body.append(script);
            document.body.insertAdjacentHTML('beforeend', '<img src=x onerror="window.smuggled = 2">');
            return fetch('http://127.0.0.2:1/').catch(() => 0);
        }"""
    )
    page.wait_for_function("1", timeout=1000)
    assert page.evaluate("window.smuggled") is None
    assert {line.split()[1] for line in told if line.startswith("policy: ")} >= {"script-src-elem", "connect-src"}


def test_no_other_page_may_frame_it(app, open_tab, tmp_path):
    outside = tmp_path / "outside.html"
    outside.write_text(f'<iframe src="{app.address}/"></iframe>')
    page = open_tab(f"file://{outside}")
    page.wait_for_load_state()
    assert "Maskloom" not in page.frames[1].content() and "static/js" not in page.frames[1].content()
