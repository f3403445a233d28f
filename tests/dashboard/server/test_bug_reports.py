"""The download for a bug report: what is in it, and above all what is not."""

import io
import json
import logging
import zipfile

import pytest

from dashboard.facts import urls
from db import datasets, jobs, people, submissions
from db.actors import Role
from db.columns import new_id
from db.models import Job, JobStatus
from engine.core import logs
from engine.core.settings import REPOSITORY_ROOT
from engine.core.settings import settings as engine_settings
from engine.store import keys as stored
from engine.work.worker import work
from tests.support.installation import add_discs
from tests.support.predicted import add_label_set
from tests.support.serving import serving

TOKEN = "an installation with many doors"
SECRETS = (TOKEN, "hunter2", "Bearer-abcdef-0123456789", "cookie-value-42")
PRIVATE = ("Grace", "example.org", "tumour", "doe", "Doe", "patient Smith", "Ward 7", "ada", str(REPOSITORY_ROOT))


@pytest.fixture
def failed(dashboard, monkeypatch):
    """A label job that failed on an image with a telling name, in a dataset with a telling name; all logged."""
    monkeypatch.setenv("ACCESS_TOKEN", TOKEN)
    monkeypatch.setenv("ADMIN_EMAILS", "grace@example.org")
    monkeypatch.setenv("ALLOWED_HOSTS", "lab.example.org")
    engine_settings.cache_clear()
    dataset = add_discs(dashboard, 3, name="Ward 7")
    add_label_set(dashboard, dataset, name="labels of Ward 7")
    with dashboard.database.writing() as session:
        entries = [{"name": name, "taken": False, "reason": ""} for name in ("tumour of Doe.tif", "scan-of-doe")]
        datasets.add_images(session, dataset.id, new_id(), [], entries)
        _, job = submissions.submit_label(
            session, dataset.id, "masks of Ward 7", "threshold", {"foreground": "lighter"}, 0, "test"
        )
        row = session.get_one(Job, job.id)
        row.payload = row.payload | {"source": {"kind": "folder", "path": "/home/ada/photos"}}
        row.progress_details = {"subject": "disc 0.png"}
        row.worker = "ada-laptop:42"
        people.log_in(session, "issuer grace", "grace@example.org", "Grace H.", Role.EDITOR, ())
    with dashboard.database.writing() as session:
        session.get_one(Job, job.id).status = JobStatus.FAILED
        session.get_one(Job, job.id).error = "The stored file of '/home/ada/patient Smith.png' is gone."
    text = "\n".join(
        [
            "INFO Attempt 1 of label job.",
            "File '/home/ada/maskloom/x.py', line 3: cannot read disc 1.png of Ward 7",
            "No image could be taken. tumour of Doe.tif: it is damaged. Then disc 2.png; and scan-of-doe too",
            "Outlines in labels of Doe/tumour.json (COCO JSON).",
            f"File {dashboard.settings.data_root}/datasets/{dataset.id}/images/x",
            "postgresql://maskloom:hunter2@db/x  Authorization: Bearer-abcdef-0123456789",
            "Cookie: session=cookie-value-42",
            f"in {REPOSITORY_ROOT}/engine/worker.py",
            f"Grace H. (grace@example.org) came to lab with {TOKEN}",
        ]
    )
    dashboard.files.write(stored.job_log_key(job.id), text.encode())
    logs.configure("worker", dashboard.settings)
    try:
        with logs.about(job.id):
            told = "Ward 7: 'patient Smith.png' with token=hunter2"
            logging.getLogger("test").error(told, extra={"event": "job_failed"})
        logging.getLogger("test").error("of another job")
    finally:
        root = logging.getLogger()
        for handler in [handler for handler in root.handlers if handler.name == logs.NAME]:
            root.removeHandler(handler)
            handler.close()
    return dashboard, dataset, job.id


def members(answer):
    with zipfile.ZipFile(io.BytesIO(answer.body)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def test_it_holds_what_is_needed_and_no_image_secret_name_or_place(failed):
    installation, _, job_id = failed
    with serving() as served:
        answer = served.ask(urls.bug_report(job_id))
    assert answer.status == 200 and answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-disposition"] == f'attachment; filename="maskloom-report-{job_id[:8]}.zip"'
    found = members(answer)
    assert set(found) == {
        *("README.txt", "job.json", "job.log", "log.jsonl", "settings.json"),
        *("recipe.json", "versions.json", "machine.json", "doctor.json"),
    }
    everything = b"\n".join(found.values()).decode()
    for word in (*SECRETS, *PRIVATE, str(installation.settings.data_root), "photos"):
        assert word not in everything, word
    assert b"\x89PNG" not in answer.body and b"WEBP" not in answer.body
    job = json.loads(found["job.json"])
    assert (job["status"], job["kind"], job["attempt"]) == ("failed", "label", 0)
    assert "cannot read image 2 of dataset 1" in found["job.log"].decode()
    assert "taken. file 1: it is damaged. Then image 3; and file 2 too" in found["job.log"].decode()
    assert json.loads(found["job.json"])["progress_details"] == {"subject": "image 1"}
    assert "MASKLOOM/engine/worker.py" in found["job.log"].decode()
    assert json.loads(found["recipe.json"])["params"] == {"foreground": "lighter"}
    (line,) = found["log.jsonl"].decode().splitlines()
    assert json.loads(line)["event"] == "job_failed" and json.loads(line)["job"] == job_id
    assert json.loads(found["doctor.json"])["checked"]["images"] == 3
    assert {"tensorflow", "streamlit", "maskloom"} <= set(json.loads(found["versions.json"]))
    assert "It contains no images." in found["README.txt"].decode()


def test_images_are_in_it_only_when_asked_for_and_then_without_their_names(failed):
    installation, dataset, job_id = failed
    with serving() as served:
        found = members(served.ask(urls.bug_report(job_id, images=True)))
    images = {name: data for name, data in found.items() if name.startswith("images/")}
    assert sorted(images) == [f"images/image {number}.png" for number in (1, 2, 3)]
    stored_images = {installation.files.read(key) for key in installation.files.keys(f"datasets/{dataset.id}/images")}
    assert set(images.values()) == stored_images


def test_a_stranger_and_an_unknown_job_get_nothing(failed):
    _, _, job_id = failed
    with serving() as served:
        assert served.ask(urls.bug_report(job_id), sec_fetch_site="cross-site").status == 403
        assert served.ask(urls.bug_report("0" * 32)).status == 404
        assert served.ask(urls.bug_report("..")).status == 404


def test_the_page_of_a_failed_job_offers_it_with_images_off(dashboard, open_page):
    dataset = add_discs(dashboard, 3)
    with dashboard.database.writing() as session:
        run, job = submissions.submit_train(session, dataset.id, None, "run", "fast", {"training": {"epochs": 0}}, "1")
    work(dashboard.database, dashboard.settings)
    assert dashboard.job(job.id).status == JobStatus.FAILED
    app = open_page("views/runs/page.py", run=run.id)
    assert not app.exception
    (link,) = [link for link in app.get("link_button") if "bug report" in link.proto.label]
    assert link.proto.url == urls.bug_report(job.id)
    app.checkbox(key="run-report-images").check().run()
    (link,) = [link for link in app.get("link_button") if "bug report" in link.proto.label]
    assert link.proto.url == urls.bug_report(job.id, images=True)
    with dashboard.database.writing() as session:
        assert jobs.requeue(session, job.id)
    assert not [
        link for link in open_page("views/runs/page.py", run=run.id).get("link_button") if "bug" in link.proto.label
    ]
