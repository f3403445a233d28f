"""The Measure page, with its real widgets but without a browser."""

from __future__ import annotations

import json

import pytest

from dashboard.access import rights
from db import datasets, jobs, measuring, recipes, runs
from db import measurements as db_measurements
from db.actors import Actor, Role
from db.models import Dataset, JobStatus, Measurement
from engine.store import keys as stored
from engine.work.worker import work
from tests.dashboard.views.predict.test_page import click, words
from tests.support.installation import add_discs
from tests.support.object_measurements import add_spots, measure, submit
from tests.support.predicted import add_label_set, add_run
from tests.support.pressing import press_in_dialog

PAGE = "views/measure/page.py"

pytestmark = pytest.mark.usefixtures("one_core")


def measurements(installation):
    with installation.database.reading() as session:
        return session.query(Measurement).all()


def test_without_images_or_masks_the_page_says_what_to_do(open_page, installation):
    assert "No images yet" in words(open_page(PAGE))
    add_discs(installation, 2, truth=False)
    assert "This dataset has no masks yet" in words(open_page(PAGE))


def test_masks_of_a_run_are_measured_with_the_settings(open_page, submitted, installation):
    dataset = add_discs(installation, 3)
    run = add_run(installation, dataset, "first")
    at = open_page(PAGE, run=run.id)
    assert not at.exception
    with installation.database.reading() as session:
        set_id = runs.own_prediction_set(session, run).id
    assert at.selectbox(f"measure-masks-{dataset.id}").value == f"prediction_set-{set_id}"
    assert "1 object · median area" in words(at)
    at.toggle("measure-objects.split").set_value(True).run()
    at.text_input(f"measure-pixel-size-{dataset.id}").input("0.5um").run()
    assert "µm²" in words(at)
    click(at, "measure-go")
    (found,) = measurements(installation)
    assert submitted == [found.job_id]
    assert (found.prediction_set_id, found.params["split"], found.pixel_size) == (set_id, True, "0.5um")
    assert at.query_params["measurement"] == found.id
    assert "Waiting for a free worker." in words(at)


def test_measuring_again_begins_with_the_settings_of_the_measurement(open_page, installation):
    dataset = add_spots(installation)
    found = measure(installation, "truth", dataset.id, "0.5um", split=True, least_area_px=40)
    at = open_page(PAGE, measurement=found.id)
    click(at, "again")
    key = f"measure-objects{found.id}"
    assert (at.toggle(f"{key}.split").value, at.number_input(f"{key}.least_area_px").value) == (True, 40)
    assert at.text_input(f"measure-pixel-size{found.id}-{dataset.id}").value == "0.5um"
    fresh = open_page(PAGE, dataset=dataset.id)
    assert not fresh.toggle("measure-objects.split").value


def test_a_mask_set_of_the_address_is_chosen_and_truth_has_no_threshold(open_page, installation):
    dataset = add_discs(installation, 2)
    label_set_id = add_label_set(installation, dataset)
    at = open_page(PAGE, labels=label_set_id)
    choice = f"measure-masks-{dataset.id}"
    assert at.selectbox(choice).value == f"label_set-{label_set_id}"
    assert [slider.label for slider in at.slider] == ["Mask threshold", "Neck"]
    at.selectbox(choice).set_value(f"truth-{dataset.id}").run()
    assert not at.exception
    assert [slider.label for slider in at.slider] == ["Neck"]


@pytest.mark.parametrize("size", ["0um", "12", "-1um", "0.5 parsec"])
def test_a_pixel_size_that_is_none_is_refused_with_a_sentence(open_page, installation, size):
    dataset = add_discs(installation, 1)
    at = open_page(PAGE)
    at.text_input(f"measure-pixel-size-{dataset.id}").input(size).run()
    assert "pixel size is" in at.error[0].value
    assert at.button("measure-go").disabled


def test_a_pixel_size_is_that_of_one_dataset(open_page, installation):
    first, second = add_spots(installation), add_spots(installation, "others")
    at = open_page(PAGE, dataset=first.id)
    at.text_input(f"measure-pixel-size-{first.id}").input("0.5um").run()
    at.selectbox("measure-dataset").set_value(second.id).run()
    assert at.text_input(f"measure-pixel-size-{second.id}").value == ""
    found = measure(installation, "truth", first.id, "0.5um")
    at = open_page(PAGE, dataset=second.id, like=found.id)
    assert at.text_input(f"measure-pixel-size{found.id}-{second.id}").value == ""


@pytest.mark.parametrize("gone", ["dataset", "masks"])
def test_a_click_on_what_was_deleted_meanwhile_measures_nothing_else(open_page, installation, gone):
    add_spots(installation, "others")
    dataset = add_discs(installation, 2)
    label_set_id = add_label_set(installation, dataset)
    at = open_page(PAGE, labels=label_set_id)
    with installation.database.writing() as session:
        if gone == "dataset":
            datasets.delete_dataset(session, dataset.id)
        else:
            recipes.delete_label_set(session, label_set_id)
    click(at, "measure-go")
    assert not at.exception
    assert "deleted meanwhile" in at.toast[0].value
    assert measurements(installation) == []
    assert at.button("measure-go").label == ("Measure 3 images" if gone == "dataset" else "Measure 2 images")


