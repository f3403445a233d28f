"""Buttons that start work, pressed twice at once or after another tab deleted what they were about."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from db import datasets, jobs
from db.models import Job, JobKind
from tests.support.installation import add_discs

WORK_MS = 120_000


def kinds(app) -> list[str]:
    with app.installation.database.reading() as session:
        return [job.kind for job in session.query(Job)]


def test_a_double_click_starts_one_job(app, page: Page):
    dataset = add_discs(app.installation, count=6)
    page.goto(f"{app.address}/labels?dataset={dataset.id}&a=kmeans")
    page.get_by_role("button", name="Make masks for all 6 images").dblclick()
    page.get_by_role("heading", name="Masks of discs").wait_for(timeout=WORK_MS)
    assert kinds(app) == [JobKind.LABEL]
    page.get_by_text("6 of 6 masks").wait_for(timeout=WORK_MS)
    page.goto(f"{app.address}/train?dataset={dataset.id}&p=training.epochs=2")
    start = page.get_by_role("button", name="Start training")
    expect(start).to_be_enabled()
    start.dblclick()
    page.get_by_role("heading", name="Runs").wait_for(timeout=WORK_MS)
    page.wait_for_url("**run=*")
    assert kinds(app).count(JobKind.TRAIN) == 1
    with app.installation.database.writing() as session:
        for job in jobs.active(session):
            jobs.request_stop(session, job.id)


def test_masks_of_a_dataset_that_another_tab_deleted_are_refused_in_words(app, page: Page):
    dataset = add_discs(app.installation, count=6)
    add_discs(app.installation, count=6, name="others")
    page.goto(f"{app.address}/labels?dataset={dataset.id}&a=kmeans")
    make = page.get_by_role("button", name="Make masks for all 6 images")
    page.get_by_text("plausibility 0.").first.wait_for()  # the page is at rest
    with app.installation.database.writing() as session:
        datasets.delete_dataset(session, dataset.id)
    make.click()
    expect(page.get_by_text("deleted meanwhile").first).to_be_in_viewport()
    assert page.get_by_test_id("stException").count() == 0
    assert kinds(app) == []
