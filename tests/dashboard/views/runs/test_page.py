"""The Runs page: the table, one run in all its states, and what its buttons do."""

import pytest

from dashboard.views.runs.facts import LiveStatus
from db import datasets, jobs, rounds, runs
from db.columns import new_id
from db.models import JobStatus, Run
from engine.core.run_config import PRESETS
from engine.store import keys as stored
from tests.support.installation import add_discs
from tests.support.live_page import bar, given, masks, metrics, newest_epoch
from tests.support.predicted import add_label_set
from tests.support.pressing import press_in_dialog
from tests.support.run_states import fall_silent, start, work
from tests.support.training_job import training_progress

PAGE = "views/runs/page.py"


@pytest.fixture
def dataset(installation):
    return add_discs(installation, count=4)


def texts(app) -> str:
    shown = (*app.markdown, *app.caption, *app.error, *app.warning, *app.info, *app.header)
    return "\n".join(element.value for element in shown)


def labels(app) -> set[str]:
    return {button.label for button in app.button}


def open_numbers(app, run: Run):
    app.session_state[f"runs-numbers-{run.id}"] = True
    return app.run()


def test_without_runs_it_links_to_training(installation, open_page):
    app = open_page(PAGE)
    assert not app.exception
    assert "No run yet" in texts(app)
    assert app.button[0].label == "Train a network"


def test_the_newest_run_opens_and_is_kept_in_the_address(installation, open_page, dataset):
    start(installation, dataset, "older")
    newer = start(installation, dataset, "newer")
    app = open_page(PAGE)
    assert not app.exception
    assert app.query_params["run"] == newer.id
    assert app.header[0].value == "newer"
    assert list(app.dataframe[0].value["Run"]) == ["newer", "older"]
    assert "Waiting for a free worker" in texts(app)


def test_the_address_opens_a_run(installation, open_page, dataset):
    older = start(installation, dataset, "older")
    start(installation, dataset, "newer")
    assert open_page(PAGE, run=older.id).header[0].value == "older"


def test_an_address_of_a_deleted_run_shows_the_newest(installation, open_page, dataset):
    start(installation, dataset)
    app = open_page(PAGE, run=new_id())
    assert not app.exception
    assert app.header[0].value == "first"


def test_a_running_run_shows_progress_curves_and_scores_against_truth(installation, open_page, dataset):
    run = start(installation, dataset)
    work(installation, run)
    with installation.database.writing() as session:
        jobs.heartbeat(session, run.job_id, 1, training_progress(4, 5, 0, 3, 3.0))
    app = open_page(PAGE)
    assert not app.exception
    assert metrics(app)["Epochs done"] == "3 of 5"
    assert metrics(app)["Soft Dice vs truth, validation, best epoch (3)"] == "0.300"
    drawn = bar(app)["drawn"]
    assert drawn["text"] == "Epoch 4 of 5: 0 of 3 images, 3.0 images/s · about 2 s left"
    assert drawn["share"] == 9 / 15
    assert len(app.get("plotly_chart")) == 0  # a live chart takes new epochs in place
    curves = next(data["figures"] for data in given(app) if "figures" in data)
    assert list(curves) == ["loss", "dice", "iou", "rate"] and curves["loss"]["data"][0]["y"] == [1, 1 / 2, 1 / 3]
    assert bar(app)["script_draws"] == "stage"
    assert len(app.dataframe) == 2  # runs and settings: the numbers of all epochs are only made for who opens them
    numbers = open_numbers(app, run).dataframe[1].value
    assert bar(app)["script_draws"] == "version"  # only a script can add the next epoch to the table
    assert list(numbers["Epoch"]) == [3, 2, 1]
    assert "Soft Dice vs truth, validation" in numbers.columns
    assert "Stop" in labels(app) and app.button(key="run-delete").disabled


def test_stop_is_requested_and_shown(installation, open_page, dataset):
    run = start(installation, dataset)
    work(installation, run)
    app = open_page(PAGE)
    app.button(key="run-Stop").click().run()
    assert installation.job(run.job_id).stop_requested
    assert "Stopping" in texts(app) and "Stop" not in labels(app)


def test_a_click_on_stop_counts_although_the_page_is_drawn_again_at_that_moment(
    installation, open_page, dataset, monkeypatch
):
    run = start(installation, dataset)
    work(installation, run)
    app = open_page(PAGE)
    changing = iter(["before the first epoch", "after it"])  # as the page is drawn, then as its live part is
    monkeypatch.setattr(LiveStatus, "stage", property(lambda self: next(changing, "settled")))
    app.button(key="run-Stop").click().run()
    assert next(changing, None) is None
    assert installation.job(run.job_id).stop_requested


