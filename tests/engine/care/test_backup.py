"""Backing up while a real training runs, and restoring into an empty folder."""

import errno
import json
import os
import signal
import subprocess
import sys
import tracemalloc
import zipfile
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from db import jobs, runs, submissions
from db.columns import utc_now
from db.inventory import Inventory
from db.models import JobStatus
from db.session import Database
from engine.care.backup import MANIFEST, BackupFailed
from engine.care.checkup import check
from engine.care.restore import restore_files
from engine.core import settings as settings_module
from engine.core.run_config import config_from
from engine.network.inference import load_model
from engine.store import keys as stored
from engine.store.local import LocalStore
from engine.work.worker import work
from tests.support.calling import call
from tests.support.installation import REPOSITORY, Installation, add_discs
from tests.support.predicted import add_label_set
from tests.support.workers import PATIENCE_S, wait_until


def submit(installation, dataset, epochs, name="run"):
    values = {
        "training": {"epochs": epochs, "batch_size": 4},
        "model": {"image_size": 32, "depth": 1, "base_filters": 4},
        "early_stopping": {"enabled": False},
        "self_training": {"rounds": 1},
    }
    config = config_from("fast", values).model_dump(mode="json")
    with installation.database.writing() as session:
        return submissions.submit_train(session, dataset.id, None, name, "fast", config, "test")


def epochs_done(installation, run):
    with installation.database.reading() as session:
        return sorted({row.epoch for row in runs.metrics(session, run.id)})


@pytest.fixture
def restored_settings(installation, tmp_path):
    return installation.settings.model_copy(update={"data_root": tmp_path / "restored"})


@pytest.fixture
def backed_up(installation, tmp_path):
    """An installation with one dataset, its mask set and pretrained weights, and a backup of it."""
    dataset = add_discs(installation, 4)
    for key in (stored.encoder_weights_key(), stored.pretrained_record_key(), stored.older_backbone_key()):
        installation.files.write(key, b"{}")
    add_label_set(installation, dataset)
    target = tmp_path / "backup.zip"
    ended = call(installation.settings, "backup", target)
    assert ended.returncode == 0, ended.stderr
    return target


@pytest.mark.slow
def test_a_training_that_is_backed_up_at_work_is_restored_resumed_and_finished(
    installation, tmp_path, restored_settings
):
    dataset = add_discs(installation, 6)
    add_label_set(installation, dataset)
    run, job = submit(installation, dataset, 4000)
    submit(installation, dataset, 1, "waits")
    one = installation.settings.model_copy(update={"max_workers": 1})
    worker = subprocess.Popen(
        [sys.executable, "-m", "engine.work.worker"],
        cwd=REPOSITORY,
        env=one.as_environment(),
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: len(epochs_done(installation, run)) >= 3 or installation.job(job.id).status.ended)
        made = call(installation.settings, "backup", tmp_path / "backup.zip", "--json")
        assert made.returncode == 0, made.stderr
        assert installation.job(job.id).status == JobStatus.RUNNING, installation.job(job.id).error
        assert json.loads(made.stdout)["gone"] == []
    finally:
        worker.kill()
        worker.wait()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backup.zip", "data"]

    told = call(restored_settings, "restore", tmp_path / "backup.zip", "--json")
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout)["stopped"] == 2
    assert call(restored_settings, "doctor").returncode == 0
    database = Database(restored_settings.resolved_database_url)
    other = Installation(restored_settings, database, LocalStore(restored_settings.data_root))
    before = epochs_done(other, run)
    assert before == list(range(1, len(before) + 1)) and len(before) >= 3
    assert other.job(job.id).status == JobStatus.STOPPED
    with database.writing() as session:
        row = session.get_one(type(run), run.id)
        row.config = row.config | {"training": row.config["training"] | {"epochs": len(before) + 2}}
        assert jobs.requeue(session, job.id)
    work(database, restored_settings)
    ended = other.job(job.id)
    assert ended.status == JobStatus.FINISHED, ended.error
    assert epochs_done(other, run) == list(range(1, len(before) + 3))
    assert ended.attempt == 2
    assert "Attempt 1" in other.files.read(stored.job_log_key(job.id)).decode()
    assert load_model(other.files.path(stored.best_model_key(run.id)))
    report = check(Inventory(database), other.files, utc_now(), 60.0)
    assert report.clean, report.sentences()
    _every_page_draws(restored_settings)
    database.close()


