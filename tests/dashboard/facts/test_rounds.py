"""Rounds of self-training as the Runs page shows them, with truth named wherever it speaks."""

import pytest

from dashboard.facts.rounds import round_starts, round_views, teacher_url
from db import rounds
from tests.support.installation import add_discs
from tests.support.predicted import add_label_set, add_run

QUALITY = {"labels_quality": 0.5, "masks_quality": 0.625}
TRUTH = {"labels_truth_dice": 0.7, "masks_truth_dice": 0.6, "labels_truth_iou": 0.5, "masks_truth_iou": 0.4}


@pytest.fixture
def run(installation):
    dataset = add_discs(installation, 4)
    return add_run(installation, dataset, "taught", label_set_id=add_label_set(installation, dataset))


def save(installation, run, number, **values):
    spans = {"first_epoch": 10 * number - 9, "last_epoch": 10 * number, "accepted": True, "images": 4}
    with installation.database.writing() as session:
        rounds.save_round(session, run.id, number, **spans | values)


def views(installation, run):
    with installation.database.reading() as session:
        return round_views(session, run.id)


def test_scores_against_truth_are_named_beside_the_quality(installation, run):
    save(installation, run, 1, **QUALITY, **TRUTH, left_out=1)
    (view,) = views(installation, run)
    assert [(pair.name, pair.by_truth) for pair in view.comparisons] == [
        ("Mask plausibility", False),
        ("Dice vs truth", True),
        ("IoU vs truth", True),
    ]
    assert view.comparisons[0].gain == pytest.approx(0.125)
    assert view.comparisons[1].gain == pytest.approx(-0.1)
    assert view.has_truth and view.accepted and view.left_out == 1


def test_without_truth_there_is_no_score_against_it(installation, run):
    save(installation, run, 1, **QUALITY)
    (view,) = views(installation, run)
    assert [pair.name for pair in view.comparisons] == ["Mask plausibility"]
    assert not view.has_truth


def test_curves_are_marked_where_each_round_starts(installation, run):
    assert round_starts((), 3, 3) == {}
    save(installation, run, 1, last_epoch=7)
    assert round_starts(views(installation, run), 7, 3) == {}
    assert round_starts(views(installation, run), 8, 3) == {8: "round 2"}
    save(installation, run, 2, first_epoch=8, last_epoch=12)
    assert round_starts(views(installation, run), 13, 3) == {8: "round 2", 13: "round 3"}
    save(installation, run, 3, first_epoch=13, last_epoch=15, accepted=False)
    assert round_starts(views(installation, run), 15, 3) == {8: "round 2", 13: "round 3"}


def test_the_first_round_uses_the_label_set_and_later_ones_their_own_labels():
    run_id, set_id, image_id = "a" * 32, "b" * 32, "c" * 32
    assert teacher_url(run_id, set_id, 1, image_id, 384) == f"/files/labels/{set_id}/{image_id}?size=384"
    assert teacher_url(run_id, set_id, 2, image_id) == f"/files/runs/{run_id}/rounds/2/labels/{image_id}"
