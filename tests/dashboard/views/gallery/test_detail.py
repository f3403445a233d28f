"""Which panes an image of the gallery is shown in, as the page hands them to the viewer."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from dashboard.facts import urls
from dashboard.ui import viewer
from dashboard.ui.viewer import Pane, Reading, derived_readings
from dashboard.views.gallery import detail
from db import datasets
from db.models import Prediction
from tests.support.installation import add_discs
from tests.support.predicted import add_label_set, add_run


@pytest.fixture
def shown(monkeypatch):
    """What the viewer was last asked to draw: its panes, and its other arguments by name."""
    asked = {}
    monkeypatch.setattr(detail, "viewer", lambda panes, **options: asked.update(options, panes=panes))
    return asked


def titles(shown):
    return [pane.title for pane in shown["panes"]]


def image_ids(installation, dataset):
    with installation.database.reading() as session:
        return [image.id for image in datasets.images(session, dataset.id)]


def test_truth_label_and_prediction_are_shown_side_by_side(installation, open_page, shown):
    dataset = add_discs(installation, 3)
    run = add_run(installation, dataset, "r", label_set_id=add_label_set(installation, dataset))
    first = image_ids(installation, dataset)[0]
    at = open_page("views/gallery/page.py", run=run.id, image=first, sort="Name")
    assert not at.exception
    expected = ["Image", "Truth", "Pseudo-label", "Prediction", "Errors of the prediction vs truth", "Probability"]
    assert titles(shown) == expected
    assert [reading.name for reading in shown["readings"]] == ["Probability", "Pseudo-label", "Truth"]
    assert "Uncertainty" not in at.pills(key="panes").options
    assert (shown["lead"], shown["height_px"] / 900 > 0.7) == ("Errors of the prediction vs truth", True)
    assert {pane.image for pane in shown["ahead"]} == {urls.image(dataset.id, image_ids(installation, dataset)[1])}
    at.pills(key="panes").set_value(["Disagreement", "Label errors"]).run()
    label_errors, apart = shown["panes"]  # in the order in which they are offered
    assert (label_errors.mask, label_errors.words) == (apart.reference, None)
    assert apart.words == ("in both", "in the prediction only", "in the pseudo-label only")
    at.pills(key="panes").set_value([]).run()
    assert titles(shown) == ["Image"]


def test_an_image_without_truth_keeps_its_panes_with_a_note(installation, open_page, shown):
    dataset = add_discs(installation, 3)
    run = add_run(installation, dataset, "r")
    with installation.database.writing() as session:
        bare = session.query(Prediction).first()
        bare.truth_counts = bare.truth_dice = bare.truth_iou = None
    open_page("views/gallery/page.py", run=run.id, image=bare.image_id)
    assert titles(shown) == ["Image", "Truth", "Prediction", "Errors of the prediction vs truth"]
    assert [bool(pane.note) for pane in shown["panes"]] == [False, True, False, True]
    assert [reading.name for reading in shown["readings"]] == ["Probability"]


def test_a_wipe_takes_its_two_layers_from_the_address(installation, open_page, shown):
    dataset = add_discs(installation, 3)
    run = add_run(installation, dataset, "r", label_set_id=add_label_set(installation, dataset))
    query = {"run": run.id, "image": image_ids(installation, dataset)[0], "wipe": "true", "contours": "true"}
    open_page("views/gallery/page.py", **query, left="Probability", right="Pseudo-label")
    assert titles(shown) == ["Probability", "Pseudo-label"] and shown["wipe"]
    assert [pane.mode for pane in shown["panes"]] == ["probability", "outline"]
    open_page("views/gallery/page.py", **query)
    assert titles(shown) == ["Truth", "Prediction"]


def test_with_several_classes_the_reading_names_them(installation, open_page, shown):
    dataset = add_discs(installation, 2)
    classes = [{"index": index, "name": name} for index, name in enumerate(("background", "egg", "pan"))]
    with installation.database.writing() as session:
        datasets.set_classes(session, dataset.id, classes, [value // 100 for value in range(256)])
    run = add_run(installation, dataset, "r")
    image_id = image_ids(installation, dataset)[0]
    open_page("views/gallery/page.py", run=run.id, image=image_id)
    reading = shown["readings"][-1]
    assert (reading.name, reading.kind, reading.classes) == ("Truth", "class", ("background", "egg", "pan"))
    assert (
        reading.address.startswith(urls.truth(dataset.id, image_id).partition("?")[0])
        and "classes=1" in reading.address
    )


def test_the_origin_of_the_mask_is_shown_under_the_panes(installation, open_page, shown):
    dataset = add_discs(installation, 3)
    run = add_run(installation, dataset, "a*b", label_set_id=add_label_set(installation, dataset, "teachers"))
    at = open_page("views/gallery/page.py", run=run.id, image=image_ids(installation, dataset)[0])
    captions = " ".join(caption.value for caption in at.caption)
    assert "preset fast · best epoch 3" in captions and "K-means" in captions.replace("\\", "")


def test_readings_are_named_by_the_panes_without_repetition():
    panes = [
        Pane("Image", "i", reference="t", mode="outline"),
        Pane("Run A · Dice vs truth 0.812", "i", mask="a", reference="t", mode="errors"),
        Pane("Uncertainty", "i", mask="u", mode="probability"),
    ]
    assert derived_readings(panes) == (
        Reading("Reference", "t", "mask"),
        Reading("Run A", "a", "probability"),
        Reading("Uncertainty", "u", "share"),
    )


def test_only_of_large_images_smaller_copies_are_named(monkeypatch):
    drawn = []
    monkeypatch.setattr(viewer, "_render", lambda key, data, **_: drawn.append(data) or SimpleNamespace(stored=None))
    panes = [Pane("Truth", "/i", reference="/t?v=1")]
    viewer.viewer(panes, key="k", full_px=(4000, 4000))
    viewer.viewer(panes, key="k", full_px=(4000, 4001))
    assert drawn[0]["smaller"] == {} and drawn[0]["settings"]["full_px"] is None
    assert drawn[1]["smaller"] == {"/i": "/i?size=768", "/t?v=1": "/t?v=1&size=768"}
