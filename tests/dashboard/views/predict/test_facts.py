"""The facts of the Predict page on real rows and counts of real pixels."""

from __future__ import annotations

import pytest

from dashboard.views.predict import facts as view
from db import datasets, jobs, rounds, runs, submissions
from db.columns import new_id, utc_now
from db.models import JobStatus, PredictionSet, Run
from tests.support.installation import add_discs
from tests.support.predict_page import add_predictions, add_run

LOST_AFTER_S = 60.0


def test_only_runs_that_ended_with_a_model_can_predict_and_their_score_names_its_reference(installation):
    dataset = add_discs(installation, count=2)
    add_run(installation, dataset, "no model", best_epoch=None)
    add_run(installation, dataset, "still training", status=JobStatus.RUNNING)
    add_run(installation, dataset, "waits", status=JobStatus.QUEUED)
    add_run(installation, dataset, "stopped", status=JobStatus.STOPPED)
    add_run(installation, dataset, "done")
    with installation.database.reading() as session:
        found = view.usable_runs(session)
    assert [choice.name for choice in found] == ["done", "stopped"]
    assert found[0].title == "done (validation soft Dice 0.812 vs truth)"
    assert found[0].dataset_name == "discs"


def test_archived_runs_do_not_predict_unless_the_url_names_them(installation):
    dataset = add_discs(installation, count=2)
    add_run(installation, dataset, "kept")
    away = add_run(installation, dataset, "away")
    with installation.database.writing() as session:
        runs.mark(session, [away.id], archived=True)
    with installation.database.reading() as session:
        assert [choice.name for choice in view.usable_runs(session)] == ["kept"]
        assert {choice.name for choice in view.usable_runs(session, away.id)} == {"kept", "away"}


def test_the_score_of_a_run_trained_on_labels_names_the_pseudo_label(installation):
    dataset = add_discs(installation, count=2)
    with installation.database.writing() as session:
        label_set, _ = submissions.submit_label(session, dataset.id, "labels", "kmeans", {}, 0, "1")
    add_run(installation, dataset, label_set_id=label_set.id)
    with installation.database.reading() as session:
        assert "vs pseudo-label" in view.usable_runs(session)[0].title


def test_new_images_are_named_after_their_folder_or_their_first_file(installation):
    files = ("trip/IMG 7.jpg", "trip/IMG 8.jpg", "trip/IMG 9.jpg")
    with installation.database.writing() as session:
        assert view.proposed_name(session, "Trip", files) == "New images · Trip"
        assert view.proposed_name(session, "", files[:1]) == "New images · IMG 7"
        named = view.proposed_name(session, "", files)
        assert named == "New images · IMG 7 + 2 more"
        datasets.create(session, named, purpose="prediction")
        assert view.proposed_name(session, "", files) == f"{named} #2"


def test_targets_have_images_and_the_runs_own_set_comes_last(installation):
    other = add_discs(installation, count=1, name="other")
    own = add_discs(installation, count=2, name="own")
    run = add_run(installation, own)
    with installation.database.writing() as session:
        datasets.create(session, "empty")
    with installation.database.reading() as session:
        found = view.targets(session, run.dataset_id)
    assert [target.id for target in found] == [other.id, own.id]


def test_only_a_runs_own_set_has_a_share_of_its_labels(installation):
    own, other = add_discs(installation, name="own"), add_discs(installation, count=3, name="other")
    run = add_run(installation, own)
    with installation.database.writing() as session:
        runs.update_run(session, run.id, details={rounds.LABEL_SHARE: 0.5})
    ids = [add_predictions(installation, run, dataset) for dataset in (own, other)]
    with installation.database.reading() as session:
        shares = [view.set_view(session, set_id, utc_now(), LOST_AFTER_S).label_share for set_id in ids]
    assert shares == [0.5, 0]


def test_earlier_predictions_leave_out_a_runs_own_set(installation):
    own, other = add_discs(installation, name="own"), add_discs(installation, count=3, name="other")
    run = add_run(installation, own)
    add_predictions(installation, run, own)
    set_id = add_predictions(installation, run, other)
    with installation.database.reading() as session:
        found = view.earlier(session, utc_now(), LOST_AFTER_S)
    assert [(entry.id, entry.images, entry.predicted, entry.fresh, entry.own) for entry in found] == [
        (set_id, 3, 3, False, False)
    ]


