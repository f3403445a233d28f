"""The main job in a real browser, with real workers and real training: images in, masks and a model out."""

from __future__ import annotations

import io
import re
import zipfile

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from db.models import Dataset, LabelSet, Prediction, PredictionSet, Run
from engine.imaging import codec
from tests.support.installation import disc
from tests.support.shared_data import SHARED_DATA

WORK_MS = 240_000
SMALL = [
    *("training.epochs=2", "training.batch_size=8", "model.image_size=64", "model.base_filters=4", "model.depth=2"),
]


def rows(app, model):
    with app.installation.database.reading() as session:
        return session.query(model).all()


def wait_for_tiles(page: Page, count: int | None = None) -> None:
    """Wait until there are tiles, `count` of them, and the first has its masks drawn; those out of sight stay blank."""
    page.locator(".tile .frame:not(.loading)").first.wait_for(timeout=WORK_MS)
    if count is not None:
        expect(page.locator(".tile")).to_have_count(count, timeout=WORK_MS)


def open_page(page: Page, name: str) -> None:
    page.get_by_test_id("stTopNavLink").filter(has_text=name).first.click()
    page.get_by_role("heading", name=name, exact=True).wait_for()


def train(page: Page, address: str, dataset_id: str, teacher: str, name: str) -> None:
    """Start a small training on the Train page and wait on the Runs page until it has ended."""
    changes = "".join(f"&p={change}" for change in SMALL)
    page.goto(f"{address}/train?dataset={dataset_id}&labels={teacher}&preset=fast{changes}")
    field = page.get_by_role("textbox", name="Name of the run")
    field.wait_for()
    field.fill(name)
    field.press("Enter")
    page.get_by_text("on this machine").or_(page.get_by_text("for this machine")).first.wait_for()
    page.get_by_role("button", name="Start training").click()
    page.get_by_role("heading", name="Runs", exact=True).wait_for()
    masks_link(page).wait_for(timeout=WORK_MS)


def masks_link(page: Page):
    """Return the run's own link to its gallery: it is there once the masks are. The first link is the navigation's."""
    return page.get_by_role("link", name="Gallery", exact=True).nth(1)


def test_from_the_sample_set_to_masks_and_model(app, page, tmp_path):
    page.get_by_role("button", name="Try the sample set").click()
    page.get_by_role("heading", name=re.compile("Sample")).wait_for()
    page.get_by_text("With truth").or_(page.get_by_text("Truth overlay")).first.wait_for(timeout=WORK_MS)
    wait_for_tiles(page)
    dataset = rows(app, Dataset)[0]
    assert dataset.image_count == dataset.truth_count >= 50

    page.get_by_role("button", name="Make masks").click()
    page.get_by_role("heading", name="Masks", exact=True).wait_for()
    wait_for_tiles(page, 8)
    expect(page.get_by_text("Dice vs truth").first).to_be_visible(timeout=WORK_MS)  # the default tries all methods
    page.get_by_role("button", name=re.compile("Make masks for all .* images")).click()
    page.wait_for_url(re.compile("labels="))
    link = page.get_by_role("button", name=re.compile("^Train")).or_(
        page.get_by_role("link", name=re.compile("Train "))
    )
    expect(link.first).to_be_visible(timeout=WORK_MS)
    label_set = rows(app, LabelSet)[0]
    until_labelled(app, page, label_set)

    train(page, app.address, dataset.id, label_set.id, "from labels")
    expect(page.get_by_text("2 of 2 epochs").first).to_be_visible()
    expect(page.get_by_text(re.compile("agreement with the pseudo-label", re.I)).first).to_be_visible()
    page.reload()
    masks_link(page).wait_for()  # the run is still there after a refresh
    train(page, app.address, dataset.id, "truth", "from truth")
    by_name = {run.name: run for run in rows(app, Run)}
    assert {run.best_epoch is not None for run in by_name.values()} == {True}

    page.goto(f"{app.address}/gallery?run={by_name['from labels'].id}")
    wait_for_tiles(page, 48)
    page.locator(".tile").first.click()
    page.get_by_role("button", name="Back to the gallery").wait_for()
    following = page.get_by_role("button", name=re.compile("^Next"))
    expect(following).to_have_count(1)  # those of the gallery are gone
    following.click()
    page.go_back()

    page.goto(f"{app.address}/compare?runs={by_name['from labels'].id},{by_name['from truth'].id}")
    page.get_by_role("heading", name="The same image in each run").wait_for()
    expect(page.get_by_role("heading", name="Different settings")).to_be_visible()

    predict_new_images(app, page, by_name["from truth"], tmp_path)


