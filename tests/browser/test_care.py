"""A restored installation in a real browser: every page opens, a run is resumed, a failed job gives its report."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

from db import datasets, jobs
from db.models import Job, JobStatus
from tests.support.calling import call
from tests.support.installation import add_discs
from tests.support.running_app import running
from tests.support.training_job import submit_train

PAGES = {
    "datasets": "Datasets",
    "labels": "Masks",
    "train": "Train",
    "runs": "Runs",
    "gallery": "Gallery",
    "compare": "Compare",
    "predict": "Predict",
}


def test_a_restored_installation_is_whole_resumes_its_run_and_reports_a_failure(installation, open_tab, tmp_path: Path):
    run, job = submit_train(installation, add_discs(installation, 6))
    with installation.database.writing() as session:
        assert jobs.claim(session, "a worker of another machine", 2, 60.0) is not None
    backup, place = tmp_path / "backup.zip", tmp_path / "restored" / "data"
    assert call(installation.settings, "backup", backup).returncode == 0
    there = installation.settings.model_copy(update={"data_root": place})
    told = call(there, "restore", backup)
    assert told.returncode == 0, told.stderr
    with running(place) as app:
        page = open_tab(app.address)
        page.get_by_text("Memory free").wait_for()
        page.get_by_text("Maskloom uses").wait_for()
        for path, title in PAGES.items():
            page.goto(f"{app.address}/{path}")
            page.get_by_role("heading", name=title, exact=True).first.wait_for()
        page.goto(f"{app.address}/runs?run={run.id}")
        page.get_by_text("It ran or waited when the backup was made").first.wait_for()
        page.get_by_role("button", name="Resume").click()
        page.get_by_text("2 of 2 epochs").first.wait_for(timeout=120_000)
        assert app.installation.job(job.id).status == JobStatus.FINISHED

        with app.installation.database.writing() as session:
            row = session.get_one(Job, job.id)
            row.status, row.error = JobStatus.FAILED, "The stored file of 'disc 1.png' is gone."
            name = datasets.listing(session)[0].name
        page.goto(f"{app.address}/runs?run={run.id}")
        with page.expect_download() as download:
            page.get_by_role("link", name="Download bug report").click()
        data = Path(download.value.path()).read_bytes()
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            assert "job.log" in archive.namelist()
            assert not [member for member in archive.namelist() if member.startswith("images/")]
            assert name not in archive.read("job.json").decode() and "disc 1" not in archive.read("job.json").decode()
            events = archive.read("log.jsonl").decode()
        assert "job_started" in events and "job_ended" in events
