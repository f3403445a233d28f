"""The training job on a real database with drawn discs: rows, files, stop, resume."""

from dataclasses import replace

import numpy as np
import pytest
from sqlalchemy.orm import Session

from db import dataset_truth, datasets, image_care, jobs, recipes, rounds, runs
from db.models import Dataset, JobStatus, Label, LabelSet, Prediction, Run
from engine.core.run_config import config_from
from engine.imaging import codec, metrics
from engine.store import keys as stored
from engine.training import job as train
from engine.training import self_training
from engine.training.run_details import weights_note
from engine.work.context import JobFailed, JobStopped
from tests.support.installation import add_dataset, add_discs
from tests.support.predicted import add_label_set
from tests.support.training_job import Context, submit_train


def predictions(installation, run):
    with installation.database.reading() as session:
        own = runs.own_prediction_set(session, session.get_one(type(run), run.id))
        return own, list(session.query(Prediction).filter_by(prediction_set_id=own.id))


def metrics_of(installation, run):
    with installation.database.reading() as session:
        return {(row.epoch, row.name): row.value for row in runs.metrics(session, run.id)}


def test_a_run_on_truth_leaves_metrics_models_probes_and_a_scored_gallery(installation):
    dataset = add_discs(installation, 10)
    run, job = submit_train(installation, dataset)
    context = Context(installation)
    result = train.run(job, context)
    assert (result["ended"], result["epochs"], result["images"]) == ("finished", 2, 10)
    assert 0 < result["val_dice"] < 1
    row = context.read(Session.get_one, Run, run.id)
    assert row.ended_reason == "All 2 epochs are done."
    assert row.best_epoch == result["best_epoch"]
    assert row.best_val_dice == pytest.approx(result["val_dice"])
    assert row.parameter_count > 0
    names = {"loss", "dice", "iou", "val_loss", "val_dice", "val_iou", "learning_rate"}
    assert set(metrics_of(installation, run)) == {(epoch, name) for epoch in (1, 2) for name in names}
    split = context.read(runs.split, run.id)
    assert sorted(entry.split for entry in split) == ["train"] * 7 + ["validation"] * 3
    probes = [entry.image_id for entry in split if entry.probe]
    assert len(probes) == 5
    assert all(installation.files.exists(stored.probe_key(run.id, 2, image_id)) for image_id in probes)
    own, rows = predictions(installation, run)
    assert len(rows) == 10
    assert own.flips is True and own.refine == "none"  # as the run's settings say
    sides = {entry.image_id: entry.split for entry in split}
    for prediction in rows:
        assert prediction.split == sides[prediction.image_id]
        assert 0 <= prediction.truth_dice <= 1
        assert 0 <= prediction.flip_agreement <= 1
        assert len(prediction.truth_counts) == 812
        assert prediction.label_dice is None
        levels = codec.decode_png(installation.files.read(stored.prediction_key(own.id, prediction.image_id)))
        assert levels.shape == (64, 64)
        assert prediction.area == pytest.approx((levels >= 128).mean())
    assert any("Epoch 2 of 2: 7 of 7 images" in text for text in context.texts)


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.5, 1.0])
def test_labels_have_a_share_in_the_masks_of_the_runs_images(installation, monkeypatch, share):
    dataset = add_discs(installation, 7)
    label_set_id = add_label_set(installation, dataset)
    with installation.database.writing() as session:
        dropped = datasets.images(session, dataset.id)[0].id
        recipes.set_dropped(session, label_set_id, [dropped], True)
        session.get_one(LabelSet, label_set_id).state = {"backbone": "0" * 64}
    run, job = submit_train(installation, dataset, label_set_id, epochs=1)
    real = self_training.train_rounds
    monkeypatch.setattr(self_training, "train_rounds", lambda *given: replace(real(*given), label_share=share))
    train.run(job, Context(installation))
    own, rows = predictions(installation, run)

    def levels(key):
        return codec.decode_png(installation.files.read(key)).astype(float)

    with installation.database.reading() as session:
        finished = session.get_one(Run, run.id)
        assert rounds.label_share(finished) == share
        assert weights_note(finished.details) == "ImageNet weights in the labels"
    for row in rows:
        mask = levels(stored.prediction_key(own.id, row.image_id))
        label = levels(stored.label_key(label_set_id, row.image_id))
        network = (mask - share * label) / (1 - share) if share < 1 else None
        if row.image_id == dropped:
            assert (mask != label).any(), "a dropped label has no share"
            assert row.label_dice == pytest.approx(metrics.dice(mask >= 128, label >= 128))
        elif network is None:
            assert (mask == label).all()
            assert row.label_dice < 1, "agreement is that of the network"
        else:
            assert network.min() > -2 and network.max() < 257, "the rest is a probability"
            assert row.label_dice == pytest.approx(metrics.dice(network >= 128, label >= 128), abs=0.05)
        assert row.area == pytest.approx((mask >= 128).mean())
        truth = levels(stored.truth_key(dataset.id, row.image_id)) > 0
        assert row.truth_dice == pytest.approx(metrics.dice(mask >= 128, truth))


