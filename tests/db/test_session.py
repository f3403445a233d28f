"""Opening, migrating, and sharing one database file."""

import sqlite3
import threading

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.exc import IntegrityError

from db import datasets, recipes
from db.columns import Base, new_id
from db.models import Dataset, Image, Label, LabelSet
from db.schema import MIGRATIONS, known_revisions
from db.session import Database, DatabaseRefused, sqlite_file

MADE = "2026-01-02 03:04:05"


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path / 'new folder' / 'app.db'}"


def test_migrations_make_exactly_the_declared_tables(url):
    database = Database(url)
    database.migrate()
    with database.bind.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
    database.close()


@pytest.mark.parametrize("given", ["://", "sqlite", "x" * 5000, "postgresql://h:many/x"])
def test_what_is_no_url_is_refused_in_a_short_sentence(given):
    for ask in (sqlite_file, Database):
        with pytest.raises(DatabaseRefused, match="DATABASE_URL is none: ") as refused:
            ask(given)
        assert len(str(refused.value)) < 1500


def test_two_apps_that_start_at_once_both_find_a_ready_database(url):
    failures = []

    def start():
        try:
            database = Database(url)
            database.migrate()
            database.close()
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_sqlite_is_in_wal_mode_and_keeps_foreign_keys(url):
    database = Database(url)
    database.migrate()
    with database.bind.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    orphan = Image(dataset_id=new_id(), name="x", content_hash="h", width=1, height=1)
    with pytest.raises(IntegrityError), database.writing() as session:
        session.add(orphan)
    database.close()


def test_a_failed_block_writes_nothing(url):
    database = Database(url)
    database.migrate()
    with pytest.raises(RuntimeError), database.writing() as session:
        datasets.create(session, "half done")
        raise RuntimeError
    with database.reading() as session:
        assert datasets.listing(session) == []
    database.close()


def test_a_writer_waits_for_another_process(url):
    """The busy timeout covers a lock that somebody else holds for a while."""
    database = Database(url)
    database.migrate()
    other = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    release = threading.Timer(0.3, lambda: other.execute("COMMIT"))
    release.start()
    with database.writing() as session:
        datasets.create(session, "patient")
    release.join()
    other.close()
    with database.reading() as session:
        assert session.query(Dataset).one().name == "patient"
    database.close()


def test_a_database_of_the_first_version_keeps_its_rows(url):
    """Datasets, mask sets and masks that were made before masks were judged are there after the upgrade."""
    database = Database(url)
    database.migrate("0001")
    raw = sqlite3.connect(url.removeprefix("sqlite:///"))
    with raw:
        raw.execute("INSERT INTO datasets VALUES ('d', 'cells', 'dataset', ?, NULL, 1, 0, '', '[]', '[]', 0)", (MADE,))
        raw.execute("INSERT INTO images VALUES ('i', 'd', 0, 'a.png', 'hash', 8, 8, 0, '[]')")
        raw.execute(
            "INSERT INTO label_sets VALUES ('l', 'd', 'otsu', 'threshold', '{}', 0, '0.1.0', '', ?, NULL)", (MADE,)
        )
        raw.execute("INSERT INTO labels VALUES ('l', 'i', 0.25, NULL, NULL)")
    raw.close()
    database.migrate()
    with database.reading() as session:
        label_set, label = session.query(LabelSet).one(), session.query(Label).one()
        assert (label_set.name, label_set.state, label_set.recipe_key) == ("otsu", None, None)
        assert (label.area, label.quality, label.quality_parts) == (0.25, None, None)
        assert (label.unclear, label.dropped) == (False, False)
    with database.writing() as session:
        recipes.set_dropped(session, "l", ["i"], True)
        assert recipes.summary(session, "l").dropped == 1
    database.close()


def test_the_revisions_named_by_files_are_those_that_alembic_finds():
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    found = ScriptDirectory.from_config(config)
    assert known_revisions() == sorted(script.revision for script in found.walk_revisions())
    assert known_revisions()[-1] == found.get_current_head()


def test_a_database_that_was_moved_away_takes_no_more_changes(url, tmp_path):
    database = Database(url)
    database.migrate()
    with database.writing() as session:
        datasets.create(session, "kept")
    file = tmp_path / "new folder" / "app.db"
    file.rename(tmp_path / "aside.db")
    with pytest.raises(DatabaseRefused, match="moved away"), database.writing() as session:
        datasets.create(session, "lost")
    database.bind.dispose()  # the next connection would begin an empty file
    with pytest.raises(DatabaseRefused, match="moved away"), database.reading() as session:
        session.query(Dataset).all()
    assert not file.exists()
    (tmp_path / "aside.db").rename(file)
    with database.writing() as session:
        datasets.create(session, "after")
        assert {dataset.name for dataset in session.query(Dataset)} == {"kept", "after"}
    database.close()


def test_another_file_in_place_of_the_database_is_refused(url, tmp_path):
    database, other = Database(url), Database(f"sqlite:///{tmp_path / 'other.db'}")
    database.migrate()
    other.migrate()
    other.close()
    (tmp_path / "other.db").replace(tmp_path / "new folder" / "app.db")
    with pytest.raises(DatabaseRefused, match="replaced"), database.writing():
        pass
    database.close()