def test_a_preview_needs_no_truth(open_page, installation):
    dataset = add_discs(installation, 2)
    at = open_page(PAGE, labels=add_label_set(installation, dataset))
    for key in installation.files.keys(f"{stored.dataset_folder(dataset.id)}/truth"):
        installation.files.delete(key)
    at.slider("measure-objects.threshold").set_value(0.4).run()
    assert not at.error
    assert "1 object · median area" in words(at)


def test_a_viewer_looks_filters_and_downloads(open_page, submitted, installation, monkeypatch):
    found = measure(installation, "truth", add_spots(installation).id)
    with installation.database.writing() as session:
        db_measurements.save_filter(session, found.id, "large *b*", {"ranges": {"area_px": [250, None]}})
    monkeypatch.setattr(rights, "who", lambda: Actor("Vera", Role.VIEWER, "v" * 32))
    at = open_page(PAGE, measurement=found.id)
    click(at, f"apply-{found.id}-0")
    assert len(at.dataframe[0].value) == 3
    labels = [button.label for button in at.button]
    assert not {"Delete", "Measure again", "Save"} & set(labels)
    assert not [field.label for field in at.text_input if field.label.startswith("Save")]
    assert "requires the role editor" in words(open_page(PAGE))


def test_a_preview_without_an_object_says_so(open_page, installation):
    add_spots(installation)
    at = open_page(PAGE)
    assert "2 objects" in words(at)
    at.number_input("measure-objects.least_area_px").set_value(9000).run()
    assert "There is no object in this image." in words(at)


def test_a_measurement_shows_numbers_and_its_table(open_page, installation):
    found = measure(installation, "truth", add_spots(installation).id)
    at = open_page(PAGE, measurement=found.id)
    assert not at.exception
    assert at.title[0].value == "Objects of the truth of spots"
    assert [(metric.label, metric.value) for metric in at.metric][:2] == [
        ("Objects", "5"),
        ("Objects per image", "1.7"),
    ]
    table = at.dataframe[0].value
    assert table["image"].tolist() == ["plate 0.png"] * 2 + ["plate 1.png"] * 3
    at.selectbox("sort").set_value("area_px").run()
    at.segmented_control("order").set_value("Descending").run()
    areas = at.dataframe[0].value["area_px"].tolist()
    assert areas == sorted(areas, reverse=True)


def test_a_filter_of_the_address_is_applied_and_saved(open_page, installation):
    found = measure(installation, "truth", add_spots(installation).id)
    at = open_page(PAGE, measurement=found.id, filter=json.dumps({"ranges": {"area_px": [250, None]}}))
    assert not at.exception
    assert at.dataframe[0].value["area_px"].min() >= 250
    at.text_input(f"filter-name-{found.id}").input("large ones").run()
    click(at, f"save-filter-{found.id}")
    assert measurements(installation)[0].filters == [{"name": "large ones", "ranges": {"area_px": [250.0, None]}}]
    click(at, f"measure-filter-{found.id}-clear")
    assert len(at.dataframe[0].value) == 5
    assert "filter" not in at.query_params
    click(at, f"apply-{found.id}-0")
    assert at.dataframe[0].value["area_px"].min() >= 250
    assert "250" in at.query_params["filter"]
    click(at, f"forget-{found.id}-0")
    assert measurements(installation)[0].filters == []


@pytest.mark.parametrize("address", ['{"ranges": 1}', "[" * 3000, '{"ranges": {"area_px": [1%s, 2]}}' % ("0" * 400)])
def test_a_filter_that_cannot_be_read_shows_everything(open_page, installation, address):
    found = measure(installation, "truth", add_spots(installation).id)
    at = open_page(PAGE, measurement=found.id, filter=address)
    assert "The filter in the address cannot be read." in words(at)
    assert len(at.dataframe[0].value) == 5


def test_a_filter_of_columns_that_are_no_numbers_shows_everything(open_page, installation):
    found = measure(installation, "truth", add_spots(installation).id)
    region = {"x": "image", "y": "![](x)", "points": [[0, 1], [1, 2], [3, 4]]}
    at = open_page(PAGE, measurement=found.id, filter=json.dumps({"region": region, "ranges": {"image": [1, 2]}}))
    assert not at.exception
    assert len(at.dataframe[0].value) == 5
    assert "filter" not in at.query_params


def test_the_filter_follows_the_address(open_page, installation):
    found = measure(installation, "truth", add_spots(installation).id)
    at = open_page(PAGE, measurement=found.id)
    for least, rows in ((250, 3), (None, 5), (400, 2)):  # as the browser's Back and Forward change it
        if least is None:
            del at.query_params["filter"]
        else:
            at.query_params["filter"] = json.dumps({"ranges": {"area_px": [least, None]}})
        at.run()
        assert len(at.dataframe[0].value) == rows
        assert ("filter" in at.query_params) == (least is not None)


