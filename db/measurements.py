"""Measurements of objects: their rows, their saved filters, and which are deleted along with what they measured."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from db.models import Measurement

MOST_FILTERS = 50
LONGEST_NAME = 100


class BadFilter(ValueError):
    """A filter cannot be saved. The sentence says why."""


def listing(session: Session, dataset_id: str | None = None) -> list[Measurement]:
    """Return measurements, newest first."""
    query = select(Measurement).order_by(Measurement.created_at.desc(), Measurement.id)
    return list(session.scalars(query.where(Measurement.dataset_id == dataset_id) if dataset_id else query))


def folders(
    session: Session,
    *,
    dataset_id: str = "",
    prediction_sets: Collection[str] = (),
    label_sets: Collection[str] = (),
) -> list[tuple[str, str]]:
    """Return [("measurement", id)] of those that the database deletes with a dataset or with sets of masks.

    Call it before the rows are deleted; remove the folders afterwards.
    """
    query = select(Measurement.id).where(
        or_(
            Measurement.dataset_id == dataset_id,
            Measurement.prediction_set_id.in_(prediction_sets),
            Measurement.label_set_id.in_(label_sets),
        )
    )
    return [("measurement", id_) for id_ in session.scalars(query.order_by(Measurement.id))]


def finish(
    session: Session, measurement_id: str, images: int, objects: int, classes: Sequence[str], stamp: str
) -> None:
    """Store what the job of a measurement has measured. Its files are stored already."""
    found = session.get_one(Measurement, measurement_id)
    found.images, found.objects, found.classes, found.stamp = images, objects, list(classes), stamp


def save_filter(session: Session, measurement_id: str, name: str, values: dict[str, Any]) -> None:
    """Save a filter under a name; one of the same name is replaced.

    Raises:
        BadFilter: the name is empty or too long, or there are too many.
    """
    name = " ".join(name.split())
    if not 0 < len(name) <= LONGEST_NAME:
        raise BadFilter(f"The name of a filter has 1 to {LONGEST_NAME} characters. Got {len(name)}.")
    found = session.get_one(Measurement, measurement_id)
    others = [entry for entry in found.filters if entry["name"] != name]
    if len(others) >= MOST_FILTERS:
        raise BadFilter(f"A measurement can have {MOST_FILTERS} saved filters. Delete one first.")
    found.filters = [*others, {"name": name} | values]


def delete_filter(session: Session, measurement_id: str, name: str) -> None:
    """Delete a saved filter; deleting one that is gone is no error."""
    found = session.get(Measurement, measurement_id)
    if found is not None:
        found.filters = [entry for entry in found.filters if entry["name"] != name]
