"""Sweeps with real worker processes: killed in the middle, no trial is lost or begun twice."""

import pytest
from sqlalchemy import func, select

from db import corrections, jobs, runs, sweeps
from db.columns import utc_now
from db.models import Job, JobStatus, Label, LabelSet, Prediction, Run, Sweep, SweepKind, SweepState, TrialState
from engine.core.run_config import RunConfig, config_from
from engine.labelling.base import find_method
from engine.sweeps import space as spaces
from engine.work import sweeps as work_sweeps
from engine.work.sweeps import advance, longer
from engine.work.worker import work
from tests.support.corrected import correct
from tests.support.installation import add_discs
from tests.support.predicted import add_label_set
from tests.support.workers import PATIENCE_S, start_worker, wait_until


def add_sweep(installation, dataset, **values):
    model = find_method("threshold").params
    space = [spaces.dimension(model, text) for text in ("offset=-80..80", "foreground=darker,lighter")]
    defaults = {
        "dataset_id": dataset.id,
        "name": "offsets",
        "kind": SweepKind.MASKS,
        "base": {"method": "threshold", "params": model().model_dump(mode="json"), "seed": 0},
        "space": spaces.to_json(space),
        "sampler": "tpe",
        "objective": "truth",
        "prune": False,
        "trials": 8,
        "code_version": "test",
    }
    with installation.database.writing() as session:
        return sweeps.create(session, Sweep(**(defaults | values)))


def add_run_sweep(installation, dataset, *params, groups=None, **values):
    tiny = {
        "training": {"epochs": 4, "batch_size": 4, "learning_rate": 0.01},
        "model": {"image_size": 32, "depth": 1, "base_filters": 4},
    }
    config = config_from("fast", tiny | (groups or {})).model_dump(mode="json")
    space = [spaces.dimension(RunConfig, text) for text in params]
    return add_sweep(
        installation,
        dataset,
        **(
            {
                "kind": SweepKind.RUNS,
                "base": {"preset": "fast", "config": config},
                "space": spaces.to_json(space),
                "trials": 3,
            }
            | values
        ),
    )


def found(installation, sweep):
    with installation.database.reading() as session:
        return session.get_one(Sweep, sweep.id), sweeps.trials(session, sweep.id)


def test_a_sweep_of_mask_sets_is_carried_by_whatever_worker_runs(installation):
    sweep = add_sweep(installation, add_discs(installation, 3), trials=4)
    work(installation.database, installation.settings)
    row, trials = found(installation, sweep)
    assert (row.state, [trial.number for trial in trials]) == (SweepState.FINISHED, list(range(4)))
    assert {trial.state for trial in trials} == {TrialState.COMPLETE}
    with installation.database.reading() as session:
        sets = {trial.label_set_id: session.get_one(LabelSet, trial.label_set_id) for trial in trials}
        assert session.scalar(select(func.count()).select_from(Job)) == len(sets) == 4
        best = sweeps.best(trials)
    assert all(sets[trial.label_set_id].params["offset"] == trial.params["offset"] for trial in trials)
    assert best.score == max(trial.score for trial in trials)


@pytest.mark.slow
def test_killed_again_and_again_it_loses_no_trial_and_begins_none_twice(installation):
    sweep = add_sweep(installation, add_discs(installation, 4), trials=4, parallel=2)
    for begun in (1, 3):
        worker = start_worker(installation)
        try:
            wait_until(lambda begun=begun: len(found(installation, sweep)[1]) >= begun)
        finally:
            worker.kill()
            worker.wait()
        with installation.database.writing() as session:
            jobs.requeue_lost(session, utc_now(), -1.0)
    assert start_worker(installation).wait(PATIENCE_S) == 0
    row, trials = found(installation, sweep)
    assert (row.state, [trial.number for trial in trials]) == (SweepState.FINISHED, list(range(4)))
    assert {trial.state for trial in trials} == {TrialState.COMPLETE}
    with installation.database.reading() as session:
        statuses = session.scalars(select(Job.status)).all()
        assert session.scalar(select(func.count()).select_from(LabelSet)) == 4
    assert statuses == [JobStatus.FINISHED] * 4


def test_a_crash_between_the_end_of_a_job_and_the_next_trial_is_made_up_for(installation):
    sweep = add_sweep(installation, add_discs(installation, 3), trials=2)
    advance(installation.database, installation.files)
    (trial,) = found(installation, sweep)[1]
    with installation.database.writing() as session:
        job = jobs.claim(session, "somebody", 1, 60.0)
        jobs.finish(session, job.id, job.attempt, JobStatus.FAILED, "The disk is full.")
    with installation.database.reading() as session:
        assert sweeps.waiting(session)
    advance(installation.database, installation.files)
    advance(installation.database, installation.files)
    first, second = found(installation, sweep)[1]
    assert (first.job_id, first.state, first.error) == (trial.job_id, TrialState.FAILED, "The disk is full.")
    assert second.state == TrialState.RUNNING
    with installation.database.reading() as session:
        assert not sweeps.waiting(session)


