"""Starting work, deleting it, and the sentences when either cannot be."""

import pytest

from db import corrections, datasets, image_care, jobs, names, recipes, retraining, runs, submissions, waiting
from db.datasets import InUse
from db.models import Dataset, Image, JobStatus, Label, LabelSet, Metric, Prediction, Run
from db.names import NameTaken, NotFound, by_id_or_name, free_name
from db.submissions import NotReady
from tests.support.corrected import correct
from tests.support.installation import add_discs


def start_labels(installation, dataset, name="labels"):
    with installation.database.writing() as session:
        return submissions.submit_label(session, dataset.id, name, "threshold", {}, 0, "test")


def start_run(installation, dataset, label_set_id=None, name="run"):
    with installation.database.writing() as session:
        return submissions.submit_train(session, dataset.id, label_set_id, name, "fast", {}, "test")


def end(installation, job):
    with installation.database.writing() as session:
        claimed = jobs.claim(session, "w", 10, 60)
        assert claimed.id == job.id
        jobs.finish(session, job.id, claimed.attempt, JobStatus.FINISHED)


def add_label_rows(installation, dataset, label_set):
    with installation.database.writing() as session:
        images = datasets.images(session, dataset.id)
        rows = [{"image_id": image.id, "area": 0.5, "dice": 0.8, "iou": None} for image in images]
        recipes.add_labels(session, label_set.id, rows)
        recipes.add_labels(session, label_set.id, rows)  # a retry doubles nothing


def test_a_name_is_given_once(installation):
    add_discs(installation, 1, name="cells")
    with installation.database.writing() as session:
        with pytest.raises(NameTaken, match="'cells' is taken"):
            datasets.create(session, " cells ")
        with pytest.raises(NameTaken, match="1 to 200 characters"):
            datasets.create(session, "  ")
        assert free_name(session, Dataset, "cells") == "cells 2"


def test_ids_and_names_both_find_a_row_and_a_wrong_one_lists_what_there_is(installation):
    dataset = add_discs(installation, 1, name="cells")
    with installation.database.reading() as session:
        assert by_id_or_name(session, Dataset, "cells").id == dataset.id
        assert by_id_or_name(session, Dataset, dataset.id).name == "cells"
        with pytest.raises(NotFound, match=r"no dataset 'frogs'\. Known: 'cells'"):
            by_id_or_name(session, Dataset, "frogs")


def test_work_that_cannot_start_says_what_is_missing(installation):
    with installation.database.writing() as session:
        empty = datasets.create(session, "empty")
    with pytest.raises(NotReady, match="'empty' has no images"):
        start_labels(installation, empty)
    bare = add_discs(installation, 2, name="bare", truth=False)
    with pytest.raises(NotReady, match="no truth masks"):
        start_run(installation, bare)
    label_set, _ = start_labels(installation, bare)
    with pytest.raises(NotReady, match="no masks yet"):
        start_run(installation, bare, label_set.id)
    other = add_discs(installation, 2, name="other")
    with pytest.raises(NotReady, match="belongs to another dataset"):
        start_run(installation, other, label_set.id)
    run, _ = start_run(installation, other)
    with installation.database.writing() as session, pytest.raises(NotReady, match="no model yet"):
        submissions.submit_predict(session, run.id, other.id)


def test_a_dataset_at_work_is_not_deleted_and_a_free_one_takes_all_with_it(installation):
    dataset = add_discs(installation, 3)
    label_set, label_job = start_labels(installation, dataset)
    with installation.database.writing() as session, pytest.raises(InUse, match=r"in use by a job \(label\)"):
        datasets.delete_dataset(session, dataset.id)
    end(installation, label_job)
    add_label_rows(installation, dataset, label_set)
    run, run_job = start_run(installation, dataset, label_set.id)
    end(installation, run_job)
    with installation.database.writing() as session:
        runs.save_metrics(session, run.id, 1, {"loss": 0.5})
        set_id = runs.ensure_prediction_set(session, run.id, dataset.id, None, False)
        image_id = datasets.images(session, dataset.id)[0].id
        runs.add_predictions(
            session, set_id, [{"image_id": image_id, "area": 0.1, "mean_probability": 0.1, "split": "train"}]
        )
    with installation.database.writing() as session:
        gone = datasets.delete_dataset(session, dataset.id)
    assert gone == [("dataset", dataset.id), ("labels", label_set.id), ("run", run.id), ("prediction", set_id)]
    with installation.database.reading() as session:
        for model in (Dataset, Image, LabelSet, Label, Run, Metric, Prediction):
            assert session.query(model).count() == 0


