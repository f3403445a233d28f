"""Predictions of a run that tells classes apart: areas of each class, class numbers of masks and truth."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dashboard.views.predict import facts, image, masks
from dashboard.views.predict.image import predicted_classes, truth_of
from dashboard.views.predict.mask_facts import Shown, areas_in_words
from db import datasets, runs
from db.columns import utc_now
from db.models import Dataset
from tests.dashboard.views.predict.test_page import PAGE, words
from tests.support.drawn_class_run import (
    NAMES,
    SIDE_PX,
    add_class_dataset,
    add_class_run,
    predict,
    predicted_map,
    set_of,
)
from tests.support.installation import add_discs
from tests.support.live_page import given


def view_of(installation, set_id):
    with installation.database.reading() as session:
        return facts.set_view(session, set_id, utc_now(), 60)


@pytest.fixture
def run(installation):
    return add_class_run(installation, add_class_dataset(installation))


def predict_other(installation, run, dataset):
    with installation.database.writing() as session:
        set_id = runs.ensure_prediction_set(session, run.id, dataset.id, None, flips=False)
        images = datasets.images(session, dataset.id)
        runs.add_predictions(
            session, set_id, [predict(installation, set_id, image, i) for i, image in enumerate(images)]
        )
    return set_id


def test_own_images_have_truth_with_the_classes_of_the_run(installation, run):
    view = view_of(installation, set_of(installation, run))
    assert view.classes == NAMES
    levels, numbers = truth_of(view, "i")
    assert levels is None and "run=" not in numbers
    assert predicted_classes(view, "i", 192).endswith("/classes/i?size=192")


def test_other_images_have_truth_in_classes_only_where_the_names_are_the_same(installation, run):
    same = view_of(installation, predict_other(installation, run, add_class_dataset(installation, name="same")))
    assert same.truth_in_classes and "run=" not in truth_of(same, "i")[1]
    other = view_of(installation, predict_other(installation, run, add_discs(installation, 2, size_px=SIDE_PX)))
    assert not other.truth_in_classes and truth_of(other, "i")[1] is None
    assert predicted_classes(other, "i") is not None


def test_the_mask_of_another_network_has_classes_only_where_they_are_the_same(installation, run, monkeypatch):
    view = view_of(installation, set_of(installation, run))
    rival = replace(view, id="r", run_id="other")
    shown = Shown("i", "a.png", 8, 8, 0.5, None, 0.5, 0.5, True, None, (0.5,))
    drawn = []
    monkeypatch.setattr(image, "viewer", lambda panes, **_: drawn.extend(panes))
    for same, network in (
        (True, rival),
        (False, replace(rival, class_identities=(("background", None), ("class 1", 1)))),
    ):
        tile = masks._tile(view, network, shown, "Side by side")
        assert "/classes/" in tile.classes and bool(tile.reference_classes) is same and tile.reference
        image.prediction_image(view, network, shown, 0.5, 0.5, wipe=False)
        _, own, other, own_errors, other_errors = drawn
        assert own.classes and bool(other.classes) is same and other.mask
        assert all(pane.classes and pane.reference_classes for pane in (own_errors, other_errors))
        drawn.clear()


def test_areas_are_named_from_the_largest_and_the_smallest_are_counted():
    image = Shown("i", "a.png", 8, 8, 0.5, None, None, None, False, None, class_areas=(0.1, 0.0, 0.3, 0.05))
    names = ("background", "a", "b", "c", "d")
    assert areas_in_words(image, names) == "c 30.0%, a 10.0%, d 5.0%"
    assert areas_in_words(image, names, most=1) == "c 30.0%, 2 more"
    assert areas_in_words(Shown("i", "a.png", 8, 8, 0.5, None, None, None, False, None), ()) == ""


def test_an_image_shows_the_area_of_each_class_and_a_foreground_score(open_page, installation, run):
    set_id = predict_other(installation, run, add_class_dataset(installation, name="same"))
    at = open_page(PAGE, set=set_id)
    assert not at.exception
    assert "Foreground Dice vs truth" in words(at)
    with installation.database.reading() as session:
        dataset = session.query(Dataset).filter_by(name="same").one()
        image = datasets.images(session, dataset.id)[1]
    at = open_page(PAGE, set=set_id, image=image.id)
    assert not at.exception
    shown = {metric.label: metric.value for metric in at.metric}
    found = predicted_map(1)
    for index, name in enumerate(("Egg", "Pan"), start=1):
        assert shown[f"{name} covers"] == f"{(found == index).mean():.1%}"
    assert shown["Mask covers"] == f"{(found > 0).mean():.1%}"
    at.slider(key="threshold").set_value(0.95).run()
    shown = {metric.label: metric.value for metric in at.metric}
    assert shown["Mask covers"] == "0.0%" and "Egg covers" not in shown


def test_one_class_can_be_chosen_and_areas_keep_their_line(open_page, installation, run):
    set_id = set_of(installation, run)
    at = open_page(PAGE, set=set_id, **{"class": "pan"})
    assert not at.exception
    grid = next(data for data in given(at) if data.get("tiles"))
    assert grid["settings"]["only_class"] == 2
    legends = [html.proto.body for html in at.get("html") if "border-radius:3px" in html.proto.body]
    assert len(legends) == 1 and "pan" in legends[0] and "egg" not in legends[0]
    assert all(tile["subtitle"].startswith("area ") and tile["subtitle"].count("\n") == 1 for tile in grid["tiles"])
    at.slider(key="threshold").set_value(0.95).run()  # no mask is left, so there is no area of a class
    grid = next(data for data in given(at) if data.get("tiles"))
    assert all(tile["subtitle"].startswith("area 0.0%\nForeground Dice") for tile in grid["tiles"])


def test_names_of_classes_are_shown_literally(open_page, installation):
    dataset = add_class_dataset(installation, names=("background", "*egg*", "pan"))
    set_id = set_of(installation, add_class_run(installation, dataset))
    with installation.database.reading() as session:
        image = datasets.images(session, dataset.id)[1]
    at = open_page(PAGE, set=set_id, image=image.id)
    assert r"\*egg\* covers" in {metric.label for metric in at.metric}