def test_a_stopped_run_resumes(installation, open_page, dataset, submitted):
    run = start(installation, dataset)
    work(installation, run, status=JobStatus.STOPPED)
    app = open_page(PAGE)
    assert "Stopped by a person after 3 of 5 epochs" in texts(app)
    app.button(key="run-Resume").click().run()
    assert installation.job(run.job_id).status == JobStatus.QUEUED
    assert submitted == [run.job_id]
    assert "Queued" in texts(app)


def test_a_failed_run_shows_the_reason_and_retries(installation, open_page, dataset, submitted):
    run = start(installation, dataset)
    work(installation, run, epochs=0, status=JobStatus.FAILED, error="Memory ran out. Lower the batch size.")
    app = open_page(PAGE)
    assert not app.exception
    assert "Memory ran out. Lower the batch size." in texts(app)
    app.button(key="run-Retry").click().run()
    assert installation.job(run.job_id).status == JobStatus.QUEUED and submitted == [run.job_id]


def test_a_lost_run_is_put_back(installation, open_page, dataset, submitted):
    run = start(installation, dataset)
    work(installation, run)
    fall_silent(installation, run)
    app = open_page(PAGE)
    assert "has not reported for 5 min" in texts(app)
    app.button(key="run-Put back in the queue").click().run()
    assert installation.job(run.job_id).status == JobStatus.QUEUED and submitted == [run.job_id]


def test_a_lost_run_can_be_ended(installation, open_page, dataset, submitted):
    run = start(installation, dataset)
    work(installation, run)
    fall_silent(installation, run)
    app = open_page(PAGE)
    app.button(key="run-End it here").click().run()
    assert installation.job(run.job_id).status == JobStatus.STOPPED and submitted == []
    assert "Resume" in labels(app)


def test_delete_asks_first_and_removes_the_files(installation, open_page, dataset):
    run = start(installation, dataset)
    work(installation, run, status=JobStatus.FINISHED)
    installation.files.write(stored.best_model_key(run.id), b"model")
    installation.files.write(stored.job_log_key(run.job_id), b"log")
    app = open_page(PAGE)
    app.button(key="run-delete").click().run()
    assert installation.files.exists(stored.run_folder(run.id))
    press_in_dialog(app, "run-delete", "delete-go")
    assert not app.exception
    assert not installation.files.exists(stored.run_folder(run.id))
    assert not installation.files.exists(stored.job_log_key(run.job_id))
    with installation.database.reading() as session:
        assert runs.listing(session) == []
    assert "No run yet" in texts(app)


def test_a_run_trained_on_pseudo_labels_never_claims_truth(installation, open_page, dataset):
    run = start(installation, dataset, label_set_id=add_label_set(installation, dataset))
    work(installation, run, status=JobStatus.FINISHED)
    app = open_page(PAGE)
    assert not app.exception
    assert metrics(app)["Agreement with the pseudo-label (soft Dice), validation, best epoch (3)"] == "0.300"
    assert not any("truth" in label for label in metrics(app))
    assert "Predict new images" in labels(app)
    row = app.dataframe[0].value.iloc[0]
    assert row["Best epoch's soft Dice"] == 0.3
    assert row.isna()["Dice vs truth"] and row.isna()["Agreement with pseudo-label"]  # it has no masks yet
    assert not any("truth" in column for column in open_numbers(app, run).dataframe[1].value.columns)


def test_rounds_show_teacher_and_student_and_that_truth_did_not_decide(installation, open_page, dataset):
    run = start(installation, dataset, label_set_id=add_label_set(installation, dataset))
    work(installation, run, epochs=4, status=JobStatus.FINISHED)
    with installation.database.writing() as session:
        images = datasets.images(session, dataset.id)
        runs.set_split(session, run.id, [{"image_id": i.id, "split": "train", "probe": True} for i in images])
        values = {"images": 4, "labels_quality": 0.5, "masks_quality": 0.6, "masks_truth_dice": 0.7}
        rounds.save_round(session, run.id, 1, first_epoch=1, last_epoch=2, accepted=True, **values)
        reason = "The new masks are no better by their quality."
        rounds.save_round(
            session, run.id, 2, first_epoch=3, last_epoch=4, accepted=False, reason=reason, images=4, masks_quality=0.55
        )
    app = open_page(PAGE)
    assert not app.exception
    shown = texts(app)
    assert "Self-training: teacher and student" in [header.value for header in app.subheader]
    assert "| Mask plausibility | 0.500 | **0.600** :green[+0.100] |" in shown
    assert "| Dice vs truth | – | **0.700** |" in shown and "Truth took no part in the decision" in shown
    assert "**Round 2** :orange-badge[Rejected]" in shown and reason in shown
    key = f"runs-round-{run.id}-2"
    assert key not in {control.key for control in app.segmented_control}  # no pictures were kept
    for number in (1, 2):
        installation.files.write(stored.round_mask_key(run.id, number, images[0].id), b"png")
    app = open_page(PAGE)
    assert app.segmented_control(key=key).value == 2
    app.segmented_control(key=key).set_value(1).run()
    assert not app.exception


