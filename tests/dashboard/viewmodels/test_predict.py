"""The predict page's view-model on real rows and counts of real pixels."""

from __future__ import annotations

import numpy as np
import pytest

from dashboard.viewmodels import predict as view
from db import datasets, jobs, runs, submissions
from db.models import Image, Job, JobStatus, Prediction, PredictionSet, Run, new_id, utc_now
from engine import artifacts as stored
from engine import imaging, metrics
from tests.house import add_discs

LOST_AFTER_S = 60.0


def add_run(house, dataset, name="net", best_epoch=3, status=JobStatus.FINISHED, label_set_id=None):
    with house.database.writing() as session:
        run = runs.create(session, dataset, label_set_id, name, "fast", {}, "1")
        run.best_epoch, run.best_val_dice = best_epoch, 0.8125 if best_epoch else None
        job = Job(kind="train", status=status, payload={"run": run.id})
        session.add(job)
        session.flush()
        run.job_id = job.id
        return run


def add_predictions(house, run, dataset, shift_px=0):
    """Predict every image of a drawn set: its truth, moved by `shift_px`, at probability 0.7 over 0.1."""
    with house.database.writing() as session:
        set_id = runs.ensure_prediction_set(session, run.id, dataset.id, None, False)
        rows = []
        for image in datasets.images(session, dataset.id):
            levels = np.full((image.height, image.width), 26, np.uint8)
            reference = None
            if image.has_truth:
                reference = imaging.decode_png(house.files.read(stored.truth_key(dataset.id, image.id))) > 0
                levels[np.roll(reference, shift_px, axis=1)] = 178
            house.files.write(stored.prediction_key(set_id, image.id), imaging.encode_png(levels))
            mask = metrics.to_mask(levels, 0.5)
            row = {"image_id": image.id, "area": float(mask.mean()), "mean_probability": float(levels.mean() / 255)}
            if reference is not None:
                counts = metrics.threshold_counts(levels, reference)
                row |= {"truth_counts": metrics.pack_counts(counts), "truth_dice": metrics.dice(mask, reference)}
            rows.append(row)
        runs.add_predictions(session, set_id, rows)
        return set_id


def test_the_least_sure_come_first_and_masks_without_a_map_last(house):
    dataset = add_discs(house, count=3, name="new")
    set_id = add_predictions(house, add_run(house, add_discs(house, 2, "own")), dataset)
    with house.database.writing() as session:
        rows = session.query(Prediction).filter_by(prediction_set_id=set_id).join(Image).order_by(Image.position)
        for row, uncertainty in zip(rows, (0.1, None, 0.4), strict=True):
            row.uncertainty = uncertainty
    with house.database.reading() as session:
        page = view.predicted_page(session, set_id, 0.5, order="least sure")
        unsure = view.set_view(session, set_id, utc_now(), LOST_AFTER_S).unsure
    assert [image.name for image in page.images] == ["disc 2.png", "disc 0.png", "disc 1.png"]
    assert page.images[0].uncertainty_map.endswith(f"/uncertainty/{page.images[0].id}")
    assert page.images[2].uncertainty_map is None and unsure == 2


def test_only_runs_that_ended_with_a_model_can_predict_and_their_score_names_its_reference(house):
    dataset = add_discs(house, count=2)
    add_run(house, dataset, "no model", best_epoch=None)
    add_run(house, dataset, "still training", status=JobStatus.RUNNING)
    add_run(house, dataset, "waits", status=JobStatus.QUEUED)
    add_run(house, dataset, "stopped", status=JobStatus.STOPPED)
    add_run(house, dataset, "done")
    with house.database.reading() as session:
        found = view.usable_runs(session)
    assert [choice.name for choice in found] == ["done", "stopped"]
    assert found[0].title == "done (validation Dice 0.812 vs truth)"
    assert found[0].dataset_name == "discs"


def test_a_run_that_learned_from_labels_agrees_with_them_and_no_more(house):
    dataset = add_discs(house, count=2)
    with house.database.writing() as session:
        label_set, _ = submissions.submit_label(session, dataset.id, "labels", "kmeans", {}, 0, "1")
    add_run(house, dataset, label_set_id=label_set.id)
    with house.database.reading() as session:
        assert "vs pseudo-label" in view.usable_runs(session)[0].title


def test_targets_have_images_and_the_runs_own_set_comes_last(house):
    other = add_discs(house, count=1, name="other")
    own = add_discs(house, count=2, name="own")
    run = add_run(house, own)
    with house.database.writing() as session:
        datasets.create(session, "empty")
    with house.database.reading() as session:
        found = view.targets(session, run.id)
    assert [(target.id, target.own) for target in found] == [(other.id, False), (own.id, True)]


def test_earlier_predictions_leave_out_a_runs_own_set(house):
    own, other = add_discs(house, name="own"), add_discs(house, count=3, name="other")
    run = add_run(house, own)
    add_predictions(house, run, own)
    set_id = add_predictions(house, run, other)
    with house.database.reading() as session:
        found = view.earlier(session, utc_now(), LOST_AFTER_S)
    assert [(entry.id, entry.images, entry.predicted, entry.fresh) for entry in found] == [(set_id, 3, 3, False)]


