"""Which measurement the Train page shows, and its sentences."""

import pytest

from dashboard.views.train import measure_facts as measure
from db import submissions
from db.columns import utc_now
from db.models import JobStatus
from engine.core.run_config import config_from
from engine.training.workload import workload
from tests.support.installation import add_discs
from tests.support.measured import RATES, TRIAL, measured

LOST_AFTER_S = 60.0


@pytest.fixture
def dataset(installation):
    return add_discs(installation, 10)


def config(**groups):
    return config_from("fast", groups)


def shown(installation, dataset, now_config):
    with installation.database.reading() as session:
        return measure.measurement(session, "trial", dataset.id, None, now_config, utc_now(), LOST_AFTER_S)


def shown_rates(installation, dataset, now_config, label_set_id=None):
    with installation.database.reading() as session:
        return measure.measurement(session, "rate_range", dataset.id, label_set_id, now_config, utc_now(), LOST_AFTER_S)


def test_without_a_measurement_nothing_is_shown(installation, dataset):
    assert shown(installation, dataset, config()) == measure.Measured(None, None, None, "")


def test_a_trial_is_stale_only_after_a_relevant_setting_has_changed(installation, dataset):
    measured(installation, dataset, config())
    assert shown(installation, dataset, config()).stale == ""
    harmless = config(
        training={"epochs": 3, "learning_rate": 0.01, "validation_split": 0.1}, prediction={"flips": False}
    )
    assert shown(installation, dataset, harmless).stale == ""
    other = shown(installation, dataset, config(training={"batch_size": 8}, model={"base_filters": 8}))
    assert other.result == TRIAL
    assert other.stale == "This was measured with other settings: Batch size 4, Base filters 16."
    assert shown(installation, add_discs(installation, 2, "others"), config()).result is None


def test_a_measurement_with_these_settings_is_preferred_to_a_newer_one(installation, dataset):
    measured(installation, dataset, config())
    measured(installation, dataset, config(training={"batch_size": 8}), TRIAL | {"step_s": 9.0})
    assert shown(installation, dataset, config()).result["step_s"] == 0.5
    assert shown(installation, dataset, config(training={"batch_size": 8})).result["step_s"] == 9.0


def test_a_failure_is_shown_only_with_the_settings_that_failed(installation, dataset):
    measured(installation, dataset, config(), None, status=JobStatus.FAILED, error="Memory ran out.")
    assert shown(installation, dataset, config()).job.error == "Memory ran out."
    assert shown(installation, dataset, config(training={"batch_size": 2})).job is None
    measured(installation, dataset, config())
    assert shown(installation, dataset, config()).job is None


def test_a_running_measurement_is_shown_with_any_settings(installation, dataset):
    with installation.database.writing() as session:
        job = submissions.submit_measure(session, dataset.id, None, config().model_dump(mode="json"), "trial")
    found = shown(installation, dataset, config(training={"batch_size": 8}))
    assert (found.job.id, found.job.at_work, found.result) == (job.id, True, None)
    assert shown_rates(installation, dataset, config()).job is None


def test_a_range_test_belongs_to_a_label_set_and_a_loss_but_not_to_a_rate(installation, dataset):
    measured(installation, dataset, config(), RATES)
    assert shown_rates(installation, dataset, config(training={"learning_rate": 0.01})).stale == ""
    assert "Loss bce" in shown_rates(installation, dataset, config(training={"loss": "dice"})).stale
    assert shown_rates(installation, dataset, config(), "f" * 32).result is None


def test_a_stopped_range_test_is_shown_if_it_has_enough_rates(installation, dataset):
    few = {"rates": [1e-6], "losses": [1.0], "raw_losses": [1.0], "suggestion": None, "stopped": True}
    measured(installation, dataset, config(), few, status=JobStatus.STOPPED)
    assert shown_rates(installation, dataset, config()).result is None
    measured(installation, dataset, config(), RATES, status=JobStatus.STOPPED)
    assert shown_rates(installation, dataset, config()).result["suggestion"] == 3e-4


def test_sentences_show_the_duration_and_how_it_was_measured():
    work = workload(config(training={"epochs": 100}), 10, {}, False)
    sentence = measure.trial_sentence(TRIAL, work)
    assert "An epoch takes about **1 s**" in sentence and "All 100 epochs take at most **2 min 10 s**" in sentence
    rounds = workload(config(self_training={"rounds": 3}), 10, {}, True)
    assert "All 3 rounds of 30 epochs" in measure.trial_sentence(TRIAL, rounds)
    details = measure.trial_details(TRIAL, utc_now(), utc_now())
    assert "just now on 4 batches of 4 images: 8.0 images/s, 1.1 GB of memory at most, mixed bfloat16 on CPU" in details


def test_learning_rates_are_written_in_short_scientific_notation():
    assert [measure.rate_text(rate) for rate in (3e-4, 0.01, 1.0)] == ["3e-4", "1e-2", "1e0"]
    assert "**3e-4**" in measure.rate_sentence(RATES)
    assert "none is suggested" in measure.rate_sentence(RATES | {"suggestion": None})
