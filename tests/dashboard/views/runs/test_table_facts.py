"""The table of runs: what is read, what is cached, filters and orders."""

from __future__ import annotations

import csv
import io
import re
from datetime import timedelta

import pytest
from sqlalchemy import event

from dashboard.views.runs import table_facts as run_table
from dashboard.views.runs.table_facts import SORTS, SPARKLINE_POINTS, Filter, arranged, run_rows
from db import jobs, runs, submissions
from db.columns import utc_now
from db.models import JobStatus
from engine import VERSION
from engine.core.run_config import PRESETS
from tests.support.installation import add_discs
from tests.support.predicted import add_label_set, add_run

LOST_AFTER_S = 60.0


def rows(installation, kept=None):
    with installation.database.reading() as session:
        return run_rows(session, utc_now(), LOST_AFTER_S, kept)


def by_name(installation):
    return {row.name: row for row in rows(installation)}


@pytest.fixture
def dataset(installation):
    return add_discs(installation, 6)


@pytest.fixture
def several(installation, dataset):
    """Four runs: trained on truth and on labels, pinned, archived, tagged."""
    made = [
        add_run(installation, dataset, "Alpha", shifts_px=(0,)),
        add_run(
            installation, dataset, "beta", label_set_id=add_label_set(installation, dataset), shifts_px=(8,), epochs=5
        ),
        add_run(installation, add_discs(installation, 3, "others"), "gamma", epochs=2),
        add_run(installation, dataset, "delta", shifts_px=()),
    ]
    with installation.database.writing() as session:
        runs.mark(session, [made[0].id], pinned=True)
        runs.mark(session, [made[3].id], archived=True)
        runs.set_tags(session, made[1].id, ["paper"])
        runs.set_note(session, made[2].id, "Looks odd at the border.")
    return made


def names(installation, sort="Newest first", **chosen):
    return [row.name for row in arranged(rows(installation), Filter(**chosen), sort)]


def test_a_long_curve_is_thinned_and_ends_at_the_last_epoch(installation, dataset):
    add_run(installation, dataset, "long", shifts_px=(), epochs=200)
    add_run(installation, dataset, "short", shifts_px=(), epochs=7)
    found = by_name(installation)
    long, short = found["long"], found["short"]
    assert SPARKLINE_POINTS / 2 < len(long.val_dice) <= SPARKLINE_POINTS
    assert long.val_dice[-1] == pytest.approx(1 - 0.5 / 200)
    assert list(short.val_dice) == pytest.approx([1 - 0.5 / epoch for epoch in range(1, 8)])
    assert (long.epochs_done, short.epochs_done) == (200, 7)


def test_a_running_run_without_a_best_model_shows_its_highest_epoch(installation, dataset):
    config = PRESETS["fast"].model_dump()
    with installation.database.writing() as session:
        run, _ = submissions.submit_train(session, dataset.id, None, "new", "fast", config, VERSION)
        for epoch, value in enumerate((0.2, 0.6, 0.4), start=1):
            runs.save_metrics(session, run.id, epoch, {"loss": 1.0, "val_dice": value})
    (row,) = rows(installation)
    assert (row.soft_dice, row.status, row.best_epoch) == (0.6, "queued", None)


def test_metrics_of_ended_runs_are_read_once_and_those_of_a_run_at_work_each_time(installation, dataset):
    config = PRESETS["fast"].model_dump()
    with installation.database.writing() as session:
        run, job = submissions.submit_train(session, dataset.id, None, "first", "fast", config, VERSION)
        jobs.claim(session, "test", 9, LOST_AFTER_S)
        runs.save_metrics(session, run.id, 1, {"loss": 1.0, "val_dice": 0.1})
    asked: list[str] = []
    event.listen(installation.database.bind, "before_cursor_execute", lambda *call: asked.append(call[2]))
    kept: run_table.Cache = {}

    def read():
        asked.clear()
        (row,) = rows(installation, kept)
        return row.epochs_done, any("FROM metrics" in statement for statement in asked)

    assert read() == (1, True)
    with installation.database.writing() as session:
        runs.save_metrics(session, run.id, 2, {"loss": 0.5, "val_dice": 0.2})
    assert read() == (2, True)
    with installation.database.writing() as session:
        jobs.finish(session, job.id, 1, JobStatus.STOPPED)
    assert read() == (2, True)
    assert read() == (2, False)
    with installation.database.writing() as session:
        jobs.requeue(session, job.id)
        jobs.claim(session, "test", 9, LOST_AFTER_S)
        runs.save_metrics(session, run.id, 3, {"loss": 0.4, "val_dice": 0.3})
    assert read() == (3, True)
    with installation.database.writing() as session:
        jobs.finish(session, job.id, 2, JobStatus.FINISHED)
        runs.delete_run(session, run.id)
    assert rows(installation, kept) == () and kept == {}


