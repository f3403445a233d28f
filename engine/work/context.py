"""The contract of jobs: what a job gets, how it ends, and how a module declares one.

Each kind of job is one module, `engine/<package>/job.py` or `…_job.py`, that exports `JOB`. Its `run` returns the job's
result. A job writes files first and rows second, can be run again after a crash at any line without duplicating
anything, and calls `should_stop()` often.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from engine.store.base import Store

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from db.models import Job


class JobFailed(Exception):
    """The job cannot continue. The message is a sentence a person can act on."""


class CannotSucceed(JobFailed):
    """Running the job again cannot help."""


class BadSource(CannotSucceed):
    """What was uploaded cannot be used and is deleted."""


class JobStopped(Exception):
    """A person asked to stop and what was finished is consistent. `result` is stored like that of a finished job."""

    def __init__(self, result: dict[str, Any] | None = None) -> None:
        super().__init__("stopped by a person")
        self.result = result or {}


class JobContext(Protocol):
    """How a job reaches files, rows and its worker."""

    artifacts: Store

    def reading(self) -> AbstractContextManager[Session]:
        """Return a session for queries. Its rows stay readable after the block; changing them changes nothing."""

    def writing(self) -> AbstractContextManager[Session]:
        """Return a session that commits at the end of its block, which should be short.

        Raises:
            db.jobs.TakenOver: the job was given to another worker; two would delete and duplicate each other's rows.
        """

    def progress(
        self, done: int, total: int, *, unit: str = "images", phase: str = "", rate: float | None = None, **details: Any
    ) -> None:
        """Report `done` of `total` units of the whole job. Cheap: stored at most about twice a second.

        Args:
            phase: what the job is doing, such as "computing_masks" (see `engine.work.progress_words`).
            rate: units per second; None while it is unknown.
            details: numbers and names of this phase, JSON values.
        """

    def should_stop(self) -> bool:
        """Whether a person asked to stop, or the job was given to another worker. Cheap: reads a flag."""


@dataclass(frozen=True)
class JobType:
    """A kind of job: the worker claims rows of `kind` and calls `run(job, context)`, which returns the result.

    `quick` jobs are the ones that a worker with networks in memory still accepts while it waits for more.
    """

    kind: str
    run: Callable[[Job, JobContext], dict[str, Any]]
    quick: bool = False
