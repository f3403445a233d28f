"""What people write on runs: names, tags, notes, pins, and putting runs away."""

import pytest

from db import runs
from db.models import Run
from db.names import NameTaken
from db.runs import MarkRefused
from tests.support.installation import add_discs
from tests.support.predicted import add_run


@pytest.fixture
def three(installation):
    dataset = add_discs(installation, 2)
    return [add_run(installation, dataset, name, shifts_px=()) for name in ("first", "second", "third")]


def stored(installation, run) -> Run:
    with installation.database.reading() as session:
        return session.get_one(Run, run.id)


def test_a_run_is_renamed_trimmed_and_may_keep_its_name(installation, three):
    with installation.database.writing() as session:
        assert runs.rename(session, three[0].id, "  the   best one ") == "the best one"
        assert runs.rename(session, three[0].id, "the best one ") == "the best one"
    assert stored(installation, three[0]).name == "the best one"


@pytest.mark.parametrize("name", ["", "   ", "second", " second ", "x" * 201])
def test_a_name_that_is_empty_taken_or_too_long_is_refused(installation, three, name):
    with pytest.raises(NameTaken), installation.database.writing() as session:
        runs.rename(session, three[0].id, name)
    assert stored(installation, three[0]).name == "first"


def test_marks_touch_only_what_is_named(installation, three):
    with installation.database.writing() as session:
        runs.mark(session, [three[0].id, three[1].id], pinned=True)
        runs.mark(session, [three[1].id], archived=True)
        runs.mark(session, [three[2].id])
    assert [(stored(installation, run).pinned, stored(installation, run).archived) for run in three] == [
        (True, False),
        (True, True),
        (False, False),
    ]


def test_choosers_leave_archived_runs_out_unless_they_are_asked_for(installation, three):
    with installation.database.writing() as session:
        runs.mark(session, [three[1].id], archived=True)
    with installation.database.reading() as session:
        assert list(runs.names(session).values()) == ["third", "first"]
        assert list(runs.names(session, also=[three[1].id]).values()) == ["third", "second", "first"]
        assert list(runs.names(session, archived=True).values()) == ["third", "second", "first"]


def test_tags_are_trimmed_kept_once_and_changed_for_several_runs(installation, three):
    with installation.database.writing() as session:
        runs.set_tags(session, three[0].id, [" paper ", "Paper", "", "night  shift"])
        runs.change_tags(session, [run.id for run in three[:2]], add=["good"], remove=["PAPER"])
    assert [stored(installation, run).tags for run in three] == [["night shift", "good"], ["good"], []]
    with installation.database.reading() as session:
        assert runs.known_tags(session) == ["good", "night shift"]


def test_a_tag_too_many_changes_no_run(installation, three):
    full = [f"tag {number}" for number in range(runs.MOST_TAGS)]
    with installation.database.writing() as session:
        runs.set_tags(session, three[1].id, full)
    with pytest.raises(MarkRefused, match=r"at most 12 tags\. Got 13"), installation.database.writing() as session:
        runs.change_tags(session, [run.id for run in three], add=["one more"])
    assert [stored(installation, run).tags for run in three] == [[], full, []]
    with pytest.raises(MarkRefused, match="at most 40 characters"):
        runs.checked_tags(["x" * 41])


def test_a_note_is_kept_and_an_endless_one_refused(installation, three):
    with installation.database.writing() as session:
        runs.set_note(session, three[0].id, " Truth of image 7 is wrong.\n")
    assert stored(installation, three[0]).note == "Truth of image 7 is wrong."
    with pytest.raises(MarkRefused, match="at most 10,000 characters"), installation.database.writing() as session:
        runs.set_note(session, three[0].id, "x" * 10_001)


def test_whether_there_is_a_run_counts_archived_ones(installation, three):
    with installation.database.writing() as session:
        runs.mark(session, [run.id for run in three], archived=True)
    with installation.database.reading() as session:
        assert runs.any_run(session)
        for run in three:
            runs.delete_run(session, run.id)
        assert not runs.any_run(session)
