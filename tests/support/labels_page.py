"""Mask sets for tests of the Masks page, and what stands on it."""

from __future__ import annotations

from db import datasets, recipes, submissions
from db.models import Job, JobStatus, LabelSet
from engine.store import keys as stored
from tests.support.installation import Installation

PAGE = "views/labels/page.py"
KMEANS = {"clusters": 6, "longest_side_px": 400}


def texts(app) -> str:
    shown = (*app.markdown, *app.caption, *app.header, *app.subheader, *app.error, *app.warning, *app.info)
    return "\n".join(element.value for element in shown)


def stored_sets(installation: Installation) -> list[LabelSet]:
    with installation.database.reading() as session:
        return recipes.listing(session)


def add_label_set(installation: Installation, dataset_id: str, name: str = "first") -> LabelSet:
    """A mask set whose masks are there and whose job has not begun."""
    with installation.database.writing() as session:
        made, _ = submissions.submit_label(session, dataset_id, name, "kmeans", KMEANS, 0, "0.1.0")
        images = datasets.images(session, dataset_id)
        rows = [
            {
                "image_id": image.id,
                "area": 0.25,
                "dice": 0.75 + 0.01 * (number - 2.5),
                "iou": 0.6,
                "quality": 0.1 * number,
                "unclear": number == 0,
            }
            for number, image in enumerate(images)
        ]
        recipes.add_labels(session, made.id, rows)
        installation.files.write(stored.label_key(made.id, images[0].id), b"png")
    return made


def finish_jobs(installation: Installation) -> None:
    with installation.database.writing() as session:
        for label_set in recipes.listing(session):
            session.get_one(Job, label_set.job_id).status = JobStatus.FINISHED