def until_labelled(app, page, label_set):
    for _ in range(600):
        job = app.installation.job(label_set.job_id)
        if job.status.ended:
            break
        page.wait_for_timeout(200)
    assert job.status.value == "finished", job.error


def predict_new_images(app, page, run, tmp_path):
    files = []
    for number in range(3):
        path = tmp_path / f"new {number}.png"
        path.write_bytes(codec.encode_png(disc(96, seed=number)[0]))
        files.append(path)
    page.goto(f"{app.address}/predict?run={run.id}")
    page.locator("input.pick-files").set_input_files(files)
    page.get_by_role("button", name=re.compile("^Predict 3 files")).click()
    wait_for_tiles(page, 3)
    prediction_set = next(entry for entry in rows(app, PredictionSet) if entry.dataset_id != run.dataset_id)
    assert sum(row.prediction_set_id == prediction_set.id for row in rows(app, Prediction)) == 3
    page.get_by_role("button", name="Other downloads").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="Masks and maps").click()
    with zipfile.ZipFile(download.value.path()) as archive:
        names = sorted(archive.namelist())
        masks = [name for name in names if name.startswith("masks/")]
        assert masks == ["masks/new 0.png", "masks/new 1.png", "masks/new 2.png"]
        assert "scores.csv" in names
        mask = codec.decode_png(archive.read(masks[0]))
    assert mask.shape == (96, 96)
    assert set(np.unique(mask)) <= {0, 255}
    model = page.request.get(f"{app.address}/files/runs/{run.id}/model.keras")
    assert zipfile.is_zipfile(io.BytesIO(model.body()))


@pytest.mark.shared
@pytest.mark.skipif(not SHARED_DATA.is_dir(), reason="the real images are not beside this checkout")
def test_a_zip_of_real_images_is_uploaded_labelled_and_deleted(app, page, tmp_path):
    source = SHARED_DATA / "ecssd"
    chosen = sorted((source / "images").glob("*.jpg"))[:12]
    path = tmp_path / "real photographs.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for image in chosen:
            archive.write(image, f"images/{image.name}")
        for image in chosen[:6]:
            archive.write(source / "truth" / f"{image.stem}.png", f"truth/{image.stem}.png")
        archive.writestr("images/notes.jpg", "not a picture")
        archive.writestr("../climbs out.jpg", b"x")
    open_page(page, "Datasets")
    page.locator("input.pick-files").first.set_input_files(path)
    name = page.get_by_role("textbox", name="Name of the dataset")
    expect(name).to_have_value("real photographs")
    page.get_by_role("button", name="Import", exact=True).click()
    wait_for_tiles(page, 12)
    dataset = rows(app, Dataset)[0]
    assert (dataset.image_count, dataset.truth_count) == (12, 6)
    page.get_by_role("tab", name="Files (2 skipped)").click()
    expect(page.get_by_test_id("stDataFrame").first).to_be_visible()

    page.get_by_role("button", name="Make masks").click()
    wait_for_tiles(page, 8)
    page.get_by_role("button", name=re.compile("Make masks for all .* images")).wait_for(timeout=WORK_MS)
    page.get_by_role("button", name=re.compile("Make masks for all .* images")).click()
    page.wait_for_url(re.compile("labels="))
    until_labelled(app, page, rows(app, LabelSet)[0])

    page.goto(f"{app.address}/datasets?dataset={dataset.id}")
    page.get_by_role("button", name="Delete").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("12 images, 6 with truth")).to_be_visible()
    dialog.get_by_role("button", name="Delete permanently").click()
    page.get_by_text("Drop images, a folder or a zip here").wait_for()
    assert rows(app, Dataset) == rows(app, LabelSet) == []
    assert not list((app.installation.files.root / "datasets").iterdir())
