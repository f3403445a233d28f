"""Training again on corrections: settings, weights and targets of the new run, and how it compares with the old one."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from sqlalchemy.orm import Session

from db import corrections, datasets, jobs, retraining, runs, submissions
from db.audit_set import AuditSet, audit_set
from db.datasets import InUse
from db.models import Image, JobStatus, LabelSet, Run
from db.submissions import NotReady
from engine.core.parameters import parse
from engine.core.run_config import RunConfig
from engine.imaging.class_maps import IGNORED_LEVEL
from engine.imaging.corrections import LEFT_OUT, UNTOUCHED
from engine.prediction import old_and_new
from engine.store import keys as stored
from engine.training import job as train
from engine.training.samples import read_pair
from engine.work.context import JobFailed
from tests.support.correcting import correct, strokes
from tests.support.installation import add_discs
from tests.support.predicted import add_label_set, add_run, truth_of
from tests.support.training_job import Context, submit_train

pytestmark = pytest.mark.slow

STILL = {"epochs": 1, "learning_rate": 1e-7, "precision": "float32"}
"""A network that keeps the weights that it starts with, nearly."""


@pytest.fixture
def dataset(installation):
    return add_discs(installation, 10)


def end(installation, job):
    with installation.database.writing() as session:
        claimed = jobs.claim(session, "test", 9, 60.0)
        jobs.finish(session, claimed.id, claimed.attempt, JobStatus.FINISHED)
        assert claimed.id == job.id


def trained(installation, dataset, label_set_id, **settings):
    run, job = submit_train(installation, dataset, label_set_id, **settings)
    train.run(job, Context(installation))
    end(installation, job)
    return run


def retrain(installation, run, warm=False, name=""):
    with installation.database.writing() as session:
        new, job = submissions.submit_retrain(session, run.id, warm, name, "test")
        job.attempt = 1
    return new, job


def ids(installation, dataset):
    return [image.id for image in Context(installation).read(datasets.images, dataset.id)]


def kernel(installation, run):
    with installation.files.local(stored.best_model_key(run.id)) as path:
        return keras.saving.load_model(path, compile=False).get_weights()[0]


def set_kernel(installation, run, values):
    with installation.files.local(stored.best_model_key(run.id)) as path:
        model = keras.saving.load_model(path, compile=False)
        model.set_weights([values, *model.get_weights()[1:]])
        model.save(path)


def test_a_run_is_trained_again_from_the_start_on_all_corrections_with_full_weight(installation, dataset):
    labels = add_label_set(installation, dataset)
    old = trained(installation, dataset, labels, **STILL, groups={"data": {"corrections": False}})
    with installation.database.writing() as session:
        assert retraining.news(session, old) == 0
        with pytest.raises(NotReady, match="No image was corrected since the run 'run' began"):
            submissions.submit_retrain(session, old.id, False, "", "test")
    began_with = kernel(installation, old)
    set_kernel(installation, old, began_with + 1)
    first, second, *_ = ids(installation, dataset)
    whole = np.full((64, 64), 1, np.uint8)
    whole[:, 40:], whole[:8] = 0, LEFT_OUT
    correct(installation, dataset, {first: whole})
    correct(installation, dataset, {second: strokes(1)}, finished=False)

    new, job = retrain(installation, old)
    assert new.name == "run #2"
    assert (new.label_set_id, new.preset) == (old.label_set_id, old.preset)
    old_config, new_config = parse(RunConfig, old.config), parse(RunConfig, new.config)
    assert new_config == old_config.model_copy(
        update={"data": old_config.data.model_copy(update={"corrections": True})}
    )
    context = Context(installation)
    train.run(job, context)
    assert np.allclose(kernel(installation, new), began_with, atol=1e-4), "not from the last weights"

    sides = {row.image_id: row for row in context.read(runs.split, new.id)}
    assert {sides[image_id].split for image_id in (first, second)} == {"train"}
    drawn = context.read(corrections.of_run, new.id)
    assert drawn.keys() == {first, second}
    rows = [{"image_id": row.image_id, "split": row.split, "probe": row.probe} for row in sides.values()]
    samples = train._weighed(context, new, new_config, train.training_samples(context, new, rows, drawn))
    targets = {sample.id: read_pair(sample, new_config.data, 64)[0][..., 3] for sample in samples}
    assert {sample.id: sample.weight for sample in samples}.items() >= {first: 1, second: 1}.items()
    expected = np.select([whole == 1, whole == 0], [255, 0], IGNORED_LEVEL)
    assert np.array_equal(targets[first], expected)
    assert (targets[second][:8] == 255).all()

    assert context.read(retraining.news, new) == 0, "it knows all corrections"


def test_a_warm_run_starts_from_the_last_weights_which_cannot_be_deleted_meanwhile(installation, dataset):
    labels = add_label_set(installation, dataset)
    old = trained(installation, dataset, labels, **STILL)
    changed = kernel(installation, old) + 1
    set_kernel(installation, old, changed)
    correct(installation, dataset, {ids(installation, dataset)[0]: strokes(1)})
    new, job = retrain(installation, old, warm=True)
    assert new.details["retrained"] == {"from": old.id, "warm": True}
    with pytest.raises(InUse), installation.database.writing() as session:
        runs.delete_run(session, old.id)
    train.run(job, Context(installation))
    assert np.allclose(kernel(installation, new), changed, atol=1e-4)
    details = Context(installation).read(Session.get_one, Run, new.id).details
    assert details["retrained"]["warm"] and details["best_metrics"] and details["hardware"]


def test_a_warm_run_whose_weights_are_gone_says_so(installation, dataset):
    labels = add_label_set(installation, dataset)
    old = trained(installation, dataset, labels, **STILL)
    correct(installation, dataset, {ids(installation, dataset)[0]: strokes(1)})
    _, job = retrain(installation, old, warm=True)
    installation.files.delete(stored.best_model_key(old.id))
    with pytest.raises(JobFailed, match="There are no weights to start from"):
        train.run(job, Context(installation))


def test_withdrawn_and_newer_corrections_are_new_to_a_run_and_the_audit_never_is(installation, dataset):
    labels = add_label_set(installation, dataset)
    first, second, *_ = ids(installation, dataset)
    correct(installation, dataset, {first: strokes(1), second: strokes(1)})
    run = trained(installation, dataset, labels, **STILL)
    context = Context(installation)
    assert context.read(retraining.news, run) == 0
    with installation.database.writing() as session:
        corrections.withdraw(session, session.get_one(Image, first), 1)
    assert context.read(retraining.news, run) == 1
    with installation.database.writing() as session:
        audited = corrections.draw_audit(session, dataset.id, 3)
    correct(installation, dataset, {image.id: strokes(0) for image in audited})
    assert context.read(retraining.news, run) == 1
    correct(installation, dataset, {second: strokes(0)})
    assert context.read(retraining.news, run) == 2


def test_old_and_new_are_compared_on_images_that_taught_neither(installation, dataset):
    labels = add_label_set(installation, dataset)
    learns = {"epochs": 6, "learning_rate": 0.02, "schedule": "constant"}
    old = trained(installation, dataset, labels, **learns)
    context = Context(installation)
    all_ids = ids(installation, dataset)
    validated = {row.image_id for row in context.read(runs.split, old.id) if row.split == "validation"}
    now_taught = min(validated)
    correct(installation, dataset, {now_taught: truth_of(installation, dataset, now_taught).astype(np.uint8)})
    new, job = retrain(installation, old)
    train.run(job, context)
    end(installation, job)
    with installation.database.reading() as session:
        pair = retraining.pair(session, session.get_one(Run, new.id))
        held_out = retraining.held_out(session, pair)
        assert retraining.newest(session, old.id).id == new.id
    taught = {row.image_id for row in context.read(runs.split, new.id) if row.split == "train"}
    assert {row.image_id for row in held_out} == validated - taught != set()
    changes = context.read(Session.get_one, Run, new.id).details["retrained"]
    assert (changes["images"], changes["corrected"]) == (10, 1)
    assert 0 < changes["changed"] <= 10
    assert 0 <= changes["old_dice"] <= 1 and 0 <= changes["new_dice"] <= 1
    found = old_and_new.measures(installation.files, pair.old_set_id, pair.new_set_id, held_out, AuditSet((), {}))
    assert [each.reference for each in found] == ["truth", "labels"]
    assert {each.images for each in found} == {len(held_out)}
    assert found[0].new == pytest.approx(np.mean([row.new_truth for row in held_out]))

    # A finished audit comes first, on those of its images that taught neither
    with installation.database.writing() as session:
        audited = corrections.draw_audit(session, dataset.id, len(all_ids))
    assert not context.read(audit_set, dataset.id).corrections
    correct(installation, dataset, {image.id: strokes(1) for image in audited})
    assert not context.read(audit_set, dataset.id).corrections, "most of each is untouched"
    correct(installation, dataset, {image.id: np.uint8([[1]]).repeat(64, 0).repeat(64, 1) for image in audited})
    audit = context.read(audit_set, dataset.id)
    assert audit.corrections.keys() == set(all_ids) - {now_taught}
    held_out = context.read(retraining.held_out, pair)
    first, *others = old_and_new.measures(installation.files, pair.old_set_id, pair.new_set_id, held_out, audit)
    assert (first.reference, first.images) == ("audit", len(held_out))
    assert [each.reference for each in others] == ["truth", "labels"]


def test_truth_that_a_person_corrects_is_trained_on_as_corrected_and_scored_as_imported(installation, dataset):
    first = ids(installation, dataset)[0]
    before = truth_of(installation, dataset, first)
    drawn = strokes(1, width_px=20)
    correct(installation, dataset, {first: drawn})
    run = trained(installation, dataset, None, **STILL)
    context = Context(installation)
    rows = [
        {"image_id": row.image_id, "split": row.split, "probe": row.probe} for row in context.read(runs.split, run.id)
    ]
    found = context.read(corrections.of_run, run.id)
    (sample,) = [each for each in train.training_samples(context, run, rows, found) if each.id == first]
    assert sample.split == "train"
    target = read_pair(sample, parse(RunConfig, run.config).data, 64)[0][..., 3]
    assert np.array_equal(target, np.where(drawn == UNTOUCHED, before * 255, 255))
    assert np.array_equal(truth_of(installation, dataset, first), before)


def test_a_class_that_the_network_does_not_know_is_refused_before_labels_are_drawn_anew(
    installation, dataset, monkeypatch
):
    labels, classes = add_label_set(installation, dataset), [{"index": i, "name": str(i), "value": i} for i in range(3)]
    run = add_run(installation, dataset, "two classes", label_set_id=labels)
    with installation.database.writing() as session:
        session.get_one(LabelSet, labels).classes = session.get_one(Run, run.id).classes = classes
    correct(installation, dataset, {ids(installation, dataset)[0]: strokes(3)})
    with installation.database.writing() as session:
        session.get_one(Run, run.id).config = run.config | {"model": run.config["model"] | {"classes": 2}}
        _, job = submissions.submit_retrain(session, run.id, False, "", "test", labels_anew=True)
        job.attempt = 1
    monkeypatch.setattr(train.label, "run", lambda *_: pytest.fail("labels were computed"))
    with pytest.raises(JobFailed, match="Corrections of this dataset name class 3"):
        train.run(job, Context(installation))
