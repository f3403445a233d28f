"""The routes of what is left out, asked over HTTP: drawn as a correction is, stored as a region, taken back."""

from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import pytest
from PIL import Image

from dashboard.facts import urls
from engine.imaging import codec
from engine.imaging.corrections import LEFT_OUT, UNTOUCHED
from engine.store import keys as stored
from tests.dashboard.server.test_corrections import OURS, Scene
from tests.support.leaving_out import region_now
from tests.support.predicted import add_label_set
from tests.support.serving import serving

SIDE = 64


class Regions(Scene):
    """The same image, to draw on what is left out of all."""

    def __init__(self, installation, served):
        super().__init__(installation, served)
        self.address = urls.left_out_of(self.dataset.id, self.image.id)

    def delete(self, base):
        answer = self.served.ask(f"{self.address}?base={base}", "DELETE", **OURS)
        return answer.status, json.loads(answer.body)

    def files(self):
        return self.installation.files.keys(f"{stored.dataset_folder(self.dataset.id)}/left_out")


@pytest.fixture
def scene(dashboard):
    with serving() as served:
        yield Regions(dashboard, served)


def drawn(rows=16, value=LEFT_OUT):
    values = np.full((SIDE, SIDE), UNTOUCHED, np.uint8)
    values[:rows] = value
    return values


def test_what_was_drawn_is_left_out_and_served_to_be_drawn_on(scene):
    assert scene.post(drawn())[0] == 200
    newest = scene.newest()
    assert (newest["revision"], newest["width"], newest["finished"]) == (1, SIDE, False)
    assert [(line["source"], line["pixels"]) for line in newest["history"]] == [("drawn", 16 * SIDE)]
    served = scene.served.ask(newest["address"])
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(served.body))), drawn())
    smaller = urls.left_out(scene.dataset.id, region_now(scene.installation, scene.dataset.id), (20, 8))
    mask = np.asarray(Image.open(io.BytesIO(scene.served.ask(smaller).body)))
    assert mask.shape == (8, 20) and (mask[:2] == 255).all() and not mask[2:].any()
    for size in ((100_000, 100_000), (0, 5)):
        address = urls.left_out(scene.dataset.id, region_now(scene.installation, scene.dataset.id), size)
        assert scene.served.ask(address).status == 400
    [key] = scene.files()
    assert (codec.decode_png(scene.installation.files.read(key))[:16] == 255).all()


def test_erasing_all_of_it_clears_it_and_the_newest_change_is_taken_back(scene):
    scene.post(drawn())
    assert scene.post(drawn(value=UNTOUCHED), base=1)[0] == 200
    assert region_now(scene.installation, scene.dataset.id) is None
    assert scene.newest()["address"] is None
    assert scene.delete(2)[0] == 200
    assert region_now(scene.installation, scene.dataset.id) is not None


@pytest.mark.parametrize(
    ("values", "base", "status", "sentence"),
    [
        (drawn(), 1, 409, "its revision is 0, and this change began from 1"),
        (drawn(SIDE), 0, 400, "leaves out 100% of an image"),
        (drawn()[:9], 0, 400, "the size of the image, 64 × 64 pixels"),
        (b"no picture", 0, 400, "cannot be read"),
    ],
)
def test_what_cannot_be_left_out_is_refused_with_a_sentence_and_leaves_no_file(scene, values, base, status, sentence):
    answered, told = scene.post(values, base)
    assert answered == status and sentence in told["error"]
    assert scene.files() == []


def test_another_site_cannot_change_it(scene):
    assert scene.post(drawn(), x_maskloom_upload="")[0] == 403
    assert scene.files() == []


def test_masks_that_were_computed_before_are_downloaded_without_it_and_truth_is_shown_so(scene):
    label_set_id = add_label_set(scene.installation, scene.dataset, shift_px=0)

    def masks():
        body = scene.served.ask(f"/files/labels/{label_set_id}/masks.zip").body
        with zipfile.ZipFile(io.BytesIO(body)) as packed:
            names = [name for name in packed.namelist() if name.endswith(".png")]
            return [np.asarray(Image.open(io.BytesIO(packed.read(name)))) for name in names]

    half = drawn(SIDE // 2)
    before = masks()
    assert len(before) == 2 and any(mask[: SIDE // 2].any() for mask in before)
    scene.post(half)
    for mask, earlier in zip(masks(), before, strict=True):
        assert np.array_equal(mask, np.where(half == LEFT_OUT, 0, earlier))
    truth = scene.served.ask(urls.truth(scene.dataset.id, scene.image.id))
    assert not np.asarray(Image.open(io.BytesIO(truth.body)))[: SIDE // 2].any()