def test_a_run_whose_masks_stayed_the_labels_says_so(installation, open_page, dataset):
    run = start(installation, dataset)
    work(installation, run, status=JobStatus.FINISHED)
    with installation.database.writing() as session:
        runs.update_run(session, run.id, details={rounds.LABEL_SHARE: 1.0})
    app = open_page(PAGE)
    assert not app.exception
    assert "The masks of these images are the labels that the network was trained on" in texts(app)


def test_encoder_weights_are_shown_with_every_score_and_the_hardware_below(installation, open_page, dataset):
    run = start(installation, dataset)
    work(installation, run, status=JobStatus.FINISHED)
    hardware = {"devices": ["CPU"], "threads": 2, "precision": "float32", "xla": False, "cpu": "AMD EPYC"}
    with installation.database.writing() as session:
        details = {"hardware": hardware, "weights": "MobileNetV2 encoder: ImageNet"}
        runs.update_run(session, run.id, details=details)
    app = open_page(PAGE)
    assert "2 threads of AMD EPYC · float32 · XLA off" in texts(app)
    notes = {metric.label: metric.delta for metric in app.metric}
    assert notes["Soft Dice vs truth, validation, best epoch (3)"] == "ImageNet weights"
    assert list(app.dataframe[0].value["Pretrained weights"]) == ["ImageNet weights"]


def test_settings_show_what_differs_from_the_preset(installation, open_page, dataset):
    start(installation, dataset, epochs=5)
    app = open_page(PAGE)
    assert "preset fast with 1 change" in "\n".join(box.label for box in app.expander)
    assert f"**Epochs**: 5 (preset: {PRESETS['fast'].training.epochs})" in texts(app)


def test_probe_images_follow_the_newest_epoch_until_asked_not_to(installation, open_page, dataset):
    run = start(installation, dataset, epochs=9)
    with installation.database.writing() as session:
        images = datasets.images(session, dataset.id)
        rows = [{"image_id": image.id, "split": "validation", "probe": True} for image in images]
        runs.set_split(session, run.id, rows)
    work(installation, run)
    app = open_page(PAGE)
    assert newest_epoch(app) == 3 and {address.split("/")[-2] for address in masks(app)} == {"3"}
    with installation.database.writing() as session:
        runs.save_metrics(session, run.id, 4, {"loss": 0.2})
    assert newest_epoch(app.run()) == 4 and {address.split("/")[-2] for address in masks(app)} == {"4"}
    assert bar(app)["script_draws"] == "stage"
    app.toggle(key=f"runs-follow-{run.id}").set_value(False).run()
    key = f"runs-epoch-{run.id}"
    app.select_slider(key=key).set_value(2).run()
    with installation.database.writing() as session:
        runs.save_metrics(session, run.id, 5, {"loss": 0.1})
    assert app.run().select_slider(key=key).value == 2
    assert {address.split("/")[-2] for address in masks(app)} == {"2"}
    assert bar(app)["script_draws"] == "version"  # only a script can add the next epoch to the slider


def test_an_ended_run_shows_its_curves(installation, open_page, dataset):
    run = start(installation, dataset)
    work(installation, run, status=JobStatus.FINISHED)
    app = open_page(PAGE)
    assert not app.get("plotly_chart")  # loading the chart library takes a second of a processor: only on request
    app.session_state[f"runs-curves-{run.id}"] = True
    app.run()
    assert not app.exception
    assert len(app.get("plotly_chart")) == 4


def ticked(open_page, *chosen, **query):
    """Open the page with these runs ticked in the table."""
    app = open_page(PAGE, **query)
    app.session_state["runs-ticked"] = [run.id for run in chosen]
    app.session_state["runs-ticks-cleared"] = 1  # another table, which begins with these ticks
    return app.run()


def marks(installation, *made):
    with installation.database.reading() as session:
        found = [session.get_one(Run, run.id) for run in made]
    return [(run.pinned, run.archived, run.tags) for run in found]


@pytest.fixture
def three(installation, dataset):
    made = [start(installation, dataset, name) for name in ("one", "two", "three")]
    for run in made:
        work(installation, run, status=JobStatus.FINISHED)
    return made


