"""The machine on the Home page: figures and warnings."""

from __future__ import annotations

import threading
import time
from collections import namedtuple
from datetime import timedelta

import pytest

from dashboard.server import resources
from dashboard.views.home import machine_facts as viewmodel
from db import jobs
from db.columns import utc_now
from db.models import JobKind
from engine.care.disk_use import DiskWatch, disk_use
from tests.support.installation import add_discs

Usage = namedtuple("Usage", "total used free")


def machine_of(installation, use=None, now=None, **changes):
    with installation.database.reading() as session:
        return viewmodel.machine(session, installation.settings.model_copy(update=changes), use, now or utc_now())


@pytest.mark.parametrize(
    ("free_mb", "words"),
    [(1001, ""), (999, "With less than 500 MB (FREE_DISK_FLOOR_MB) no job starts"), (400, "Only 400 MB of disk space")],
)
def test_low_disk_space_gives_a_warning_before_and_below_the_minimum(installation, monkeypatch, free_mb, words):
    monkeypatch.setattr(viewmodel.shutil, "disk_usage", lambda path: Usage(10**10, 0, free_mb * 10**6))
    warning = machine_of(installation, free_disk_floor_mb=500).warning
    assert words in warning if words else not warning


def test_queue_and_workers_are_counted_without_lost_jobs(installation):
    with installation.database.writing() as session:
        for _ in range(3):
            jobs.submit(session, JobKind.IMPORT, {})
        jobs.claim(session, "worker", 2, 60.0)
    now = machine_of(installation)
    assert (now.waiting, now.running, now.lost) == (2, 1, 0)
    later = machine_of(installation, now=utc_now() + timedelta(minutes=2))
    assert (later.waiting, later.running, later.lost) == (2, 0, 1)


def test_disk_use_is_summed_by_kind(installation):
    dataset = add_discs(installation, 2)
    installation.files.write("jobs/" + "a" * 32 + ".log", b"x" * 1000)
    use = disk_use(installation.files.root)
    assert use.by_kind["images"] == installation.files.size(f"datasets/{dataset.id}")
    assert use.by_kind["logs"] == 1000 and use.by_kind["database"] > 0
    assert machine_of(installation, use).used.startswith("Maskloom uses ")
    assert "being computed" in machine_of(installation).used


def test_disk_use_is_computed_once_in_the_background(installation, monkeypatch):
    add_discs(installation, 2)
    counted, asked = [], threading.Event()

    def slow(root):
        counted.append(root)
        asked.wait(30)
        return disk_use(root)

    monkeypatch.setattr("engine.care.disk_use.disk_use", slow)
    watch = DiskWatch(installation.files.root)
    assert watch.latest() is None and watch.latest() is None
    asked.set()
    give_up = time.monotonic() + 30
    while watch.latest() is None and time.monotonic() < give_up:
        time.sleep(0.05)
    assert watch.latest().total_bytes > 0
    assert len(counted) == 1


def test_the_home_page_shows_the_machine_and_warns(dashboard, open_page, monkeypatch):
    add_discs(dashboard, 2)
    monkeypatch.setenv("FREE_DISK_FLOOR_MB", str(10**9))
    resources.settings.cache_clear()
    app = open_page("views/home/page.py")
    assert not app.exception
    assert {metric.label for metric in app.metric} >= {"Disk free", "Memory free", "Jobs"}
    assert any("no job starts with less than" in warning.value for warning in app.warning)
    words = " ".join(caption.value for caption in app.caption)
    assert "Streamlit 1.67" in words and "TensorFlow" in words and "Maskloom" in words
