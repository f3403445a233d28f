"""Job: load a run's best network and let it draw once, so that the worker has it ready for the images that follow."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from db.models import Job, JobKind
from engine.network.loaded import network_of
from engine.work.context import JobContext, JobFailed, JobType


def run(job: Job, context: JobContext) -> dict[str, Any]:
    """Load what the payload names: {"network": run id}. Returns {"network", "seconds"}.

    Raises:
        JobFailed: there is no model that can be used.
    """
    from engine.network.inference import ModelError

    began = time.monotonic()
    run_id = job.payload["network"]
    try:
        kept = network_of(run_id, context.artifacts)
    except ModelError as error:
        raise JobFailed(str(error)) from None
    kept.network(np.zeros((1, *kept.model.input_shape[1:]), np.uint8))
    return {"network": run_id, "seconds": round(time.monotonic() - began, 2)}


JOB = JobType(JobKind.WARM, run, quick=True)
