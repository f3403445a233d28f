"""The app whose files are in an object store: an upload goes there, and pages show what is there through our routes."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest
from playwright.sync_api import expect

from db import datasets
from db.models import Dataset
from engine.imaging import codec
from engine.store import keys as stored
from tests.support.installation import disc, mask_png
from tests.support.predicted import add_label_set, add_run
from tests.support.running_app import running

COUNT = 6


@pytest.fixture
def app(s3, tmp_path):
    with running(tmp_path / "data", STORE_URL=s3.bucket()) as started:
        yield started


def test_an_upload_is_imported_and_its_images_and_masks_are_shown(app, open_tab, tmp_path, s3):
    path = tmp_path / "scènes #1.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(COUNT):
            image, mask = disc(96, seed=number)
            archive.writestr(f"images/scène {number}.png", codec.encode_png(image))
            archive.writestr(f"truth/scène {number}.png", mask_png(mask))
    page = open_tab(f"{app.address}/datasets")
    page.locator("input.pick-files").first.set_input_files(path)
    page.get_by_role("textbox", name="Name of the dataset").fill("discs")
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.locator(".tile")).to_have_count(COUNT, timeout=240_000)
    expect(page.locator(".tile .frame.loading")).to_have_count(0)
    installation = app.installation
    with installation.database.reading() as session:
        dataset = session.query(Dataset).one()
        image = datasets.images(session, dataset.id)[0]
    assert installation.files.listing(stored.UPLOADS).folders == []
    root = installation.settings.data_root
    assert not (root / "datasets").exists() and not any((root / "uploads").glob("*"))

    got = page.request.get(f"{app.address}/files/datasets/{dataset.id}/images/{image.id}")
    assert np.array_equal(codec.decode_png(got.body()), disc(96, seed=0)[0])
    label_set_id = add_label_set(installation, dataset)
    mask = page.request.get(f"{app.address}/files/labels/{label_set_id}/{image.id}")
    levels = codec.decode_png(installation.files.read(stored.label_key(label_set_id, image.id)))
    assert np.array_equal(codec.decode_png(mask.body()), levels)
    run = add_run(installation, dataset, "run", label_set_id=label_set_id)
    page.goto(f"{app.address}/gallery?run={run.id}")
    expect(page.locator(".tile")).to_have_count(COUNT)
    expect(page.locator(".tile .frame.loading")).to_have_count(0)

    s3.tell("refuse 403 AccessDenied")
    refused = page.request.get(f"{app.address}/files/runs/{run.id}/model.keras")
    assert refused.status == 503 and "denies access" in refused.text()
    assert page.request.get(f"{app.address}/files/labels/{label_set_id}/{image.id}").status == 200