def _every_page_draws(settings):
    before = {name: os.environ.get(name) for name in ("DATA_ROOT", "DATABASE_URL")}
    os.environ.update(DATA_ROOT=str(settings.data_root), DATABASE_URL="")
    settings_module.settings.cache_clear()
    try:
        app = AppTest.from_file(str(REPOSITORY / "dashboard" / "navigation.py"), default_timeout=60).run()
        for page in ("home", "datasets", "labels", "train", "runs", "gallery", "compare", "predict"):
            if page != "home":
                app.switch_page(f"views/{page}/page.py").run()
            assert not app.exception and not app.error, page
            assert app.title, page
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
        settings_module.settings.cache_clear()


def test_every_file_comes_back_as_it_was(installation, backed_up, restored_settings):
    assert call(restored_settings, "restore", backed_up).returncode == 0

    def contents(root):
        return {
            path.relative_to(root).as_posix(): path.read_bytes()
            for path in root.rglob("*")
            if path.is_file() and not path.name.startswith("app.db")
        }

    assert contents(installation.files.root) == contents(restored_settings.data_root)
    assert contents(installation.files.root)


def test_a_back_up_is_restored_into_an_empty_folder_only(backed_up, restored_settings):
    restored_settings.data_root.mkdir()
    keepsake = restored_settings.data_root / "keepsake.txt"
    keepsake.write_text("mine")
    refused = call(restored_settings, "restore", backed_up)
    assert refused.returncode == 1 and "is not empty" in refused.stderr
    assert [path.name for path in restored_settings.data_root.iterdir()] == ["keepsake.txt"]


def test_a_back_up_never_overwrites_and_never_lies_inside_of_what_it_backs_up(installation, backed_up):
    again = call(installation.settings, "backup", backed_up)
    assert again.returncode == 1 and "there already" in again.stderr
    inside = call(installation.settings, "backup", installation.files.root / "backup.zip")
    assert inside.returncode == 1 and "outside of DATA_ROOT" in inside.stderr


def test_what_a_killed_backup_left_is_removed_by_the_next_one(installation, backed_up):
    old = [backed_up.with_name(f"monday.0a1b2c3d.part.zip{more}") for more in ("", ".db", ".db-wal")]
    at_work = [backed_up.with_name(f"backup.4a5b6c7d.part.zip{more}") for more in ("", ".db")]
    others = [backed_up.with_name(name) for name in ("x.part.zip", "x.0a1b2c3d.part.keras", "x.0a1b2c3d.zip")]
    for path in old + at_work + others:
        path.write_bytes(b"x")
    for path in [*old, at_work[1], *others]:  # its copy of the database is made first
        os.utime(path, (0, 0))
    assert call(installation.settings, "backup", backed_up.with_name("next.zip")).returncode == 0
    assert not any(path.exists() for path in old)
    assert all(path.exists() for path in at_work + others)


def test_a_full_disk_is_a_sentence(installation, backed_up, monkeypatch):
    def full(writer, key, source):
        source.close()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("engine.care.backup._Writer.add", full)
    ended = call(installation.settings, "backup", backed_up.with_name("next.zip"))
    assert ended.returncode == 1 and ended.stderr.startswith("The disk is full"), ended.stderr
    assert sorted(path.name for path in backed_up.parent.glob("*.zip*")) == ["backup.zip"]