def test_a_run_is_renamed_tagged_and_noted(installation, open_page, three):
    app = open_page(PAGE, run=three[0].id)
    key = f"run-edit-{three[0].id}-0"
    app.text_input(key=f"{key}-name").set_value("the *one*")
    app.text_area(key=f"{key}-note").set_value("Look at <b>image 7</b>.")
    app.button(key=f"{key}-save").click().run()
    assert not app.exception
    assert app.header[0].value == r"the \*one\*"
    assert r"*Look at \<b\>image 7\</b\>.*" in texts(app)
    assert "the *one*" in list(app.dataframe[0].value["Run"])


def test_a_name_that_is_taken_is_refused_with_a_sentence(installation, open_page, three):
    app = open_page(PAGE, run=three[0].id)
    key = f"run-edit-{three[0].id}-0"
    app.text_input(key=f"{key}-name").set_value("two")
    app.button(key=f"{key}-save").click().run()
    assert not app.exception
    assert "is taken" in texts(app) and app.header[0].value == "one"


def test_a_pinned_run_comes_first_and_an_archived_one_goes_until_it_is_undone(installation, open_page, three):
    app = open_page(PAGE, run=three[0].id)
    app.button(key="run-pin").click().run()
    assert list(app.dataframe[0].value["Run"]) == ["one", "three", "two"]
    app.button(key="run-archive").click().run()
    assert list(app.dataframe[0].value["Run"]) == ["three", "two"]
    assert "1 run is archived." in texts(app) and app.header[0].value == "one"
    app.button(key="runs-undo-go").click().run()
    assert not app.exception
    assert list(app.dataframe[0].value["Run"]) == ["one", "three", "two"]
    assert marks(installation, three[0]) == [(True, False, [])]


def test_filters_and_order_of_the_address_shape_the_table(installation, open_page, three):
    with installation.database.writing() as session:
        runs.set_tags(session, three[1].id, ["paper"])
        runs.mark(session, [three[2].id], archived=True)
    assert list(open_page(PAGE, find="paper").dataframe[0].value["Run"]) == ["two"]
    assert list(open_page(PAGE, archived="Shown alone").dataframe[0].value["Run"]) == ["three"]
    assert list(open_page(PAGE, order="Oldest first").dataframe[0].value["Run"]) == ["one", "two"]
    app = open_page(PAGE, run=three[0].id, find="nothing is like this")
    assert not app.exception
    assert "No run matches" in texts(app) and app.header[0].value == "one"


def test_ticked_runs_are_pinned_and_archived_together(installation, open_page, three):
    app = ticked(open_page, *three[:2])
    assert "**2 runs ticked**" in texts(app)
    app.button(key="runs-bulk-pin").click().run()
    assert [pinned for pinned, *_ in marks(installation, *three)] == [True, True, False]
    app.button(key="runs-bulk-archive").click().run()
    assert not app.exception
    assert [archived for _, archived, _ in marks(installation, *three)] == [True, True, False]
    assert "2 runs are archived." in texts(app) and "ticked" not in texts(app)


def test_ticks_survive_a_search_and_hidden_ones_are_counted(installation, open_page, three):
    app = ticked(open_page, *three[:2])
    app.text_input(key="find").set_value("two").run()
    assert "**2 runs ticked** (1 not shown)" in texts(app)
    app.button(key="runs-bulk-untick-all").click().run()
    assert not app.exception and "ticked**" not in texts(app)


def test_ticked_runs_take_tags_together(installation, open_page, three):
    with installation.database.writing() as session:
        runs.set_tags(session, three[0].id, ["draft", "paper"])
    app = ticked(open_page, *three[:2])
    app.multiselect(key="runs-tag-0-add").set_value(["paper"])
    app.multiselect(key="runs-tag-0-remove").set_value(["draft"])
    app.button(key="runs-tag-0-go").click().run()
    assert not app.exception
    assert [tags for *_, tags in marks(installation, *three)] == [["paper"], ["paper"], []]


def test_ticked_runs_are_deleted_together_and_one_in_use_stays(installation, open_page, dataset, three):
    busy = start(installation, dataset, "busy")
    installation.files.write(stored.best_model_key(three[0].id), b"model")
    app = ticked(open_page, three[0], busy)
    assert "of **2 runs** with all metrics" in texts(app)
    assert app.button(key="runs-delete-go").label == "Delete 2 runs permanently"
    app.button(key="runs-delete-go").click().run()
    assert not app.exception
    assert list(app.dataframe[0].value["Run"]) == ["busy", "three", "two"]
    assert not installation.files.exists(stored.run_folder(three[0].id))
    assert [toast.value for toast in app.toast] == ["1 run is deleted. 1 run is in use: stop first, then try again."]