def test_a_fresh_upload_is_listed_with_the_state_of_its_job(installation):
    run = add_run(installation, add_discs(installation))
    with installation.database.writing() as session:
        made, job = submissions.submit_predict_new(session, run.id, "holiday", {"kind": "upload", "token": new_id()})
    with installation.database.writing() as session:
        jobs.claim(session, "worker", 2, LOST_AFTER_S)
        jobs.finish(session, job.id, 1, JobStatus.FAILED, "The zip is empty.")
    with installation.database.reading() as session:
        entry = view.earlier(session, utc_now(), LOST_AFTER_S)[0]
        shown = view.set_view(session, made.id, utc_now(), LOST_AFTER_S)
    assert (entry.dataset_name, entry.job.status, entry.fresh) == ("holiday", "failed", True)
    assert (shown.job.status, shown.job.error, shown.job.can_retry) == ("failed", "The zip is empty.", True)
    assert (shown.images, shown.predicted) == (0, 0)


def test_an_unknown_set_is_none(installation):
    with installation.database.reading() as session:
        assert view.set_view(session, "0" * 32, utc_now(), LOST_AFTER_S) is None
        assert view.set_view(session, None, utc_now(), LOST_AFTER_S) is None


@pytest.mark.parametrize("purpose", ["dataset", "prediction"])
def test_deleting_predictions_deletes_images_that_nothing_else_needs(installation, purpose):
    run = add_run(installation, add_discs(installation, name="own"))
    dataset = add_discs(installation, name="new")
    with installation.database.writing() as session:
        session.get_one(type(dataset), dataset.id).purpose = purpose
    set_id = add_predictions(installation, run, dataset)
    with installation.database.writing() as session:
        gone = runs.delete_prediction_set(session, set_id)
    kinds = [("prediction", set_id), *([("dataset", dataset.id)] if purpose == "prediction" else [])]
    assert gone == kinds
    with installation.database.reading() as session:
        assert session.get(PredictionSet, set_id) is None
        assert (session.get(type(dataset), dataset.id) is None) == (purpose == "prediction")


def test_images_that_two_runs_predicted_stay_until_both_are_deleted(installation):
    own, new = add_discs(installation, name="own"), add_discs(installation, name="new")
    with installation.database.writing() as session:
        session.get_one(type(new), new.id).purpose = "prediction"
    first, second = (add_predictions(installation, add_run(installation, own, name), new) for name in ("one", "two"))
    with installation.database.writing() as session:
        assert runs.delete_prediction_set(session, first) == [("prediction", first)]
    with installation.database.writing() as session:
        assert ("dataset", new.id) in runs.delete_prediction_set(session, second)


def test_running_predictions_cannot_be_deleted(installation):
    run = add_run(installation, add_discs(installation))
    with installation.database.writing() as session:
        made, _ = submissions.submit_predict_new(session, run.id, "holiday", {"kind": "sample"})
    with pytest.raises(datasets.InUse, match="Stop that first"), installation.database.writing() as session:
        runs.delete_prediction_set(session, made.id)


def test_uploads_whose_run_was_deleted_are_listed(installation):
    run = add_run(installation, add_discs(installation, name="own"))
    new = add_discs(installation, count=2, name="new")
    with installation.database.writing() as session:
        session.get_one(type(new), new.id).purpose = "prediction"
    add_predictions(installation, run, new)
    with installation.database.reading() as session:
        assert view.uploads_without_predictions(session) == ()
    with installation.database.writing() as session:
        runs.delete_run(session, run.id)
        assert session.get(Run, run.id) is None
    with installation.database.reading() as session:
        assert [target.name for target in view.uploads_without_predictions(session)] == ["new"]


def test_rivals_are_the_sets_of_other_runs_on_the_same_images(installation):
    own, new = add_discs(installation, name="own"), add_discs(installation, count=2, name="new")
    first, second, third = (add_run(installation, own, name) for name in ("one", "two", "three"))
    add_run(installation, own, "training", status=JobStatus.RUNNING)
    set_id, other = add_predictions(installation, first, new), add_predictions(installation, second, new)
    with installation.database.reading() as session:
        first_set = view.set_view(session, set_id, utc_now(), LOST_AFTER_S)
        found = view.rivals(session, first_set, utc_now(), LOST_AFTER_S)
        assert view.training_runs(session) == ("training",)
        assert {choice.id for choice in view.usable_runs(session)} == {first.id, second.id, third.id}
    assert [(rival.run_id, rival.id, rival.predicted) for rival in found] == [(second.id, other, 2)]


def test_skipped_files_are_counted_and_named(installation):
    with installation.database.writing() as session:
        dataset = datasets.create(session, "new", purpose="prediction")
        entries = [{"name": "a.png", "taken": True}, {"name": "b.png", "taken": False, "reason": "It is broken."}]
        datasets.add_images(session, dataset.id, new_id(), [], entries)
    with installation.database.reading() as session:
        assert view.skipped_files(session, dataset.id) == (1, (("b.png", "It is broken."),))
