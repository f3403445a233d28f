"""The prediction job on a real database: new images, stop, retry, and scores only where there is a reference."""

import pickle
import re

import numpy as np
import pytest

from db import datasets, image_care, jobs, runs, submissions
from db.models import Dataset, JobStatus, Prediction, PredictionSet, Run
from engine.core import fan_out
from engine.core.network_parameters import ModelParams
from engine.imaging import codec
from engine.network.inference import BATCH_SIZE
from engine.network.networks import network
from engine.prediction import job as predict
from engine.store import keys as stored
from engine.store.local import LocalStore
from engine.work.context import JobFailed, JobStopped
from tests.support.installation import add_discs, disc
from tests.support.training_job import Context, submit_train


@pytest.fixture
def run(installation):
    """A run that has a model, though not a good one."""
    dataset = add_discs(installation, 2, "taught")
    made, _ = submit_train(installation, dataset)
    with installation.files.writing(stored.best_model_key(made.id)) as beside:
        network(ModelParams(image_size=64, depth=2, base_filters=4)).save(beside)
    with installation.database.writing() as session:
        runs.update_run(session, made.id, best_epoch=1)
    return made


def submit(installation, run, dataset, **options):
    with installation.database.writing() as session:
        _, job = submissions.submit_predict(session, run.id, dataset.id, **options)
        job.attempt = 1
    return job


def rows_of(installation, set_id):
    with installation.database.reading() as session:
        return list(session.query(Prediction).filter_by(prediction_set_id=set_id))


def test_images_without_truth_are_predicted_without_scores(installation, run):
    dataset = add_discs(installation, 5, "new", truth=False, size_px=80)
    context = Context(installation)
    result = predict.run(submit(installation, run, dataset), context)
    assert (result["images"], result["dice"], result["iou"]) == (5, None, None)
    rows = rows_of(installation, result["prediction_set"])
    assert len(rows) == 5
    assert all(row.truth_dice is None and row.truth_counts is None and row.split == "" for row in rows)
    keys = [stored.prediction_key(result["prediction_set"], row.image_id) for row in rows]
    assert {codec.decode_png(installation.files.read(key)).shape for key in keys} == {(80, 80)}
    assert (context.said[-1].done, context.said[-1].total) == (5, 5)
    assert re.fullmatch(r"Predicting, [0-9.]+ images/s", context.texts[-1])


def test_images_with_truth_are_scored(installation, run):
    result = predict.run(
        submit(installation, run, add_discs(installation, 3, "scored"), flips=True), Context(installation)
    )
    assert 0 <= result["iou"] <= result["dice"] <= 1
    assert all(row.label_dice is None for row in rows_of(installation, result["prediction_set"]))


def test_how_unsure_a_mask_is_lies_beside_it_with_its_mean(installation, run):
    result = predict.run(
        submit(installation, run, add_discs(installation, 3, "new", size_px=80)), Context(installation)
    )
    rows = rows_of(installation, result["prediction_set"])
    for row in rows:
        stored_map = installation.files.read(stored.uncertainty_key(row.prediction_set_id, row.image_id))
        unsure = codec.decode_png(stored_map)
        assert unsure.shape == (80, 80) and unsure.dtype == np.uint8
        assert row.uncertainty == pytest.approx(unsure.mean() / 255)
    assert result["uncertainty"] == pytest.approx(np.mean([row.uncertainty for row in rows]))


def test_a_runs_own_images_are_asked_for_their_mirror_and_new_ones_only_where_it_is_free(installation, run):
    with installation.database.reading() as session:
        own = session.get_one(Dataset, run.dataset_id)
    new = add_discs(installation, 2, "new", size_px=80)
    known = []
    for dataset, flips in ((own, False), (own, True), (new, False), (new, True)):
        result = predict.run(submit(installation, run, dataset, flips=flips), Context(installation))
        known.append([row.flip_agreement for row in rows_of(installation, result["prediction_set"])])
    assert known[2] == [None, None]
    assert all(0 <= value <= 1 for values in (known[0], known[1], known[3]) for value in values)
    assert sorted(known[0]) == sorted(known[1])  # the same two answers, whatever else is averaged


def test_refined_masks_differ_from_plain_ones_in_the_mask_alone_and_repeat_themselves(installation, run):
    dataset = add_discs(installation, 2, "new", size_px=96)
    found = []
    for refine in ("none", "guided_filter", "grabcut", "grabcut"):
        result = predict.run(submit(installation, run, dataset, refine=refine), Context(installation))
        rows = sorted(rows_of(installation, result["prediction_set"]), key=lambda row: row.image_id)
        keys = [stored.prediction_key(result["prediction_set"], row.image_id) for row in rows]
        found.append(([installation.files.read(key) for key in keys], [row.uncertainty for row in rows]))
        with installation.database.reading() as session:
            assert session.get_one(PredictionSet, result["prediction_set"]).refine == refine
    plain, filtered, cut, again = (masks for masks, _ in found)
    assert plain != filtered and cut == again
    assert all(uncertainty == found[0][1] for _, uncertainty in found)


def test_a_job_takes_the_runs_own_settings_unless_told_otherwise(installation, run):
    dataset = add_discs(installation, 2, "new")
    with installation.database.writing() as session:
        chosen = session.get_one(Run, run.id)
        chosen.config = chosen.config | {"prediction": {"flips": True, "refine": "guided_filter"}}
    assert submit(installation, run, dataset).payload["refine"] == "guided_filter"
    asked = submit(installation, run, dataset, flips=False, refine="none").payload
    assert (asked["flips"], asked["refine"]) == (False, "none")
    with installation.database.writing() as session:
        session.get_one(Run, run.id).config = {"version": 1}
    asked = submit(installation, run, dataset).payload
    assert (asked["flips"], asked["refine"]) == (False, "none")


