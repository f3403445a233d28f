"""Databases of every earlier schema keep their rows through the upgrade."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import select

from dashboard.pages import pages
from dashboard.server import resources
from db import datasets, sweeps, workers
from db.columns import Base
from db.models import Dataset, Launch, Sweep, SweepKind
from db.session import Database
from engine.core import settings as settings_module
from engine.core.settings import Settings
from engine.labelling.base import find_method
from tests.support.calling import call
from tests.support.corrected import correct
from tests.support.leaving_out import leave_out
from tests.support.object_measurements import submit
from tests.support.old_schemas import LATER, REVISIONS, Tables, make_database, tables
from tests.support.pages import page_at
from tests.upgrade.conftest import upgraded


def rows(connection: sqlite3.Connection, columns: Tables) -> dict[str, list[tuple]]:
    """Return the rows of each table, sorted, in the columns given."""
    return {
        table: sorted(connection.execute(f"SELECT {', '.join(named)} FROM {table}").fetchall(), key=repr)
        for table, named in columns.items()
    }


@pytest.fixture(scope="module")
def full_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DATA_ROOT of today with rows in every table."""
    installation = upgraded(tmp_path_factory.mktemp("full") / "data")
    with installation.database.reading() as session:
        dataset = session.query(Dataset).order_by(Dataset.created_at).first()
        image = datasets.images(session, dataset.id)[0]
    correct(installation, dataset, image.name)
    region = np.zeros((image.height, image.width), bool)
    region[:4] = True
    leave_out(installation, dataset.id, region)
    submit(installation, "truth", dataset.id)
    with installation.database.writing() as session:
        workers.register_app(session, "desk", 1, "1")
        params = find_method("threshold").params().model_dump(mode="json")
        base = {"method": "threshold", "params": params, "seed": 0}
        shape = {"kind": SweepKind.MASKS, "space": [], "sampler": "random", "objective": "label_free", "prune": False}
        sweep = Sweep(dataset_id=dataset.id, name="sweep", base=base, trials=1, code_version="1", **shape)
        sweeps.add_trial(session, sweeps.create(session, sweep), {}, params, "1")
        session.add(Launch(launcher="command", at_most=1))
    installation.database.close()
    return installation.settings.data_root


@pytest.mark.parametrize("revision", [*REVISIONS, *LATER])
def test_a_database_of_an_earlier_schema_keeps_its_rows(tmp_path, stored_database, full_root, revision):
    path = tmp_path / "app.db"
    make_database(path, revision, stored_database if revision in REVISIONS else full_root / "app.db")
    with closing(sqlite3.connect(path)) as raw:
        before = tables(raw)
        had = rows(raw, before)
    assert all(had.values()), "every table has rows to lose"
    database = Database(f"sqlite:///{path}")
    database.migrate()
    with closing(sqlite3.connect(path)) as raw:
        now = tables(raw)
        kept = {table: [column for column in columns if column in now[table]] for table, columns in before.items()}
        assert rows(raw, kept) == {table: _narrowed(had[table], before[table], kept[table]) for table in before}
        assert raw.execute("PRAGMA foreign_key_check").fetchall() == []
    with database.bind.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
    with database.reading() as session:
        for mapper in Base.registry.mappers:
            read = session.scalars(select(mapper.class_)).all()
            assert len(read) == len(had.get(mapper.local_table.name, []))
    database.close()


def _narrowed(found: list[tuple], columns: list[str], kept: list[str]) -> list[tuple]:
    places = [columns.index(column) for column in kept]
    return sorted((tuple(row[place] for place in places) for row in found), key=repr)


def test_the_stored_database_is_of_the_last_schema_before_the_upgrade(stored_database):
    with closing(sqlite3.connect(stored_database)) as raw:
        assert raw.execute("SELECT version_num FROM alembic_version").fetchall() == [(REVISIONS[-1],)]
        assert all(rows(raw, tables(raw)).values()), "every table has rows"


@pytest.mark.parametrize("revision", [*REVISIONS, *LATER])
def test_a_data_root_of_an_earlier_schema_opens(tmp_path, stored_database, full_root, revision, monkeypatch):
    """The files of today, beside a database of an earlier schema: its pages open, and it is backed up."""
    root = tmp_path / "data"
    shutil.copytree(full_root, root, ignore=shutil.ignore_patterns("app.db*"))
    make_database(root / "app.db", revision, stored_database if revision in REVISIONS else full_root / "app.db")
    settings = Settings(data_root=root, database_url="", free_disk_floor_mb=0)
    assert call(settings, "runs").returncode == 0
    monkeypatch.setenv("DATA_ROOT", str(root))
    monkeypatch.setenv("DATABASE_URL", "")
    settings_module.settings.cache_clear()
    for name in pages():
        app = page_at(f"views/{name}/page.py").run()
        assert not app.exception and not app.error, name
    resources.database().close()
    settings_module.settings.cache_clear()
    assert call(settings, "backup", tmp_path / "backup.zip").returncode == 0
