"""The app as a whole: every page draws on an empty installation, and the web process starts light."""

from __future__ import annotations

import ast
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.access.mode import AccessMode
from dashboard.pages import page_routes, pages, script
from dashboard.server import queue_watch, resources
from db import jobs, workers
from db.actors import Role
from db.columns import new_id, utc_now
from db.models import JobKind, JobStatus, WorkerKind
from db.workers import Needs
from engine.store import keys as stored
from engine.work.joining import CannotJoin, refuse_strangers
from engine.work.registration import new_worker
from tests.support.installation import REPOSITORY

DASHBOARD = REPOSITORY / "dashboard"
NAVIGATION = str(DASHBOARD / "navigation.py")
PAGES = [name for name, page in pages().items() if page.is_offered(AccessMode.OPEN, Role.ADMIN)]


@pytest.mark.parametrize("page", PAGES)
def test_every_page_draws_on_an_empty_installation(dashboard, submitted, page):
    app = AppTest.from_file(NAVIGATION, default_timeout=30).run()
    if page != "home":
        app.switch_page(script(page)).run()
    assert not app.exception and not app.error
    assert app.title, "a page has a title"


def test_pages_are_discovered_and_lie_in_the_order_of_the_work():
    first, then = (
        ["home", "datasets", "labels", "train", "runs"],
        ["sweeps", "gallery", "compare", "predict", "measure"],
    )
    assert first + then == PAGES
    paths = ["datasets/{dataset}/live-masks", "runs/{run}/live.json", "runs/{run}/epoch.json"]
    assert [route.path for route in page_routes()] == [f"/files/{path}" for path in paths]
    assert all((DASHBOARD / script(name)).is_file() for name in pages())
    assert not pages()["people"].is_offered(AccessMode.LOGIN, Role.EDITOR)
    assert pages()["people"].is_offered(AccessMode.LOGIN, Role.ADMIN)
    assert [pages()["account"].is_offered(mode, Role.VIEWER) for mode in AccessMode] == [False, True, True]


def test_every_link_between_pages_names_a_page():
    links = {
        (str(file.relative_to(DASHBOARD)), node.value)
        for file in DASHBOARD.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and re.fullmatch(r"\w+/.*page\.py", str(node.value))
    }
    assert len(links) > 20
    assert sorted(link for link in links if not (DASHBOARD / link[1]).is_file()) == []


def test_the_web_process_never_imports_tensorflow_or_keras(dashboard):
    drawn = "\n".join(
        [
            "import sys",
            "from streamlit.testing.v1 import AppTest",
            "import dashboard.app",
            f"app = AppTest.from_file({NAVIGATION!r}, default_timeout=60).run()",
            *(f"app.switch_page({script(page)!r}).run()" for page in PAGES if page != "home"),
            "assert not app.exception",
            "loaded = {name.partition('.')[0] for name in sys.modules}",
            "print(sorted(loaded & {'tensorflow', 'keras', 'torch', 'jax'}))",
        ]
    )
    done = subprocess.run([sys.executable, "-c", drawn], cwd=REPOSITORY, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().splitlines()[-1] == "[]"


def test_streamlit_run_serves_pages_and_routes_and_makes_the_database(tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ["--server.port", str(port), "--server.headless", "true"]
    # From another folder than the repository: the app finds its packages and its configuration by itself.
    server = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", str(REPOSITORY / "dashboard" / "app.py"), *options],
        cwd=tmp_path,
        env={**os.environ, "DATA_ROOT": str(tmp_path / "data"), "PYTHONPATH": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        _wait_until_it_answers(f"http://127.0.0.1:{port}/_stcore/health", server)
        assert (tmp_path / "data" / "app.db").stat().st_size > 0
        assert (tmp_path / "data" / "app.json").is_file()
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/files/preview/{'0' * 32}", timeout=10)
    finally:
        server.terminate()
        printed, _ = server.communicate(timeout=30)
    assert f"http://127.0.0.1:{port}" in printed.decode()  # and on no other address
    assert "Network URL" not in printed.decode()


def test_workers_can_join_once_the_app_has_started(dashboard):
    with pytest.raises(CannotJoin, match="Start the app once"):
        refuse_strangers(dashboard.database, dashboard.files)
    resources.register_app()
    refuse_strangers(dashboard.database, dashboard.files)


def test_a_job_that_no_machine_here_can_take_gets_no_worker(dashboard, submitted):
    with dashboard.database.writing() as session:
        jobs.require(jobs.submit(session, JobKind.LABEL, {}), Needs(tag="lab"))
    assert not queue_watch.look_after_queue(with_lost=False)
    assert submitted == []


def test_a_lost_job_of_a_machine_that_joined_is_put_back_at_any_time(dashboard, submitted):
    row = new_worker(WorkerKind.JOINED)
    with dashboard.database.writing() as session:
        workers.beat(session, row)
        job_id = jobs.submit(session, JobKind.LABEL, {}).id
        jobs.claim(session, "a machine that died", 2, 60.0, None, row).heartbeat_at = utc_now().replace(year=2020)
    assert queue_watch.look_after_queue(with_lost=False)
    assert dashboard.job(job_id).status == JobStatus.QUEUED and submitted == [job_id]


def test_a_queued_job_without_a_worker_gets_one(dashboard, submitted):
    with dashboard.database.writing() as session:
        job_id = jobs.submit(session, JobKind.IMPORT, {}).id
    assert queue_watch.look_after_queue(with_lost=False)
    assert submitted == [job_id]


def test_a_job_that_was_lost_is_put_back_only_when_asked(dashboard, submitted):
    with dashboard.database.writing() as session:
        job_id = jobs.submit(session, JobKind.IMPORT, {}).id
        jobs.claim(session, "a worker that died", 2, 60.0)
    with dashboard.database.writing() as session:
        job = session.get_one(type(dashboard.job(job_id)), job_id)
        job.heartbeat_at = utc_now().replace(year=2020)
    assert not queue_watch.look_after_queue(with_lost=False)
    assert queue_watch.look_after_queue(with_lost=True)
    assert dashboard.job(job_id).status == JobStatus.QUEUED and submitted == [job_id]


def test_uploads_that_nobody_imported_are_cleared_after_a_week(dashboard):
    folders = [dashboard.files.path(stored.upload_folder(new_id())) for _ in ("old", "fresh")]
    for folder in folders:
        folder.mkdir(parents=True)
    long_ago = time.time() - 8 * 24 * 3600
    os.utime(folders[0], (long_ago, long_ago))
    assert queue_watch.remove_old_uploads() == 1
    assert [folder.exists() for folder in folders] == [False, True]


def _wait_until_it_answers(address: str, server: subprocess.Popen[bytes], patience_s: float = 60) -> None:
    give_up = time.monotonic() + patience_s
    while time.monotonic() < give_up:
        if server.poll() is not None:
            raise AssertionError(f"The app ended: {server.stdout.read().decode()}")
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"{address} did not answer within {patience_s} s.")


def test_every_page_says_that_the_database_was_moved_away(dashboard, open_page, tmp_path):
    file = dashboard.settings.data_root / "app.db"
    assert not open_page("views/home/page.py").error
    file.rename(tmp_path / "aside.db")
    app = open_page("views/datasets/page.py")
    assert [error.value.partition(".")[0] for error in app.error] == ["The database app"]
    assert "put the file back" in app.error[0].value and not app.exception
    (tmp_path / "aside.db").rename(file)
    assert not open_page("views/datasets/page.py").error