def test_a_label_set_that_a_run_was_trained_on_stays(installation):
    dataset = add_discs(installation, 2)
    label_set, job = start_labels(installation, dataset)
    with installation.database.writing() as session, pytest.raises(InUse, match="being computed"):
        recipes.delete_label_set(session, label_set.id)
    end(installation, job)
    add_label_rows(installation, dataset, label_set)
    start_run(installation, dataset, label_set.id, name="pupil")
    with installation.database.writing() as session, pytest.raises(InUse, match="used to train 'pupil'"):
        recipes.delete_label_set(session, label_set.id)


def test_a_repeated_epoch_replaces_what_it_wrote(installation):
    dataset = add_discs(installation, 2)
    run, _ = start_run(installation, dataset)
    with installation.database.writing() as session:
        runs.save_metrics(session, run.id, 1, {"loss": 0.5})
        runs.save_metrics(session, run.id, 2, {"loss": 0.4})
        runs.save_metrics(session, run.id, 2, {"loss": 0.3})
    with installation.database.reading() as session:
        assert [(m.epoch, m.value) for m in runs.metrics(session, run.id)] == [(1, 0.5), (2, 0.3)]
    with installation.database.writing() as session:
        runs.drop_metrics_after(session, run.id, 1)
        assert [m.epoch for m in runs.metrics(session, run.id)] == [1]


def test_images_that_are_there_are_not_doubled_by_a_second_attempt(installation):
    dataset = add_discs(installation, 3)
    with installation.database.writing() as session:
        image = datasets.images(session, dataset.id)[0]
        again = {"id": "0" * 32, "name": "again", "content_hash": image.content_hash, "width": 1, "height": 1}
        datasets.add_images(session, dataset.id, "j" * 32, [again], [{"name": "again", "taken": False, "reason": "x"}])
        datasets.add_images(session, dataset.id, "j" * 32, [], [{"name": "again", "taken": False, "reason": "x"}])
    with installation.database.reading() as session:
        assert len(datasets.images(session, dataset.id)) == 3
        assert [entry.name for entry in datasets.report(session, dataset.id, taken=False)] == ["again"]


def test_probe_images_are_spread_evenly_until_they_are_chosen(installation):
    dataset = add_discs(installation, 12)
    with installation.database.writing() as session:
        spread = datasets.probe_images(session, dataset.id, 4)
        assert [image.position for image in spread] == [2, 5, 8, 11]
        chosen = [spread[3].id, spread[0].id]
        datasets.set_probe_images(session, dataset.id, chosen)
        assert [image.id for image in datasets.probe_images(session, dataset.id)] == chosen
        datasets.set_probe_images(session, dataset.id, [])
        assert len(datasets.probe_images(session, dataset.id, 8)) == 8


def test_a_class_mapping_is_checked_and_changed_whole(installation):
    dataset = add_discs(installation, 2)
    with installation.database.writing() as session:
        with pytest.raises(ValueError, match="256 entries"):
            datasets.set_classes(session, dataset.id, ["background"], [0, 0])
        datasets.set_classes(session, dataset.id, [{"index": 0, "name": "all"}], [0] * 256)
    with installation.database.reading() as session:
        assert session.get_one(Dataset, dataset.id).truth_version == dataset.truth_version + 1


def test_a_measurement_belongs_to_no_row_and_is_found_by_dataset_and_kind(installation):
    dataset, other = add_discs(installation, 3, name="cells"), add_discs(installation, 3, name="others", truth=False)
    with installation.database.writing() as session:
        first = submissions.submit_measure(session, dataset.id, None, {}, "trial")
        second = submissions.submit_measure(session, dataset.id, None, {}, "trial")
        submissions.submit_measure(session, dataset.id, None, {}, "rate_range")
        with pytest.raises(NotReady, match="no truth masks"):
            submissions.submit_measure(session, other.id, None, {}, "trial")
    with installation.database.reading() as session:
        assert session.get_one(Dataset, dataset.id).job_id == dataset.job_id
        assert [job.id for job in jobs.measurements(session, dataset.id, "trial")] == [second.id, first.id]
        assert jobs.measurements(session, other.id, "trial") == []
        assert len(datasets.jobs_at_work(session, dataset.id)) == 3


def test_a_dataset_counts_its_images_by_shape(installation):
    dataset = add_discs(installation, 3, size_px=48)
    with installation.database.reading() as session:
        assert datasets.shapes(session, dataset.id) == {(48, 48): 3}


