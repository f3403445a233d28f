"""Many processes at one moment on a real PostgreSQL server, which is started for it.

    python -m benchmarks.postgresql queue --jobs 200 --workers 4
    python -m benchmarks.postgresql labels --commands 20

`queue` lets workers compute so many mask sets of one small image with MAX_WORKERS below their number. Ends with 1 if a
job was not run exactly once, the limit was passed, or a job was left waiting. `labels` starts so many
`engine label` at one moment; each must end with masks and a name of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer
from sqlalchemy import func, select

from benchmarks.harness import Failed, suite
from db import jobs, submissions
from db.columns import utc_now
from db.models import Dataset, Job, JobStatus, LabelSet
from engine.core.settings import Settings
from engine.store.local import LocalStore
from tests.support.installation import REPOSITORY, Installation, add_discs
from tests.support.postgresql import running_server

METHOD = "threshold"
app = suite(__doc__)


@app.command()
def queue(
    jobs_count: Annotated[int, typer.Option("--jobs")] = 200, workers: int = 4, limit: int = 3
) -> dict[str, Any] | Failed:
    """Workers that share one queue: how often each job was run, and how many ran at once."""
    with installed(max_workers=limit) as (installation, dataset):
        with installation.database.writing() as session:
            for number in range(jobs_count):
                submissions.submit_label(session, dataset.id, f"masks {number}", METHOD, {}, 0, "")
        began, most = time.monotonic(), 0
        processes = [start(installation, "engine.work.worker") for _ in range(workers)]
        while any(process.poll() is None for process in processes):
            with installation.database.reading() as session:
                most = max(most, jobs.running(session, utc_now(), installation.settings.lost_after_s))
            time.sleep(0.02)
        seconds = time.monotonic() - began
        with installation.database.reading() as session:
            once = select(func.count()).where(Job.status == JobStatus.FINISHED, Job.attempt == 1)
            found = {"jobs": jobs_count, "run_once": session.scalar(once), "left": jobs.queued(session)}
            takers = session.scalar(select(func.count(Job.worker.distinct())))
    found |= {"workers": workers, "took_part": takers, "limit": limit, "most_at_once": most, "seconds": seconds}
    right = found["run_once"] == jobs_count and not found["left"] and most <= limit
    return found if right else Failed(found)


@app.command()
def labels(commands: int = 20) -> dict[str, Any] | Failed:
    """Commands that label the same dataset at one moment: how many ended well, and how many names there are."""
    with installed(max_workers=2) as (installation, dataset):
        words = ("label", dataset.name, "--method", METHOD)
        processes = [start(installation, "engine", *words) for _ in range(commands)]
        well = [process.wait() == 0 for process in processes]
        with installation.database.reading() as session:
            names = session.scalar(select(func.count(LabelSet.name.distinct())))
    found = {"commands": commands, "ended_well": sum(well), "names": names}
    return found if found["ended_well"] == names == commands else Failed(found)


@contextmanager
def installed(max_workers: int) -> Iterator[tuple[Installation, Dataset]]:
    """Yield an installation on PostgreSQL with a dataset of one drawn image."""
    with running_server() as server, TemporaryDirectory() as folder, server.database() as database:
        settings = Settings(data_root=Path(folder), database_url=database.url, max_workers=max_workers, warm_worker_s=0)
        installation = Installation(settings, database, LocalStore(settings.data_root))
        yield installation, add_discs(installation, 1)


def start(installation: Installation, module: str, *words: str) -> subprocess.Popen[bytes]:
    """Start `python -m module` on an installation; its output goes to standard error."""
    environment = {**os.environ, **installation.settings.as_environment()}
    return subprocess.Popen(
        [sys.executable, "-m", module, *words], cwd=REPOSITORY, env=environment, stdout=sys.stderr.fileno()
    )


if __name__ == "__main__":
    app()