@pytest.mark.slow
def test_a_run_on_labels_scores_agreement_and_truth_apart(installation):
    dataset = add_discs(installation, 6)
    label_set_id = add_label_set(installation, dataset)
    run, job = submit_train(installation, dataset, label_set_id, epochs=1)
    train.run(job, Context(installation))
    _, rows = predictions(installation, run)
    assert all(row.label_dice is not None and row.truth_dice is not None for row in rows)
    assert all(len(row.label_counts) == 812 for row in rows)


@pytest.mark.slow
def test_dropped_images_are_neither_trained_on_nor_validated_with_but_are_in_the_gallery(installation):
    dataset = add_discs(installation, 8)
    label_set_id = add_label_set(installation, dataset)
    ids = [image.id for image in Context(installation).read(datasets.images, dataset.id)]
    with installation.database.writing() as session:
        recipes.set_dropped(session, label_set_id, [ids[1], ids[4]], True)
    run, job = submit_train(installation, dataset, label_set_id, epochs=2)
    with pytest.raises(JobStopped):
        context = Context(installation, stop_after=1)
        train.run(job, context)
    with installation.database.writing() as session:
        recipes.set_dropped(session, label_set_id, None, False)  # too late for this run
    context = Context(installation)
    train.run(job, context)
    sides = {row.image_id: row.split for row in context.read(runs.split, run.id)}
    assert sides[ids[1]] == sides[ids[4]] == "dropped"
    assert sorted(sides.values()) == ["dropped"] * 2 + ["train"] * 4 + ["validation"] * 2
    assert any("of 4 images" in text for text in context.texts)
    _, rows = predictions(installation, run)
    assert {row.image_id: row.split for row in rows} == sides


def test_a_run_whose_images_were_all_dropped_meanwhile_says_so(installation):
    dataset = add_discs(installation, 3)
    label_set_id = add_label_set(installation, dataset)
    _, job = submit_train(installation, dataset, label_set_id)
    with installation.database.writing() as session:
        recipes.set_dropped(session, label_set_id, None, True)
    with pytest.raises(JobFailed, match="Every mask of the mask set is dropped"):
        train.run(job, Context(installation))


@pytest.mark.slow
def test_a_stopped_run_has_its_gallery_and_goes_on_where_it_was(installation):
    dataset = add_discs(installation, 8)
    run, job = submit_train(installation, dataset, epochs=3)
    with pytest.raises(JobStopped) as stopped:
        train.run(job, Context(installation, stop_after=3))
    assert stopped.value.result["ended"] == "stopped"
    assert stopped.value.result["epochs"] == 1
    assert [row.flip_agreement for row in predictions(installation, run)[1]] == [None] * 8  # each was asked about once
    split = {row.image_id: row.split for row in Context(installation).read(runs.split, run.id)}
    with installation.database.writing() as session:  # as if it had died in the middle of an epoch's rows
        runs.save_metrics(session, run.id, 2, {"loss": 99.0})

    result = train.run(job, Context(installation))
    assert (result["ended"], result["epochs"]) == ("finished", 3)
    metrics = metrics_of(installation, run)
    assert {epoch for epoch, _ in metrics} == {1, 2, 3}
    assert metrics[2, "loss"] != 99
    assert {row.image_id: row.split for row in Context(installation).read(runs.split, run.id)} == split
    assert len(predictions(installation, run)[1]) == 8


def test_one_image_trains_without_validation(installation):
    dataset = add_discs(installation, 1)
    run, job = submit_train(installation, dataset, epochs=1)
    result = train.run(job, Context(installation))
    assert result["val_dice"] is None
    assert Context(installation).read(Session.get_one, Run, run.id).best_epoch == 1


def test_a_missing_file_ends_in_a_sentence_that_the_run_keeps(installation):
    dataset = add_discs(installation, 4)
    run, job = submit_train(installation, dataset)
    installation.files.delete(
        stored.image_key(dataset.id, Context(installation).read(datasets.images, dataset.id)[0].id)
    )
    with pytest.raises(JobFailed, match="missing from the store"):
        train.run(job, Context(installation))
    assert "missing" in Context(installation).read(Session.get_one, Run, run.id).ended_reason


def test_truth_that_marks_nothing_is_refused_with_a_sentence(installation):
    dataset = add_discs(installation, 4)
    with installation.database.writing() as session:
        session.get_one(Dataset, dataset.id).lookup = [0] * 256
    _, job = submit_train(installation, dataset)
    with pytest.raises(JobFailed, match="mark nothing as foreground"):
        train.run(job, Context(installation))


