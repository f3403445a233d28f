"""From the gallery to what should be corrected next, and along the queue."""

from __future__ import annotations

import pytest

from dashboard.ui import correct_next
from db import datasets
from tests.support.corrected import correct
from tests.support.installation import add_discs
from tests.support.live_page import given
from tests.support.predicted import add_label_set, add_run

PAGE = "views/gallery/page.py"


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    monkeypatch.setattr(correct_next, "PATIENCE_S", 60.0)


@pytest.fixture
def discs(installation):
    return add_discs(installation, 4)


def brush(at) -> dict:
    return next(data["brush"] for data in given(at) if data.get("brush"))


def test_the_button_opens_the_first_of_the_queue_with_the_brush_at_its_place(open_page, installation, discs):
    run = add_run(installation, discs, "network", label_set_id=add_label_set(installation, discs))
    at = open_page(PAGE, run=run.id)
    at.button("correct-next").click().run()
    assert not at.exception
    assert at.query_params["queue"] == "1"
    first = at.query_params["image"]
    assert brush(at)["address"].endswith(f"{first}/corrections")
    assert len(brush(at)["place"]) == 2
    assert "3 more to correct" in " ".join(element.value for element in at.markdown)
    assert at.button("step-previous-gallery").disabled
    at.button("step-next-gallery").click().run()
    assert at.query_params["image"] != first and brush(at)["place"] is not None
    at.button("step-previous-gallery").click().run()
    assert at.query_params["image"] == first


def test_finished_images_leave_the_queue(open_page, installation, discs):
    run = add_run(installation, discs, "network")
    with installation.database.reading() as session:
        names = {image.id: image.name for image in datasets.images(session, discs.id)}
    at = open_page(PAGE, run=run.id)
    at.button("correct-next").click().run()
    seen = []
    for left in (3, 2, 1, 0):
        image_id = at.query_params["image"]
        seen.append(image_id)
        correct(installation, discs, names[image_id])
        assert at.button("step-next-gallery").disabled == (not left)
        if left:
            at.button("step-next-gallery").click().run()
    assert sorted(seen) == sorted(names)
    at.button("correct-next").click().run()
    assert "nothing is left to correct" in at.toast[0].value
