"""The URLs of an image's reference, with the classes of a run where it has them."""

from __future__ import annotations

from typing import NamedTuple

from dashboard.facts import urls
from db.runs import TruthClasses


class Maps(NamedTuple):
    """The URLs of a mask or reference: its grey levels, or the class numbers that say it all, or both."""

    levels: str | None
    classes: str | None = None


def truth_maps(
    dataset_id: str,
    image_id: str,
    size: int | None = None,
    *,
    run_id: str,
    in_classes: TruthClasses | None,
    version: int,
) -> Maps:
    """Return truth as foreground, or as class numbers where it has the classes of a run: `db.runs.truth_in_classes`.

    Args:
        version: the dataset's `truth_version`.
    """
    if not in_classes:
        return Maps(urls.truth(dataset_id, image_id, size, version=version))
    owner = run_id if in_classes == "of the run" else None
    return Maps(None, urls.truth(dataset_id, image_id, size, classes=True, run_id=owner, version=version))


def label_maps(label_set_id: str, image_id: str, size: int | None = None, *, in_classes: bool) -> Maps:
    """Return a pseudo-label, with its class numbers where it has several classes."""
    classes = urls.label_classes(label_set_id, image_id, size) if in_classes else None
    return Maps(urls.label(label_set_id, image_id, size), classes)
