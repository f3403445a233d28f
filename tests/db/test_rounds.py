"""Rounds of self-training: written once each, forgotten when they are repeated, and gone with their run."""

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from db import rounds, runs
from db.models import Round
from tests.support.installation import add_discs
from tests.support.predicted import add_run

VALUES = {"first_epoch": 1, "last_epoch": 3, "accepted": True, "images": 4, "labels_quality": 0.5}


@pytest.fixture
def run(installation):
    return add_run(installation, add_discs(installation, 4), "taught")


@pytest.fixture
def save(installation):
    """Return a function that stores a round of a run in its own transaction."""

    def saved(run_id, number, **values):
        with installation.database.writing() as session:
            rounds.save_round(session, run_id, number, **VALUES | values)

    return saved


@pytest.fixture
def stored(installation):
    """Return a function that reads the rounds of a run."""

    def read(run_id):
        with installation.database.reading() as session:
            return rounds.rounds(session, run_id)

    return read


def test_rounds_come_back_in_order_with_what_was_stored(save, stored, run):
    save(run.id, 2, first_epoch=4, last_epoch=6, accepted=False, reason="Worse.")
    save(run.id, 1)
    first, second = stored(run.id)
    assert (first.number, first.last_epoch, first.accepted, first.labels_quality) == (1, 3, True, 0.5)
    assert first.masks_quality is None and first.left_out == 0 and first.reason == ""
    assert (second.first_epoch, second.accepted, second.reason) == (4, False, "Worse.")


def test_a_repeated_round_replaces_the_one_before(save, stored, run):
    save(run.id, 1)
    save(run.id, 1, masks_quality=0.7)
    assert [found.masks_quality for found in stored(run.id)] == [0.7]


def test_later_rounds_of_this_run_alone_are_forgotten(installation, save, stored, run):
    other = add_run(installation, add_discs(installation, 4, name="others"), "other")
    for number in (1, 2, 3):
        save(run.id, number)
        save(other.id, number)
    with installation.database.writing() as session:
        rounds.drop_rounds_after(session, run.id, 1)
    assert [found.number for found in stored(run.id)] == [1]
    assert len(stored(other.id)) == 3


def test_rounds_go_with_their_run_and_need_one(installation, save, run):
    save(run.id, 1)
    with installation.database.writing() as session:
        runs.delete_run(session, run.id)
    with installation.database.reading() as session:
        assert session.scalar(select(func.count()).select_from(Round)) == 0
    with pytest.raises(IntegrityError):
        save("0" * 32, 1)


def test_a_run_taught_by_truth_has_none(installation, run):
    with installation.database.reading() as session:
        assert rounds.rounds(session, run.id) == []