def test_it_is_stopped_extended_and_its_failed_trials_retried(installation):
    sweep = add_sweep(installation, add_discs(installation, 3), trials=2)
    advance(installation.database, installation.files)
    with installation.database.writing() as session:
        sweeps.stop(session, sweep.id)
    work(installation.database, installation.settings)
    row, (first,) = found(installation, sweep)
    assert (row.state, first.state) == (SweepState.STOPPED, TrialState.STOPPED)
    with installation.database.writing() as session:
        sweeps.extend(session, sweep.id, 1)
    work(installation.database, installation.settings)
    row, trials = found(installation, sweep)
    assert (row.state, [trial.state for trial in trials]) == (SweepState.FINISHED, [TrialState.COMPLETE] * 3)
    with installation.database.writing() as session:
        session.get_one(Job, trials[1].job_id).status = JobStatus.FAILED
        failed = sweeps.trials(session, sweep.id)[1]
        failed.state, failed.score = TrialState.FAILED, None
        assert sweeps.retry_failed(session, sweep.id) == 1
    work(installation.database, installation.settings)
    row, trials = found(installation, sweep)
    assert (row.state, [trial.state for trial in trials]) == (SweepState.FINISHED, [TrialState.COMPLETE] * 3)


def test_values_that_do_not_go_together_are_a_failed_trial_and_too_many_end_the_sweep(installation):
    dataset = add_discs(installation, 4)
    sweep = add_run_sweep(
        installation, dataset, "model.image_size=33,35,37,39,41,43,45", sampler="grid", trials=7, objective="truth"
    )
    advance(installation.database, installation.files)
    row, trials = found(installation, sweep)
    assert (row.state, len(trials)) == (SweepState.STOPPED, sweeps.FAILED_IN_A_ROW)
    assert "must be divisible" in trials[0].error and "The last 5 trials failed" in row.error


def test_extended_after_five_failures_in_a_row_it_goes_on_and_another_failure_stops_it(installation):
    dataset = add_discs(installation, 4)
    sweep = add_sweep(installation, dataset, sampler="random", trials=6)
    broken = dict(sweep.base)
    with installation.database.writing() as session:
        row = session.get_one(Sweep, sweep.id)
        row.base = broken | {"method": "threshold", "params": broken["params"] | {"least_area_percent": 7}}
    advance(installation.database, installation.files)
    row, trials = found(installation, sweep)
    assert (row.state, len(trials)) == (SweepState.STOPPED, 5)
    with installation.database.writing() as session:
        sweeps.extend(session, sweep.id, 2)
    advance(installation.database, installation.files)
    row, trials = found(installation, sweep)
    assert (row.state, len(trials), row.trials) == (SweepState.STOPPED, 6, 8)
    with installation.database.writing() as session:
        session.get_one(Sweep, sweep.id).base = broken
        sweeps.extend(session, sweep.id, 0)
    work(installation.database, installation.settings)
    row, trials = found(installation, sweep)
    assert (row.state, row.error) == (SweepState.FINISHED, "")
    assert [trial.state for trial in trials] == [TrialState.FAILED] * 6 + [TrialState.COMPLETE] * 2


def finished_audit(installation, dataset, images):
    with installation.database.writing() as session:
        drawn = corrections.draw_audit(session, dataset.id, images)
    for image in drawn:
        correct(installation, dataset, image.name)
    return drawn


def test_mask_sets_are_scored_against_the_audit_and_nothing_else(installation):
    dataset = add_discs(installation, 4, truth=True)
    drawn = finished_audit(installation, dataset, 2)
    sweep = add_sweep(installation, dataset, objective="audit", trials=2, sampler="random")
    work(installation.database, installation.settings)
    row, trials = found(installation, sweep)
    assert row.state == SweepState.FINISHED
    for trial in trials:
        with installation.database.reading() as session:
            query = select(func.avg(Label.dice)).where(Label.label_set_id == trial.label_set_id)
            expected = session.scalar(query.where(Label.image_id.in_([image.id for image in drawn])))
        assert trial.score == pytest.approx(expected, abs=1e-6)


def test_mask_sets_without_any_reference_are_scored_by_their_estimated_quality(installation):
    sweep = add_sweep(installation, add_discs(installation, 3), objective="label_free", trials=2)
    work(installation.database, installation.settings)
    for trial in found(installation, sweep)[1]:
        with installation.database.reading() as session:
            query = select(func.avg(Label.quality)).where(Label.label_set_id == trial.label_set_id)
            assert trial.score == pytest.approx(session.scalar(query))


