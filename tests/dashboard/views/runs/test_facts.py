"""What the Runs page shows, while the clock and the worker move."""

from datetime import timedelta

import pytest

from dashboard.facts.run_metrics import MetricHistory, metric_names
from dashboard.views.runs.facts import live_status, own_prediction_set_id, run_head
from dashboard.views.runs.table_facts import run_rows
from db import datasets, jobs, recipes, rounds, runs, submissions
from db.columns import utc_now
from db.models import JobStatus, Run
from engine import VERSION
from engine.core.run_config import PRESETS
from engine.core.run_config_text import config_rows
from engine.work.progress_words import progress_words
from tests.support.installation import Installation, add_discs
from tests.support.training_job import training_progress

LOST_AFTER_S = 60.0


@pytest.fixture
def dataset(installation: Installation):
    return add_discs(installation, count=6)


def start(installation: Installation, dataset, name="first", labelled=False, config=None):
    """Submit a training; return (run id, job id)."""
    config = config or PRESETS["fast"].model_dump()
    with installation.database.writing() as session:
        label_set_id = None
        if labelled:
            label_set = recipes.create(session, dataset, "k-means", "kmeans", {}, 0, VERSION)
            label_set_id = label_set.id
            rows = [
                {"image_id": image_id, "area": 0.2, "dice": 0.7, "iou": 0.6}
                for image_id in image_ids(installation, dataset)
            ]
            recipes.add_labels(session, label_set_id, rows)
        run, job = submissions.submit_train(session, dataset.id, label_set_id, name, "fast", config, VERSION)
        return run.id, job.id


def image_ids(installation: Installation, dataset) -> list[str]:
    with installation.database.reading() as session:
        return [image.id for image in datasets.images(session, dataset.id)]


def claim(installation: Installation) -> None:
    with installation.database.writing() as session:
        assert jobs.claim(session, "test", 9, LOST_AFTER_S) is not None


def learn(installation: Installation, run_id: str, *epochs: int) -> None:
    with installation.database.writing() as session:
        for epoch in epochs:
            runs.save_metrics(session, run_id, epoch, {"loss": 1 / epoch, "val_dice": epoch / 10})


def status(installation: Installation, run_id: str, later_s: float = 0):
    with installation.database.reading() as session:
        return live_status(session, run_id, utc_now() + timedelta(seconds=later_s), LOST_AFTER_S)


def test_a_running_job_is_lost_after_a_minute_of_silence_and_says_what_to_do(installation, dataset):
    run_id, _ = start(installation, dataset)
    assert status(installation, run_id).state == "queued"
    claim(installation)
    learn(installation, run_id, 1, 2)
    assert status(installation, run_id).state == "running"
    assert status(installation, run_id).sentence == ""
    lost = status(installation, run_id, later_s=120)
    assert lost.state == "lost"
    assert "2 min" in lost.sentence and "2 epochs" in lost.sentence and "Put it back" in lost.sentence
    assert lost.live and not lost.can_stop and not lost.can_delete


def test_time_left_follows_the_speed_that_the_worker_reports(installation, dataset):
    run_id, job_id = start(installation, dataset)
    claim(installation)
    with installation.database.writing() as session:
        jobs.heartbeat(session, job_id, 1, jobs.Progress(3, 6, phase="preparing_images"))
    assert status(installation, run_id).left_s is None
    with installation.database.writing() as session:
        training = training_progress(4, 10, 40, 120, 40.0, per_round=5, memory_gib=1.2)
        jobs.heartbeat(session, job_id, 1, training)
    now = status(installation, run_id)
    assert now.left_s == pytest.approx(20)
    assert now.progress == training
    assert progress_words(now.progress) == "Round 1 of 2, epoch 4 of 10: 40 of 120 images, 40.0 images/s, 1.2 GiB"


def test_epochs_count_through_all_rounds_of_a_run_on_labels_and_truth_needs_one(installation, dataset):
    config = PRESETS["fast"].model_dump()
    config["training"]["epochs"], config["self_training"]["rounds"] = 10, 3
    by_labels, _ = start(installation, dataset, "by labels", labelled=True, config=config)
    by_truth, _ = start(installation, dataset, "by truth", config=config)
    assert (status(installation, by_labels).epochs_total, status(installation, by_labels).rounds_total) == (30, 3)
    assert (status(installation, by_truth).epochs_total, status(installation, by_truth).rounds_total) == (10, 1)
    before = status(installation, by_labels)
    with installation.database.writing() as session:
        rounds.save_round(session, by_labels, 1, first_epoch=1, last_epoch=10, accepted=True, images=6)
    now = status(installation, by_labels)
    assert now.rounds_done == 1
    assert now.stage != before.stage  # the page is redrawn with the round


