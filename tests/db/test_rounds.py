"""Rounds of self-training: written once each, forgotten when they are repeated, and gone with their run."""

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from db import rounds, runs
from db.models import Round
from db.records import DatabaseRecords
from tests.support.installation import add_discs
from tests.support.predicted import add_run

VALUES = {"first_epoch": 1, "last_epoch": 3, "accepted": True, "images": 4, "labels_quality": 0.5}


@pytest.fixture
def run(installation):
    return add_run(installation, add_discs(installation, 4), "taught")


@pytest.fixture
def records(installation):
    return DatabaseRecords(installation.database)


def test_rounds_come_back_in_order_with_what_was_stored(records, run):
    records.save_round(run.id, 2, **VALUES | {"first_epoch": 4, "last_epoch": 6, "accepted": False, "reason": "Worse."})
    records.save_round(run.id, 1, **VALUES)
    first, second = records.rounds(run.id)
    assert (first.number, first.last_epoch, first.accepted, first.labels_quality) == (1, 3, True, 0.5)
    assert first.masks_quality is None and first.left_out == 0 and first.reason == ""
    assert (second.first_epoch, second.accepted, second.reason) == (4, False, "Worse.")


def test_a_repeated_round_replaces_the_one_before(records, run):
    records.save_round(run.id, 1, **VALUES)
    records.save_round(run.id, 1, **VALUES | {"masks_quality": 0.7})
    assert [found.masks_quality for found in records.rounds(run.id)] == [0.7]


def test_later_rounds_of_this_run_alone_are_forgotten(installation, records, run):
    other = add_run(installation, add_discs(installation, 4, name="others"), "other")
    for number in (1, 2, 3):
        records.save_round(run.id, number, **VALUES)
        records.save_round(other.id, number, **VALUES)
    records.drop_rounds_after(run.id, 1)
    assert [found.number for found in records.rounds(run.id)] == [1]
    assert len(records.rounds(other.id)) == 3


def test_rounds_go_with_their_run_and_need_one(installation, records, run):
    records.save_round(run.id, 1, **VALUES)
    with installation.database.writing() as session:
        runs.delete_run(session, run.id)
    with installation.database.reading() as session:
        assert session.scalar(select(func.count()).select_from(Round)) == 0
    with pytest.raises(IntegrityError):
        records.save_round("0" * 32, 1, **VALUES)


def test_a_run_taught_by_truth_has_none(installation, run):
    with installation.database.reading() as session:
        assert rounds.rounds(session, run.id) == []
