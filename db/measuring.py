"""Submitting and deleting measurements of objects."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db import audit, corrections, datasets, exports, jobs, masks
from db.masks import MasksOf
from db.models import Dataset, Image, Job, JobKind, JobStatus, Measurement
from db.submissions import NotReady


def submit_objects(
    session: Session, owner: MasksOf, owner_id: str, params: dict[str, Any], pixel_size: str = ""
) -> tuple[Measurement, Job]:
    """Add a measurement and the job that computes it, or return one that was just added, as by a double click.

    Args:
        owner: whose masks: "prediction_set", "label_set", or "truth" with the id of a dataset.
        params: `engine.measuring.objects.ObjectParams`.
        pixel_size: such as "0.65um"; empty for what the files say.

    Raises:
        NotReady: there is no mask.
    """
    rows = masks.mask_rows(session, owner, owner_id)
    if not rows.images:
        raise NotReady(f"There are no masks to measure in the dataset {rows.dataset.name!r}.")
    columns = {
        "dataset_id": rows.dataset.id,
        "prediction_set_id": owner_id if owner == "prediction_set" else None,
        "label_set_id": owner_id if owner == "label_set" else None,
        "pixel_size": pixel_size,
    }
    same = [getattr(Measurement, name) == value for name, value in columns.items()]
    begun = Job.status.in_([JobStatus.QUEUED, JobStatus.RUNNING]), Job.progress_done == 0, ~Job.stop_requested
    query = select(Measurement, Job).join(Job, Job.id == Measurement.job_id).where(*same, *begun)
    for measurement, job in session.execute(query):
        if measurement.params == params:
            return measurement, job
    measurement = Measurement(params=params, **columns)
    session.add(measurement)
    session.flush()
    ids = {"dataset": rows.dataset.id} if owner == "truth" else exports.payload_ids(session, owner, owner_id)
    job = jobs.submit(session, JobKind.OBJECTS, {"measurement": measurement.id} | ids)
    measurement.job_id = job.id
    session.flush()
    name = exports.owner_name(session, "measurement", measurement.id)
    audit.record(session, "measured", "measurement", measurement.id, name)
    return measurement, job


def measured(measurement: Measurement) -> tuple[MasksOf, str]:
    """Return whose masks a measurement is of, as for `db.masks.mask_rows`."""
    if measurement.prediction_set_id:
        return "prediction_set", measurement.prediction_set_id
    if measurement.label_set_id:
        return "label_set", measurement.label_set_id
    return "truth", measurement.dataset_id


def stamp_of(session: Session, owner: MasksOf, owner_id: str) -> str:
    """Return a text that changes whenever a measurement of these masks would have another content."""
    if owner == "truth":
        dataset = session.get_one(Dataset, owner_id)
        of_masks = f"{dataset.truth_version}/{dataset.truth_count}/{dataset.left_out_id}/{dataset.classes}"
    else:
        dataset = session.get_one(Dataset, exports.payload_ids(session, owner, owner_id)["dataset"])
        drawn = corrections.revisions(session, dataset.id)
        of_masks = f"{exports.stamp(session, owner, owner_id)}/{drawn}/{dataset.truth_version}"
    included = select(func.count(), func.sum(Image.position)).where(
        Image.dataset_id == dataset.id, Image.excluded.is_(False)
    )
    count, positions = session.execute(included).one()
    return f"{of_masks}/{count}/{positions}"


def delete_measurement(session: Session, measurement_id: str) -> list[tuple[str, str]]:
    """Delete a measurement; return [(kind of folder, id)] of files to remove afterwards.

    Raises:
        InUse: it is being computed, or a download of it is being prepared.
    """
    found = session.get(Measurement, measurement_id)
    if found is None:  # another tab was faster
        return []
    job = session.get(Job, found.job_id) if found.job_id else None
    if job is not None and not job.status.ended:
        raise datasets.InUse("The objects are being measured. Stop that first, then try again.")
    exports.refuse_while_read(session, "measurement", measurement_id)
    audit.record(
        session, "deleted", "measurement", found.id, exports.owner_name(session, "measurement", measurement_id)
    )
    session.delete(found)
    session.flush()
    return [("measurement", measurement_id)]