def test_labels_that_learn_from_corrections_are_not_drawn_anew_without_any(installation):
    dataset = add_discs(installation, 2)
    label_set, job = start_labels(installation, dataset)
    add_label_rows(installation, dataset, label_set)
    end(installation, job)
    run, _ = start_run(installation, dataset, label_set.id)
    drawn = correct(installation, dataset, "disc 0.png")
    with installation.database.writing() as session:
        row = {"image_id": drawn.image_id, "split": "train", "probe": False, "correction_id": drawn.id}
        runs.set_split(session, run.id, [row])
        corrections.withdraw(session, session.get_one(Image, drawn.image_id), drawn.revision)
        with pytest.raises(NotReady, match="learn from corrections, and none is left"):
            submissions.submit_retrain(session, run.id, False, "", "test", labels_anew=True)
        submissions.submit_retrain(session, run.id, False, "", "test")


def test_default_names_are_short_and_counted(installation):
    long = "Photographs of horses on meadows in the summer of 2026"
    assert names.default_name(long, "auto", "fast") == "Photographs of horses… · auto · fast"
    dataset = add_discs(installation, count=2, name="a")
    assert names.run_parts("a", "auto #3") == ("a", "auto #3")
    assert names.default_name(*names.run_parts("a", "a · auto #3"), "fast") == "a · auto · fast"
    with installation.database.writing() as session:
        for expected in ("a · auto · fast", "a · auto · fast #2", "a · auto · fast #3"):
            name = names.counted_name(session, Run, "a · auto · fast")
            assert name == expected
            runs.create(session, dataset, None, name, "fast", {}, "0")
        runs.create(session, dataset, None, "a · auto · fast and more #7", "fast", {}, "0")
        assert names.counted_name(session, Run, "a · auto · fast #2") == "a · auto · fast #4"
        assert names.counted_name(session, Run, "b #2") == "b"


def test_work_on_what_was_deleted_meanwhile_is_refused_in_a_sentence(installation):
    dataset = add_discs(installation, 2)
    with pytest.raises(NotReady, match="mask set was deleted meanwhile"):
        start_run(installation, dataset, "0" * 32)
    with installation.database.writing() as session:
        datasets.delete_dataset(session, dataset.id)
    for start in (start_labels, start_run):
        with pytest.raises(NotReady, match="dataset was deleted meanwhile"):
            start(installation, dataset)


def test_what_was_asked_for_before_is_known_until_it_ends(installation):
    dataset = add_discs(installation, 2)
    label_set, job = start_labels(installation, dataset)
    run, _ = start_run(installation, dataset)
    recipe = dataset.id, "threshold", {}, 0
    with installation.database.reading() as session:
        assert waiting.label_set_at_work(session, *recipe, None).id == label_set.id
        assert waiting.label_set_at_work(session, *recipe, {"learned": 1}) is None
        assert waiting.label_set_at_work(session, dataset.id, "threshold", {"longest_side_px": 9}, 0, None) is None
        assert waiting.run_at_work(session, dataset.id, None, run.config).id == run.id
        assert waiting.run_at_work(session, dataset.id, label_set.id, run.config) is None
        assert waiting.run_at_work(session, dataset.id, None, run.config | {"seed": 1}) is None
    end(installation, job)
    with installation.database.reading() as session:
        assert waiting.label_set_at_work(session, *recipe, None) is None


def test_an_excluded_image_has_no_new_correction(installation):
    dataset = add_discs(installation, 2)
    run, job = start_run(installation, dataset)
    end(installation, job)
    drawn = correct(installation, dataset, "disc 0.png")
    with installation.database.writing() as session:
        runs.set_split(
            session, run.id, [{"image_id": drawn.image_id, "split": "train", "probe": False, "correction_id": drawn.id}]
        )
    correct(installation, dataset, "disc 1.png")
    with installation.database.reading() as session:
        assert retraining.news(session, run) == 1
    with installation.database.writing() as session:
        image_care.exclude_images(session, dataset.id, [image.id for image in datasets.images(session, dataset.id)])
        assert retraining.news(session, run) == 0


def test_what_was_deleted_in_another_tab_is_refused_or_left_alone(installation):
    nothing = "0" * 32
    with installation.database.writing() as session:
        for rename in (recipes.rename, recipes.rename_recipe, runs.rename, image_care.rename_dataset):
            with pytest.raises(NameTaken, match="deleted meanwhile"):
                rename(session, nothing, "name")
        with pytest.raises(NotReady, match="deleted meanwhile"):
            submissions.submit_retrain(session, nothing, False, "", "test")
        for owner in ("run", "prediction_set", "label_set"):
            with pytest.raises(NotReady, match="deleted meanwhile"):
                submissions.submit_export(session, owner, nothing, "coco", 0.5)
        with pytest.raises(InUse, match="deleted meanwhile"):
            datasets.set_classes(session, nothing, ["background"], [0] * 256)
        assert recipes.delete_label_set(session, nothing) == runs.delete_prediction_set(session, nothing) == []
        datasets.set_probe_images(session, nothing, [nothing])
