"""What is doubtful about the masks that a network is to be trained on: their classes, and objects too small for it."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from dashboard.facts.datasets import truth_facts
from db import datasets, recipes
from db.models import Dataset, Image
from engine.core.run_config import RunConfig
from engine.datasets import truth
from engine.store import keys as stored
from engine.store.base import Store, StoredFile
from engine.training.vanishing import vanishing_note


def concerns(
    session: Session, files: Store, dataset_id: str, label_set_id: str | None, config: RunConfig
) -> tuple[str, ...]:
    """Return sentences to show before training on a mask set, or on truth if there is none."""
    found = []
    dataset = session.get_one(Dataset, dataset_id)
    if label_set_id is None:
        keys = dict(datasets.truth_codes(session, dataset_id))
        sentences = truth.concerns(truth_facts(session, dataset_id), dataset.lookup, keys)
        found += [f"{sentence} The classes are in the tab Truth of the dataset." for sentence in sentences]
    if note := _vanishing_note(session, files, dataset, label_set_id, config):
        found.append(note)
    return tuple(found)


def _vanishing_note(
    session: Session, files: Store, dataset: Dataset, label_set_id: str | None, config: RunConfig
) -> str:
    columns = select(Image.id, Image.height, Image.width, Image.has_truth)
    included = Image.dataset_id == dataset.id, Image.excluded.is_(False)
    rows = session.execute(columns.where(*included).order_by(Image.position, Image.id)).all()
    if label_set_id is None:
        rows = [row for row in rows if row.has_truth]
    else:
        kept = recipes.labelled_images(session, label_set_id) - recipes.dropped_images(session, label_set_id)
        rows = [row for row in rows if row.id in kept]

    def target(image_id: str) -> StoredFile:
        key = stored.truth_key(dataset.id, image_id)
        return StoredFile(files, stored.label_key(label_set_id, image_id) if label_set_id else key)

    shapes = [(row.height, row.width) for row in rows]
    return vanishing_note([target(row.id) for row in rows], shapes, None if label_set_id else dataset.lookup, config)
