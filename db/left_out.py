"""What is left out of all images of a dataset: revisions, of which the newest counts and none is ever overwritten."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from db import audit
from db.models import Dataset, LabelSet, LeftOutRegion, PredictionSet, Run
from db.session import changed_rows

_ACTIONS = {"cleared": "cleared left-out region", "withdrawn": "withdrew left-out region"}


class StaleRegion(ValueError):
    """Somebody else changed the region meanwhile. Theirs is kept, and this one is not stored."""


class NothingLeftOut(ValueError):
    """There is no region to clear, or no change to take back."""


@dataclass(frozen=True)
class MadeBefore:
    """The names of the mask sets and runs that were made without the region that is left out now, or another one."""

    label_sets: tuple[str, ...]
    runs: tuple[str, ...]


def add(session: Session, dataset_id: str, base: int, values: dict[str, Any]) -> LeftOutRegion:
    """Add a revision whose file is stored already; `values` are those of the row.

    Raises:
        StaleRegion: the newest revision is not `base`, or the dataset was deleted.
    """
    newer = update(Dataset).where(Dataset.id == dataset_id, Dataset.left_out_revision == base)
    newer = newer.values(left_out_revision=base + 1, left_out_id=values.get("file_id") or None)
    if not changed_rows(session, newer):
        found = session.get(Dataset, dataset_id)
        if found is None:
            raise StaleRegion("The dataset was deleted meanwhile, so nothing can be left out of it.")
        raise StaleRegion(
            f"What is left out of {found.name!r} was changed meanwhile: its revision is {found.left_out_revision}, and "
            f"this change began from {base}. Nothing was overwritten: load it again, then change it."
        )
    actor = audit.actor_of(session)
    row = LeftOutRegion(
        dataset_id=dataset_id, revision=base + 1, person_id=actor.id, who=actor.name, **({"file_id": ""} | values)
    )
    session.add(row)
    session.flush()
    name = session.get_one(Dataset, dataset_id, populate_existing=True).name
    detail = f"{row.share:.0%} of each image, {row.source}" if row.file_id else ""
    audit.record(session, _ACTIONS.get(row.source, "left region out"), "dataset", dataset_id, name, detail)
    return row


def clear(session: Session, dataset_id: str, base: int) -> LeftOutRegion:
    """Leave nothing out any more.

    Raises:
        StaleRegion: as for `add`.
        NothingLeftOut: nothing is left out.
    """
    if current(session, dataset_id) is None:
        raise NothingLeftOut(f"Nothing is left out of {session.get_one(Dataset, dataset_id).name!r}.")
    return add(session, dataset_id, base, {"source": "cleared"})


def withdraw(session: Session, dataset_id: str, base: int) -> LeftOutRegion:
    """Take back the newest change, by a revision that shows what was left out before it.

    Raises:
        StaleRegion: as for `add`.
        NothingLeftOut: there is nothing to take back.
    """
    earlier = before(session, dataset_id)
    if earlier is None:
        name = session.get_one(Dataset, dataset_id).name
        raise NothingLeftOut(f"Nothing that was left out of {name!r} can be taken back.")
    values = {name: getattr(earlier, name) for name in ("file_id", "width", "height", "share")}
    return add(session, dataset_id, base, values | {"source": "withdrawn"})


def current(session: Session, dataset_id: str) -> LeftOutRegion | None:
    """Return the newest revision, or None if nothing is left out."""
    query = select(LeftOutRegion).join(Dataset, Dataset.id == LeftOutRegion.dataset_id)
    query = query.where(Dataset.id == dataset_id, LeftOutRegion.revision == Dataset.left_out_revision)
    return session.scalars(query.where(LeftOutRegion.file_id != "")).first()


def history(session: Session, dataset_id: str) -> list[LeftOutRegion]:
    """Return every revision, newest first."""
    query = select(LeftOutRegion).where(LeftOutRegion.dataset_id == dataset_id)
    return list(session.scalars(query.order_by(LeftOutRegion.revision.desc())))


def before(session: Session, dataset_id: str) -> LeftOutRegion | None:
    """Return the revision that the newest change began from, with an empty file if nothing was left out then.

    None if nothing was ever changed, or all of it was taken back.
    """
    changes = history(session, dataset_id)
    if not changes or (changes[0].source == "withdrawn" and not changes[0].file_id):
        return None
    shown = session.get(LeftOutRegion, changes[0].file_id) or changes[0]
    earlier = [row for row in changes if row.revision == shown.revision - 1]
    return earlier[0] if earlier else LeftOutRegion(file_id="", width=0, height=0, share=0.0)


def made_before(session: Session, dataset_id: str) -> MadeBefore:
    """Return what was made with another region than the one that is left out now."""
    now = session.get_one(Dataset, dataset_id).left_out_id

    def names(table: type[LabelSet] | type[Run]) -> tuple[str, ...]:
        rows = session.execute(select(table.name, table.left_out_id).where(table.dataset_id == dataset_id))
        return tuple(sorted(name for name, left_out_id in rows if left_out_id != now))

    return MadeBefore(names(LabelSet), names(Run))


def of_masks(session: Session, dataset_id: str) -> dict[str, str | None]:
    """Return {id: region that is left out of its masks, or None} of the mask sets and prediction sets of a dataset."""
    found: dict[str, str | None] = {}
    for table in (LabelSet, PredictionSet):
        found |= dict(session.execute(select(table.id, table.left_out_id).where(table.dataset_id == dataset_id)).all())
    return found
