"""A label job on a Ray cluster of two nodes with one core each, against the same job on two local processes.

    python -m benchmarks.ray_nodes label --images 2000

Both are started on this machine, one after the other and in turns; the seconds are those of the job itself, from its
first query to its verdict. Needs Ray and two cores that nothing else uses.
"""

from __future__ import annotations

import os
import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from benchmarks.harness import Failed, note, suite
from db import submissions
from db.models import Dataset, JobStatus
from db.session import Database
from db.workers import register_app
from engine import VERSION
from engine.care.belonging import remember_start
from engine.core.settings import Settings
from engine.labelling.base import find_method
from engine.store.local import LocalStore
from engine.work.launchers import launcher
from tests.support.installation import Installation, add_discs
from tests.support.ray_nodes import RayNodes

app = suite(__doc__)
LIMIT = 1.15


@app.command()
def label(
    images: int = 2000, size_px: int = 128, method: str = "kmeans", turns: Annotated[int, typer.Option(min=1)] = 3
) -> dict[str, Any] | Failed:
    """Medians of so many turns, and their ratio, which may be 1.15 at most."""
    seconds: dict[str, list[float]] = {"local": [], "ray": []}
    cluster = RayNodes()
    os.environ.update(cluster.environment)
    try:
        with TemporaryDirectory() as folder:
            installation = new_installation(Path(folder))
            dataset = add_discs(installation, images, size_px=size_px)
            cluster.start(head=True)
            cluster.start(head=False)
            for turn in range(turns):
                for where in ("local", "ray"):
                    seconds[where].append(run(installation, dataset, where, cluster.address, method, turn))
                    note(f"{where}: {seconds[where][-1]:.1f} s")
            installation.database.close()
    finally:
        cluster.close()
    local, ray = (statistics.median(seconds[where]) for where in ("local", "ray"))
    found = {"images": images, "local_s": local, "ray_s": ray, "ratio": round(ray / local, 3), "turns": turns}
    return found if ray <= LIMIT * local else Failed([found])


def new_installation(folder: Path) -> Installation:
    settings = Settings(data_root=folder, launch_idle_s=5.0)
    database = Database(settings.resolved_database_url)
    database.migrate()
    installation = Installation(settings, database, LocalStore(folder))
    with database.writing() as session:
        start = register_app(session, os.uname().nodename, os.getpid(), VERSION)
    remember_start(installation.files, start)
    return installation


def run(installation: Installation, dataset: Dataset, where: str, address: str, method: str, turn: int) -> float:
    """Label once and return the job's own seconds. Each turn has seeds of its own, so no mask is copied."""
    number = 2 * turn + (where == "ray")
    params = find_method(method).params().model_dump(mode="json")
    with installation.database.writing() as session:
        _, job = submissions.submit_label(session, dataset.id, f"{where} {turn}", method, params, number, "")
    own = int(where == "local")
    changes = {"launcher": where, "max_workers": own, "ray_address": address if where == "ray" else ""}
    starter = launcher(installation.settings.model_copy(update=changes))
    starter.submit(job.id)
    while not installation.job(job.id).status.ended:
        starter.look_after(installation.database)
        time.sleep(0.5)
    ended = installation.job(job.id)
    if ended.status != JobStatus.FINISHED:
        raise RuntimeError(ended.error)
    return float(ended.result["seconds"])


if __name__ == "__main__":
    app()
