"""Structured logs: whole lines from several processes, bounded, and without secrets."""

import json
import logging
import subprocess
import sys

import pytest

from engine.core import logs
from engine.core.redaction import redacted, secrets_of, without_places
from engine.core.settings import REPOSITORY_ROOT, Settings

WRITER = """
import logging, sys
from engine.core import logs
from engine.core.settings import settings
logs.configure("worker", settings())
with logs.about("a" * 32):
    for number in range(400):
        logging.getLogger("test").info("line %d of %s %s", number, sys.argv[1], "x" * 700)
"""


@pytest.fixture
def logger():
    yield logging.getLogger("maskloom.test")
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if handler.name == logs.NAME]:
        root.removeHandler(handler)
        handler.close()


def entries(folder):
    files = sorted((folder / "logs").glob("*.jsonl"), key=lambda path: (len(path.name), path.name))
    return [json.loads(line) for path in files for line in path.read_text().splitlines()]


def test_four_processes_write_whole_lines_into_files_that_stay_bounded(installation):
    current = installation.settings.model_copy(update={"log_limit_mb": 2})
    started = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(n)], cwd=REPOSITORY_ROOT, env=current.as_environment())
        for n in range(4)
    ]
    assert [process.wait(120) for process in started] == [0] * 4
    found = entries(installation.settings.data_root)
    assert {entry["text"].partition(" x")[0] for entry in found} == {
        f"line {number} of {writer}" for number in range(400) for writer in range(4)
    }
    assert len(found) == 1600
    sizes = [path.stat().st_size for path in (installation.settings.data_root / "logs").iterdir()]
    # All four may find room for one more line of a kilobyte at the same moment
    assert len(sizes) > 4 and max(sizes) <= 2_000_000 / logs.FILES_IN_ALL + 4 * 1_100
    assert {entry["job"] for entry in found} == {"a" * 32}
    assert set(found[0]) == {"time", "level", "process", "pid", "job", "event", "text"}
    assert len(logs.lines_of_job(installation.settings.data_root / "logs", "a" * 32, 5)) == 5


def test_the_oldest_files_go_when_all_together_are_too_large(installation, logger):
    logs.configure("web", installation.settings.model_copy(update={"log_limit_mb": 1}))
    for number in range(1500):
        logger.info("%d %s", number, "x" * 1500)
    folder = installation.settings.data_root / "logs"
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 1_200_000
    assert entries(installation.settings.data_root)[-1]["text"].startswith("1499 ")


def test_an_exception_is_one_line_with_its_trace_and_its_secrets_hidden(installation, logger):
    url = "postgresql://maskloom:hunter2%21@db/maskloom"
    logs.configure("web", installation.settings.model_copy(update={"database_url": url}))
    try:
        raise ValueError("cannot reach postgresql://maskloom:hunter2%21@db, password hunter2!\nsecond line")
    except ValueError:
        logger.exception("It failed.", extra={"event": "page_failed"})
    (entry,) = entries(installation.settings.data_root)
    assert entry["event"] == "page_failed" and entry["level"] == "ERROR"
    assert "ValueError" in entry["trace"] and "second line" in entry["trace"]
    assert "hunter2" not in json.dumps(entry)


def test_a_disk_that_takes_no_more_ends_no_work(installation, logger, monkeypatch):
    logs.configure("worker", installation.settings)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("engine.core.logs.os.write", full)
    logger.info("this is lost")


@pytest.mark.parametrize(
    "text",
    [
        "postgresql+psycopg://me:s3cr3t@host/db",
        "https://user:s3cr3t@example.org/?a=b",
        "Cookie: _streamlit_user=s3cr3t; other=s3cr3t",
        "{'cookie': 's3cr3t', 'accept': '*'}",
        "Authorization: Bearer s3cr3t",
        "GET /files?access_token=s3cr3t&size=192",
        '{"client_secret": "s3cr3t", "id": 1}',
        "ACCESS_TOKEN=s3cr3t",
        "password: s3cr3t",
        "sent with bearer s3cr3t.s3cr3t-s3cr3t",
        "eyJhbGciOiJIUzI1NiJ9.s3cr3t.s3cr3t",
    ],
)
def test_what_is_written_like_a_secret_is_hidden(text):
    assert "s3cr3t" not in redacted(text)


@pytest.mark.parametrize("text", ["Epoch 3 of 10: 4 of 9 images", "The stored file of 'a b.png' is gone.", "1:2 a=b"])
def test_other_text_stays_as_it_is(text):
    assert redacted(text) == text


def test_a_known_secret_is_hidden_wherever_it_is():
    chosen = Settings(
        database_url="postgresql://me:p%40ss-word@host/db", access_token="an installation with many doors"
    )
    text = "p@ss-word and p%40ss-word, then an installation with many doors"
    assert redacted(text, secrets_of(chosen)) == "*** and ***, then ***"


def test_the_keys_of_an_object_store_are_hidden(monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "one-key")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "another-key")
    assert redacted("signed with one-key, another-key", secrets_of(Settings())) == "signed with ***, ***"


def test_folders_and_people_are_not_named(tmp_path):
    text = f"{tmp_path}/runs/x {REPOSITORY_ROOT}/engine/worker.py /home/ada/photos C:\\Users\\Ada\\x {sys.prefix}/lib"
    assert without_places(text, tmp_path) == "DATA_ROOT/runs/x MASKLOOM/engine/worker.py ~/photos ~\\x PYTHON/lib"
    assert without_places("ada.l+x@mail.example.org came, 3 @ 4", tmp_path) == "somebody@… came, 3 @ 4"
