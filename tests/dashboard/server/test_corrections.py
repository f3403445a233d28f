"""The routes of corrections, asked over HTTP: what is stored, and what is refused with which sentence."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import select

from dashboard.facts import urls
from db import datasets
from db.actors import Role
from db.models import Correction, LabelSet
from engine.imaging import codec
from engine.imaging.corrections import LEFT_OUT, UNTOUCHED
from engine.store import keys as stored
from engine.store.local import LocalStore
from tests.dashboard.access.test_gate import arrive
from tests.support.entering import header, login_wanted
from tests.support.installation import add_discs
from tests.support.predicted import add_label_set, add_run
from tests.support.serving import guarded_serving, serving

SIDE = 64
OURS = {"x_maskloom_upload": "1"}


class Scene:
    """One image that is corrected over HTTP."""

    def __init__(self, installation, served):
        self.installation, self.served = installation, served
        self.dataset = add_discs(installation, count=2)
        with installation.database.reading() as session:
            self.image = datasets.images(session, self.dataset.id)[0]
        self.address = urls.corrections_of(self.dataset.id, self.image.id)

    def post(self, values, base=0, query="", **headers):
        body = values if isinstance(values, bytes) else codec.encode_png(values)
        answer = self.served.ask(f"{self.address}?base={base}{query}", "POST", body, **{**OURS, **headers})
        return answer.status, json.loads(answer.body)

    def newest(self):
        return json.loads(self.served.ask(self.address).body)

    def rows(self):
        with self.installation.database.reading() as session:
            return list(session.scalars(select(Correction).order_by(Correction.revision)))

    def files(self):
        return self.installation.files.keys(f"{stored.dataset_folder(self.dataset.id)}/corrections")


@pytest.fixture
def scene(dashboard):
    with serving() as served:
        yield Scene(dashboard, served)


def drawn(value=1, side=SIDE):
    values = np.full((side, side), UNTOUCHED, np.uint8)
    values[4:12, 8:24] = value
    return values


def test_what_was_drawn_is_stored_and_served_with_its_history(scene):
    assert scene.newest() == {
        "width": SIDE, "height": SIDE, "revision": 0, "address": None, "finished": False, "history": [],
    }  # fmt: skip
    for base, values in enumerate((drawn(1), drawn(LEFT_OUT))):
        status, told = scene.post(values, base, "&finished=1" if base else "")
        assert (status, told["revision"]) == (200, base + 1)
    newest = scene.newest()
    assert (newest["revision"], newest["finished"]) == (2, True)
    assert [(line["revision"], line["source"], line["pixels"]) for line in newest["history"]] == [
        (2, "drawn", 128),
        (1, "drawn", 128),
    ]
    served = scene.served.ask(newest["address"])
    assert "immutable" in served.headers["cache-control"]
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(served.body))), drawn(LEFT_OUT))


def test_the_mask_that_was_shown_is_scored_where_something_was_drawn(scene):
    label_set_id = add_label_set(scene.installation, scene.dataset, shift_px=0)
    run = add_run(scene.installation, scene.dataset, "run", shifts_px=(0,))
    key = stored.truth_key(scene.dataset.id, scene.image.id)
    truth = (codec.decode_png(scene.installation.files.read(key)) > 127).astype(np.uint8)
    scene.post(truth, 0, f"&finished=1&accepted=1&mask_of={label_set_id}")
    scene.post(1 - truth, 1, f"&mask_of={run.id}")
    scene.post(np.full((SIDE, SIDE), UNTOUCHED, np.uint8), 2, f"&mask_of={run.id}")
    with scene.installation.database.writing() as session:
        session.delete(session.get_one(LabelSet, label_set_id))
    scene.post(truth, 3, f"&mask_of={label_set_id}")
    found = [(row.source, row.mask_of, row.mask_dice) for row in scene.rows()]
    assert found == [
        ("accepted", label_set_id, 1.0),
        ("drawn", run.id, 0.0),
        ("drawn", run.id, None),
        ("drawn", label_set_id, None),
    ]


def test_a_stale_revision_is_refused_and_overwrites_nothing(scene):
    assert scene.post(drawn(1))[0] == 200
    status, told = scene.post(drawn(0))
    assert status == 409 and "was corrected meanwhile by local" in told["error"]
    assert len(scene.files()) == len(scene.rows()) == 1


def colours(side):
    return codec.encode_png(np.zeros((side, side, 3), np.uint8))


BAD = {
    "another size": (lambda: drawn(side=32), 400, "the size of the image, 64 × 64 pixels. Got 32 × 32"),
    "an unknown class": (lambda: drawn(7), 400, "names class 7. The dataset has class 1"),
    "colours": (lambda: colours(SIDE), 400, "8-bit greyscale PNG of class numbers"),
    "no picture": (lambda: b"hello", 400, "cannot be read"),
    "half a picture": (lambda: codec.encode_png(drawn())[:40], 400, "cannot be read"),
    "far too much": (lambda: bytes(200_000), 413, "has at most 69,696 bytes"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_correction_is_refused_by_name_and_nothing_is_stored(scene, case):
    make, status, sentence = BAD[case]
    answered, told = scene.post(make())
    assert answered == status and sentence in told["error"] and "'disc 0.png'" in told["error"]
    assert scene.files() == scene.rows() == []


def test_only_our_pages_and_whole_addresses_are_answered(scene):
    assert scene.post(drawn(), x_maskloom_upload="0")[0] == 403
    assert scene.post(drawn(), origin="https://elsewhere.example")[0] == 403
    assert scene.post(drawn(), sec_fetch_site="cross-site")[0] == 403
    assert "'base' parameter" in scene.post(drawn(), base="")[1]["error"]
    assert scene.post(drawn(), query="&mask_of=../app.db")[0] == 400
    assert scene.served.ask(scene.address.replace(scene.dataset.id, "0" * 32)).status == 404
    assert scene.rows() == []


def test_an_image_that_was_deleted_cannot_be_corrected(scene):
    with scene.installation.database.writing() as session:
        session.delete(session.merge(scene.image))
    status, told = scene.post(drawn())
    assert status == 404 and "was deleted meanwhile" in told["error"]


def test_a_full_disk_is_answered_with_a_sentence(scene, monkeypatch):
    def full(self, key, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(LocalStore, "write", full)
    status, told = scene.post(drawn())
    assert status == 507 and told["error"] == "The correction could not be stored: No space left on device."
    assert scene.rows() == []


def test_the_newest_correction_is_withdrawn_unless_somebody_was_faster(scene):
    for base in range(2):
        scene.post(drawn(base), base)
    assert scene.served.ask(f"{scene.address}?base=1", "DELETE", **OURS).status == 409
    assert scene.served.ask(f"{scene.address}?base=2", "DELETE", **OURS).status == 200
    newest = scene.newest()
    assert newest["revision"] == 3 and newest["history"][0]["source"] == "withdrawn"
    assert newest["address"] == urls.correction(scene.dataset.id, scene.rows()[0].id)
    assert scene.served.ask(f"{scene.address}?base=3", "DELETE", **OURS).status == 200
    again = scene.served.ask(f"{scene.address}?base=4", "DELETE", **OURS)
    assert again.status == 400 and b"no correction to withdraw" in again.body


@pytest.mark.parametrize(("role", "status"), [(Role.VIEWER, 403), (Role.EDITOR, 200)])
def test_editors_alone_correct(dashboard, role, status):
    with login_wanted(), guarded_serving() as served:
        scene = Scene(dashboard, served)
        cookie = header(arrive(dashboard, role))
        assert scene.post(drawn(), cookie=cookie, sec_fetch_site="same-origin")[0] == status
        assert [row.who for row in scene.rows()] == ([] if status == 403 else ["Ada"])