def test_a_file_that_is_gone_is_told_and_no_reason_to_fail(installation, tmp_path, restored_settings):
    dataset = add_discs(installation, 3)
    victim = installation.files.keys(f"datasets/{dataset.id}/truth")[0]
    installation.files.delete(victim)
    ended = call(installation.settings, "backup", tmp_path / "backup.zip", "--json")
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["gone"] == [victim]
    assert "1 file was missing" in call(restored_settings, "restore", tmp_path / "backup.zip").stdout
    assert victim in call(restored_settings, "doctor").stdout


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_backup_leaves_nothing(installation, tmp_path, how):
    add_discs(installation, 2)
    large = installation.files.path(stored.job_log_key("a" * 32))
    large.parent.mkdir(parents=True)
    with installation.database.writing() as session:
        session.add(jobs.Job(id="a" * 32, kind=jobs.JobKind.IMPORT, status=JobStatus.FAILED, payload={}))
    large.write_bytes(os.urandom(200_000_000))
    folder = tmp_path / "backups"
    folder.mkdir()
    victim = subprocess.Popen(
        [sys.executable, "-m", "engine", "backup", folder / "backup.zip"],
        cwd=REPOSITORY,
        env=installation.settings.as_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        # A shell starts what runs in the background with SIGINT ignored, and Python then leaves it ignored
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    wait_until(lambda: any(path.stat().st_size > 1e6 for path in folder.glob("*.zip")) or victim.poll() is not None)
    victim.send_signal(how)
    assert victim.wait(PATIENCE_S) != 0
    assert not list(folder.iterdir())


def changed(backed_up: Path, tmp_path: Path, change) -> Path:
    """Return a copy of a backup with {name: content} changed by `change(members, manifest)`."""
    with zipfile.ZipFile(backed_up) as archive:
        members = {name: archive.read(name) for name in archive.namelist() if name != MANIFEST}
        manifest = json.loads(archive.read(MANIFEST))
    change(members, manifest)
    target = tmp_path / "changed.zip"
    with zipfile.ZipFile(target, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
        archive.writestr(MANIFEST, json.dumps(manifest))
    return target


def _climbing(name):
    def change(members, manifest):
        members[name] = b"owned"
        manifest["files"][name] = [5, "0" * 64]

    return change


def _flipped(members, manifest):
    name = next(name for name in members if name.endswith(".png"))
    members[name] = members[name][:-1] + bytes([members[name][-1] ^ 1])


def _longer(members, manifest):
    name = next(name for name in members if name.endswith(".png"))
    members[name] += b"more"


def _unlisted(members, manifest):
    members["datasets/more.png"] = b"x"


def _with(**values):
    return lambda members, manifest: manifest.update(values)


def _without(name):
    return lambda members, manifest: manifest.pop(name)


def _size(size):
    def change(members, manifest):
        manifest["files"][next(iter(members))][0] = size

    return change


def _of_the_future(members, manifest):
    manifest["format"] = 99


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_climbing("../escaped.png"), "no name of a file of ours"),
        (_climbing("/tmp/escaped.png"), "no name of a file of ours"),
        (_climbing("labels/..\\escaped.png"), "no name of a file of ours"),
        (_flipped, "is not what was backed up"),
        (_longer, "is not what was backed up"),
        (_unlisted, "does not fit what is in it"),
        (_of_the_future, "has format 99"),
        (_with(format=[0] * 9000), r"has format \[0, 0, 0, 0, 0, 0, 0, and"),
        (_climbing("restore.part/app.db"), "no name of a file of ours"),
        (_size(10**400), "does not fit what is in it"),
        (_size(-1), "does not fit what is in it"),
        (_without("made_at"), "it has no list of files"),
        (_with(gone=7), "does not fit what is in it"),
        (_with(made_at=7), "does not fit what is in it"),
        (_with(files=[1, 2]), "it has no list of files"),
    ],
)
def test_a_zip_that_is_not_what_was_backed_up_restores_nothing(backed_up, tmp_path, change, words):
    bad = changed(backed_up, tmp_path, change)
    root = tmp_path / "restored"
    with pytest.raises(BackupFailed, match=words):
        restore_files(bad, LocalStore(root), root / "app.db", lambda path: None)
    assert not list(root.iterdir())
    assert not (tmp_path / "escaped.png").exists() and not Path("/tmp/escaped.png").exists()