def test_a_filter_of_limits_in_the_wrong_order_says_so(open_page, installation):
    found = measure(installation, "truth", add_spots(installation).id)
    at = open_page(PAGE, measurement=found.id, filter=json.dumps({"ranges": {"area_px": [5, 1]}}))
    assert "*At least* is above *At most*" in words(at)


@pytest.mark.parametrize("number", ["9" * 5000, "9" * 30, "²", "٣", "-1"])
def test_an_object_number_that_is_none_selects_nothing(open_page, installation, number):
    dataset = add_spots(installation)
    found = measure(installation, "truth", dataset.id)
    with installation.database.reading() as session:
        image = datasets.images(session, dataset.id)[0]
    at = open_page(PAGE, measurement=found.id, object=f"{image.id}.{number}")
    assert not at.exception
    assert "**plate 0.png**" in words(at)


def test_an_object_of_the_address_is_shown_in_its_image(open_page, installation):
    dataset = add_spots(installation)
    found = measure(installation, "truth", dataset.id)
    with installation.files.local(stored.objects_key(found.id)) as path:
        import pandas as pd

        last = pd.read_parquet(path).iloc[-1]
    at = open_page(PAGE, measurement=found.id, object=f"{last['image_id']}.{last['object']}")
    assert "**plate 1.png**, object 3" in words(at)
    assert not at.exception


def test_images_and_plots_are_drawn_with_groups(open_page, installation):
    found = measure(installation, "truth", add_spots(installation).id)
    at = open_page(PAGE, measurement=found.id)
    at.selectbox("group").set_value("Part of the name").run()
    at.text_input("separator").input(" ").run()
    at.number_input("part").set_value(2).run()
    assert "3 groups: 0 (1), 1 (1), 2 (1)." in words(at)
    for tab in ("Images", "Plots"):
        at.session_state[f"measure-tabs-{found.id}"] = tab
        at.run()
        assert not at.exception
        if tab == "Images":
            assert at.dataframe[0].value["Objects"].tolist() == [2, 3, 0]
            assert at.dataframe[1].value["count"].tolist() == [2, 3, 0]
    at.selectbox("group").set_value("Regular expression").run()
    at.text_input("pattern").input("(").run()
    assert "cannot be read" in at.error[0].value


def test_a_measurement_says_that_its_masks_have_changed(open_page, installation):
    dataset = add_spots(installation)
    found = measure(installation, "truth", dataset.id)
    with installation.database.writing() as session:
        session.get_one(Dataset, dataset.id).truth_version += 1
    assert "The masks have changed since." in words(open_page(PAGE, measurement=found.id))


def test_a_measurement_is_deleted_with_its_files(open_page, installation):
    found = measure(installation, "truth", add_spots(installation).id)
    at = click(open_page(PAGE), f"delete-{found.id}")
    press_in_dialog(at, f"delete-{found.id}", "delete-go")
    assert measurements(installation) == []
    assert not installation.files.exists(stored.measurement_folder(found.id))


def test_what_was_deleted_or_failed_meanwhile_is_a_sentence(open_page, installation):
    assert "This measurement no longer exists." in words(open_page(PAGE, measurement="f" * 32))
    found, job = submit(installation, "truth", add_spots(installation).id)
    with installation.database.writing() as session:
        claimed = jobs.claim(session, "test", 9, 60)
        jobs.finish(session, job.id, claimed.attempt, JobStatus.FAILED, "plate 1.png has 70,000 objects.", {})
    at = open_page(PAGE, measurement=found.id)
    assert "plate 1.png has 70,000 objects." in words(at).replace("\\", "")
    click(at, f"objects-job-{found.id}-retry")
    work(installation.database, installation.settings)
    at = open_page(PAGE, measurement=found.id)
    assert at.metric[0].value == "5"
    installation.files.delete(stored.objects_key(found.id))
    assert "is gone" in words(open_page(PAGE, measurement=found.id))
    installation.files.write(stored.objects_key(found.id), b"half a table")
    assert "is damaged. Measure again." in words(open_page(PAGE, measurement=found.id))


def test_many_measurements_are_listed_on_pages(open_page, installation):
    dataset = add_spots(installation)
    for number in range(23):
        submit(installation, "truth", dataset.id, least_area_px=number + 1)
    at = open_page(PAGE)
    assert len([button for button in at.button if button.key.startswith("open-")]) == 20
    assert "1–20 of 23 measurements" in words(at)
    at.session_state["page"] = 2
    at.run()
    assert len([button for button in at.button if button.key.startswith("open-")]) == 3


def test_two_tabs_delete_the_same_measurement_once(open_page, installation):
    found = measure(installation, "truth", add_spots(installation).id)
    with installation.database.writing() as session:
        assert measuring.delete_measurement(session, found.id) == [("measurement", found.id)]
        assert measuring.delete_measurement(session, found.id) == []
