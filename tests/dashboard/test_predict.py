"""The predict page, driven as a person would, without a browser."""

from __future__ import annotations

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from db import datasets, runs
from db.models import Dataset, Job, JobStatus, Prediction, PredictionSet, Run
from engine import artifacts as stored
from engine import imaging, metrics
from tests.dashboard.pressing import press_in_dialog
from tests.house import House, add_discs

PAGE = "views/predict.py"


def add_run(house: House, dataset: Dataset) -> str:
    with house.database.writing() as session:
        run = runs.create(session, dataset, None, "net", "fast", {}, "1")
        run.best_epoch, run.best_val_dice = 2, 0.75
        return run.id


def add_predictions(house: House, run_id: str, dataset: Dataset) -> str:
    """Predict every image as its truth, at probability 0.7 over 0.1."""
    with house.database.writing() as session:
        set_id = runs.ensure_prediction_set(session, run_id, dataset.id, None, False)
        rows = []
        for image in datasets.images(session, dataset.id):
            truth = imaging.decode_png(house.files.read(stored.truth_key(dataset.id, image.id))) > 0
            levels = np.where(truth, 178, 26).astype(np.uint8)
            house.files.write(stored.prediction_key(set_id, image.id), imaging.encode_png(levels))
            counts = metrics.pack_counts(metrics.threshold_counts(levels, truth))
            rows.append(
                {
                    "image_id": image.id,
                    "area": float(truth.mean()),
                    "mean_probability": 0.2,
                    "truth_dice": 1.0,
                    "truth_counts": counts,
                }
            )
        runs.add_predictions(session, set_id, rows)
        return set_id


def words(at: AppTest) -> str:
    elements = [*at.title, *at.markdown, *at.caption, *at.info, *at.warning, *at.error]
    return "\n".join(element.value for element in elements)


def click(at: AppTest, key: str) -> AppTest:
    at.button(key).click().run()
    assert not at.exception
    return at


def test_without_a_network_the_page_leads_to_training(open_page):
    at = open_page(PAGE)
    assert at.title[0].value == "Predict"
    assert "No trained network yet" in words(at)
    assert any(button.label == "Train one" for button in at.button)


def test_a_network_from_the_address_is_chosen(open_page, house):
    dataset = add_discs(house)
    run_id = add_run(house, dataset)
    at = open_page(PAGE, run=run_id)
    assert not at.exception
    assert at.selectbox("predict-run").value == run_id
    assert "Learned on *discs*" in words(at)


def test_a_server_folder_becomes_images_for_prediction_and_a_job(open_page, submitted, house, tmp_path):
    run_id = add_run(house, add_discs(house))
    folder = tmp_path / "holiday"
    folder.mkdir()
    at = open_page(PAGE)
    at.segmented_control("predict-place").set_value("Folder on the server").run()
    at.text_input("predict-path").input(str(folder)).run()
    at.toggle(f"predict-flips-{run_id}").set_value(True).run()
    at.segmented_control(f"predict-refine-{run_id}").set_value("grabcut").run()
    click(at, "predict-new")
    with house.database.reading() as session:
        made = session.query(PredictionSet).one()
        dataset, job = session.get_one(Dataset, made.dataset_id), session.get_one(Job, made.job_id)
    assert (dataset.name, dataset.purpose) == ("holiday", "prediction")
    assert job.payload["source"] == {"kind": "folder", "path": str(folder)}
    assert (job.payload["run"], job.payload["flips"], job.payload["refine"]) == (run_id, True, "grabcut")
    assert submitted == [job.id]
    assert at.query_params["set"] == made.id
    assert at.title[0].value == "holiday"
    assert "averaged over flips, refined by GrabCut" in words(at)
    assert "Queued" in words(at)


def test_an_existing_dataset_is_predicted(open_page, submitted, house):
    run_id = add_run(house, add_discs(house, name="own"))
    other = add_discs(house, name="other")
    at = open_page(PAGE)
    at.segmented_control("predict-what").set_value("An existing dataset").run()
    assert at.selectbox("predict-dataset").value == other.id
    click(at, "predict-existing")
    with house.database.reading() as session:
        made = session.query(PredictionSet).one()
    assert (made.run_id, made.dataset_id) == (run_id, other.id)
    assert submitted == [made.job_id]


def test_a_dataset_that_is_being_imported_is_not_predicted(open_page, submitted, house):
    add_run(house, add_discs(house, name="own"))
    other = add_discs(house, name="other")
    with house.database.writing() as session:
        session.add(Job(kind="import", payload={"dataset": other.id}))
    at = open_page(PAGE)
    at.segmented_control("predict-what").set_value("An existing dataset").run()
    click(at, "predict-existing")
    assert "in use by a job (import)" in at.error[0].value
    assert submitted == []


