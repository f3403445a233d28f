"""Measurements for tests of the Train page."""

from __future__ import annotations

from typing import Any

import numpy as np

from db import jobs, submissions
from db.models import Dataset, Job, JobStatus
from engine.core.run_config import RunConfig
from tests.support.installation import Installation

TRIAL = {
    "step_s": 0.5,
    "validation_step_s": 0.25,
    "start_s": 5.0,
    "steps": 4,
    "batch_size": 4,
    "images_per_s": 8.0,
    "peak_bytes": 1_100_000_000,
    "device_peak_bytes": None,
    "precision": "mixed_bfloat16",
    "devices": ["CPU"],
    "stopped": False,
    "epoch_s": 1.25,
    "run_s": 42.5,
    "steps_per_epoch": 2,
    "validation_steps": 1,
}
_FALL = np.linspace(1, 0.2, 60).tolist()
RATES: dict[str, Any] = {
    "rates": np.geomspace(1e-6, 1e-1, 60).tolist(),
    "losses": _FALL,
    "raw_losses": _FALL,
    "suggestion": 3e-4,
    "stopped": False,
}


def measured(
    installation: Installation,
    dataset: Dataset,
    config: RunConfig,
    result: dict[str, Any] | None = TRIAL,
    *,
    label_set_id: str | None = None,
    status: JobStatus = JobStatus.FINISHED,
    error: str | None = None,
) -> Job:
    """Add a measurement that has ended; `result` decides which."""
    what = "rate_range" if result and "rates" in result else "trial"
    with installation.database.writing() as session:
        job = submissions.submit_measure(session, dataset.id, label_set_id, config.model_dump(mode="json"), what)
        claimed = jobs.claim(session, "test", 9, 60)
        assert claimed.id == job.id
        jobs.finish(session, job.id, claimed.attempt, status, error, result)
    return installation.job(job.id)
