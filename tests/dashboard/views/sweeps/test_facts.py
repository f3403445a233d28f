"""What the Sweeps page shows of a sweep, from its rows."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta

import pytest

from dashboard.views.sweeps import facts
from db import jobs, recipes, sweeps
from db.columns import new_id, utc_now
from db.models import Sweep, SweepState, TrialState
from db.workers import Needs
from engine.labelling.base import find_method
from engine.sweeps.space import dimension, to_json
from engine.work.sweeps import advance
from tests.support.installation import add_discs
from tests.support.predicted import add_label_set
from tests.support.swept import add_mask_sweep, add_run_sweep


def seen(installation, sweep_id):
    with installation.database.reading() as session:
        return facts.view(session, sweep_id)


def test_a_sweep_is_shown_in_words_with_the_best_of_its_trials(installation):
    sweep = add_mask_sweep(installation, add_discs(installation, 3), [0.2, None, 0.7, 0.5])
    view = seen(installation, sweep.id)
    assert (view.score, view.makes_runs, view.at_work, view.failed) == ("Dice vs truth", False, False, 1)
    assert view.varies == (("Offset (grey levels)", "-40 to 40"), ("Foreground", "Darker, Lighter"))
    assert view.subject == "mask sets by Bright or dark objects (threshold)"
    assert view.best.number == 2 and view.best.words == {"Offset (grey levels)": "-20", "Foreground": "Darker"}
    assert [row.note for row in view.rows] == ["", "The disk is full.", "", ""]
    assert facts.best_so_far(view) == ([1, 3, 4], [0.2, 0.7, 0.5], [0.2, 0.7, 0.7])


@pytest.mark.parametrize("objective, score", [("truth", "truth"), ("label_free", "pseudo-label")])
def test_the_score_of_runs_names_what_they_are_compared_with(installation, objective, score):
    dataset = add_discs(installation, 3)
    labels = add_label_set(installation, dataset, "by clusters")
    sweep = add_run_sweep(installation, dataset, [0.5], objective=objective, label_set_id=labels)
    view = seen(installation, sweep.id)
    assert view.score == f"Validation Dice vs {score}"
    assert view.subject == "runs on the mask set by clusters, preset Fast"
    assert view.best.query == {"run": view.best.run_id}
    with installation.database.reading() as session:
        (listed,) = facts.listing(session)
    assert (listed.best, listed.score, listed.trials, listed.state) == (0.5, view.score, "1 of 1", "Finished")


def test_a_trial_whose_mask_set_was_deleted_keeps_its_score_and_has_no_link(installation):
    sweep = add_mask_sweep(installation, add_discs(installation, 3), [0.4])
    with installation.database.writing() as session:
        recipes.delete_label_set(session, sweeps.trials(session, sweep.id)[0].label_set_id)
    (row,) = seen(installation, sweep.id).rows
    assert (row.score, row.query) == (0.4, None)


def test_a_grid_can_grow_only_to_its_last_combination(installation):
    sweep = add_mask_sweep(installation, add_discs(installation, 3), [0.4] * 4, sampler="grid")
    assert seen(installation, sweep.id).can_grow == 6  # five offsets, two kinds of foreground


def wide():
    model = find_method("threshold").params
    return to_json([dimension(model, "offset=-100..100"), dimension(model, "foreground=darker,lighter")])


def test_importance_is_by_title_and_needs_some_trials(installation):
    dataset = add_discs(installation, 3)
    few = add_mask_sweep(installation, dataset, [0.4, 0.5])
    many = add_mask_sweep(
        installation, dataset, [1 - abs(number - 20) / 40 for number in range(24)], name="many", space=wide()
    )
    with installation.database.reading() as session:
        assert facts.importance(session, few.id) == ()
        shares = facts.importance(session, many.id)
    assert [title for title, _ in shares] == ["Offset (grey levels)", "Foreground"]
    assert sum(share for _, share in shares) == pytest.approx(1, abs=1e-3)


def test_progress_says_what_is_at_work_and_changes_its_version_with_each_trial(installation):
    sweep = add_mask_sweep(installation, add_discs(installation, 3), trials=2, state=SweepState.RUNNING)
    first = progress_of(installation, sweep)
    assert (first.share, first.at_work) == (0.0, ("A worker begins the next trial.",))
    advance(installation.database, installation.files)
    second = progress_of(installation, sweep)
    assert second.version != first.version == ("running", 0, 0, 2)
    assert second.version == facts.version(seen(installation, sweep.id))
    assert second.at_work == ("Trial 1 · queued · Waiting for a free worker.",)
    with installation.database.writing() as session:
        jobs.claim(session, "somebody", 1, 60.0)
    later = utc_now() + timedelta(minutes=5)
    with installation.database.reading() as session:
        assert facts.progress(session, sweep.id, later, 60.0).at_work == ("Trial 1 · lost",)
        assert facts.progress(session, new_id(), later, 60.0) is None
    assert progress_of(installation, sweep).version == second.version


def test_progress_says_that_no_machine_can_take_a_trial(installation):
    sweep = add_mask_sweep(installation, add_discs(installation, 3), trials=2, state=SweepState.RUNNING)
    with installation.database.writing() as session:
        session.get_one(Sweep, sweep.id).needs = asdict(Needs(tag="lab"))
    advance(installation.database, installation.files)
    (line,) = progress_of(installation, sweep).at_work
    assert line.startswith("Trial 1 · queued · No machine that is connected can take it") and "the tag 'lab'" in line


def progress_of(installation, sweep):
    with installation.database.reading() as session:
        return facts.progress(session, sweep.id, utc_now(), 60.0)


def test_a_method_that_is_not_installed_any_more_is_shown_by_its_name(installation):
    sweep = add_mask_sweep(installation, add_discs(installation, 3), [0.4])
    with installation.database.writing() as session:
        row = session.get_one(Sweep, sweep.id)
        row.base = row.base | {"method": "gone"}
    view = seen(installation, sweep.id)
    assert (view.subject, view.varies[0][0], view.best.words["offset"]) == ("mask sets by gone", "offset", "-40")
    assert view.rows[0].state == TrialState.COMPLETE
