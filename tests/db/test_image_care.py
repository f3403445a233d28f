"""Excluding and removing images: what stays, what goes, and what begins without them."""

from __future__ import annotations

import pytest

from db import audit_set, corrections, datasets, image_care, jobs, predictions, runs, submissions
from db.columns import utc_now
from db.inventory import Inventory
from db.models import Dataset, Image, Job, JobStatus, Label, LabelSet, Prediction
from db.names import NameTaken
from engine.care.checkup import check
from engine.datasets.removal import delete_files
from engine.store import keys as stored
from tests.support.installation import add_discs
from tests.support.predicted import add_label_set, add_run


def findings(installation) -> set[str]:
    report = check(Inventory(installation.database), installation.files, utc_now(), 60.0)
    return {finding.kind for finding in report.findings} - {"missing_model"}  # the run of the test has none


def ids(installation, dataset_id: str, **how: bool) -> list[str]:
    with installation.database.reading() as session:
        return [image.id for image in datasets.images(session, dataset_id, **how)]


def test_an_excluded_image_is_in_nothing_that_begins_and_comes_back(installation):
    dataset = add_discs(installation, count=4)
    first, *others = ids(installation, dataset.id)
    with installation.database.writing() as session:
        assert image_care.exclude_images(session, dataset.id, [first]) == 1
        assert image_care.exclude_images(session, dataset.id, [first]) == 0
        row = session.get_one(Dataset, dataset.id)
        assert (row.image_count, row.truth_count) == (3, 3)
        assert audit_set.free_images(session, dataset.id) == 3
        assert len(corrections.draw_audit(session, dataset.id, 4)) == 3
    assert ids(installation, dataset.id) == others
    assert ids(installation, dataset.id, excluded=True) == [first, *others]
    with installation.database.writing() as session:
        assert image_care.exclude_images(session, dataset.id, [first], excluded=False) == 1
    assert ids(installation, dataset.id) == [first, *others]


def test_a_removed_image_goes_with_everything_of_it(installation):
    dataset = add_discs(installation, count=3)
    label_set_id = add_label_set(installation, dataset)
    run = add_run(installation, dataset, "run", label_set_id=label_set_id)
    gone, *stay = ids(installation, dataset.id)
    with installation.database.reading() as session:
        what = image_care.belongings(session, dataset.id, [gone])
    assert (what.images, what.truth, what.labels, what.predictions) == (1, 1, 1, 1)
    with installation.database.writing() as session:
        removed = image_care.remove_images(session, dataset.id, [gone])
    assert findings(installation) == {"orphan"}, "a crash before the files are deleted leaves what the doctor knows"
    delete_files(installation.files, removed)
    delete_files(installation.files, removed)
    assert not findings(installation)
    with installation.database.reading() as session:
        assert session.get_one(Dataset, dataset.id).image_count == 2
        assert {row.image_id for row in session.query(Label)} == {row.image_id for row in session.query(Prediction)}
        assert {row.image_id for row in session.query(Label)} == set(stay)
        assert [entry.reason for entry in datasets.report(session, dataset.id, taken=False)] == [image_care.REMOVED]
        [set_id] = predictions.with_masks(session, [run.id]).values()
    assert not installation.files.exists(stored.image_key(dataset.id, gone))
    assert not installation.files.exists(stored.label_key(label_set_id, gone))
    assert not installation.files.exists(stored.prediction_key(set_id, gone))


def test_images_of_a_dataset_in_use_are_not_touched(installation):
    dataset = add_discs(installation, count=2)
    with installation.database.writing() as session:
        _, job = submissions.submit_label(session, dataset.id, "masks", "otsu", {}, 0, "1")
    for change in (image_care.exclude_images, image_care.remove_images):
        with pytest.raises(datasets.InUse), installation.database.writing() as session:
            change(session, dataset.id, ids(installation, dataset.id))
    with installation.database.writing() as session:
        session.merge(job).status = JobStatus.STOPPED
        image_care.remove_images(session, dataset.id, [])
        assert session.query(Image).count() == 2


def test_a_dataset_is_renamed_unless_the_name_is_taken(installation):
    dataset = add_discs(installation, count=1, name="discs")
    add_discs(installation, count=1, name="others")
    with installation.database.writing() as session:
        assert image_care.rename_dataset(session, dataset.id, "  discs ") == "discs"
        assert image_care.rename_dataset(session, dataset.id, "Round things") == "Round things"
    with pytest.raises(NameTaken), installation.database.writing() as session:
        image_care.rename_dataset(session, dataset.id, "others")


def test_a_job_does_not_claim_masks_of_removed_images(installation):
    dataset = add_discs(installation, count=4)
    label_set_id = add_label_set(installation, dataset)
    run, other = (add_run(installation, dataset, name, label_set_id=label_set_id) for name in ("run", "other"))
    with installation.database.writing() as session:
        for kind, owner_id in (("label", label_set_id), ("predict", run.id)):
            job = jobs.submit(session, kind, {})
            job.status, job.result = JobStatus.FINISHED, {"images": 4}
            if kind == "label":
                session.get_one(LabelSet, owner_id).job_id = job.id
                continue
            own, another = (runs.own_prediction_set(session, found) for found in (run, other))
            own.job_id = another.job_id = job.id
            job.result = job.result | {"prediction_set": own.id, "also": [{"images": 4, "prediction_set": another.id}]}
    assert not findings(installation)
    with installation.database.writing() as session:
        removed = image_care.remove_images(session, dataset.id, ids(installation, dataset.id)[:3])
    delete_files(installation.files, removed)
    assert not findings(installation)
    with installation.database.reading() as session:
        counts = [(row.result["images"], row.result.get("also", [])) for row in session.query(Job)]
    assert sorted(counts)[0] == (1, [])
    assert counts[1][0] == counts[1][1][0]["images"] == 1