@pytest.mark.parametrize("data", [b"", b"no zip", b"PK\x03\x04" + b"\0" * 100])
def test_what_is_no_back_up_is_refused_with_a_sentence(tmp_path, data):
    (tmp_path / "bad.zip").write_bytes(data)
    root = tmp_path / "restored"
    with pytest.raises(BackupFailed, match="is no backup of Maskloom"):
        restore_files(tmp_path / "bad.zip", LocalStore(root), root / "app.db", lambda path: None)
    assert not list(root.iterdir())


@pytest.mark.parametrize("packed", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_only_what_a_backup_is_packed_with_is_unpacked(backed_up, tmp_path, packed):
    with zipfile.ZipFile(backed_up) as archive, zipfile.ZipFile(tmp_path / "packed.zip", "w") as target:
        for name in archive.namelist():
            target.writestr(name, archive.read(name), packed)
    root = tmp_path / "restored"
    with pytest.raises(BackupFailed, match="packed as no backup is"):
        restore_files(tmp_path / "packed.zip", LocalStore(root), root / "app.db", lambda path: None)
    assert not list(root.iterdir())


@pytest.mark.parametrize("honest", [True, False])
def test_a_list_of_files_cannot_fill_the_memory(tmp_path, honest):
    unpacked_bytes = 400_000_000
    bad = tmp_path / "bad.zip"
    with zipfile.ZipFile(bad, "w", zipfile.ZIP_DEFLATED) as archive, archive.open(MANIFEST, "w") as member:
        for _ in range(unpacked_bytes // 1_000_000):
            member.write(bytes(1_000_000))
    if not honest:
        size = unpacked_bytes.to_bytes(4, "little")
        data = bad.read_bytes()
        assert data.count(size) == 2  # in its head and in the directory
        bad.write_bytes(data.replace(size, (1000).to_bytes(4, "little")))
    root = tmp_path / "restored"
    tracemalloc.start()
    try:
        with pytest.raises(BackupFailed):
            restore_files(bad, LocalStore(root), root / "app.db", lambda path: None)
        assert tracemalloc.get_traced_memory()[1] < 250_000_000
    finally:
        tracemalloc.stop()


def test_a_restore_that_cannot_be_moved_into_place_leaves_nothing(backed_up, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("engine.care.restore.shutil.move", full)
    root = tmp_path / "restored"
    with pytest.raises(BackupFailed, match="No space left"):
        restore_files(backed_up, LocalStore(root), root / "app.db", lambda path: None)
    assert not list(root.iterdir())


def test_a_cut_off_restore_is_begun_anew(backed_up, restored_settings):
    left = restored_settings.data_root / "restore.part" / "datasets"
    left.mkdir(parents=True)
    (left / "half.png").write_bytes(b"half")
    assert call(restored_settings, "restore", backed_up).returncode == 0
    assert call(restored_settings, "doctor").returncode == 0
    assert not (restored_settings.data_root / "restore.part").exists()


def test_another_database_is_for_its_own_tools_and_its_files_alone_can_be_backed_up(
    installation, tmp_path, monkeypatch
):
    add_discs(installation, 2)
    monkeypatch.setattr(Inventory, "dialect", "postgresql")
    monkeypatch.setattr(Inventory, "is_sqlite", False)
    refused = call(installation.settings, "backup", tmp_path / "backup.zip")
    assert refused.returncode == 1 and "pg_dump" in refused.stderr and "--files-only" in refused.stderr
    assert call(installation.settings, "backup", tmp_path / "backup.zip", "--files-only").returncode == 0
    with zipfile.ZipFile(tmp_path / "backup.zip") as archive:
        names = archive.namelist()
    assert "app.db" not in names and len([name for name in names if name.endswith(".png")]) == 4
    restore_files(tmp_path / "backup.zip", LocalStore(tmp_path / "restored"), None, lambda path: None)
    assert len(LocalStore(tmp_path / "restored").keys("datasets")) == 6


@pytest.mark.parametrize("name", ["work", "cache"])
def test_a_folder_with_files_of_others_is_not_empty(name, tmp_path):
    (tmp_path / name).mkdir()
    with pytest.raises(BackupFailed, match="is not empty"):
        restore_files(tmp_path / "backup.zip", LocalStore(tmp_path), None, lambda path: None)
    assert (tmp_path / name).exists()
