"""The measuring job on drawn discs: in a process of its own, and without a trace but its result."""

import os
import signal

import numpy as np
import pytest

from db import submissions
from db.models import Dataset, JobKind
from engine.core.run_config import config_from
from engine.training import measure_job as measure
from engine.work.context import JobFailed, JobStopped
from tests.support.installation import add_discs
from tests.support.predicted import add_label_set
from tests.support.training_job import Context

pytestmark = pytest.mark.slow

TINY = {
    "training": {"epochs": 3, "batch_size": 4, "precision": "float32"},
    "model": {"image_size": 32, "depth": 1, "base_filters": 4},
}


class LiveContext(Context):
    """Requests a stop once `stop_at` units are done; 0 is never."""

    stop_at = 0

    def should_stop(self) -> bool:
        return 0 < self.stop_at <= max((progress.done for progress in self.said), default=0)


def submit(installation, dataset, what="trial", label_set_id=None, **changes):
    config = config_from("fast", {**TINY, **changes}).model_dump(mode="json")
    with installation.database.writing() as session:
        job = submissions.submit_measure(session, dataset.id, label_set_id, config, what)
        job.attempt = 1
    return job


def test_a_trial_measures_steps_and_projects_the_run(installation):
    dataset = add_discs(installation, 10)
    before = installation.database
    job = submit(installation, dataset)
    assert job.kind == JobKind.MEASURE
    context = LiveContext(installation)
    result = measure.run(job, context)
    assert result["steps"] >= 2 and result["batch_size"] == 4
    assert result["step_s"] > 0 and result["validation_step_s"] > 0
    assert (result["steps_per_epoch"], result["validation_steps"]) == (2, 1)
    assert result["epoch_s"] == pytest.approx(2 * result["step_s"] + result["validation_step_s"])
    assert result["run_s"] == pytest.approx(result["start_s"] + 3 * result["epoch_s"])
    assert 2e8 < result["peak_bytes"] < 4e9
    assert (result["precision"], result["stopped"]) == ("float32", False)
    assert any(text.startswith("Training batch") for text in context.texts)
    assert installation.files.keys("jobs") == [] and not any((installation.files.root / "jobs").iterdir())
    with before.reading() as session:
        assert session.get_one(Dataset, dataset.id).job_id != job.id


def test_rates_rise_until_the_loss_explodes_and_one_is_suggested(installation):
    dataset = add_discs(installation, 10)
    label_set_id = add_label_set(installation, dataset)
    result = measure.run(submit(installation, dataset, "rate_range", label_set_id), LiveContext(installation))
    rates = np.array(result["rates"])
    assert rates[0] == pytest.approx(1e-6) and (np.diff(rates) > 0).all() and rates[-1] <= 1
    assert len(result["losses"]) == len(result["raw_losses"]) == len(rates)
    assert min(result["losses"]) < 0.9 * result["losses"][0]
    assert 1e-5 < result["suggestion"] < 1


def test_a_stop_between_two_batches_keeps_what_was_measured(installation):
    context = LiveContext(installation)
    context.stop_at = 3
    with pytest.raises(JobStopped) as stopped:
        measure.run(submit(installation, add_discs(installation, 6), "rate_range"), context)
    assert 3 <= len(stopped.value.result["rates"]) < 90
    assert stopped.value.result["stopped"]
    assert {progress.unit for progress in context.said} == {"batches"}


def test_weights_that_cannot_be_had_are_a_sentence(installation, tmp_path):
    model = {"architecture": "mobilenet_v2", "image_size": 32, "encoder_weights": str(tmp_path / "none.h5")}
    with pytest.raises(JobFailed, match="There is no weights file"):
        measure.run(submit(installation, add_discs(installation, 6), model=model), LiveContext(installation))


def killed(connection, what, config, samples, folder):
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_process_that_the_system_ends_says_what_to_lower(installation, monkeypatch):
    monkeypatch.setattr(measure, "measure_in_process", killed)
    with pytest.raises(JobFailed, match=r"Choose a smaller batch size \(now 4\)"):
        measure.run(submit(installation, add_discs(installation, 6)), LiveContext(installation))
    alone = config_from("fast", {"training": {"batch_size": 1}})
    assert "image size (now 256 px)" in measure.memory_sentence(alone)
