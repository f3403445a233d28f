"""Installations of three older commits, of schemas 0001 to 0003, whose training was killed (`make_half_trained.py`).

Each opens, and its unfinished run is resumed to its end, or says in a sentence why it cannot be and is trained anew.
"""

from __future__ import annotations

import json
import sqlite3
import zipfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from db import jobs, runs
from db.columns import utc_now
from db.models import JobStatus, Run
from db.names import by_id_or_name
from engine.store import keys as stored
from engine.work.worker import work
from tests.support.calling import call
from tests.support.installation import REPOSITORY, Installation
from tests.upgrade.conftest import upgraded

COMMITS = {"7749816": ("0001", False), "eb92760": ("0002", False), "4ceb050": ("0003", True)}
"""The schema of each commit, and whether its network is built as today's."""
EPOCHS = 8
OTHER_NETWORK = (
    "This run began with another version of Maskloom, which built its network otherwise, so it cannot be resumed. Its "
    "best model is kept and still predicts. To train with the same settings, duplicate the run."
)


def stored_zip(commit: str) -> Path:
    return Path(__file__).with_name(f"half-trained-{commit}.zip")


def answer(installation: Installation, *arguments: object) -> dict:
    ended = call(installation.settings, *arguments, "--json")
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def half_trained(installation: Installation) -> Run:
    with installation.database.reading() as session:
        return by_id_or_name(session, Run, "half trained")


def measured(installation: Installation) -> dict[tuple[int, str], float]:
    with installation.database.reading() as session:
        return {(row.epoch, row.name): row.value for row in runs.metrics(session, half_trained(installation).id)}


@pytest.fixture(params=COMMITS)
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Installation]:
    """A stored installation, upgraded; the fixture `installation` of the pages."""
    opened = upgraded(tmp_path / "data", stored_zip(request.param))
    yield opened
    opened.database.close()


@pytest.fixture
def installation(opened: Installation) -> Installation:
    return opened


def test_the_zips_are_of_their_schemas(tmp_path):
    for commit, (schema, _) in COMMITS.items():
        with zipfile.ZipFile(stored_zip(commit)) as archive:
            path = archive.extract("app.db", tmp_path / commit)
        with closing(sqlite3.connect(path)) as raw:
            assert raw.execute("SELECT version_num FROM alembic_version").fetchall() == [(schema,)]


def test_all_pages_open(installation, open_page):
    for path in sorted((REPOSITORY / "dashboard" / "views").glob("*/page.py")):
        app = open_page(f"views/{path.parent.name}/page.py")
        assert not app.exception and not app.error, path
    app = open_page("views/runs/page.py", run=half_trained(installation).id)
    assert not app.exception and not app.error


def test_it_is_checked_exported_backed_up_and_restored(installation, tmp_path):
    found = json.loads(call(installation.settings, "doctor", "--json").stdout)["findings"]
    assert {finding["kind"] for finding in found} == {"lost_job"}
    answer(installation, "export", "finished", "--format", "coco", "--out", tmp_path / "coco.json")
    assert len(json.loads((tmp_path / "coco.json").read_text())["images"]) == 6
    answer(installation, "backup", tmp_path / "backup.zip")
    elsewhere = installation.settings.model_copy(update={"data_root": tmp_path / "restored"})
    assert call(elsewhere, "restore", tmp_path / "backup.zip").returncode == 0
    assert json.loads(call(elsewhere, "doctor", "--json").stdout)["findings"] == []


@dataclass(frozen=True)
class Resumed:
    installation: Installation
    resumes: bool
    before: dict[tuple[int, str], float]
    best_epoch: int


@pytest.fixture(scope="module", params=COMMITS)
def resumed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Resumed]:
    """An installation after a worker has taken up the training that was killed."""
    installation = upgraded(tmp_path_factory.mktemp("resumed") / "data", stored_zip(request.param))
    before, best_epoch = measured(installation), half_trained(installation).best_epoch
    with installation.database.writing() as session:
        assert jobs.requeue_lost(session, utc_now(), installation.settings.lost_after_s) == 1
    work(installation.database, installation.settings)
    yield Resumed(installation, COMMITS[request.param][1], before, best_epoch)
    installation.database.close()


def test_it_resumes_to_its_end_or_says_why_not(resumed):
    run = half_trained(resumed.installation)
    job = resumed.installation.job(run.job_id)
    if resumed.resumes:
        assert (job.status, job.error) == (JobStatus.FINISHED, None)
        assert {epoch for epoch, _ in measured(resumed.installation)} == set(range(1, EPOCHS + 1))
    else:
        assert (job.status, job.error, job.result) == (JobStatus.FAILED, OTHER_NETWORK, {"final": True})


def test_no_finished_epoch_and_no_model_is_lost(resumed, tmp_path):
    now = measured(resumed.installation)
    done = {key for key in resumed.before if key[0] < max(epoch for epoch, _ in resumed.before)}
    assert done and {key: now[key] for key in done} == {key: resumed.before[key] for key in done}
    assert half_trained(resumed.installation).best_epoch >= resumed.best_epoch
    pictures = next((resumed.installation.settings.data_root / "datasets").iterdir()) / "images"
    assert answer(resumed.installation, "predict", "half trained", pictures, "--out", tmp_path)["images"] == 6
    assert resumed.installation.files.exists(stored.best_model_key(half_trained(resumed.installation).id))


def test_a_run_that_cannot_resume_is_offered_to_be_trained_anew(resumed, monkeypatch):
    if resumed.resumes:
        return
    from dashboard.server import resources
    from engine.core import settings as settings_module
    from tests.support.pages import page_at

    monkeypatch.setenv("DATA_ROOT", str(resumed.installation.settings.data_root))
    monkeypatch.setenv("DATABASE_URL", resumed.installation.settings.resolved_database_url)
    settings_module.settings.cache_clear()
    try:
        run = half_trained(resumed.installation)
        app = page_at("views/runs/page.py", run=run.id).run()
        assert not app.exception
        assert any(OTHER_NETWORK in element.value for element in app.markdown)
        labels = [button.label for button in app.button]
        assert "Train it anew" in labels and "Retry" not in labels
        app = page_at("views/train/page.py", **{"from": run.id}).run()
        assert not app.exception and not app.error
        assert f"{EPOCHS}" in [str(field.value) for field in app.number_input]
    finally:
        resources.database().close()
        settings_module.settings.cache_clear()