def test_hardware_and_encoder_weights_of_a_run_are_shown(installation, dataset):
    run_id, _ = start(installation, dataset)
    assert (status(installation, run_id).hardware, status(installation, run_id).weights) == ("", "")
    hardware = {"devices": ["CPU"], "threads": 2, "precision": "mixed_bfloat16", "xla": False, "cpu": "AMD EPYC"}
    details = {"hardware": hardware, "weights": "MobileNetV2 encoder: ImageNet"}
    with installation.database.writing() as session:
        runs.update_run(session, run_id, details=details)
    now = status(installation, run_id)
    assert now.hardware == "2 threads of AMD EPYC · mixed bfloat16 · XLA off"
    assert now.weights == "ImageNet weights"
    with installation.database.reading() as session:
        assert run_rows(session, utc_now(), LOST_AFTER_S)[0].weights == "ImageNet weights"
    details = {"label_weights": "MobileNetV2 with ImageNet weights"}
    with installation.database.writing() as session:
        runs.update_run(session, run_id, details=details)
    now = status(installation, run_id)
    assert now.weights == "ImageNet weights in the labels" and details["label_weights"] in now.weights_origin
    with installation.database.reading() as session:
        assert run_rows(session, utc_now(), LOST_AFTER_S)[0].weights == now.weights


def test_stopping_then_stopped_can_be_resumed(installation, dataset):
    run_id, job_id = start(installation, dataset)
    claim(installation)
    learn(installation, run_id, 1)
    with installation.database.writing() as session:
        jobs.request_stop(session, job_id)
    assert status(installation, run_id).state == "stopping"
    assert not status(installation, run_id).can_stop
    with installation.database.writing() as session:
        jobs.finish(session, job_id, 1, JobStatus.STOPPED)
        runs.update_run(session, run_id, best_epoch=1)
    stopped = status(installation, run_id)
    assert stopped.can_resume and stopped.can_delete and stopped.has_model and not stopped.live
    assert stopped.sentence == "Stopped by a person after 1 of 30 epochs. The model of the best epoch is kept."


def test_a_run_stopped_in_its_first_epoch_says_there_is_no_model_and_how_to_get_one(installation, dataset):
    run_id, job_id = start(installation, dataset)
    claim(installation)
    with installation.database.writing() as session:
        jobs.finish(session, job_id, 1, JobStatus.STOPPED)
    stopped = status(installation, run_id)
    assert stopped.can_resume and not stopped.has_model
    expected = "Stopped by a person before its first epoch had finished. There is no model yet: resume it to get one."
    assert stopped.sentence == expected


def test_lost_in_the_first_epoch_promises_nothing(installation, dataset):
    run_id, _ = start(installation, dataset)
    claim(installation)
    lost = status(installation, run_id, later_s=120)
    assert "safe" not in lost.sentence and "start again" in lost.sentence


def test_a_run_without_its_last_epoch_says_that_it_begins_again(installation, dataset):
    run_id, _ = start(installation, dataset)
    claim(installation)
    learn(installation, run_id, 1, 2)
    with installation.database.writing() as session:
        run = session.get_one(Run, run_id)
        run.config = run.config | {"checkpoint": run.config["checkpoint"] | {"save_last": False}}
    assert "starts again with the first" in status(installation, run_id, later_s=120).sentence
    with installation.database.reading() as session:
        assert not run_head(session, run_id).keeps_last


def test_time_counts_all_attempts_of_a_resumed_run(installation, dataset):
    run_id, job_id = start(installation, dataset)
    claim(installation)
    with installation.database.writing() as session:
        jobs.finish(session, job_id, 1, JobStatus.STOPPED)
        runs.update_run(session, run_id, train_seconds=100.0)
        jobs.requeue(session, job_id)
    assert status(installation, run_id).seconds == 100.0
    claim(installation)
    assert status(installation, run_id, later_s=20).seconds == pytest.approx(120, abs=5)
    with installation.database.writing() as session:  # trained to the end, and now draws the masks
        runs.update_run(session, run_id, train_seconds=115.0, ended_reason="All 30 epochs are done.")
    assert status(installation, run_id, later_s=20).seconds == 115.0


def test_a_failure_shows_the_jobs_own_sentence(installation, dataset):
    run_id, job_id = start(installation, dataset)
    claim(installation)
    with installation.database.writing() as session:
        jobs.finish(session, job_id, 1, JobStatus.FAILED, "Memory ran out. Lower the batch size, then retry.")
    failed = status(installation, run_id)
    assert failed.can_retry and failed.sentence == "Memory ran out. Lower the batch size, then retry."


def test_the_reason_a_run_gave_wins(installation, dataset):
    run_id, job_id = start(installation, dataset)
    claim(installation)
    with installation.database.writing() as session:
        runs.update_run(session, run_id, ended_reason="Early stopping at epoch 9.", train_seconds=321.0, best_epoch=4)
        jobs.finish(session, job_id, 1, JobStatus.FINISHED)
    finished = status(installation, run_id)
    assert finished.sentence == "Early stopping at epoch 9."
    assert finished.seconds == 321.0


