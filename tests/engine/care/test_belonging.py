"""A database that is gone, empty, older or of other files is refused with the way back, and nothing is moved for it."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from db import audit
from db.columns import utc_now
from db.inventory import Inventory
from db.models import AuditEntry
from db.session import Database
from engine.care.belonging import SETTLED, NotTogether, open_together, renew_mark
from engine.core.settings import Settings
from engine.store import keys as stored
from engine.store.local import LocalStore
from tests.support.calling import call
from tests.support.installation import REPOSITORY, Installation, add_discs

HELD_UP = ("runs", "doctor --repair", "backup {}/backup.zip")


def installation_at(root: Path, dataset: str = "") -> Installation:
    """Return a new installation, its database opened as every command does."""
    settings = Settings(data_root=root, database_url="", free_disk_floor_mb=0)
    database = Database(settings.resolved_database_url)
    opened = Installation(settings, database, LocalStore(root))
    open_(opened)
    if dataset:
        add_discs(opened, 2, dataset)
    return opened


def open_(installation: Installation, later: timedelta = timedelta()) -> None:
    inventory = Inventory(installation.database)
    open_together(inventory, installation.files, installation.database.migrate, utc_now() + later)


def record(installation: Installation, name: str) -> None:
    with installation.database.writing() as session:
        audit.record(session, "imported", "dataset", "0" * 32, name)


def files_of(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if "app.db" not in path.name)


def without_database(root: Path) -> Path:
    for path in root.glob("app.db*"):
        path.unlink()
    return root


def gone(root: Path) -> None:
    without_database(root)


def empty(root: Path) -> None:
    (without_database(root) / "app.db").touch()


def begun_by_an_older_version(root: Path) -> None:
    """What a version did that began a new database without a word."""
    without_database(root)
    database = Database(Settings(data_root=root, database_url="").resolved_database_url)
    database.migrate()
    database.close()


def of_other_files(root: Path) -> None:
    other = installation_at(root.with_name("other"), "other discs")
    record(other, "other discs")
    other.database.close()
    shutil.copy(root.with_name("other") / "app.db", without_database(root) / "app.db")


@pytest.mark.parametrize("change", [gone, empty, begun_by_an_older_version, of_other_files])
def test_a_database_that_does_not_belong_is_refused_and_no_file_is_moved(tmp_path, change):
    installation = installation_at(tmp_path / "data", "discs")
    installation.database.close()
    change(tmp_path / "data")
    before = files_of(tmp_path / "data")
    for command in HELD_UP:
        ended = call(installation.settings, *command.format(tmp_path).split())
        assert ended.returncode == 1
        assert "restore BACKUP" in ended.stdout + ended.stderr, (command, ended)
        assert "as it should be" not in ended.stdout
    assert files_of(tmp_path / "data") == before
    assert not (tmp_path / "data" / "lost+found").exists()
    assert change is not gone or not (tmp_path / "data" / "app.db").exists()


def test_an_older_copy_of_the_database_is_refused_and_the_newer_one_is_not(tmp_path):
    root = tmp_path / "data"
    installation = installation_at(root, "discs")
    record(installation, "first")
    open_(installation, SETTLED * 2)
    installation.database.close()
    shutil.copy(root / "app.db", tmp_path / "older.db")
    record(installation, "second")
    open_(installation, SETTLED * 2)
    installation.database.close()
    shutil.copy(root / "app.db", tmp_path / "newer.db")
    shutil.copy(tmp_path / "older.db", without_database(root) / "app.db")
    with pytest.raises(NotTogether, match="older than the files"):
        open_(installation_without_opening(root))
    assert "older than the files" in call(installation.settings, "doctor").stdout
    shutil.copy(tmp_path / "newer.db", without_database(root) / "app.db")
    open_(installation_without_opening(root))
    shutil.copy(tmp_path / "older.db", without_database(root) / "app.db")
    (root / stored.mark_key()).unlink()  # the way that the sentence names
    open_(installation_without_opening(root))


def installation_without_opening(root: Path) -> Installation:
    settings = Settings(data_root=root, database_url="")
    return Installation(settings, Database(settings.resolved_database_url), LocalStore(root))


def test_what_a_power_cut_may_undo_is_no_mark(installation):
    record(installation, "just now")
    renew_mark(Inventory(installation.database), installation.files, utc_now())
    assert not installation.files.exists(stored.mark_key())


def test_a_mark_on_a_full_disk_keeps_nobody_from_opening(installation, monkeypatch):
    record(installation, "long ago")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(LocalStore, "write", full)
    open_(installation, SETTLED * 2)


def test_the_last_dataset_was_deleted_and_its_files_were_left(installation):
    """A crash between rows and files: the audit log still knows the folder."""
    dataset = add_discs(installation, 2)
    with installation.database.writing() as session:
        audit.record(session, "deleted", "dataset", dataset.id, dataset.name)
        session.execute(text("DELETE FROM import_entries"))
        session.execute(text("DELETE FROM images"))
        session.execute(text("DELETE FROM datasets"))
    open_(installation)


@pytest.mark.parametrize("name", ["ques?tion", "per%cent", "ha#sh", "a b ä", "x;&=y"])
def test_the_database_stays_in_a_folder_of_any_name(tmp_path, name):
    place = tmp_path / "place"
    installation = installation_at(place / name, "discs")
    assert [path.name for path in place.iterdir()] == [name]
    assert (place / name / "app.db").is_file()
    assert call(installation.settings, "doctor").returncode == 0
    target = tmp_path / "back?up%.zip"
    assert call(installation.settings, "backup", target).returncode == 0
    elsewhere = installation.settings.model_copy(update={"data_root": tmp_path / "re?stored"})
    assert call(elsewhere, "restore", target).returncode == 0
    installation.database.close()


def test_a_newer_database_is_one_sentence(installation):
    with closing(sqlite3.connect(installation.settings.data_root / "app.db")) as raw, raw:
        raw.execute("UPDATE alembic_version SET version_num = '0099'")
    for command in ("runs", "doctor", "backup /nowhere/x.zip"):
        ended = call(installation.settings, *command.split())
        said = ended.stdout + ended.stderr
        assert ended.returncode == 1 and "made by a newer Maskloom (tables 0099" in said and "Traceback" not in said


def engine(root: Path, *arguments: str, module: str = "engine") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", module, *arguments]
    environment = {**os.environ, "DATA_ROOT": str(root), "DATABASE_URL": ""}
    return subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True)


def test_garbage_in_place_of_the_database_is_one_sentence(tmp_path):
    (tmp_path / "app.db").write_bytes(b"garbage" * 1000)
    ended = engine(tmp_path, "runs")
    assert ended.returncode == 1 and ended.stderr.startswith("Error: The database is damaged: file is not a database")
    assert "restore a backup" in ended.stderr and ended.stderr.count("\n") == 1


@pytest.mark.parametrize("place", ["file", "file/below", "/dev/null/x", "/proc/x"])
def test_a_data_root_that_is_no_folder_is_one_sentence(tmp_path, place):
    (tmp_path / "file").write_text("no folder")
    ended = engine(tmp_path / place, "runs")
    assert ended.returncode == 1 and ended.stderr.startswith("Error: ") and "Set DATA_ROOT" in ended.stderr
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize("broken", ["newer", "garbage", "gone"])
def test_the_app_does_not_start_and_says_why(tmp_path, broken):
    root = tmp_path / "data"
    installation_at(root, "discs").database.close()
    if broken == "newer":
        with closing(sqlite3.connect(root / "app.db")) as raw, raw:
            raw.execute("UPDATE alembic_version SET version_num = '0099'")
    without = without_database(root) if broken != "newer" else root
    if broken == "garbage":
        (without / "app.db").write_bytes(b"garbage" * 1000)
    options = ("--server.headless", "true", "--server.port", "0")
    started = engine(root, "run", "dashboard/app.py", *options, module="streamlit")
    expected = {"newer": "Update Maskloom", "garbage": "restore a backup", "gone": "restore BACKUP"}
    said = started.stdout + started.stderr
    assert started.returncode != 0 and expected[broken] in said and "Traceback" not in said


def test_a_worker_begins_no_new_database(tmp_path):
    installation_at(tmp_path / "data", "discs").database.close()
    without_database(tmp_path / "data")
    ended = engine(tmp_path / "data", module="engine.work.worker")
    assert ended.returncode != 0 and not (tmp_path / "data" / "app.db").exists()


def test_the_audit_log_is_what_both_remember(installation):
    record(installation, "first")
    open_(installation, SETTLED * 2)
    inventory = Inventory(installation.database)
    line = inventory.last_line(utc_now() + SETTLED)
    assert line and inventory.remembers(line)
    with installation.database.writing() as session:
        session.query(AuditEntry).delete()
    assert not inventory.remembers(line)
