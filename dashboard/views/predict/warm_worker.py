"""A worker that has a network ready while somebody is at the Predict page."""

from __future__ import annotations

from dashboard.access import rights
from dashboard.server import resources
from db import warm
from db.actors import Role
from db.models import utc_now


def get_ready(run_id: str) -> None:
    """See that a worker loads a run's network, and return at once.

    Nothing is done if one has it already, WARM_WORKER_S is 0 or the person at the page may not predict.
    """
    current = resources.settings()
    if not current.warm_worker_s or not rights.may(Role.EDITOR):
        return
    with resources.database().reading() as session:
        before = warm.readiness(session, utc_now(), current.lost_after_s)
    if run_id in before.run_ids or before.busy or before.requested:
        return  # as on most reruns of a page: nothing is written then
    with resources.database().writing() as session:
        job = warm.submit(session, run_id, utc_now(), current.max_workers, current.lost_after_s)
    if job is not None and before.worker is None:
        resources.launcher().submit(job.id)


def start_prediction(job_id: str) -> None:
    """See that a worker looks at a new prediction: the one that is ready, or a new one."""
    with resources.database().reading() as session:
        ready = warm.readiness(session, utc_now(), resources.settings().lost_after_s)
    if not ready.takes_predictions:
        resources.launcher().submit(job_id)
