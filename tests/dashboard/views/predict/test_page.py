"""The Predict page, with its real widgets but without a browser."""

from __future__ import annotations

import pytest

from dashboard.server import queue_watch
from db import datasets, runs, warm
from db.models import Dataset, Job, JobKind, JobStatus, Prediction, PredictionSet, Run
from engine.core.settings import settings
from engine.store import keys as stored
from tests.support.installation import add_discs
from tests.support.pages import words
from tests.support.predict_page import add_predictions, add_run
from tests.support.pressing import click, press_in_dialog

PAGE = "views/predict/page.py"


def test_without_a_network_the_page_links_to_training(open_page):
    at = open_page(PAGE)
    assert at.title[0].value == "Predict"
    assert "No trained network yet" in words(at)
    assert any(button.label == "Train one" for button in at.button)


def test_a_network_named_by_the_url_is_chosen(open_page, installation):
    dataset = add_discs(installation)
    run_id = add_run(installation, dataset).id
    at = open_page(PAGE, run=run_id)
    assert not at.exception
    assert at.selectbox("predict-run").value == run_id
    assert "Trained on *discs*" in words(at)


def test_a_server_folder_becomes_images_for_prediction_and_a_job(open_page, submitted, installation, tmp_path):
    run_id = add_run(installation, add_discs(installation)).id
    folder = tmp_path / "holiday"
    folder.mkdir()
    at = open_page(PAGE)
    at.segmented_control("predict-place").set_value("Folder on the server").run()
    at.text_input("predict-path").input(str(folder)).run()
    at.toggle(f"predict-flips-{run_id}").set_value(True).run()
    at.segmented_control(f"predict-refine-{run_id}").set_value("grabcut").run()
    click(at, f"predict-new-{run_id}")
    with installation.database.reading() as session:
        made = session.query(PredictionSet).one()
        dataset, job = session.get_one(Dataset, made.dataset_id), session.get_one(Job, made.job_id)
    assert (dataset.name, dataset.purpose) == ("New images · holiday", "prediction")
    assert job.payload["source"] == {"kind": "folder", "path": str(folder)}
    assert (job.payload["run"], job.payload["flips"], job.payload["refine"]) == (run_id, True, "grabcut")
    assert submitted == [job.id]
    assert at.query_params["set"] == made.id
    assert at.title[0].value == "New images · holiday"
    assert "averaged over flips, refined by GrabCut" in words(at)
    assert "Queued" in words(at)


def test_an_existing_dataset_is_predicted(open_page, submitted, installation):
    run_id = add_run(installation, add_discs(installation, name="own")).id
    other = add_discs(installation, name="other")
    at = open_page(PAGE)
    at.segmented_control("predict-what").set_value("An existing dataset").run()
    assert at.selectbox("predict-dataset").value == other.id
    click(at, f"predict-existing-{run_id}")
    with installation.database.reading() as session:
        made = session.query(PredictionSet).one()
    assert (made.run_id, made.dataset_id) == (run_id, other.id)
    assert submitted == [made.job_id]


def test_a_dataset_that_is_being_imported_is_not_predicted(open_page, submitted, installation):
    run_id = add_run(installation, add_discs(installation, name="own")).id
    other = add_discs(installation, name="other")
    with installation.database.writing() as session:
        session.add(Job(kind="import", payload={"dataset": other.id}))
    at = open_page(PAGE)
    at.segmented_control("predict-what").set_value("An existing dataset").run()
    click(at, f"predict-existing-{run_id}")
    assert "in use by a job (import)" in at.error[0].value
    assert submitted == []


def test_masks_of_the_whole_image_are_doubted(open_page, installation):
    dataset = add_discs(installation, count=3)
    set_id = add_predictions(installation, add_run(installation, dataset), dataset)
    assert "The masks cover" not in words(open_page(PAGE, set=set_id))
    doubt = "The masks cover 100% of the image on average. Check them before you use them."
    assert doubt in words(open_page(PAGE, set=set_id, threshold="0.0"))


def test_scores_name_truth_and_follow_the_threshold(open_page, installation):
    set_id = add_predictions(
        installation, add_run(installation, add_discs(installation, name="own")), add_discs(installation, name="new")
    )
    at = open_page(PAGE, set=set_id)
    assert not at.exception
    assert "Dice vs truth 1.000" in words(at)
    at.slider("threshold").set_value(0.9).run()
    assert "Dice vs truth 0.000" in words(at)


