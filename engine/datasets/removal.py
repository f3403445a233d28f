"""The files of images whose rows were removed from a dataset."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from engine.store import keys as stored
from engine.store.base import Store

if TYPE_CHECKING:
    from db.image_care import Removed


def delete_files(files: Store, removed: Removed) -> None:
    """Delete all files of removed images. Can be called again; what a crash leaves is found by the doctor."""
    for key in _keys(removed):
        files.delete(key)
    gone = set(removed.image_ids)
    for run_id in removed.run_ids if gone else ():
        for key in files.keys(stored.run_folder(run_id)):
            if PurePosixPath(key).stem in gone:
                files.delete(key)


def _keys(removed: Removed) -> Iterator[str]:
    dataset_id = removed.dataset_id
    for correction_id in removed.correction_ids:
        yield stored.correction_key(dataset_id, correction_id)
    for image_id in removed.image_ids:
        for key_of in (stored.image_key, stored.thumb_key, stored.truth_key):
            yield key_of(dataset_id, image_id)
        for label_set_id in removed.label_set_ids:
            yield stored.label_key(label_set_id, image_id)
            yield stored.label_classes_key(label_set_id, image_id)
        for set_id in removed.prediction_set_ids:
            yield stored.prediction_key(set_id, image_id)
            yield stored.prediction_classes_key(set_id, image_id)
            yield stored.uncertainty_key(set_id, image_id)
