"""A run on a dataset with a region that is left out: it is not learned, not scored, and 0 in what is predicted."""

from __future__ import annotations

import numpy as np
from sqlalchemy.orm import Session

from db import datasets, runs
from db.models import Prediction, Run
from engine.imaging import codec
from engine.store import keys as stored
from engine.training import job as train
from tests.support.installation import add_discs, mask_png
from tests.support.leaving_out import leave_out
from tests.support.training_job import Context, submit_train

TOP = np.zeros((64, 64), bool)
TOP[:24] = True


def trained(installation, dataset, name):
    run, job = submit_train(installation, dataset, name=name)
    context = Context(installation)
    train.run(job, context)
    with installation.database.reading() as session:
        metrics = {(row.epoch, row.name): row.value for row in runs.metrics(session, run.id)}
        own = runs.own_prediction_set(session, session.get_one(Run, run.id))
        rows = {row.image_id: row for row in session.query(Prediction).filter_by(prediction_set_id=own.id)}
    return context.read(Session.get_one, Run, run.id), metrics, own, rows


def test_truth_in_the_region_changes_neither_the_training_nor_the_scores(installation):
    dataset = add_discs(installation, 10)
    region = leave_out(installation, dataset.id, TOP)
    run, metrics, own, rows = trained(installation, dataset, "right")
    assert (run.left_out_id, own.left_out_id) == (region.id, region.id)
    for image_id in rows:
        for key in (stored.prediction_key(own.id, image_id), stored.uncertainty_key(own.id, image_id)):
            assert not codec.decode_png(installation.files.read(key))[TOP].any()
    with installation.database.reading() as session:
        images = datasets.images(session, dataset.id)
    for image in images:
        key = stored.truth_key(dataset.id, image.id)
        truth = codec.decode_png(installation.files.read(key)) > 127
        installation.files.write(key, mask_png(truth ^ TOP))
    _, same_metrics, _, same_rows = trained(installation, dataset, "wrong there")
    assert same_metrics == metrics
    assert {id_: row.truth_counts for id_, row in same_rows.items()} == {
        id_: row.truth_counts for id_, row in rows.items()
    }


def test_a_run_keeps_the_region_that_it_began_with(installation):
    dataset = add_discs(installation, 10)
    run, job = submit_train(installation, dataset, name="before")
    region = leave_out(installation, dataset.id, TOP)
    job.attempt = 2
    train.run(job, Context(installation))
    with installation.database.reading() as session:
        found = session.get_one(Run, run.id)
        own = runs.own_prediction_set(session, found)
    assert found.left_out_id is None, "it was submitted before"
    assert own.left_out_id == region.id, "its masks are computed now"