def test_the_default_options_are_those_of_the_run_for_its_own_images(open_page, installation):
    run_id = add_run(installation, add_discs(installation, name="own")).id
    with installation.database.writing() as session:
        run = session.get_one(Run, run_id)
        run.config = {"prediction": {"flips": True, "refine": "guided_filter"}}
        run.details = {"weights": "MobileNetV2 encoder: ImageNet"}
    at = open_page(PAGE, run=run_id)
    at.segmented_control("predict-what").set_value("An existing dataset").run()
    assert at.toggle(f"predict-flips-{run_id}").value is True
    assert at.segmented_control(f"predict-refine-{run_id}").value == "guided_filter"
    assert "ImageNet weights" in at.selectbox("predict-run").options[0]


def test_masks_with_uncertainty_maps_can_be_sorted_least_sure_first(open_page, installation):
    set_id = add_predictions(
        installation, add_run(installation, add_discs(installation, name="own")), add_discs(installation, name="new")
    )
    with installation.database.writing() as session:
        for number, row in enumerate(session.query(Prediction).filter_by(prediction_set_id=set_id)):
            row.uncertainty = number / 10
    at = open_page(PAGE, set=set_id, overlay="Uncertainty", order="Least sure first")
    assert not at.exception
    assert (at.segmented_control("overlay").value, at.selectbox("order").value) == ("Uncertainty", "Least sure first")
    at.session_state[f"downloads-{set_id}"] = True
    assert any("uncertainty (zip)" in text.value for text in at.run().markdown)


def test_without_uncertainty_maps_there_is_no_order_by_uncertainty(open_page, installation):
    set_id = add_predictions(
        installation, add_run(installation, add_discs(installation, name="own")), add_discs(installation, name="new")
    )
    at = open_page(PAGE, set=set_id)
    assert "Least sure first" not in at.selectbox("order").options
    assert "Uncertainty" not in at.segmented_control("overlay").options


def test_download_links_contain_the_threshold(open_page, installation):
    set_id = add_predictions(
        installation, add_run(installation, add_discs(installation, name="own")), add_discs(installation, name="new")
    )
    at = open_page(PAGE, set=set_id, threshold="0.3")
    at.session_state[f"downloads-{set_id}"] = True
    at.run()
    addresses = [link.url for link in at.get("link_button")]
    assert f"/files/predictions/{set_id}/masks.zip?threshold=0.3" in addresses
    assert f"/files/predictions/{set_id}/masks.zip?threshold=0.3&probabilities=1" in addresses
    assert any(address.endswith("model.keras") for address in addresses)


def test_a_failed_prediction_shows_its_error_and_can_be_retried(open_page, submitted, installation):
    run_id = add_run(installation, add_discs(installation)).id
    with installation.database.writing() as session:
        job = Job(kind="predict", payload={"run": run_id}, status=JobStatus.FAILED, error="The zip is empty.")
        session.add(job)
        fresh = datasets.create(session, "holiday", purpose="prediction")
        session.flush()
        set_id = runs.ensure_prediction_set(session, run_id, fresh.id, job.id, False)
    at = open_page(PAGE, set=set_id)
    assert at.error[0].value == "The zip is empty."
    click(at, f"job-{set_id}-retry")
    assert submitted == [job.id] and installation.job(job.id).status == JobStatus.QUEUED


def test_earlier_predictions_are_listed_opened_and_deleted_with_their_images(open_page, installation):
    run = add_run(installation, add_discs(installation, name="own"))
    new = add_discs(installation, name="new")
    with installation.database.writing() as session:
        session.get_one(Dataset, new.id).purpose = "prediction"
    set_id = add_predictions(installation, run, new)
    at = open_page(PAGE)
    assert at.button(f"open-{set_id}").label == "**new**"
    click(at, f"open-{set_id}")
    assert at.title[0].value == "new"
    click(at, "delete")
    assert "6 predicted masks" in words(at)
    press_in_dialog(at, "delete", "delete-go")
    assert not at.exception
    assert at.title[0].value == "Predict"
    assert not installation.files.exists(stored.prediction_folder(set_id))
    assert not installation.files.exists(stored.dataset_folder(new.id))


