"""What is left out of a dataset: revisions, refused if stale, taken back, and kept by what was made with them."""

from __future__ import annotations

import numpy as np
import pytest

from db import left_out
from db.models import AuditEntry, Dataset, LabelSet, Run
from engine.store import keys as stored
from tests.support.installation import add_discs
from tests.support.leaving_out import leave_out, region_now
from tests.support.predicted import add_label_set, add_run

TOP = np.zeros((64, 64), bool)
TOP[:16] = True


def test_every_change_is_a_revision_and_withdrawing_goes_back_one_at_a_time(installation):
    dataset = add_discs(installation, count=2)
    first = leave_out(installation, dataset.id, TOP)
    second = leave_out(installation, dataset.id, ~TOP, base=1)
    assert (first.share, second.share) == (0.25, 0.75)
    with installation.database.writing() as session:
        left_out.clear(session, dataset.id, 2)
    for base, expected in ((3, second.id), (4, first.id), (5, None)):
        with installation.database.writing() as session:
            left_out.withdraw(session, dataset.id, base)
        assert region_now(installation, dataset.id) == expected
    with installation.database.writing() as session, pytest.raises(left_out.NothingLeftOut, match="taken back"):
        left_out.withdraw(session, dataset.id, 6)
    with installation.database.reading() as session:
        assert left_out.current(session, dataset.id) is None
        assert [row.source for row in left_out.history(session, dataset.id)][::-1] == [
            *("drawn", "drawn", "cleared"),
            *("withdrawn", "withdrawn", "withdrawn"),
        ]
        said = [entry.action for entry in session.query(AuditEntry).order_by(AuditEntry.id) if entry.kind == "dataset"]
    assert said == ["left region out"] * 2 + ["cleared left-out region"] + ["withdrew left-out region"] * 3


def test_a_stale_change_is_refused_and_leaves_no_file(installation):
    dataset = add_discs(installation, count=2)
    leave_out(installation, dataset.id, TOP)
    with pytest.raises(left_out.StaleRegion, match=r"its revision is 1, and this change began from 0"):
        leave_out(installation, dataset.id, ~TOP)
    assert len(installation.files.keys(f"{stored.dataset_folder(dataset.id)}/left_out")) == 1


def test_label_sets_and_runs_that_were_made_with_another_region_are_named(installation):
    dataset = add_discs(installation, count=4)
    add_label_set(installation, dataset, shift_px=0)
    add_run(installation, dataset, "old run", shifts_px=(0,) * 4)
    first = leave_out(installation, dataset.id, TOP)
    with installation.database.reading() as session:
        dataset = session.get_one(Dataset, dataset.id)
    add_run(installation, dataset, "new run", shifts_px=(0,) * 4)
    with installation.database.reading() as session:
        found = left_out.made_before(session, dataset.id)
        old_set = session.query(LabelSet).filter_by(left_out_id=None).first()
        assert found.label_sets and old_set is not None and old_set.name in found.label_sets
        assert (found.runs, session.query(Run).filter_by(name="new run").one().left_out_id) == (("old run",), first.id)
