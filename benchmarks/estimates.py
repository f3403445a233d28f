"""What the app says about time against what happens: label jobs, trainings, and Automatic's first answer.

    python -m benchmarks.estimates jobs ../shared/data/ecssd
    python -m benchmarks.estimates jobs ../shared/data/ecssd --weights mobilenet_v2_imagenet_notop.weights.h5
    python -m benchmarks.estimates first ../shared/data/ecssd
    python -m benchmarks.estimates hour ../shared/data/ecssd

A job is timed from its submission, with which a worker starts, until its last row. On busy cores it takes longer than
was said, so `processor_s`, of all its processes, tells what it would take on idle ones.
"""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import psutil
import typer

from benchmarks.harness import Folder, browsing, data_root, engine, note, suite
from dashboard.facts import training_time
from dashboard.facts.train import resolved, teachers
from dashboard.server.previews import PreviewPool
from dashboard.views.labels import facts as labels
from db import datasets, submissions
from db.columns import utc_now
from db.models import Job, JobStatus
from db.session import Database
from engine import VERSION
from engine.core.run_config import config_from
from engine.core.settings import Settings
from engine.labelling.base import find_method
from engine.store.local import LocalStore
from engine.training.workload import workload
from tests.support.installation import REPOSITORY, Installation

METHODS = ("auto", "dataset_clusters", "threshold")
"""None is likely to be what Automatic chooses: its masks would be copied."""

Images = Annotated[int, typer.Option(help="How many of the folder's images.")]
app = suite(__doc__)


@contextmanager
def imported(folder: Path, images: int, root: Path) -> Iterator[Installation]:
    """Yield an installation with a dataset "Photos" of the first images of a folder, without truth."""
    pictures = root.parent / "pictures"
    pictures.mkdir()
    for path in sorted((folder / "images").iterdir())[:images]:
        shutil.copy(path, pictures)
    engine(root, "import", str(pictures), "--name", "Photos")
    settings = Settings(data_root=root, database_url="")
    yield Installation(settings, Database(settings.resolved_database_url), LocalStore(root))


@app.command()
def jobs(
    folder: Folder,
    images: Images = 60,
    epochs: int = 5,
    encoder_epochs: int = 2,
    weights: Annotated[Path | None, typer.Option(help="A weights file for the encoder; none: random weights.")] = None,
) -> list[dict[str, Any]]:
    """Estimate and duration of three label jobs and of trainings with and without earlier ones to go by."""
    rows = []
    with data_root() as root, imported(folder, images, root) as installation:
        for method in METHODS:
            rows.append(_label(installation, method))
            note(str(rows[-1]))
        encoder = {"architecture": "mobilenet_v2", "encoder_weights": str(weights.resolve()) if weights else "none"}
        plans: list[tuple[str, str, dict[str, Any]]] = [
            ("fast, the first training here", "fast", {"training": {"epochs": epochs}}),
            ("encoder, after another network", "encoder", {"training": {"epochs": encoder_epochs}, "model": encoder}),
            ("fast, three times the epochs", "fast", {"training": {"epochs": 3 * epochs}}),
            ("encoder at 224 px", "encoder", {"training": {"epochs": 2}, "model": encoder | {"image_size": 224}}),
        ]
        for title, preset, values in plans:
            rows.append(_train(installation, title, preset, values))
            note(str(rows[-1]))
    return rows


def _label(installation: Installation, name: str) -> dict[str, Any]:
    method = find_method(name)
    params = method.params()
    with installation.database.reading() as session:
        [dataset] = datasets.listing(session)
        place = labels.workplace(session, dataset.id)
        sample = labels.fit_images(session, dataset.id, name)
    with closing(PreviewPool()) as pool:
        state = pool.fit(name, params, labels.sources(installation.files, place, sample, truth=False))
        sources = labels.sources(installation.files, place, place.probe)
        previews = pool.draw(name, params, sources, limit_px=None, state=state)
    said = labels.outcome(place, params, previews, threshold=0.5, limit_px=None, cores=os.cpu_count() or 1)
    assert said.whole_dataset_s is not None
    with installation.database.writing() as session:
        recipe = name, params.model_dump(mode="json"), labels.SEED, VERSION
        _, job = submissions.submit_label(session, place.dataset_id, name, *recipe, state=state)
    return _worked(installation, f"masks, {method.title}", job.id, said.whole_dataset_s, "previews")