@pytest.mark.parametrize("gone", ["0" * 32, "not an id"])
def test_the_url_of_deleted_predictions_shows_a_warning(open_page, gone):
    at = open_page(PAGE, set=gone)
    assert "no longer exist" in at.warning[0].value


@pytest.mark.parametrize("way_out", ["back", "delete"])
def test_a_set_with_a_threshold_in_the_url_can_be_left(open_page, installation, way_out):
    set_id = add_predictions(
        installation, add_run(installation, add_discs(installation, name="own")), add_discs(installation, name="new")
    )
    at = open_page(PAGE, set=set_id, threshold="0.3")
    if way_out == "back":
        click(at, "back")
    else:
        click(at, "delete")
        press_in_dialog(at, "delete", "delete-go")
    assert at.title[0].value == "Predict"
    assert "set" not in at.query_params


def test_a_training_network_is_named_if_none_can_predict(open_page, installation):
    add_run(installation, add_discs(installation), "busy net", status=JobStatus.RUNNING)
    at = open_page(PAGE)
    assert "busy net" in words(at)
    assert any(button.label == "Follow it" for button in at.button)


def test_a_click_for_a_deleted_network_starts_no_other(open_page, submitted, installation):
    own = add_discs(installation, name="own")
    add_discs(installation, name="other")
    add_run(installation, own, "older")
    gone = add_run(installation, own, "newer")
    at = open_page(PAGE, run=gone.id)
    at.segmented_control("predict-what").set_value("An existing dataset").run()
    press = at.button(f"predict-existing-{gone.id}").click()
    with installation.database.writing() as session:
        runs.delete_run(session, gone.id)
    press.run()
    assert not at.exception
    assert "can no longer be used" in at.warning[0].value
    assert submitted == []
    with installation.database.reading() as session:
        assert session.query(PredictionSet).count() == 0


def test_two_networks_predict_the_same_images_in_one_job(open_page, submitted, installation, tmp_path):
    own = add_discs(installation, name="own")
    second, first = add_run(installation, own, "second"), add_run(installation, own, "first")
    at = open_page(PAGE, run=first.id)
    at.segmented_control("predict-place").set_value("Folder on the server").run()
    at.text_input("predict-path").input(str(tmp_path)).run()
    at.multiselect(f"predict-also-{first.id}").set_value([second.id]).run()
    click(at, f"predict-new-{first.id}")
    with installation.database.reading() as session:
        sets = {found.run_id: found for found in session.query(PredictionSet)}
    job = installation.job(sets[first.id].job_id)
    assert sets[second.id].job_id == job.id and sets[second.id].dataset_id == sets[first.id].dataset_id
    assert (job.payload["run"], job.payload["also"]) == (first.id, [second.id])
    assert submitted == [job.id]
    assert (at.query_params["set"], at.query_params["against"]) == (sets[first.id].id, second.id)


def test_two_networks_are_compared_image_by_image(open_page, installation):
    own, new = add_discs(installation, name="own"), add_discs(installation, name="new")
    set_id = add_predictions(installation, add_run(installation, own, "first"), new)
    second = add_run(installation, own, "second")
    add_predictions(installation, second, new, shift_px=12)
    at = open_page(PAGE, set=set_id)
    assert "Both networks" not in at.segmented_control("overlay").options
    at.selectbox(f"against-{set_id}").set_value(second.id).run()
    assert not at.exception
    assert at.query_params["against"] == second.id
    assert "Dice vs truth of *first* 1.000" in words(at) and "Dice vs truth of *second* 0." in words(at)
    assert "Dice between the two networks' masks 0." in words(at) and "over 6 images" in words(at)
    at.segmented_control("overlay").set_value("Both networks").run()
    at.selectbox("order").set_value("Networks differ most").run()
    assert not at.exception
    with installation.database.reading() as session:
        image = datasets.images(session, new.id)[2]
    at.query_params["image"] = image.id
    at.run()
    assert not at.exception
    assert {"Dice vs truth (first)", "Dice vs truth (second)", "Dice between the two"} <= {m.label for m in at.metric}
    at.toggle("wipe").set_value(True).run()
    assert not at.exception