@pytest.mark.slow
def test_runs_are_scored_by_their_agreement_with_the_pseudo_label_or_the_audit(installation):
    dataset = add_discs(installation, 8)
    audited_images = [image.id for image in finished_audit(installation, dataset, 2)]
    labels = add_label_set(installation, dataset, shift_px=8)
    varied = ("training.learning_rate=0.02,0.03",)
    longer = {"training": {"epochs": 25, "batch_size": 2}, "model": {"image_size": 32, "depth": 2, "base_filters": 8}}
    values = {"label_set_id": labels, "sampler": "grid", "trials": 1, "groups": longer}
    agreement = add_run_sweep(installation, dataset, *varied, **values, objective="label_free")
    audited = add_run_sweep(installation, dataset, *varied, **values, objective="audit", name="audited")
    work(installation.database, installation.settings)
    for sweep in (agreement, audited):
        row, (trial,) = found(installation, sweep)
        assert (row.state, trial.state) == (SweepState.FINISHED, TrialState.COMPLETE)
        with installation.database.reading() as session:
            run = session.get_one(Run, trial.run_id)
            scores = runs.validation_scores(session, run)
            own = runs.own_prediction_set(session, run)
            query = select(func.avg(Prediction.truth_dice)).where(Prediction.prediction_set_id == own.id)
            audit = session.scalar(query.where(Prediction.image_id.in_(audited_images)))
        expected = scores.label_dice if sweep is agreement else audit
        assert trial.score == pytest.approx(expected)
        assert scores.label_dice != pytest.approx(scores.truth_dice)


@pytest.mark.slow
def test_runs_are_scored_against_truth_and_the_best_is_trained_longer(installation):
    dataset = add_discs(installation, 8)
    sweep = add_run_sweep(installation, dataset, "training.learning_rate=1e-6,0.02", sampler="grid", trials=2)
    work(installation.database, installation.settings)
    row, trials = found(installation, sweep)
    assert (row.state, [trial.state for trial in trials]) == (SweepState.FINISHED, [TrialState.COMPLETE] * 2)
    with installation.database.writing() as session:
        run, _ = longer(session, row, 3)
        best = sweeps.best(trials)
    assert run.config["training"]["epochs"] == 12
    assert run.config["training"]["learning_rate"] == best.params["training.learning_rate"]
    with installation.database.reading() as session:
        assert [sweeps.of_run(session, id_) for id_ in (trials[0].run_id, run.id)] == [sweep.id, None]


@pytest.mark.slow
def test_a_trial_below_the_median_is_pruned_at_the_end_of_an_epoch_and_says_so(installation, monkeypatch):
    dataset = add_discs(installation, 8)
    sweep = add_run_sweep(installation, dataset, "training.learning_rate=0.02,0.021", prune=True, trials=1)
    asked = []

    def below(own, others, epochs):
        asked.append((dict(own), epochs))
        return len(own) == 2

    monkeypatch.setattr("engine.training.job.should_prune", below)
    work(installation.database, installation.settings)
    row, (trial,) = found(installation, sweep)
    assert (row.state, trial.state, trial.pruned_epoch) == (SweepState.FINISHED, TrialState.PRUNED, 2)
    assert [(list(own), epochs) for own, epochs in asked] == [([1], 4), ([1, 2], 4)]
    with installation.database.reading() as session:
        run = session.get_one(Run, trial.run_id)
    assert run.ended_reason.startswith("Pruned after epoch 2") and run.best_epoch


def test_without_optuna_a_sweep_says_so_and_jobs_go_on(installation, monkeypatch):
    sweep = add_sweep(installation, add_discs(installation, 3))
    monkeypatch.setattr(work_sweeps.study, "is_installed", lambda: False)
    advance(installation.database, installation.files)
    row, trials = found(installation, sweep)
    assert (row.state, trials) == (SweepState.STOPPED, [])
    assert "pip install 'optuna==" in row.error


def test_a_sweep_that_cannot_go_on_stops_and_does_not_hold_up_the_others(installation):
    dataset = add_discs(installation, 3)
    broken = add_sweep(installation, dataset, trials=1)
    with installation.database.writing() as session:
        session.get_one(Sweep, broken.id).space = [{"of": "another version"}]
    sound = add_sweep(installation, dataset, trials=1, name="sound")
    work(installation.database, installation.settings)
    row, _ = found(installation, broken)
    assert (row.state, "Unexpected error, KeyError" in row.error) == (SweepState.STOPPED, True)
    assert found(installation, sound)[0].state == SweepState.FINISHED
