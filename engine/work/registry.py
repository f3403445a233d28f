"""The kinds of job that this installation can run, discovered by module name."""

from __future__ import annotations

import importlib
from functools import cache
from pathlib import Path

import engine
from engine.work.context import JobType


@cache
def job_types() -> dict[str, JobType]:
    """Return {kind: its `JOB`} of every `engine/<package>/job.py` and `…_job.py`.

    Importing them is cheap: each imports TensorFlow only where it runs.

    Raises:
        ValueError: two modules declare the same kind.
    """
    types: dict[str, JobType] = {}
    root = Path(engine.__file__).parent
    for file in sorted([*root.glob("*/job.py"), *root.glob("*/*_job.py")]):
        job: JobType = importlib.import_module(f"engine.{file.parent.name}.{file.stem}").JOB
        if job.kind in types:
            raise ValueError(f"Two modules declare the job kind {job.kind!r}; one of them is {file.name}.")
        types[str(job.kind)] = job
    return types
