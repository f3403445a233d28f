"""The audit of a dataset: when it is complete, what it scores, and how it ends."""

from __future__ import annotations

import numpy as np

from db import audit, corrections
from db.audit_set import audit_masks, audit_set, discard, free_images
from engine.imaging.corrections import UNTOUCHED
from tests.support.corrected import correct
from tests.support.installation import add_discs
from tests.support.leaving_out import leave_out
from tests.support.predicted import add_label_set, add_run


def test_an_audit_is_complete_once_no_pixel_is_untouched(installation):
    discs = add_discs(installation, 5)
    with installation.database.writing() as session:
        drawn = corrections.draw_audit(session, discs.id, 2)
    correct(installation, discs, drawn[0].name)
    some = np.full((64, 64), UNTOUCHED, np.uint8)
    some[:9] = 1
    correct(installation, discs, drawn[1].name, some)
    with installation.database.reading() as session:
        half = audit_set(session, discs.id)
        assert free_images(session, discs.id) == 3
    assert (list(half.finished), half.complete) == ([drawn[0].id], False)
    correct(installation, discs, drawn[1].name)
    with installation.database.reading() as session:
        assert audit_set(session, discs.id).complete


def test_nobody_has_to_draw_what_is_left_out(installation):
    discs = add_discs(installation, 3)
    with installation.database.writing() as session:
        drawn = corrections.draw_audit(session, discs.id, 1)
    beside = np.zeros((64, 64), np.uint8)
    beside[:, :16] = UNTOUCHED
    correct(installation, discs, drawn[0].name, beside)
    with installation.database.reading() as session:
        assert not audit_set(session, discs.id).complete
    region = np.zeros((32, 32), bool)
    region[:, :8] = True
    leave_out(installation, discs.id, region)
    with installation.database.reading() as session:
        assert audit_set(session, discs.id).complete
    beside[:, :24] = UNTOUCHED
    correct(installation, discs, drawn[0].name, beside)
    with installation.database.reading() as session:
        assert not audit_set(session, discs.id).complete, "more than that is untouched"


def test_older_runs_name_the_images_that_they_were_trained_on(installation):
    discs = add_discs(installation, 6)
    labels = add_label_set(installation, discs)
    add_run(installation, discs, "network", label_set_id=labels)
    add_run(installation, discs, "without masks", shifts_px=())
    with installation.database.writing() as session:
        corrections.draw_audit(session, discs.id, 6)
    with installation.database.reading() as session:
        found = audit_masks(session, discs.id)
    assert [(each.kind, each.name, each.trained_on) for each in found] == [
        ("run", "network", 4),
        ("mask set", "recipe", 0),
    ]


def test_a_discarded_audit_may_be_learned_from_and_leaves_a_line_in_the_log(installation):
    discs = add_discs(installation, 4)
    with installation.database.writing() as session:
        drawn = corrections.draw_audit(session, discs.id, 2)
    for image in drawn:
        correct(installation, discs, image.name)
    with installation.database.writing() as session:
        assert discard(session, discs.id) == 2
        assert discard(session, discs.id) == 0
    with installation.database.reading() as session:
        assert set(corrections.teaching(session, discs.id)) == {image.id for image in drawn}
        assert not audit_set(session, discs.id).complete
        lines = [(row.action, row.detail) for row in audit.entries(session, "discarded")]
        assert lines == [("discarded audit", "2 images")]
        assert free_images(session, discs.id) == 2, "what is corrected cannot be drawn again"