def test_a_long_folder_is_read_only_a_few_images_ahead(installation, run, monkeypatch):
    dataset = add_discs(installation, 70, "long", truth=False)
    context = Context(installation)
    ahead, read = [], LocalStore.read
    monkeypatch.setattr(
        LocalStore, "read", lambda *args: ahead.append(len(ahead) + 1 - len(context.said)) or read(*args)
    )
    assert predict.run(submit(installation, run, dataset), context)["images"] == 70
    assert len(ahead) == 70
    assert max(ahead) <= 5 * BATCH_SIZE  # one in the network's hands, two waiting, one being filled, one answered


class Spreading(fan_out.Pool):
    """Does in this process what other nodes would do."""

    spreads = True
    cores = 1

    def map(self, work, tasks, count, ahead=0):
        for task in pickle.loads(pickle.dumps(list(tasks))):
            self.given.append(len(task.images))
            yield pickle.loads(pickle.dumps(work(task)))


def test_many_images_are_given_to_other_nodes_in_parts_with_the_same_masks(installation, run, monkeypatch):
    dataset = add_discs(installation, 66, "many", size_px=48)

    def masks():
        result = predict.run(submit(installation, run, dataset), Context(installation))
        rows = sorted(rows_of(installation, result["prediction_set"]), key=lambda row: row.image_id)
        keys = [stored.prediction_key(result["prediction_set"], row.image_id) for row in rows]
        return np.stack([codec.decode_png(installation.files.read(key)) for key in keys]), rows

    here, _ = masks()
    monkeypatch.setattr(Spreading, "given", [], raising=False)
    monkeypatch.setattr(fan_out, "_open", Spreading)
    there, rows = masks()
    monkeypatch.setattr(fan_out, "_open", None)  # opening it takes seconds, and few images need none
    predict.run(submit(installation, run, add_discs(installation, 2, "few", size_px=48)), Context(installation))
    assert Spreading.given == [4] * 16 + [2] and len({row.image_id for row in rows}) == 66
    assert np.abs(here.astype(int) - there).max() <= 1


def test_a_stopped_job_keeps_what_it_has_and_a_retry_does_the_rest(installation, run):
    dataset = add_discs(installation, 6, "new")
    job = submit(installation, run, dataset)
    with pytest.raises(JobStopped) as stopped:
        predict.run(job, Context(installation, stop_after=3))
    assert stopped.value.result["images"] == 2
    set_id = stopped.value.result["prediction_set"]
    kept = {row.image_id for row in rows_of(installation, set_id)}
    assert len(kept) == 2
    job.attempt = 2
    context = Context(installation)
    assert predict.run(job, context)["images"] == 6
    assert (context.said[0].done, context.said[0].total) == (2, 6)
    assert len(rows_of(installation, set_id)) == 6


def test_new_images_are_imported_first(installation, run, tmp_path):
    folder = tmp_path / "new"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.png").write_bytes(codec.encode_png(disc(48, 10, seed=number)[0]))
    with installation.database.writing() as session:
        source = {"kind": "folder", "path": str(folder)}
        _, job = submissions.submit_predict_new(session, run.id, "from a folder", source)
        job.attempt = 1
    result = predict.run(job, Context(installation))
    assert result["images"] == 3


def test_a_missing_model_or_image_ends_in_a_sentence(installation, run):
    dataset = add_discs(installation, 2, "new")
    job = submit(installation, run, dataset)
    installation.files.delete(
        stored.image_key(dataset.id, Context(installation).read(datasets.images, dataset.id)[1].id)
    )
    with pytest.raises(JobFailed, match=r"'disc 1.png' is gone"):
        predict.run(job, Context(installation))
    installation.files.delete(stored.best_model_key(run.id))
    with pytest.raises(JobFailed, match=r"no model file best\.keras"):
        predict.run(job, Context(installation))


def test_images_that_were_excluded_meanwhile_are_counted_by_nothing(installation, run):
    dataset = add_discs(installation, 6, "new")
    job = submit(installation, run, dataset)
    with pytest.raises(JobStopped) as stopped:
        predict.run(job, Context(installation, stop_after=3))
    set_id = stopped.value.result["prediction_set"]
    predicted, missing = [row.image_id for row in rows_of(installation, set_id)], []
    with installation.database.writing() as session:
        missing = [image.id for image in datasets.images(session, dataset.id) if image.id not in predicted]
        jobs.find(session, job.id).status = JobStatus.STOPPED
        image_care.exclude_images(session, dataset.id, [predicted[0], missing[0]])
    job.attempt = 2
    context = Context(installation)
    assert predict.run(job, context)["images"] == 4
    assert (context.said[0].done, context.said[0].total) == (1, 4)
    assert (context.said[-1].done, context.said[-1].total) == (4, 4)
    assert len(rows_of(installation, set_id)) == 5, "the mask of the excluded image stays"


def test_a_mixed_pixel_has_the_class_that_contributes_more():
    levels, label = np.full((2, 2), 100, np.uint8), np.uint8([[255, 255], [0, 0]])
    classes, taught = np.full((2, 2), 2, np.uint8), np.uint8([[1, 0], [1, 1]])
    mixed, likely = predict._mixed(levels, classes, label, taught, 0.5)
    assert (mixed == np.uint8([[177, 177], [50, 50]])).all()
    assert (likely == np.uint8([[1, 2], [2, 2]])).all(), "a label of background teaches no class"