def test_scores_name_truth_and_follow_the_threshold(open_page, house):
    set_id = add_predictions(house, add_run(house, add_discs(house, name="own")), add_discs(house, name="new"))
    at = open_page(PAGE, set=set_id)
    assert not at.exception
    assert "Dice vs truth 1.000" in words(at)
    at.slider("threshold").set_value(0.9).run()
    assert "Dice vs truth 0.000" in words(at)


def test_the_options_begin_with_what_the_run_does_for_its_own_images(open_page, house):
    run_id = add_run(house, add_discs(house, name="own"))
    with house.database.writing() as session:
        run = session.get_one(Run, run_id)
        run.config = {"prediction": {"flips": True, "refine": "guided_filter"}}
        run.details = {"weights": "MobileNetV2 encoder: ImageNet"}
    at = open_page(PAGE, run=run_id)
    at.segmented_control("predict-what").set_value("An existing dataset").run()
    assert at.toggle(f"predict-flips-{run_id}").value is True
    assert at.segmented_control(f"predict-refine-{run_id}").value == "guided_filter"
    assert "encoder weights: ImageNet" in at.selectbox("predict-run").options[0]


def test_masks_can_be_looked_at_least_sure_first_where_there_is_a_map(open_page, house):
    set_id = add_predictions(house, add_run(house, add_discs(house, name="own")), add_discs(house, name="new"))
    at = open_page(PAGE, set=set_id)
    assert "least sure" not in at.selectbox("order").options
    assert "Uncertainty" not in at.segmented_control("overlay").options
    with house.database.writing() as session:
        for number, row in enumerate(session.query(Prediction).filter_by(prediction_set_id=set_id)):
            row.uncertainty = number / 10
    at = open_page(PAGE, set=set_id)
    at.segmented_control("overlay").set_value("Uncertainty").run()
    at.selectbox("order").set_value("least sure").run()
    assert not at.exception
    at.session_state[f"downloads-{set_id}"] = True
    assert any("uncertainty (zip)" in text.value for text in at.run().markdown)


def test_links_carry_the_threshold(open_page, house):
    set_id = add_predictions(house, add_run(house, add_discs(house, name="own")), add_discs(house, name="new"))
    at = open_page(PAGE, set=set_id, threshold="0.3")
    at.session_state[f"downloads-{set_id}"] = True
    at.run()
    addresses = [link.url for link in at.get("link_button")]
    assert f"/files/predictions/{set_id}/masks.zip?threshold=0.3" in addresses
    assert f"/files/predictions/{set_id}/masks.zip?threshold=0.3&probabilities=1" in addresses
    assert any(address.endswith("model.keras") for address in addresses)


def test_a_failed_prediction_shows_its_sentence_and_can_be_tried_again(open_page, submitted, house):
    run_id = add_run(house, add_discs(house))
    with house.database.writing() as session:
        job = Job(kind="predict", payload={"run": run_id}, status=JobStatus.FAILED, error="The zip is empty.")
        session.add(job)
        fresh = datasets.create(session, "holiday", purpose="prediction")
        session.flush()
        set_id = runs.ensure_prediction_set(session, run_id, fresh.id, job.id, False)
    at = open_page(PAGE, set=set_id)
    assert at.error[0].value == "The zip is empty."
    click(at, f"job-{set_id}-retry")
    assert submitted == [job.id] and house.job(job.id).status == JobStatus.QUEUED


def test_earlier_predictions_are_listed_opened_and_deleted_with_their_images(open_page, house):
    run_id = add_run(house, add_discs(house, name="own"))
    new = add_discs(house, name="new")
    with house.database.writing() as session:
        session.get_one(Dataset, new.id).purpose = "prediction"
    set_id = add_predictions(house, run_id, new)
    at = open_page(PAGE)
    assert "**new**" in words(at)
    click(at, f"open-{set_id}")
    assert at.title[0].value == "new"
    click(at, "delete")
    assert "6 predicted masks" in words(at)
    press_in_dialog(at, "delete", "delete-go")
    assert not at.exception
    assert at.title[0].value == "Predict"
    assert not house.files.exists(stored.prediction_folder(set_id))
    assert not house.files.exists(stored.dataset_folder(new.id))


@pytest.mark.parametrize("gone", ["0" * 32, "not an id"])
def test_predictions_that_are_gone_say_so(open_page, gone):
    at = open_page(PAGE, set=gone)
    assert "do not exist any more" in at.warning[0].value


@pytest.mark.parametrize("way_out", ["back", "delete"])
def test_a_threshold_in_the_address_does_not_hold_the_page_back(open_page, house, way_out):
    set_id = add_predictions(house, add_run(house, add_discs(house, name="own")), add_discs(house, name="new"))
    at = open_page(PAGE, set=set_id, threshold="0.3")
    if way_out == "back":
        click(at, "back")
    else:
        click(at, "delete")
        press_in_dialog(at, "delete", "delete-go")
    assert at.title[0].value == "Predict"
    assert "set" not in at.query_params