def test_a_second_network_can_predict_the_same_images_later(open_page, submitted, installation):
    own, new = add_discs(installation, name="own"), add_discs(installation, name="new")
    set_id = add_predictions(installation, add_run(installation, own, "first"), new)
    second = add_run(installation, own, "second")
    at = open_page(PAGE, set=set_id, against=second.id)
    assert not at.exception
    click(at, "predict-rival")
    with installation.database.reading() as session:
        made = session.query(PredictionSet).filter_by(run_id=second.id).one()
    assert made.dataset_id == new.id and submitted == [made.job_id]
    assert "Predicting with second" in words(at)


def test_an_image_opens_in_detail_with_buttons_to_its_neighbours(open_page, installation):
    new = add_discs(installation, name="new")
    set_id = add_predictions(installation, add_run(installation, add_discs(installation, name="own")), new)
    with installation.database.reading() as session:
        ids = [image.id for image in datasets.images(session, new.id)]
    at = open_page(PAGE, set=set_id, image=ids[0])
    assert not at.exception
    assert at.text[0].value == "disc 0.png" and at.button("image-Previous").disabled
    click(at, "image-Next")
    assert at.query_params["image"] == ids[1]
    click(at, "image-back")
    assert "image" not in at.query_params


def test_an_image_without_mask_in_the_url_shows_a_warning(open_page, installation):
    set_id = add_predictions(
        installation, add_run(installation, add_discs(installation, name="own")), add_discs(installation, name="new")
    )
    at = open_page(PAGE, set=set_id, image="0" * 32)
    assert "has no mask in this set" in at.warning[0].value


def test_the_best_threshold_of_the_run_is_offered_with_its_reference(open_page, installation):
    own, new = add_discs(installation, name="own"), add_discs(installation, name="new")
    run = add_run(installation, own)
    own_set = add_predictions(installation, run, own)
    with installation.database.writing() as session:
        for row in session.query(Prediction).filter_by(prediction_set_id=own_set):
            row.split = "validation"
    at = open_page(PAGE, set=add_predictions(installation, run, new), threshold="0.9")
    assert "No other mask threshold gives a clearly better Dice vs truth than 0.50" in words(at)
    click(at, "best-truth")
    assert at.slider("threshold").value == 0.5
    assert "Dice vs truth 1.000" in words(at)
    assert not [button for button in at.button if button.key == "best-truth"]


def test_skipped_files_are_named(open_page, installation):
    new = add_discs(installation, name="new")
    with installation.database.writing() as session:
        session.get_one(Dataset, new.id).purpose = "prediction"
        entries = [{"name": "broken.jpg", "taken": False, "reason": "It cannot be read."}]
        datasets.add_images(session, new.id, "0" * 32, [], entries)
    at = open_page(
        PAGE, set=add_predictions(installation, add_run(installation, add_discs(installation, name="own")), new)
    )
    assert "`broken.jpg`: It cannot be read." in at.warning[0].value


@pytest.fixture
def warm_settings(submitted, monkeypatch):
    monkeypatch.setenv("WARM_WORKER_S", "60")
    settings.cache_clear()


def warm_jobs(installation):
    with installation.database.reading() as session:
        return [job for job in session.query(Job) if job.kind == JobKind.WARM]


def test_choosing_a_network_loads_it_once(warm_settings, open_page, submitted, installation):
    run = add_run(installation, add_discs(installation))
    at = open_page(PAGE)
    at.run()
    (job,) = warm_jobs(installation)
    assert job.payload == {"network": run.id} and submitted == [job.id]
    assert open_page("views/home/page.py").exception == []


def test_a_prediction_is_left_to_the_warm_worker(warm_settings, open_page, submitted, installation, monkeypatch):
    monkeypatch.setattr(warm, "SILENT_S", 600.0)  # a page may take longer than 8 s on a busy machine
    run_id = add_run(installation, add_discs(installation, name="own")).id
    add_discs(installation, name="other")
    with installation.database.writing() as session:
        warm.register(session, "machine:1", [run_id])
    at = open_page(PAGE)
    at.segmented_control("predict-what").set_value("An existing dataset").run()
    click(at, f"predict-existing-{run_id}")
    assert submitted == []


def test_the_warm_worker_ends_with_the_app(dashboard, installation):
    with installation.database.writing() as session:
        warm.register(session, "machine:1", [])
    queue_watch.dismiss_warm_worker()
    assert warm_jobs(installation) == []