def _train(installation: Installation, title: str, preset: str, values: dict[str, Any]) -> dict[str, Any]:
    with installation.database.reading() as session:
        [dataset] = datasets.listing(session)
        newest, *_ = teachers(session, dataset.id, utc_now(), 60.0)
        config = resolved(config_from(preset, values), newest)
        work = workload(config, newest.images, datasets.shapes(session, dataset.id), from_labels=True)
        said = training_time.estimate(session, config, work, dataset.image_count)
    with installation.database.writing() as session:
        target = dataset.id, newest.label_set_id
        _, job = submissions.submit_train(session, *target, title, preset, config.model_dump(mode="json"), VERSION)
    return _worked(installation, title, job.id, said.seconds, said.basis)


def _worked(installation: Installation, kind: str, job_id: str, said_s: float, basis: str) -> dict[str, Any]:
    """Run a worker until the job has ended; return what was said beside what it took."""
    load, before = psutil.getloadavg()[0], _children_s()
    began = time.monotonic()
    environment = installation.settings.as_environment() | {"WARM_WORKER_S": "0"}
    command = [sys.executable, "-m", "engine.work.worker"]
    subprocess.run(command, cwd=REPOSITORY, env=environment, check=True, capture_output=True)
    job = installation.job(job_id)
    if job.status != JobStatus.FINISHED:
        raise SystemExit(f"{kind}: {job.status}. {job.error}")
    took_s = _until_the_last_row(job, began)
    return {
        "kind": kind,
        "said_s": said_s,
        "took_s": took_s,
        "factor": max(said_s / took_s, took_s / said_s),
        "processor_s": _children_s() - before,
        "from": basis,
        "load": load,
    }


def _until_the_last_row(job: Job, began: float) -> float:
    """Return the seconds from the start of the worker to the job's end: it may stay a little longer."""
    assert job.finished_at is not None
    return time.monotonic() - began - (utc_now() - job.finished_at).total_seconds()


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@app.command()
def first(
    folder: Folder,
    images: Images = 60,
    weights: Annotated[Path | None, typer.Option(help="A file of pretrained weights to add first.")] = None,
) -> dict[str, Any]:
    """Seconds from opening the Masks page to Automatic's first masks and its final choice, also after a restart."""
    found: dict[str, Any] = {"load": psutil.getloadavg()[0], "images": images}
    with data_root() as root, imported(folder, images, root) as installation:
        if weights:
            engine(root, "weights", "add", str(weights))
        with installation.database.reading() as session:
            [dataset] = datasets.listing(session)
        for visit in ("first", "again"):
            with browsing(root) as (running, page):
                page.goto(running.address)
                page.get_by_role("heading", level=1).wait_for()
                began = time.monotonic()
                page.goto(f"{running.address}/labels?dataset={dataset.id}")
                passed: Callable[[], float] = lambda began=began: time.monotonic() - began  # noqa: E731
                page.get_by_role("button", name=re.compile("^Make masks for all")).wait_for()  # drawn after the masks
                found[f"{visit}_masks_s"] = passed()
                page.get_by_text(re.compile("best guess of|only a start|is the best of")).wait_for()
                found[f"{visit}_final_choice_s"] = passed()
    return found


@app.command()
def hour(folder: Folder, images: Images = 60, new: int = 5) -> list[dict[str, Any]]:
    """Seconds and clicks of a new user: from an empty installation to masks of new images on disk, with no choice made.

    A dialog of the system to choose files counts as one click, the one that opens it.
    """
    pictures = sorted((folder / "images").iterdir())
    rows: list[dict[str, Any]] = []
    load = psutil.getloadavg()[0]
    with data_root() as root, browsing(root) as (running, page):
        page.goto(running.address)
        page.get_by_role("button", name="Try the sample set").wait_for()
        began, clicks = time.monotonic(), 0

        def click(name: str, role: Literal["button", "link"] = "button") -> None:
            nonlocal clicks
            page.get_by_role(role, name=re.compile(name)).first.click()
            clicks += 1

        def choose(files: list[Path]) -> None:
            nonlocal clicks
            page.locator("input.pick-files").set_input_files(files)
            clicks += 1

        def reached(what: str) -> None:
            rows.append({"reached": what, "seconds": time.monotonic() - began, "clicks": clicks, "load": load})
            note(str(rows[-1]))

        choose(pictures[:images])
        click("^Import$")
        click("^Make masks")
        page.get_by_role("button", name=re.compile("^Make masks for all")).wait_for()  # drawn after the masks
        reached("first masks")
        click("^Make masks for all")
        click("^Train on")
        click("^Start training")
        page.get_by_role("button", name="Predict new images").wait_for(timeout=900_000)
        reached("trained network")
        click("Predict new images")
        choose(pictures[images : images + new])
        click("^Predict [0-9]+ files")
        page.locator(".tile .frame:not(.loading)").nth(new - 1).wait_for()
        reached("masks of new images")
        with page.expect_download() as download:
            click("^Download masks", "link")
        download.value.path()
        reached("on disk")
    return rows


if __name__ == "__main__":
    app()
