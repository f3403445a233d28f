"""Start predictions: by a worker that has the network in memory already, or by a new one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st
from sqlalchemy.orm import Session

from dashboard.access import rights
from dashboard.facts import wording
from dashboard.server import resources
from db import datasets, names, submissions, warm
from db.actors import Role
from db.columns import utc_now
from db.models import Job, PredictionSet
from engine.work.registration import capacity_here


def load_network(run_id: str) -> None:
    """Have a worker load a run's network, and return at once.

    Does nothing if one has loaded it, if WARM_WORKER_S is 0, or if the user may not predict.
    """
    current = resources.settings()
    if not current.warm_worker_s or not rights.may(Role.EDITOR):
        return
    with resources.database().reading() as session:
        before = warm.readiness(session, utc_now(), current.lost_after_s)
    if run_id in before.run_ids or before.busy or before.requested:
        return  # as on most reruns of the page, which then write nothing
    with resources.database().writing() as session:
        here = capacity_here(current)
        job = warm.submit(session, run_id, utc_now(), current.max_workers, current.lost_after_s, here)
    if job is not None and before.worker is None:
        resources.launcher().submit(job.id)


def start_prediction(submit: Callable[[Session], tuple[PredictionSet, Job]]) -> str | None:
    """Add a prediction and have a worker run it; return its set's id, or show why it was refused and return None."""
    try:
        with resources.database().writing() as session:
            created, job = submit(session)
    except (names.NameTaken, submissions.NotReady, datasets.InUse) as error:
        st.error(wording.escaped(str(error)))
        return None
    with resources.database().reading() as session:
        ready = warm.readiness(session, utc_now(), resources.settings().lost_after_s)
    if not ready.takes_predictions:
        resources.launcher().submit(job.id)
    return created.id


def predict_dataset(
    session: Session, run_id: str, dataset_id: str, flips: bool, refine: str, also: Sequence[str] = ()
) -> tuple[PredictionSet, Job]:
    """Add the prediction of an existing dataset.

    Raises:
        InUse: another job uses the dataset.
        NotReady: the run has no model yet.
    """
    datasets.refuse_if_busy(session, dataset_id)
    return submissions.submit_predict(session, run_id, dataset_id, flips, refine=refine, also=also)
