"""Training on truth of two classes: drawn discs and squares, from rows to rows."""

from __future__ import annotations

import numpy as np
import pytest
from sqlalchemy.orm import Session

from db import datasets, runs, submissions
from db.models import Job, JobStatus, Prediction, PredictionSet, Run
from engine.core.run_config import config_from
from engine.imaging import class_maps, codec, metrics
from engine.store import keys as stored
from engine.training import job as train
from engine.training import measure_job
from tests.support.training_job import Context, submit_train
from tests.support.two_classes import NAMES, add_scenes

pytestmark = pytest.mark.slow


def predictions(installation, run):
    with installation.database.reading() as session:
        own = session.query(PredictionSet).filter_by(run_id=run.id).one()
        return own, session.query(Prediction).filter_by(prediction_set_id=own.id).all()


@pytest.mark.parametrize("framing", ["pad", "tiles"])
def test_a_run_learns_each_class_and_stores_its_scores(installation, framing):
    dataset = add_scenes(installation, 12)
    groups = {"data": {"framing": framing}, "training": {"epochs": 12, "learning_rate": 0.02}}
    run, job = submit_train(installation, dataset, groups=groups)
    assert run.config["model"]["classes"] == 2
    assert [entry["name"] for entry in run.classes] == list(NAMES)
    context = Context(installation)
    train.run(job, context)
    row = context.read(Session.get_one, Run, run.id)
    assert row.details["notes"] == []
    with installation.database.reading() as session:
        last = {metric.name: metric.value for metric in runs.metrics(session, run.id) if metric.epoch == 12}
    each = {f"{side}{name}" for side in ("", "val_") for name in ("dice", "dice_1", "dice_2", "iou", "iou_1", "iou_2")}
    assert set(last) == each | {"loss", "val_loss", "learning_rate"}
    assert last["val_dice"] == pytest.approx((last["val_dice_1"] + last["val_dice_2"]) / 2, abs=1e-5)
    own, rows = predictions(installation, run)
    summed = np.zeros((3, 3), np.int64)
    for prediction in rows:
        levels, likely, values = (
            codec.decode_png(installation.files.read(key))
            for key in (
                stored.prediction_key(own.id, prediction.image_id),
                stored.prediction_classes_key(own.id, prediction.image_id),
                stored.truth_key(dataset.id, prediction.image_id),
            )
        )
        assert set(np.unique(likely)) <= {1, 2}
        classes = class_maps.to_classes(levels, likely, 0.5)
        assert prediction.truth_confusion == metrics.confusion(classes, values)
        assert prediction.truth_dice == pytest.approx(metrics.dice(classes > 0, values > 0))
        summed += metrics.confusion_matrix(prediction.truth_confusion, 2)
    assert summed.sum() == 12 * 64 * 64
    probes = context.read(runs.probe_images, run.id)
    probed = [stored.probe_classes_key(run.id, epoch, image.id) for epoch in (1, 12) for image, _ in probes]
    assert probed and all(set(np.unique(codec.decode_png(installation.files.read(key)))) <= {1, 2} for key in probed)
    assert metrics.class_scores(summed).dice.min() > 0.6


def test_merged_classes_are_one_foreground(installation):
    run, job = submit_train(installation, add_scenes(installation, 6), epochs=1, groups={"model": {"classes": 1}})
    assert run.classes == []
    train.run(job, Context(installation))
    own, rows = predictions(installation, run)
    assert all(row.truth_confusion is None and row.truth_dice is not None for row in rows)
    assert not any(installation.files.exists(stored.prediction_classes_key(own.id, row.image_id)) for row in rows)


def test_a_stopped_run_goes_on_with_its_classes_although_the_dataset_merged_its_own(installation):
    dataset = add_scenes(installation, 6)
    run, job = submit_train(installation, dataset, epochs=3)
    with pytest.raises(train.JobStopped):
        train.run(job, Context(installation, stop_after=3))
    with installation.database.writing() as session:
        session.get_one(Job, job.id).status = JobStatus.STOPPED
        one = [{"index": 0, "name": "background", "value": 0}, {"index": 1, "name": "thing", "value": 1}]
        datasets.set_classes(session, dataset.id, one, [min(value, 1) for value in range(256)])
    train.run(job, Context(installation))
    own, rows = predictions(installation, run)
    assert all(installation.files.exists(stored.prediction_classes_key(own.id, row.image_id)) for row in rows)
    assert all(row.truth_confusion is None for row in rows), "the dataset has other classes now"
    assert all(row.truth_dice is not None for row in rows)


def test_a_class_that_no_training_image_has_is_said(installation):
    dataset = add_scenes(installation, 8, squares=0)
    run, job = submit_train(installation, dataset, epochs=1)
    context = Context(installation)
    train.run(job, context)
    notes = context.read(Session.get_one, Run, run.id).details["notes"]
    assert notes == ["The class “square” occurs in no image of this run, so the network cannot learn it."]
    with installation.database.reading() as session:
        scores = {metric.name: metric.value for metric in runs.metrics(session, run.id)}
    assert {"val_dice", "val_dice_1"} <= set(scores)
    assert min(scores.values()) >= 0, "a class that neither truth nor masks have is not stored"


def test_many_classes_that_no_image_has_are_one_sentence(installation):
    dataset = add_scenes(installation, 6)
    with installation.database.writing() as session:
        more = [{"index": number, "name": f"{number}th", "value": number} for number in range(3, 12)]
        datasets.set_classes(session, dataset.id, [*dataset.classes, *more], [min(value, 11) for value in range(256)])
    run, job = submit_train(installation, dataset, epochs=1)
    context = Context(installation)
    train.run(job, context)
    (note,) = context.read(Session.get_one, Run, run.id).details["notes"]
    assert note.startswith("The classes “3th”, “4th”, ") and "“8th” and 3 more occur in no image of this run" in note


def test_a_number_of_classes_that_the_truth_does_not_have_is_refused(installation):
    dataset = add_scenes(installation, 4)
    with pytest.raises(submissions.NotReady, match=r"The truth has 2 classes\. Choose 2, or 1\. Got 5"):
        submit_train(installation, dataset, groups={"model": {"classes": 5}})


def test_several_classes_are_measured(installation):
    dataset = add_scenes(installation, 6)
    values = {"training": {"epochs": 1}, "model": {"image_size": 32, "depth": 1, "base_filters": 4}}
    config = config_from("fast", values).model_dump(mode="json")
    with installation.database.writing() as session:
        job = submissions.submit_measure(session, dataset.id, None, config, "trial")
        job.attempt = 1
    assert job.payload["config"]["model"]["classes"] == 2
    assert measure_job.run(job, Context(installation))["step_s"] > 0
