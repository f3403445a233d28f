"""Pages over a million images and ten thousand runs on a real PostgreSQL server, which is started for it.

    python -m benchmarks.many_rows pages
    python -m benchmarks.many_rows pages --images 100000 --runs 1000

Rows are drawn by the server; no file of an image is there, so tiles stay empty. One dataset has a tenth of the images,
the others have 10,000 each; the large one and one of the others are predicted. Every run has 20 epochs.
"""

from __future__ import annotations

import json
from statistics import median
from typing import Annotated, Any

import numpy as np
import typer
from sqlalchemy import text, update
from sqlalchemy.orm import Session

from benchmarks.harness import back_to, browsing, data_root, note, suite
from benchmarks.pages import Times
from db import datasets, runs
from db.columns import Base, new_id
from db.models import Dataset, Image, Job, JobKind, JobStatus, Prediction, Run
from db.session import Database
from engine.core.run_config import config_from
from engine.imaging import metrics
from tests.support.postgresql import running_server

EACH, EPOCHS, SIDE_PX, KINDS = 10_000, 20, 64, 16
NAMES = "dice", "iou", "loss", "val_dice", "val_iou", "val_loss", "learning_rate"
ENDED = """
(everything) => () => (everything("h1")[0]?.textContent ?? "").startsWith("TITLE")
  && everything('[data-test-script-state="notRunning"]').length > 0 && !everything('[data-stale="true"]').length
  && !everything('[data-testid="stSkeleton"]').length
"""
app = suite(__doc__)


@app.command()
def pages(
    images: int = 1_000_000, run_count: Annotated[int, typer.Option("--runs")] = 10_000, times: Times = 5
) -> list[dict[str, Any]]:
    """Seconds from the browser's Back to the page: median and worst."""
    with running_server() as server, server.database() as database, data_root() as root:
        large, small = draw(database, images, run_count)
        note("The rows are there.")
        rows = []
        with browsing(root, DATABASE_URL=database.url) as (served, page):
            places = {
                "datasets": ("datasets", "Datasets"),
                "the large dataset": (f"datasets?dataset={large.dataset_id}", "large"),
                "runs": ("runs", "Runs"),
                "gallery of 10,000": (f"gallery?run={small.id}", "Gallery"),
                "gallery of the large dataset": (f"gallery?run={large.id}", "Gallery"),
            }
            for name, (address, title) in places.items():
                holds = ENDED.replace("TITLE", title)
                found = [back_to(page, f"{served.address}/{address}", holds) for _ in range(times)]
                rows.append({"page": name, "median_s": median(found), "worst_s": max(found)})
                note(f"{rows[-1]}")
    return rows


def draw(database: Database, images: int, run_count: int) -> tuple[Run, Run]:
    """Store datasets, runs, curves and predictions; return a run of the large one, and of another."""
    with database.writing() as session:
        ids = [_dataset(session, "large", images // 10)]
        ids += [_dataset(session, f"dataset {number}", EACH) for number in range((images - images // 10) // EACH)]
        predicted = _runs(session, ids, run_count)
        for run in predicted:
            _predictions(session, run)
        session.execute(text("ANALYZE"))
    return predicted


def _dataset(session: Session, name: str, count: int) -> str:
    dataset = datasets.create(session, name)
    job = Job(kind=JobKind.IMPORT, status=JobStatus.FINISHED, payload={"dataset": dataset.id}, attempt=1)
    session.add(job)
    session.flush()
    values = {"job_id": job.id, "image_count": count, "truth_count": count, "fingerprint": new_id()}
    session.execute(update(Dataset).where(Dataset.id == dataset.id).values(values))
    image = Image(dataset_id=dataset.id, name="", content_hash="", width=SIDE_PX, height=SIDE_PX, has_truth=True)
    _multiply(
        session,
        image,
        count,
        id="md5(:of || n)",
        position="n",
        name="'photograph ' || n || '.png'",
        content_hash="md5(:of || n)",
    )
    return dataset.id


def _runs(session: Session, dataset_ids: list[str], count: int) -> tuple[Run, Run]:
    job = Job(kind=JobKind.TRAIN, status=JobStatus.FINISHED, payload={}, attempt=1)
    session.add(job)
    session.flush()
    config = config_from("fast", {"training": {"epochs": EPOCHS}}).model_dump(mode="json")
    found = []
    for dataset_id in dataset_ids:
        run = runs.create(session, session.get_one(Dataset, dataset_id), None, f"run {dataset_id}", "fast", config, "1")
        session.flush()
        run.job_id, run.best_epoch, run.best_val_dice, run.train_seconds = job.id, EPOCHS, 0.5, 60.0
        session.flush()
        name, score = "'run ' || n || ' of ' || :of", "0.5 + 0.4 * random()"
        _multiply(session, run, count // len(dataset_ids) - 1, id="md5(:of || n)", name=name, best_val_dice=score)
        found.append(run)
    epochs = f"SELECT id, n, :name, 0.1 + 0.04 * n + 0.02 * random() FROM runs, generate_series(1, {EPOCHS}) AS n"
    for name in NAMES:
        session.execute(text(f"INSERT INTO metrics (run_id, epoch, name, value) {epochs}"), {"name": name})
    return found[0], found[1]


def _predictions(session: Session, run: Run) -> None:
    set_id = runs.ensure_prediction_set(session, run.id, run.dataset_id, run.job_id, flips=False)
    rng = np.random.default_rng(0)
    truth = np.hypot(*np.mgrid[-32:32, -32:32]) < 20
    counts = []
    for _ in range(KINDS):
        levels = np.clip(np.roll(truth, rng.integers(12), axis=1) * 178 + rng.integers(0, 60, truth.shape), 0, 255)
        counts.append(metrics.pack_counts(metrics.threshold_counts(levels.astype(np.uint8), truth)))
    row = {
        "prediction_set_id": "CAST(:set_id AS text)",
        "image_id": "images.id",
        "split": "CASE WHEN position % 5 = 0 THEN 'validation' ELSE 'train' END",
        **{"area": "0.3", "mean_probability": "0.3", "truth_dice": "random()", "truth_iou": "random()"},
        "truth_counts": f"(CAST(:counts AS bytea[]))[1 + position % {KINDS}]",
    }
    columns = f"INSERT INTO {Prediction.__tablename__} ({', '.join(row)}) SELECT {', '.join(row.values())} "
    values = {"set_id": set_id, "counts": counts, "dataset_id": run.dataset_id}
    session.execute(text(f"{columns} FROM images WHERE dataset_id = :dataset_id"), values)


def _multiply(session: Session, row: Base, count: int, **expressions: str) -> None:
    """Store so many rows like this one, with what SQL expressions of `n` say; `:of` is new for each call."""
    table = type(row).__table__
    values: dict[str, Any] = {"of": new_id(), "count": count}
    chosen = {}
    for column in table.columns:
        value = getattr(row, column.name)
        if column.name in expressions:
            chosen[column.name] = expressions[column.name]
        elif value is not None or column.default is not None:
            if value is None:
                value = column.default.arg(None) if column.default.is_callable else column.default.arg
            values[column.name] = json.dumps(value) if isinstance(value, list | dict) else value
            chosen[column.name] = f"CAST(:{column.name} AS {column.type.compile(session.get_bind().dialect)})"
    text_ = f"INSERT INTO {table.name} ({', '.join(chosen)}) SELECT {', '.join(chosen.values())} "
    session.execute(text(f"{text_} FROM generate_series(1, :count) AS n"), values)


if __name__ == "__main__":
    app()
