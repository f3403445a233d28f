"""What a restore that was killed leaves, and what the next one deletes of it."""

import hashlib
import json
import zipfile

import pytest

from engine.care import restore
from engine.care.backup import FORMAT, MANIFEST, BackupFailed
from engine.store.local import LocalStore

ELSEWHERE = json.dumps(["..", "", ".", "../beside.txt", "datasets"]).encode()


def backup(path, **members):
    """Write a whole backup of these files."""
    listed = {name: [len(data), hashlib.sha256(data).hexdigest()] for name, data in members.items()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
        archive.writestr(MANIFEST, json.dumps({"format": FORMAT, "made_at": "now", "files": listed}))
    return path


@pytest.mark.parametrize("name", ["moving.json", restore.MOVING])
def test_no_backup_says_what_a_repeated_restore_deletes(tmp_path, monkeypatch, name):
    beside, root = tmp_path / "beside.txt", tmp_path / "data"
    beside.write_text("not of Maskloom")
    hostile = backup(tmp_path / "hostile.zip", **{"app.db": b"rows", name: ELSEWHERE})
    with monkeypatch.context() as killed, pytest.raises((BackupFailed, KeyboardInterrupt)):
        killed.setattr(restore.shutil, "rmtree", lambda *_, **__: None)
        restore.restore_files(hostile, LocalStore(root), root / "app.db", stopped)
    stage = root / restore.STAGE
    assert (stage / name).exists() == (name != restore.MOVING)
    (stage / restore.MOVING).write_bytes(ELSEWHERE)  # whatever else may have written it
    restore.restore_files(
        backup(tmp_path / "own.zip", **{"app.db": b"rows"}), LocalStore(root), root / "app.db", lambda path: None
    )
    assert beside.exists() and (root / "app.db").read_bytes() == b"rows" and not stage.exists()


def stopped(path):
    raise KeyboardInterrupt
