"""What galleries read: whole sets in the dataset's order, and a stamp that notices every change."""

import pytest
from sqlalchemy import text

from db import dataset_truth, datasets, predictions, runs
from db.models import JobKind, Prediction
from db.submissions import submit_predict
from tests.support.installation import add_discs
from tests.support.predicted import add_run
from tests.support.several_classes import add_eggs_and_pans, add_run_of_classes


def own_set(installation, run):
    with installation.database.reading() as session:
        return runs.own_prediction_set(session, run).id


def test_rows_come_in_the_datasets_order_with_everything_a_gallery_sorts_by(installation, monkeypatch):
    run = add_run(installation, add_discs(installation, 5), "r")
    monkeypatch.setattr(predictions, "ROWS_AT_ONCE", 2)
    with installation.database.reading() as session:
        parts = list(predictions.rows(session, own_set(installation, run)))
    assert [len(part) for part in parts] == [2, 2, 1]
    rows = [row for part in parts for row in part]
    assert [row.name for row in rows] == [f"disc {number}.png" for number in range(5)]
    assert [row.split for row in rows] == ["validation", "train", "train", "validation", "train"]
    assert all(len(row.truth_counts) == 812 and row.label_counts is None for row in rows)
    assert {(row.width, row.height) for row in rows} == {(64, 64)}


def test_the_stamp_notices_a_new_score_and_a_removed_prediction_and_nothing_else(installation):
    run = add_run(installation, add_discs(installation, 5), "r")
    set_id = own_set(installation, run)
    stamps = []
    for change in (None, None, "score", "remove"):
        with installation.database.writing() as session:
            first = session.query(Prediction).filter_by(prediction_set_id=set_id).first()
            if change == "score":
                first.truth_dice = 0.123
            if change == "remove":
                session.delete(first)
        with installation.database.reading() as session:
            stamps.append(predictions.stamp(session, set_id))
    assert stamps[0] == stamps[1]
    assert len(set(stamps)) == 3


def test_the_stamp_notices_other_classes_of_the_same_foreground(installation):
    plates = add_eggs_and_pans(installation, 2)
    set_id = own_set(installation, add_run_of_classes(installation, plates))
    stamps = []
    for swapped in (False, True):
        with installation.database.writing() as session:
            images = datasets.images(session, plates.id)
            found = {row.image_id: row for row in session.query(Prediction).filter_by(prediction_set_id=set_id)}
            scores = {id_: (row.truth_dice, row.truth_iou, row.truth_counts) for id_, row in found.items()}
            if swapped:
                truth = {image.id: image.truth_values for image in images}
                dataset_truth.set_truth(session, plates.id, "0" * 32, truth, [], [])
                session.flush()
                for row in found.values():
                    session.refresh(row)
                    row.truth_dice, row.truth_iou, row.truth_counts = scores[row.image_id]
                    row.truth_confusion = [[2, 1, 4096]]
        with installation.database.reading() as session:
            stamps.append(predictions.stamp(session, set_id))
    assert stamps[0] != stamps[1]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_the_stamp_is_answered_from_the_indexes(installation):
    with installation.database.reading() as session:
        for column in ("label_dice", "truth_dice"):
            query = f"select count(*), sum({column}) from predictions where prediction_set_id = 'x'"
            plan = " ".join(row.detail for row in session.execute(text(f"explain query plan {query}")))
            assert "COVERING INDEX" in plan


def test_own_sets_leave_out_other_datasets_and_empty_sets(installation):
    discs, others = add_discs(installation, 3), add_discs(installation, 2, name="others")
    predicted, bare = add_run(installation, discs, "predicted"), add_run(installation, discs, "bare", shifts_px=())
    with installation.database.writing() as session:
        runs.ensure_prediction_set(session, bare.id, discs.id, None, flips=False)
        elsewhere = runs.ensure_prediction_set(session, bare.id, others.id, None, flips=False)
        row = {"image_id": None, "area": 0.1, "mean_probability": 0.1, "split": ""}
        images = session.execute(text("select id from images where dataset_id = :d"), {"d": others.id}).scalars()
        runs.add_predictions(session, elsewhere, [row | {"image_id": next(iter(images))}])
    with installation.database.reading() as session:
        found = predictions.own_sets(session)
        assert {run_id: count for run_id, (_, count) in found.items()} == {predicted.id: 3}
        assert predictions.own_sets(session, [bare.id]) == {}


def test_the_job_at_work_is_the_one_that_predicts_the_runs_own_dataset(installation):
    run = add_run(installation, add_discs(installation, 3), "r", shifts_px=())
    with installation.database.reading() as session:
        assert predictions.job_at_work(session, run) is None
    with installation.database.writing() as session:
        _, job = submit_predict(session, run.id, run.dataset_id)
    with installation.database.reading() as session:
        found = predictions.job_at_work(session, run)
    assert found.id == job.id and found.kind == JobKind.PREDICT
