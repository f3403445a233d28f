"""The rows of sweeps, on both databases."""

import pytest

from db import datasets, jobs, recipes, sweeps
from db.models import Dataset, JobStatus, LabelSet, Run, Sweep, SweepKind, SweepState, Trial, TrialState
from db.repair import end_all
from db.submissions import NotReady
from db.sweeps import Outcome

PARAMS = {"offset": 0}


@pytest.fixture
def dataset(database):
    with database.writing() as session:
        row = datasets.create(session, "discs")
        row.image_count, row.truth_count = 3, 3
    return row


def new_sweep(dataset, **values):
    defaults = {
        "dataset_id": dataset.id,
        "name": "offsets",
        "kind": SweepKind.MASKS,
        "base": {"method": "threshold", "params": PARAMS, "seed": 0},
        "space": [],
        "sampler": "random",
        "objective": "truth",
        "prune": False,
        "trials": 3,
        "parallel": 2,
        "code_version": "test",
    }
    return Sweep(**(defaults | values))


@pytest.fixture
def sweep(database, dataset):
    with database.writing() as session:
        return sweeps.create(session, new_sweep(dataset))


def test_trials_begin_with_their_mask_sets_and_jobs_until_there_is_no_room(database, sweep):
    with database.writing() as session:
        row = session.get_one(Sweep, sweep.id)
        assert sweeps.room(session, row) == 2
        trials = [sweeps.add_trial(session, row, {"offset": each}, {"offset": each}, "test") for each in (1, 2)]
        assert sweeps.room(session, row) == 0
        assert [trial.number for trial in trials] == [0, 1]
        assert session.get_one(LabelSet, trials[1].label_set_id).params == {"offset": 2}
        assert jobs.find(session, trials[0].job_id).status == JobStatus.QUEUED
        assert not sweeps.waiting(session)


def test_a_trial_is_settled_once_and_not_if_its_job_was_resumed(database, sweep):
    with database.writing() as session:
        trial = sweeps.add_trial(session, session.get_one(Sweep, sweep.id), {}, PARAMS, "test")
        jobs.request_stop(session, trial.job_id)
    with database.reading() as session:
        ((before, job),) = sweeps.ended(session, sweep.id)
        assert sweeps.waiting(session)
    with database.writing() as session:
        jobs.requeue(session, trial.job_id)
        sweeps.settle(session, before, job, Outcome(TrialState.STOPPED))
        assert session.get_one(Trial, (sweep.id, 0)).state == TrialState.RUNNING
        jobs.request_stop(session, trial.job_id)
    with database.writing() as session:
        ((before, job),) = sweeps.ended(session, sweep.id)
        sweeps.settle(session, before, job, Outcome(TrialState.COMPLETE, 0.5))
        sweeps.settle(session, before, job, Outcome(TrialState.COMPLETE, 0.9))
        assert session.get_one(Trial, (sweep.id, 0)).score == 0.5


def test_what_a_trial_made_may_be_deleted_and_its_score_stays(database, sweep):
    with database.writing() as session:
        trial = sweeps.add_trial(session, session.get_one(Sweep, sweep.id), {"offset": 1}, PARAMS, "test")
        jobs.request_stop(session, trial.job_id)
        trial.state, trial.score = TrialState.COMPLETE, 0.7
        session.flush()
        recipes.delete_label_set(session, trial.label_set_id)
    with database.reading() as session:
        (kept,) = sweeps.trials(session, sweep.id)
    assert (kept.label_set_id, kept.score, kept.params) == (None, 0.7, {"offset": 1})


def test_a_dataset_takes_its_sweeps_along_and_a_sweep_leaves_its_mask_sets(database, dataset, sweep):
    with database.writing() as session:
        trial = sweeps.add_trial(session, session.get_one(Sweep, sweep.id), {}, PARAMS, "test")
        with pytest.raises(NotReady, match="at work"):
            sweeps.delete_sweep(session, sweep.id)
        jobs.request_stop(session, trial.job_id)
        trial.state = TrialState.STOPPED
        other = sweeps.create(session, new_sweep(dataset, name="others"))
        session.flush()
        sweeps.delete_sweep(session, sweep.id)
        assert session.get(LabelSet, trial.label_set_id) is not None
        datasets.delete_dataset(session, dataset.id)
    with database.reading() as session:
        assert session.get(Sweep, other.id) is None
        assert session.get(Dataset, dataset.id) is None


@pytest.mark.parametrize(
    "values, sentence",
    [
        ({"objective": "audit"}, "audit of 'discs' is not finished"),
        ({"kind": SweepKind.RUNS, "objective": "label_free"}, "trained on truth is scored against truth"),
    ],
)
def test_an_objective_that_cannot_score_is_refused(database, dataset, values, sentence):
    with database.writing() as session, pytest.raises(NotReady, match=sentence):
        sweeps.create(session, new_sweep(dataset, **values))


def test_without_truth_there_is_no_score_against_it(database, dataset):
    with database.writing() as session:
        session.get_one(Dataset, dataset.id).truth_count = 0
    with database.writing() as session, pytest.raises(NotReady, match="has no truth"):
        sweeps.create(session, new_sweep(dataset))


def test_the_best_is_the_first_of_the_highest():
    rows = [
        Trial(number=number, state=state, score=score)
        for number, (state, score) in enumerate(
            [
                (TrialState.COMPLETE, 0.5),
                (TrialState.COMPLETE, 0.7),
                (TrialState.COMPLETE, 0.7),
                (TrialState.FAILED, None),
            ]
        )
    ]
    assert sweeps.best(rows).number == 1
    assert sweeps.best(rows[3:]) is None


def test_it_is_finished_when_all_trials_have_ended(database, sweep):
    with database.writing() as session:
        row = session.get_one(Sweep, sweep.id)
        for _ in range(3):
            sweeps.add_failed(session, row, {}, "They do not go together.")
        sweeps.conclude(session, row, failed=True)
        assert row.state == SweepState.FINISHED
        sweeps.extend(session, row.id, 2)
        assert (row.state, row.trials, sweeps.room(session, row)) == (SweepState.RUNNING, 5, 2)
    with database.reading() as session:
        assert session.get_one(Sweep, sweep.id).state == SweepState.RUNNING
        assert session.query(Run).count() == 0


def test_a_restored_sweep_waits_until_a_person_resumes_it(database, sweep):
    with database.writing() as session:
        trial = sweeps.add_trial(session, session.get_one(Sweep, sweep.id), {}, PARAMS, "test")
        assert end_all(session, "Cut off.") == 1
        sweeps.settle(session, trial, jobs.find(session, trial.job_id), Outcome(TrialState.STOPPED))
        assert not sweeps.waiting(session)
        sweeps.extend(session, sweep.id, 0)
        assert sweeps.waiting(session) and jobs.find(session, trial.job_id).status == JobStatus.QUEUED
