"""The Train page in a real Chromium while the masks that it trains on are being computed."""

from __future__ import annotations

import numpy as np
import pytest
from playwright.sync_api import expect

from db import datasets, recipes, submissions
from db.columns import utc_now
from db.models import Job, JobStatus
from tests.support.installation import add_discs
from tests.support.predicted import label_row, truth_of

pytestmark = pytest.mark.browser


def test_training_can_be_started_as_soon_as_the_masks_are_there(app, open_tab):
    installation = app.installation
    dataset = add_discs(installation, 6)
    with installation.database.writing() as session:
        label_set, job = submissions.submit_label(session, dataset.id, "masks", "threshold", {}, 0, "test")
        job.status, job.attempt, job.started_at, job.heartbeat_at = JobStatus.RUNNING, 1, utc_now(), utc_now()
        images = [image.id for image in datasets.images(session, dataset.id)]
    page = open_tab(f"{app.address}/train?dataset={dataset.id}&labels={label_set.id}")
    start = page.get_by_role("button", name="Start training")
    expect(page.get_by_text("is still being computed")).to_be_visible()
    expect(start).to_be_disabled()
    masks = [truth_of(installation, dataset, id_).astype(np.uint8) * 255 for id_ in images]
    rows = [label_row(installation.files, label_set.id, *each) for each in zip(images, masks, strict=True)]
    with installation.database.writing() as session:
        recipes.add_labels(session, label_set.id, rows)
        session.get_one(Job, job.id).status = JobStatus.FINISHED
    expect(start).to_be_enabled()
    expect(page.get_by_text("is still being computed")).to_have_count(0)