def test_no_whole_settings_and_no_counts_are_read(installation, several):
    asked: list[str] = []
    event.listen(installation.database.bind, "before_cursor_execute", lambda *call: asked.append(call[2]))
    kept: run_table.Cache = {}
    rows(installation, kept)
    assert len(asked) <= 7
    assert not any(re.search(r"(?<!\()runs\.config|_counts", statement) for statement in asked)


def test_settings_of_runs_that_have_ended_are_read_once(installation, several):
    asked: list[str] = []
    event.listen(installation.database.bind, "before_cursor_execute", lambda *call: asked.append(call[2]))
    kept: run_table.Cache = {}
    first = rows(installation, kept)
    assert any("runs.config" in statement for statement in asked)
    asked.clear()
    assert rows(installation, kept) == first
    assert not any("runs.config" in statement for statement in asked)


def test_scores_are_listed_under_their_own_reference(installation, several):
    found = by_name(installation)
    assert found["Alpha"].agreement is None and found["Alpha"].soft_dice == pytest.approx(1 - 0.5 / 3)
    assert found["beta"].soft_dice == pytest.approx(0.9)
    assert 0.4 < found["beta"].dice_vs_truth < 0.9 and 0.4 < found["beta"].agreement < 0.9  # of masks moved by 8 px
    assert (found["beta"].trained_on, found["Alpha"].trained_on) == ("recipe", "truth")


def test_archived_runs_are_hidden_until_asked_for(installation, several):
    assert names(installation) == ["Alpha", "gamma", "beta"]
    assert names(installation, archived="Shown too") == ["Alpha", "delta", "gamma", "beta"]
    assert names(installation, archived="Shown alone") == ["delta"]


@pytest.mark.parametrize(
    ("chosen", "left"),
    [
        ({"text": "ALPHA"}, ["Alpha"]),
        ({"text": "recipe"}, ["beta"]),
        ({"text": "border odd"}, ["gamma"]),
        ({"text": "pap"}, ["beta"]),
        ({"text": "alpha beta"}, []),
        ({"tags": ("paper",)}, ["beta"]),
        ({"datasets": ("others",)}, ["gamma"]),
        ({"statuses": ("finished",)}, []),
        ({"statuses": ("stopped",), "datasets": ("discs",)}, ["Alpha", "beta"]),
    ],
)
def test_filters_keep_rows_that_match_all_of_them(installation, several, chosen, left):
    assert names(installation, **chosen) == left


def test_filters_are_counted(installation):
    assert Filter(text="x").count == 0
    assert Filter(statuses=("failed",), tags=("a", "b"), archived="Shown too").count == 3


@pytest.mark.parametrize("sort", SORTS)
def test_pinned_runs_come_first_in_every_order(installation, several, sort):
    assert names(installation, sort)[0] == "Alpha"


def test_orders(installation, several):
    with installation.database.writing() as session:
        runs.mark(session, [several[0].id], pinned=False)
    assert names(installation, "Oldest first") == ["Alpha", "beta", "gamma"]
    assert names(installation, "Name") == ["Alpha", "beta", "gamma"]
    assert names(installation, "Best Dice vs truth") == ["gamma", "Alpha", "beta"]
    assert names(installation, "Best agreement")[0] == "beta"


def test_csv_holds_every_row_and_no_formula(installation, several):
    with installation.database.writing() as session:
        runs.rename(session, several[1].id, "=HYPERLINK(1)")
        runs.set_note(session, several[1].id, "+1")
    table = list(csv.DictReader(io.StringIO(run_table.as_csv(rows(installation)))))
    assert len(table) == 4
    line = next(line for line in table if line["run"].endswith("=HYPERLINK(1)"))
    assert (line["run"], line["note"]) == ("'=HYPERLINK(1)", "'+1")
    assert (line["validation_soft_dice_of_best_epoch"], line["tags"]) == ("0.9", "paper")
    assert line["pretrained_weights"] == "none"


def test_a_row_of_a_silent_worker_is_only_marked_lost(installation, dataset):
    config = PRESETS["fast"].model_dump()
    with installation.database.writing() as session:
        submissions.submit_train(session, dataset.id, None, "first", "fast", config, VERSION)
        jobs.claim(session, "test", 9, LOST_AFTER_S)
    with installation.database.reading() as session:
        (row,) = run_rows(session, utc_now() + timedelta(minutes=5), LOST_AFTER_S)
    assert row.status == "lost"
