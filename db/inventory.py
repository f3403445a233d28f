"""What the database records as stored, to compare it with the files."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import Row, Select, func, inspect, select
from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import Session

from db import jobs
from db.columns import Base
from db.models import (
    AuditEntry,
    Correction,
    Dataset,
    Image,
    Job,
    Label,
    LabelSet,
    LeftOutRegion,
    Measurement,
    Prediction,
    PredictionSet,
    Round,
    Run,
)
from db.row_content import unreadable_rows
from db.schema import known_revisions, revision_of
from db.session import Database, chunked, sqlite_file

MOST_FAULTS = 20
"""Lines of SQLite's own check that are read: a damaged file has thousands of similar ones."""

OWNERS: tuple[type[Base], ...] = (Dataset, LabelSet, Run, PredictionSet, Measurement)
"""The tables whose rows have a folder of files, named by their id."""

AnyRow = Row[*tuple[Any, ...]]


class Inventory:
    """Reads one database, each query in a short transaction. Rows have the attributes that each method names."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def is_sqlite(self) -> bool:
        return self._database.is_sqlite

    @property
    def dialect(self) -> str:
        return self._database.bind.dialect.name

    def faults(self, quick: bool) -> list[str]:
        """Return the faults that SQLite finds in its file, in its own words; none for other databases."""
        if not self.is_sqlite:
            return []
        try:
            with self._database.bind.connect() as connection:
                check = "quick_check" if quick else "integrity_check"
                lines = [row[0] for row in connection.exec_driver_sql(f"PRAGMA {check}({MOST_FAULTS})")]
                dangling = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchmany(MOST_FAULTS)
        except (DatabaseError, UnicodeDecodeError) as error:  # SQLite quotes damaged text as it is
            return [str(getattr(error, "orig", error))]
        return [line for line in lines if line != "ok"] + [
            f"row {row[1]} of {row[0]} points at a row of {row[2]} that is not there" for row in dangling
        ]

    def has_tables(self) -> bool:
        """Whether the database was begun. A SQLite file that is missing or empty is not created for that."""
        file = sqlite_file(self._database.url)
        if file and not (file.is_file() and file.stat().st_size):
            return False
        return self._database.revision() is not None

    def remembers_any(self, ids: Collection[str]) -> bool:
        """Whether one of these ids is or was that of a dataset, a set of masks, a run or a measurement."""
        there = set(inspect(self._database.bind).get_table_names())
        columns: list[Any] = [table.id for table in OWNERS if table.__tablename__ in there]  # type: ignore[attr-defined]
        columns += [AuditEntry.object_id] if AuditEntry.__tablename__ in there else []
        return any(
            self._rows(select(column).where(column.in_(some)).limit(1)) for some in chunked(ids) for column in columns
        )

    def last_line(self, before: datetime) -> dict[str, Any] | None:
        """Return the newest line of the audit log before a moment: what only this database remembers."""
        query = select(AuditEntry.id, AuditEntry.at, AuditEntry.object_id).where(AuditEntry.at < before)
        for line in self._rows(query.order_by(AuditEntry.id.desc()).limit(1)):
            return {"line": line.id, "at": line.at.timestamp(), "of": line.object_id}
        return None

    def remembers(self, line: dict[str, Any]) -> bool:
        """Whether the audit log has a line that `last_line` returned."""
        if not inspect(self._database.bind).has_table(AuditEntry.__tablename__):
            return False
        found = self._rows(select(AuditEntry.at, AuditEntry.object_id).where(AuditEntry.id == line.get("line")))
        return [(at.timestamp(), of) for at, of in found] == [(line.get("at"), line.get("of"))]

    def schema(self) -> tuple[str | None, str]:
        """Return (version of the database's tables, version that this code needs)."""
        with self._database.bind.connect() as connection:
            return revision_of(connection), known_revisions()[-1]

    def knows_schema(self, version: str) -> bool:
        """Whether this code is new enough to read tables of a version."""
        return version in known_revisions()

    def unreadable(self) -> list[str]:
        """Return the rows that hold what this code does not write, at most `MOST_FAULTS`, each with what is wrong."""
        return list(islice(unreadable_rows(self._database.bind), MOST_FAULTS))

    def datasets(self) -> Sequence[AnyRow]:
        """Return (id, name) of every dataset, those imported for prediction included."""
        return self._rows(select(Dataset.id, Dataset.name).order_by(Dataset.created_at, Dataset.id))

    def images(self, dataset_id: str) -> Sequence[AnyRow]:
        """Return (id, height, width, has_truth) of a dataset's images."""
        return self._rows(
            select(Image.id, Image.height, Image.width, Image.has_truth).where(Image.dataset_id == dataset_id)
        )

    def corrections(self, dataset_id: str) -> Sequence[AnyRow]:
        """Return (id, height, width) of the corrections of a dataset that have a file of their own."""
        query = select(Correction.id, Image.height, Image.width).join(Image, Image.id == Correction.image_id)
        return self._rows(query.where(Correction.dataset_id == dataset_id, Correction.file_id == Correction.id))

    def left_out(self, dataset_id: str) -> Sequence[AnyRow]:
        """Return (id, height, width) of the regions left out of a dataset that have a file of their own."""
        query = select(LeftOutRegion.id, LeftOutRegion.height, LeftOutRegion.width)
        return self._rows(
            query.where(LeftOutRegion.dataset_id == dataset_id, LeftOutRegion.file_id == LeftOutRegion.id)
        )

    def label_sets(self) -> Sequence[AnyRow]:
        """Return (id, name, dataset_id, job_id, classes) of every mask set."""
        return self._rows(select(LabelSet.id, LabelSet.name, LabelSet.dataset_id, LabelSet.job_id, LabelSet.classes))

    def labels(self, label_set_id: str) -> Sequence[AnyRow]:
        """Return (id, height, width) of the images that have a label in a set."""
        query = select(Image.id, Image.height, Image.width).join(Label, Label.image_id == Image.id)
        return self._rows(query.where(Label.label_set_id == label_set_id))

    def prediction_sets(self) -> Sequence[AnyRow]:
        """Return (id, name, dataset_id, run_id, run_dataset_id, job_id, classes) of every prediction set.

        `name` and `classes` are those of its run.
        """
        columns = (PredictionSet.id, Run.name, PredictionSet.dataset_id, PredictionSet.run_id)
        query = select(*columns, Run.dataset_id.label("run_dataset_id"), PredictionSet.job_id, Run.classes)
        return self._rows(query.join(Run, Run.id == PredictionSet.run_id))

    def predictions(self, prediction_set_id: str) -> Sequence[AnyRow]:
        """Return (id, height, width, has_uncertainty) of the images that have a prediction in a set."""
        unsure = Prediction.uncertainty.is_not(None).label("has_uncertainty")
        query = select(Image.id, Image.height, Image.width, unsure).join(Prediction, Prediction.image_id == Image.id)
        return self._rows(query.where(Prediction.prediction_set_id == prediction_set_id))

    def runs(self) -> Sequence[AnyRow]:
        """Return (id, name, dataset_id, job_id, best_epoch, rounds) of every run."""
        rounds = select(func.count()).where(Round.run_id == Run.id).scalar_subquery().label("rounds")
        return self._rows(select(Run.id, Run.name, Run.dataset_id, Run.job_id, Run.best_epoch, rounds))

    def measurements(self) -> Sequence[AnyRow]:
        """Return (id, name, dataset_id, job_id, stamp, images) of every measurement; `name` is that of its dataset.

        Without a stamp it has not ended.
        """
        columns = (Measurement.id, Dataset.name, Measurement.dataset_id, Measurement.job_id)
        query = select(*columns, Measurement.stamp, Measurement.images)
        return self._rows(query.join(Dataset, Dataset.id == Measurement.dataset_id))

    def jobs(self) -> Sequence[AnyRow]:
        """Return (id, kind, status, payload, result, attempt) of every job."""
        return self._rows(select(Job.id, Job.kind, Job.status, Job.payload, Job.result, Job.attempt))

    def lost_jobs(self, now: datetime, lost_after_s: float) -> set[str]:
        """Return the ids of running jobs whose worker has fallen silent."""
        with self._database.reading() as session:
            return {job.id for job in jobs.active(session) if jobs.is_lost(job, now, lost_after_s)}

    def busy_datasets(self, now: datetime, lost_after_s: float) -> set[str]:
        """Return the ids of datasets that a queued or living job reads or writes, itself or through a run."""
        with self._database.reading() as session:
            return busy_datasets(session, now, lost_after_s)

    def _rows(self, query: Select[*tuple[Any, ...]]) -> Sequence[AnyRow]:
        with self._database.reading() as session:
            return session.execute(query).all()


def busy_datasets(session: Session, now: datetime, lost_after_s: float) -> set[str]:
    """Return the ids of datasets that a queued or living job reads or writes, itself or through a run."""
    found: set[str] = set()
    for job in jobs.active(session):
        if jobs.is_lost(job, now, lost_after_s):
            continue
        found.add(job.payload.get("dataset", ""))
        for run_id in (job.payload.get("run"), *job.payload.get("also", [])):
            run = session.get(Run, run_id) if run_id else None
            found |= {run.dataset_id} if run else set()
    return found - {""}