def test_the_table_never_calls_agreement_with_a_pseudo_label_a_dice_against_truth(installation, dataset):
    by_truth, _ = start(installation, dataset, "by truth")
    by_labels, _ = start(installation, dataset, "by labels", labelled=True)
    learn(installation, by_truth, 1, 2, 3)
    learn(installation, by_labels, 1, 2)
    with installation.database.reading() as session:
        rows = {row.name: row for row in run_rows(session, utc_now(), LOST_AFTER_S)}
    assert (rows["by truth"].soft_dice, rows["by truth"].agreement) == (0.3, None)
    assert (rows["by labels"].soft_dice, rows["by labels"].agreement) == (0.2, None)
    assert rows["by labels"].trained_on == "k-means"
    assert rows["by truth"].val_dice == (0.1, 0.2, 0.3)
    assert (rows["by truth"].epochs_done, rows["by truth"].epochs_total) == (3, PRESETS["fast"].training.epochs)


def test_predictions_of_validation_images_add_the_score_against_truth(installation, dataset):
    run_id, _ = start(installation, dataset, labelled=True)
    with installation.database.writing() as session:
        set_id = runs.ensure_prediction_set(session, run_id, dataset.id, None, False)
    with installation.database.reading() as session:
        assert runs.validation_scores(session, session.get_one(Run, run_id)) is None
        assert own_prediction_set_id(session, run_id) is None
    splits = ["validation", "validation", *["train"] * 4]
    rows = [
        {
            "image_id": image_id,
            "split": split,
            "area": 0.1,
            "mean_probability": 0.1,
            "label_dice": 0.9,
            "truth_dice": 0.5 + 0.1 * number,
        }
        for number, (image_id, split) in enumerate(zip(image_ids(installation, dataset), splits, strict=True))
    ]
    with installation.database.writing() as session:
        runs.add_predictions(session, set_id, rows)
    with installation.database.reading() as session:
        found = runs.validation_scores(session, session.get_one(Run, run_id))
        row = run_rows(session, utc_now(), LOST_AFTER_S)[0]
        assert own_prediction_set_id(session, run_id) == set_id
    assert (found.images, found.truth_images) == (2, 2)
    assert found.truth_dice == pytest.approx(0.55) and found.label_dice == pytest.approx(0.9)
    assert row.dice_vs_truth == pytest.approx(0.55)


def test_metric_names_say_the_reference():
    assert metric_names("truth")["val_dice"] == "Soft Dice vs truth, validation"
    pseudo = metric_names("pseudo-label")
    assert all("truth" not in words for words in pseudo.values())
    assert "pseudo-label" in pseudo["val_dice"] and "pseudo-label" in pseudo["val_iou"]


def test_history_fetches_new_epochs_only_and_starts_over_when_a_resume_repeats_some(installation, dataset):
    run_id, _ = start(installation, dataset)
    learn(installation, run_id, 1, 2)
    history = MetricHistory()
    with installation.database.reading() as session:
        history.fetch(session, run_id, attempt=1, epochs_done=2)
    history.by_epoch[1]["loss"] = -1.0  # would be overwritten if the epoch were read again
    learn(installation, run_id, 3)
    with installation.database.reading() as session:
        history.fetch(session, run_id, attempt=1, epochs_done=3)
    assert history.series("loss") == ([1, 2, 3], [-1.0, 0.5, pytest.approx(1 / 3)])
    with installation.database.writing() as session:
        runs.drop_metrics_after(session, run_id, 1)
    with installation.database.reading() as session:
        history.fetch(session, run_id, attempt=1, epochs_done=1)
    assert history.series("loss") == ([1], [1.0])
    assert history.table({"loss": "Loss", "iou": "IoU"}) == [{"Epoch": 1, "Loss": 1.0, "IoU": None}]


def test_head_names_what_the_run_was_trained_on_and_what_differs_from_its_preset(installation, dataset):
    config = PRESETS["fast"].model_dump()
    config["training"]["epochs"] = 3
    run_id, _ = start(installation, dataset, labelled=True, config=config)
    ids = image_ids(installation, dataset)
    with installation.database.writing() as session:
        runs.set_split(
            session,
            run_id,
            [
                {"image_id": image_id, "split": "train" if number else "validation", "probe": number < 2}
                for number, image_id in enumerate(ids)
            ],
        )
    with installation.database.reading() as session:
        head = run_head(session, run_id)
        assert run_head(session, "0" * 32) is None and run_head(session, None) is None
    assert head.reference == "pseudo-label" and "k-means" in head.trained_on
    assert (head.train_images, head.validation_images) == (5, 1)
    assert [probe.split for probe in head.probes] == ["validation", "train"]
    assert all(probe.has_reference for probe in head.probes)
    assert [(row.parameter, row.value, row.preset_value) for row in head.changed] == [
        ("Epochs", "3", str(PRESETS["fast"].training.epochs))
    ]


def test_a_config_of_another_version_is_shown_as_it_is():
    rows = config_rows({"version": 99, "training": {"epochs": 3}}, "fast")
    assert [(row.parameter, row.value) for row in rows] == [("version", "99"), ("Epochs", "3")]


def test_a_config_is_readable_with_units_and_plain_words():
    rows = {row.parameter: row.value for row in config_rows(PRESETS["classic"].model_dump(), "classic")}
    assert rows["Image size"] == "256 px"
    assert rows["Learning rate"] == "0.0001"
    assert rows["Batch normalisation"] == "no"
