"""What people drew on images: revisions, of which the newest counts and none is ever overwritten."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from db import audit
from db.models import Correction, Dataset, Image, RunImage
from db.session import changed_rows


class StaleCorrection(ValueError):
    """Somebody else corrected the same image meanwhile. Their correction is kept, and this one is not stored."""


def add(session: Session, image: Image, base: int, values: dict[str, Any]) -> Correction:
    """Add a revision to an image whose file is stored already; `values` are those of the row.

    Raises:
        StaleCorrection: the image's newest revision is not `base`, or it was deleted.
    """
    newer = update(Image).where(Image.id == image.id, Image.correction_revision == base)
    if not changed_rows(session, newer.values(correction_revision=base + 1)):
        found = session.scalar(select(Image.correction_revision).where(Image.id == image.id))
        if found is None:
            raise StaleCorrection(f"The image {image.name!r} was deleted meanwhile, so it cannot be corrected.")
        by = session.scalars(
            select(Correction.who).where(Correction.image_id == image.id, Correction.revision == found)
        ).first()
        who = f" by {by}" if by else ""
        raise StaleCorrection(
            f"The image {image.name!r} was corrected meanwhile{who}: its revision is {found}, and this correction "
            f"began from {base}. Nothing was overwritten: load the image again, then correct it."
        )
    actor = audit.actor_of(session)
    row = Correction(
        dataset_id=image.dataset_id,
        image_id=image.id,
        revision=base + 1,
        person_id=actor.id,
        who=actor.name,
        **values,
    )
    session.add(row)
    session.flush()
    return row


def committing(
    writing: Callable[[], AbstractContextManager[Session]],
) -> Callable[[Sequence[tuple[Image, int, dict[str, Any]]]], list[Correction]]:
    """Return a function that adds revisions, (image, base, values), of one dataset in one transaction.

    It raises StaleCorrection as `add` does; no revision is added then.
    """

    def commit(revisions: Sequence[tuple[Image, int, dict[str, Any]]]) -> list[Correction]:
        with writing() as session:
            added = [add(session, *revision) for revision in revisions]
            if added:
                record(session, added[0].dataset_id, added)
        return added

    return commit


def withdraw(session: Session, image: Image, base: int) -> Correction:
    """Take back the newest correction of an image, by a revision that shows what was there before it.

    Raises:
        StaleCorrection: the image was corrected or deleted meanwhile.
        ValueError: there is nothing to take back.
    """
    shown = current(session, image.dataset_id, [image.id]).get(image.id)
    if shown is None:
        raise ValueError(f"The image {image.name!r} has no correction to withdraw.")
    earlier = before(session, shown)
    values = {"source": "withdrawn", "finished": bool(earlier and earlier.finished)}
    if earlier is not None:
        values |= {"file_id": earlier.file_id, "pixels": earlier.pixels}
    added = add(session, image, base, values)
    record(session, image.dataset_id, [added])
    return added


def record(session: Session, dataset_id: str, rows: Sequence[Correction]) -> None:
    """Add one line to the audit log for corrections of one dataset that were stored together."""
    name = session.get_one(Dataset, dataset_id).name
    count = "1 image" if len(rows) == 1 else f"{len(rows)} images"
    word = "withdrew correction" if all(row.source == "withdrawn" for row in rows) else "corrected"
    audit.record(session, word, "dataset", dataset_id, name, f"{count}, {rows[0].source}")


def current(session: Session, dataset_id: str, image_ids: Sequence[str] | None = None) -> dict[str, Correction]:
    """Return {image id: newest correction} of a dataset's images, those where something is drawn or was looked at."""
    query = (
        select(Correction)
        .join(Image, (Image.id == Correction.image_id) & (Image.correction_revision == Correction.revision))
        .where(Correction.dataset_id == dataset_id, Correction.file_id != "")
        .order_by(Image.position, Image.id)
    )
    if image_ids is not None:
        query = query.where(Correction.image_id.in_(image_ids))
    return {row.image_id: row for row in session.scalars(query)}


def finished_images(session: Session, dataset_id: str) -> set[str]:
    """Return the ids of the images of a dataset whose newest correction covers the whole image."""
    newest = (Image.id == Correction.image_id) & (Image.correction_revision == Correction.revision)
    finished = Correction.dataset_id == dataset_id, Correction.finished.is_(True), Correction.file_id != ""
    return set(session.scalars(select(Correction.image_id).join(Image, newest).where(*finished)))


def history(session: Session, image_id: str) -> list[Correction]:
    """Return every correction of an image, newest first."""
    query = select(Correction).where(Correction.image_id == image_id).order_by(Correction.revision.desc())
    return list(session.scalars(query))


def before(session: Session, correction: Correction) -> Correction | None:
    """Return the revision that the drawing shown by `correction` began from, or None if that was the first."""
    shown = session.get(Correction, correction.file_id)
    if shown is None:
        return None
    earlier = select(Correction).where(Correction.image_id == shown.image_id, Correction.revision == shown.revision - 1)
    return session.scalars(earlier).first()


def of_run(session: Session, run_id: str) -> dict[str, Correction]:
    """Return {image id: correction} of what was laid over the labels that a run is trained on."""
    query = select(Correction).join(RunImage, RunImage.correction_id == Correction.id).where(RunImage.run_id == run_id)
    return {row.image_id: row for row in session.scalars(query)}


def teaching(session: Session, dataset_id: str) -> dict[str, Correction]:
    """Return what `current` returns, without images of the audit, from which nothing may be learned, and excluded."""
    excluded = select(Image.id).where(Image.dataset_id == dataset_id, Image.excluded.is_(True))
    kept_out = audit_images(session, dataset_id) | set(session.scalars(excluded))
    return {image_id: row for image_id, row in current(session, dataset_id).items() if image_id not in kept_out}


def audit_images(session: Session, dataset_id: str) -> set[str]:
    """Return the ids of the images of a dataset's audit."""
    return set(session.scalars(select(Image.id).where(Image.dataset_id == dataset_id, Image.in_audit.is_(True))))


def draw_audit(session: Session, dataset_id: str, count: int) -> list[Image]:
    """Return the images of a dataset's audit, after drawing as many more as are missing to `count`.

    They are drawn at random from the images that have no correction yet, by a hash of their content: what was learned
    from cannot be tested on. Fewer than `count` are returned where there are no more.
    """
    chosen = select(Image).where(Image.dataset_id == dataset_id, Image.excluded.is_(False))
    there = list(session.scalars(chosen.where(Image.in_audit.is_(True)).order_by(Image.position, Image.id)))
    free = session.scalars(chosen.where(Image.in_audit.is_(False), Image.correction_revision == 0)).all()
    ranked = sorted(free, key=lambda image: hashlib.sha256(f"audit:{image.content_hash}".encode()).digest())
    added = ranked[: max(count - len(there), 0)]
    for image in added:
        image.in_audit = True
    if added:
        name = session.get_one(Dataset, dataset_id).name
        audit.record(session, "drew audit", "dataset", dataset_id, name, f"{len(added)} images")
    return sorted([*there, *added], key=lambda image: (image.position, image.id))


def revisions(session: Session, dataset_id: str) -> int:
    """Return how many revisions the images of a dataset have together: it changes whenever something is drawn."""
    drawn = select(func.sum(Image.correction_revision)).where(Image.dataset_id == dataset_id)
    return session.scalar(drawn) or 0
