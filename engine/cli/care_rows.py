"""The changes of rows that mending needs, bound to one database (the contract: `engine.care.repair.Rows`)."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager

from sqlalchemy.orm import Session

from db import mending
from db.inventory import busy_datasets
from db.models import utc_now
from db.session import Database


class SessionRows:
    """Rows of one transaction that writes."""

    def __init__(self, session: Session, lost_after_s: float) -> None:
        self._session, self._lost_after_s = session, lost_after_s

    def busy(self) -> set[str]:
        return busy_datasets(self._session, utc_now(), self._lost_after_s)

    def end_lost(self, sentence: str) -> int:
        return mending.end_lost(self._session, utc_now(), self._lost_after_s, sentence)

    def forget_predictions(self, prediction_set_id: str, image_ids: Collection[str]) -> int:
        return mending.forget_predictions(self._session, prediction_set_id, image_ids)

    def forget_labels(self, label_set_id: str, image_ids: Collection[str]) -> int:
        return mending.forget_labels(self._session, label_set_id, image_ids)

    def ask_for_retry(self, kind: str, set_id: str, sentence: str) -> bool:
        job_of = mending.job_of_labels if kind == "labels" else mending.job_of_predictions
        return mending.ask_for_retry(self._session, job_of(self._session, set_id), sentence)


def mending_of(database: Database, lost_after_s: float):
    """Return what opens a transaction for one step of mending."""

    @contextmanager
    def opened() -> Iterator[SessionRows]:
        with database.writing() as session:
            yield SessionRows(session, lost_after_s)

    return opened
