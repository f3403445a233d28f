"""Bug reports: what the database knows of a job, and the route that answers with the zip of it."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response

from dashboard.server import resources
from dashboard.server.guard import get, guarded, row_of
from db import datasets
from db.columns import utc_now
from db.inventory import Inventory
from db.models import Dataset, Job, LabelSet, Person, Run
from engine.care.bug_report import IMAGES, Facts, bug_report
from engine.care.checkup import check
from engine.store import keys as stored

WORDS = ((Dataset, "dataset"), (Run, "run"), (LabelSet, "label_set"), (Person, "person"))


def report_of(job: Job, with_images: bool) -> bytes:
    """Return the zip that a report about a job needs."""
    database, files, current = resources.database(), resources.artifacts(), resources.settings()
    with database.reading() as session:
        facts = facts_of(session, job, with_images)
    report = check(Inventory(database), files, utc_now(), current.lost_after_s, quick=True)
    return bug_report(facts, report, files, current, with_images)


def facts_of(session: Session, job: Job, with_images: bool) -> Facts:
    """Return what the database knows of a job, its dataset and its recipe."""
    values = {column.key: getattr(job, column.key) for column in Job.__table__.columns if column.key != "worker"}
    run = session.get(Run, job.payload.get("run") or "")
    label_set = session.get(LabelSet, job.payload.get("label_set") or "")
    dataset_id = job.payload.get("dataset") or (run.dataset_id if run else "")
    recipe: dict[str, Any] | None = None
    if run is not None:
        recipe = {"preset": run.preset, "config": run.config, "details": run.details}
    elif label_set is not None:
        recipe = {"method": label_set.method, "params": label_set.params, "seed": label_set.seed}
    some = datasets.images(session, dataset_id, limit=IMAGES) if with_images else []
    keys = tuple(stored.image_key(dataset_id, image.id) for image in some)
    return Facts(values, recipe, _file_names(session, dataset_id) | _names(session), keys)


def _names(session: Session) -> dict[str, str]:
    """Return a neutral word for the name of everything that people name: the check-up names all of it."""
    words: dict[str, str] = {}
    for table, word in WORDS:
        rows: Any = session.query(table.name).order_by(table.created_at, table.id)
        words |= {name: f"{word.replace('_', ' ')} {number}" for number, (name,) in enumerate(rows, start=1)}
    return words


def _file_names(session: Session, dataset_id: str) -> dict[str, str]:
    """Return a neutral word for the name of each image, and of each other file that an import met."""
    words: dict[str, str] = {}
    images = [name for name, _ in datasets.named_images(session, dataset_id)]
    others = [entry.name for entry in datasets.report(session, dataset_id)]
    for word, names in (("image", images), ("file", others)):
        for number, name in enumerate(names, start=1):
            words.setdefault(name, f"{word} {number}")
            words.setdefault(name.rpartition("/")[2], f"{word} {number}")
    return words


@guarded
def answer(request: Request) -> Response:
    """Answer with the zip; its name tells nothing but the job's id."""
    with resources.database().reading() as session:
        job = row_of(session, Job, request.path_params["job"])
    data = report_of(job, with_images=request.query_params.get("images") == "1")
    headers = {
        "Content-Disposition": f'attachment; filename="maskloom-report-{job.id[:8]}.zip"',
        "Cache-Control": "no-store",
    }
    return Response(data, media_type="application/zip", headers=headers)


BUG_REPORT_ROUTE = get("jobs/{job}/report.zip", answer)
