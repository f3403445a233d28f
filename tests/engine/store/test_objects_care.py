"""Check-up, repair, backup, restore and belonging with all files in an object store."""

import json

import pytest

from db.columns import utc_now
from db.inventory import Inventory
from db.session import Database
from engine.care.belonging import NotTogether, open_together, remember_start, start_of
from engine.store import keys as stored
from engine.store.base import StoreFailed
from engine.work.joining import CannotJoin, refuse_strangers
from tests.support import small_installation
from tests.support.calling import call

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def made(s3_server, tmp_path_factory):
    """A small installation in an object store, which no test changes."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in s3_server.environment.items():
            patch.setenv(name, value)
        patch.setattr("os.cpu_count", lambda: 1)
        installation = small_installation.make(tmp_path_factory.mktemp("made") / "data", s3_server.bucket())
        yield installation
        installation.database.close()


def names(ended):
    return [finding["kind"] for finding in json.loads(ended.stdout)["findings"]]


def test_a_whole_installation_is_in_order_backed_up_and_restored_elsewhere(made, s3, tmp_path):
    assert call(made.settings, "doctor").returncode == 0
    backup = tmp_path / "backup.zip"
    saved = json.loads(call(made.settings, "backup", backup, "--json").stdout)
    assert saved["gone"] == [] and saved["files"] > 40
    there = made.settings.model_copy(update={"data_root": tmp_path / "there", "store_url": s3.bucket()})
    ended = call(there, "restore", backup)
    assert ended.returncode == 0, ended.stderr
    assert call(there, "doctor").returncode == 0
    again = there.model_copy(update={"data_root": tmp_path / "again", "store_url": made.settings.store_url})
    other = made.settings.model_copy(update={"data_root": tmp_path / "other", "store_url": s3.bucket()})
    s3.tell("refuse 403 AccessDenied")
    assert "denies access" in call(again, "restore", backup).stderr
    s3.tell("well")
    small_installation.opened(tmp_path / "x", store_url=other.store_url).files.write(
        stored.image_key("1" * 32, "2" * 32), b""
    )
    assert "STORE_URL is not empty" in call(other, "restore", backup).stderr


def test_a_check_up_finds_what_is_gone_and_a_repair_sets_aside_what_no_row_names(s3, tmp_path, monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    installation = small_installation.make(tmp_path / "data", s3.bucket())
    files, dataset = installation.files, small_installation.first_dataset(installation)
    keys = files.keys(stored.dataset_folder(dataset.id))
    thumb = next(key for key in keys if "/thumbs/" in key)
    files.remove(thumb)
    stray = stored.image_key(dataset.id, "f" * 32)
    files.write(stray, b"not of us")
    ended = call(installation.settings, "doctor", "--json")
    assert sorted(names(ended)) == ["missing_thumbnail", "orphan"]
    call(installation.settings, "doctor", "--repair")
    assert call(installation.settings, "doctor").returncode == 0
    assert files.exists(thumb) and not files.exists(stray)
    assert [key for key in files.keys("lost+found") if key.endswith(stray)]
    installation.database.close()


def test_a_second_installation_is_refused_the_files_of_the_first(made, s3, tmp_path, in_objects):
    other = Database(f"sqlite:///{tmp_path / 'other.db'}")
    with pytest.raises(NotTogether, match="database is missing or empty"):
        open_together(Inventory(other), made.files, other.migrate, utc_now())
    in_objects.open_app()
    with pytest.raises(NotTogether, match="STORE_URL is that of another installation"):
        open_together(Inventory(other), in_objects.files, other.migrate, utc_now())
    assert not Inventory(other).has_tables()
    other.close()


def test_a_worker_with_another_store_is_refused(made, in_objects):
    in_objects.open_app()
    refuse_strangers(in_objects.database, in_objects.files)
    with pytest.raises(CannotJoin, match="STORE_URL is not that of this database"):
        refuse_strangers(in_objects.database, made.files)


def test_the_start_is_not_stored_where_the_store_refuses(in_objects, s3):
    s3.tell("refuse 403 AccessDenied")
    remember_start(in_objects.files, "start")
    with pytest.raises(StoreFailed):
        start_of(in_objects.files)