def test_a_run_whose_truth_was_removed_meanwhile_says_so(installation):
    dataset = add_discs(installation, count=2)
    run, job = submit_train(installation, dataset)
    with installation.database.writing() as session:
        images = datasets.images(session, dataset.id)
        runs.set_split(session, run.id, [{"image_id": image.id, "split": "train"} for image in images])
        jobs.request_stop(session, job.id)
        dataset_truth.remove_truth(session, dataset.id)
    with pytest.raises(JobFailed, match="truth that this run is trained on was removed"):
        train.run(job, Context(installation))


@pytest.mark.slow
def test_rounds_on_labels_are_stored_with_scores_that_decided_nothing(installation, monkeypatch):
    from engine.training import self_training

    monkeypatch.setattr(self_training, "APPEARANCE_SLACK", 1.0)  # two epochs of a tiny network draw ugly masks
    dataset = add_discs(installation, 8)
    label_set_id = add_label_set(installation, dataset)
    run, job = submit_train(
        installation, dataset, label_set_id, groups={"self_training": {"rounds": 2, "refine": "none"}}
    )
    context = Context(installation)
    result = train.run(job, context)
    stored_rounds = context.read(rounds.rounds, run.id)
    assert [row.number for row in stored_rounds] == list(range(1, len(stored_rounds) + 1))
    first = stored_rounds[0]
    assert (first.first_epoch, first.last_epoch, first.accepted, first.images) == (1, 2, True, 8)
    for name in ("agreement", "labels_quality", "masks_quality", "labels_truth_dice", "masks_truth_iou"):
        assert 0 <= getattr(first, name) <= 1, name
    second = stored_rounds[1]
    assert (second.first_epoch, second.last_epoch) == (3, 4)
    assert result["epochs"] == 4
    images = context.read(datasets.images, dataset.id)
    assert all(installation.files.exists(stored.round_label_key(run.id, 2, image.id)) for image in images)
    assert all(installation.files.exists(stored.round_mask_key(run.id, 1, image.id)) for image in images)
    assert {epoch for epoch, _ in metrics_of(installation, run)} == {1, 2, 3, 4}
    assert any(text.startswith("Round 2 of 2, epoch 3 of 4") for text in context.texts)
    details = context.read(Session.get_one, Run, run.id).details
    assert details["hardware"]["threads"] >= 1
    assert details["weights"] == ""


def test_truth_is_not_corrected(installation):
    run, job = submit_train(installation, add_discs(installation, 4), epochs=1, groups={"self_training": {"rounds": 3}})
    result = train.run(job, Context(installation))
    assert result["epochs"] == 1
    assert Context(installation).read(rounds.rounds, run.id) == []


def test_labels_that_look_bad_count_less_and_the_worst_are_left_out(installation):
    dataset = add_discs(installation, 8)
    label_set_id = add_label_set(installation, dataset)
    run, _ = submit_train(installation, dataset, label_set_id)
    context = Context(installation)
    images = context.read(datasets.images, dataset.id)
    with installation.database.writing() as session:
        for index, image in enumerate(images):
            session.get_one(Label, (label_set_id, image.id)).quality = index / 10
    rows = [{"image_id": image.id, "split": "train", "probe": False} for image in images]
    rows[0]["split"] = "validation"
    config = config_from("fast", {"data": {"drop_worst": 0.25}})
    weighed = train._weighed(context, run, config, train.training_samples(context, run, rows))
    assert weighed[0].weight == 1  # it validates
    assert [sample.weight == 0 for sample in weighed] == [False, True, True, False, False, False, False, False]
    assert 0 < weighed[3].weight < weighed[-1].weight == 1


def test_what_is_doubtful_about_the_masks_is_noted_at_the_start_and_kept(installation, caplog):
    image, speck = np.full((200, 200, 3), 90, np.uint8), np.zeros((200, 200), bool)
    speck[50:51, 50:52] = True
    pairs = [(image + np.uint8(number), speck) for number in range(3)]
    dataset = add_dataset(installation, "specks", [*pairs, (image, np.ones((200, 200), bool))])
    run, job = submit_train(installation, dataset, epochs=1)
    context = Context(installation)
    train.run(job, context)
    (note,) = context.read(Session.get_one, Run, run.id).details["notes"]
    assert note.startswith("In 3 of 4 images with objects, no object is left at 32 px") and note in caplog.messages


def test_a_run_whose_training_images_were_excluded_meanwhile_ends_in_a_sentence(installation):
    dataset = add_discs(installation, 4)
    run, job = submit_train(installation, dataset, epochs=2)
    ids = [image.id for image in Context(installation).read(datasets.images, dataset.id)]
    with installation.database.writing() as session:
        rows = [{"image_id": id_, "split": "train" if id_ != ids[0] else "validation", "probe": False} for id_ in ids]
        runs.set_split(session, run.id, rows)
        jobs.find(session, job.id).status = JobStatus.STOPPED
        image_care.exclude_images(session, dataset.id, ids[1:])
    with pytest.raises(JobFailed, match="No image that this run was trained on is left"):
        train.run(job, Context(installation))