def test_a_fresh_upload_is_listed_with_the_state_of_its_job(house):
    run = add_run(house, add_discs(house))
    with house.database.writing() as session:
        made, job = submissions.submit_predict_new(session, run.id, "holiday", {"kind": "upload", "token": new_id()})
    with house.database.writing() as session:
        jobs.claim(session, "worker", 2, LOST_AFTER_S)
        jobs.finish(session, job.id, 1, JobStatus.FAILED, "The zip is empty.")
    with house.database.reading() as session:
        entry = view.earlier(session, utc_now(), LOST_AFTER_S)[0]
        shown = view.set_view(session, made.id, utc_now(), LOST_AFTER_S)
    assert (entry.dataset_name, entry.status, entry.fresh) == ("holiday", "failed", True)
    assert (shown.job.status, shown.job.error, shown.job.can_retry) == ("failed", "The zip is empty.", True)
    assert (shown.images, shown.predicted, shown.scored) == (0, 0, 0)


def test_scores_follow_the_threshold_without_touching_a_file(house):
    dataset = add_discs(house, count=4)
    set_id = add_predictions(house, add_run(house, dataset), dataset)
    for image in house.files.keys(stored.prediction_folder(set_id)):
        house.files.delete(image)
    with house.database.reading() as session:
        perfect, everything, nothing = (view.summary(session, set_id, threshold) for threshold in (0.5, 0.05, 0.9))
        page = view.predicted_page(session, set_id, 0.9)
    assert (perfect.scored, perfect.dice, perfect.iou) == (4, 1.0, 1.0)
    assert 0 < everything.dice < 0.6
    assert nothing.dice == 0
    assert [image.dice for image in page.images] == [0, 0, 0, 0]


def test_without_truth_there_is_no_score(house):
    dataset = add_discs(house, truth=False)
    set_id = add_predictions(house, add_run(house, dataset), dataset)
    with house.database.reading() as session:
        assert view.summary(session, set_id, 0.5) == view.Summary(0, None, None)
        page = view.predicted_page(session, set_id, 0.5)
        assert view.set_view(session, set_id, utc_now(), LOST_AFTER_S).scored == 0
    assert all(image.dice is None and image.truth is None for image in page.images)


def test_orders(house):
    dataset = add_discs(house, count=3)
    set_id = add_predictions(house, add_run(house, dataset), dataset)
    with house.database.writing() as session:
        rows = session.query(view.Prediction).join(Image).order_by(Image.name).all()
        for row, dice, area in zip(rows, (0.4, None, 0.9), (0.2, 0.3, 0.1), strict=True):
            row.truth_dice, row.area = dice, area

    def names(order):
        with house.database.reading() as session:
            return [image.name[5] for image in view.predicted_page(session, set_id, 0.5, order=order).images]

    assert names("worst vs truth") == ["0", "2", "1"]
    assert names("best vs truth") == ["2", "0", "1"]
    assert names("largest area") == ["1", "0", "2"]
    assert names("smallest area") == ["2", "0", "1"]
    assert names("file order") == names("name") == ["0", "1", "2"]


def test_pages(house):
    dataset = add_discs(house, count=5)
    set_id = add_predictions(house, add_run(house, dataset), dataset)
    with house.database.reading() as session:
        page = view.predicted_page(session, set_id, 0.5, page=9, per_page=2)
    assert (page.found, page.page, page.pages, len(page.images)) == (5, 3, 3, 1)


def test_an_unknown_set_is_none(house):
    with house.database.reading() as session:
        assert view.set_view(session, "0" * 32, utc_now(), LOST_AFTER_S) is None
        assert view.job_of(session, "0" * 32, utc_now(), LOST_AFTER_S) is None


@pytest.mark.parametrize("purpose", ["dataset", "prediction"])
def test_deleting_predictions_takes_images_along_that_nothing_else_needs(house, purpose):
    run = add_run(house, add_discs(house, name="own"))
    dataset = add_discs(house, name="new")
    with house.database.writing() as session:
        session.get_one(type(dataset), dataset.id).purpose = purpose
    set_id = add_predictions(house, run, dataset)
    with house.database.writing() as session:
        gone = runs.delete_prediction_set(session, set_id)
    kinds = [("prediction", set_id), *([("dataset", dataset.id)] if purpose == "prediction" else [])]
    assert gone == kinds
    with house.database.reading() as session:
        assert session.get(PredictionSet, set_id) is None
        assert (session.get(type(dataset), dataset.id) is None) == (purpose == "prediction")


def test_images_that_two_runs_predicted_stay_until_both_are_deleted(house):
    own, new = add_discs(house, name="own"), add_discs(house, name="new")
    with house.database.writing() as session:
        session.get_one(type(new), new.id).purpose = "prediction"
    first, second = (add_predictions(house, add_run(house, own, name), new) for name in ("one", "two"))
    with house.database.writing() as session:
        assert runs.delete_prediction_set(session, first) == [("prediction", first)]
    with house.database.writing() as session:
        assert ("dataset", new.id) in runs.delete_prediction_set(session, second)


def test_predictions_that_are_being_made_cannot_be_deleted(house):
    run = add_run(house, add_discs(house))
    with house.database.writing() as session:
        made, _ = submissions.submit_predict_new(session, run.id, "holiday", {"kind": "sample"})
    with pytest.raises(datasets.InUse, match="Stop that first"), house.database.writing() as session:
        runs.delete_prediction_set(session, made.id)


def test_uploads_whose_run_is_gone_are_still_found(house):
    run = add_run(house, add_discs(house, name="own"))
    new = add_discs(house, count=2, name="new")
    with house.database.writing() as session:
        session.get_one(type(new), new.id).purpose = "prediction"
    add_predictions(house, run, new)
    with house.database.reading() as session:
        assert view.uploads_without_predictions(session) == ()
    with house.database.writing() as session:
        runs.delete_run(session, run.id)
        assert session.get(Run, run.id) is None
    with house.database.reading() as session:
        assert [target.name for target in view.uploads_without_predictions(session)] == ["new"]
