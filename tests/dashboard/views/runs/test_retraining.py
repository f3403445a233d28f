"""Retraining on the run's page: the button, the new run, old against new, and the network that Predict starts with."""

from __future__ import annotations

import numpy as np
import pytest

from db import corrections, datasets, jobs, retraining, runs
from db.models import Job, Run
from tests.support.correcting import correct, strokes
from tests.support.installation import add_discs
from tests.support.leaving_out import leave_out
from tests.support.predicted import add_label_set, add_run, truth_of
from tests.support.pressing import press_in_dialog

PAGE = "views/runs/page.py"


@pytest.fixture
def dataset(installation):
    return add_discs(installation, count=6)


def texts(app) -> str:
    return "\n".join(element.value for element in (*app.markdown, *app.caption, *app.error))


def audit_line(app) -> str:
    return next(line for line in texts(app).splitlines() if line.startswith("| Dice vs audit"))


def pair_of(installation, dataset, old_shift, new_shift, label_set_id=None, name="net", score_truth=True):
    """Store a run, and one that was trained again from it, whose masks are truth moved by so many pixels."""
    many = {"label_set_id": label_set_id, "score_truth": score_truth}
    old = add_run(installation, dataset, name, shifts_px=(old_shift,), **many)
    new = add_run(installation, dataset, f"{name}, retrained", shifts_px=(new_shift,), **many)
    changes = {"images": 6, "changed": 4, "corrected": 2, "old_dice": 0.5, "new_dice": 0.75}
    with installation.database.writing() as session:
        runs.update_run(session, new.id, details={"retrained": {"from": old.id, "warm": False} | changes})
    return old, new


def ids(installation, dataset):
    with installation.database.reading() as session:
        return [image.id for image in datasets.images(session, dataset.id)]


def test_the_button_counts_what_was_corrected_and_starts_a_run_with_the_same_settings(
    installation, open_page, dataset, submitted
):
    run = add_run(installation, dataset, "net", label_set_id=add_label_set(installation, dataset))
    app = open_page(PAGE, run=run.id)
    button = app.button(key="run-retrain")
    assert button.disabled and "No image was corrected since this run began" in button.help
    first, second, *_ = ids(installation, dataset)
    correct(installation, dataset, {first: strokes(1), second: strokes(0)})
    app.run()
    assert app.button(key="run-retrain").label == "Retrain with corrections (2 new)"
    app.button(key="run-retrain").click().run()
    assert "2 images were corrected since **net** began" in texts(app)
    assert "took 1 min 1 s to train; expect about as long" in texts(app)
    app.toggle(key="run-retrain-warm").set_value(True)
    press_in_dialog(app, "run-retrain", "run-retrain-go")
    with installation.database.reading() as session:
        new = retraining.newest(session, run.id)
        job = session.get_one(Job, new.job_id)
    assert new.name == "net #2"
    assert new.config | {"model": {}} == run.config | {"model": {}}
    assert new.details["retrained"] == {"from": run.id, "warm": True}
    assert (submitted, job.payload["start"]) == ([job.id], run.id)
    assert app.query_params["run"] == new.id

    again = open_page(PAGE, run=run.id).button(key="run-retrain")
    assert again.disabled and "'net #2' is being trained on the corrections" in again.help
    waiting = open_page(PAGE, run=new.id).button(key="run-retrain")
    assert waiting.disabled


def test_old_and_new_are_shown_on_both_pages_and_predict_starts_with_the_better(installation, open_page, dataset):
    old, new = pair_of(installation, dataset, old_shift=2, new_shift=8)
    for run in (old, new):
        app = open_page(PAGE, run=run.id)
        assert not app.exception
        shown = texts(app)
        assert "| Dice vs truth | 2 |" in shown
        assert "| Dice vs corrections :small[(the new one learned them)] | 2 | 0.500 | 0.750 :green[+0.250] |" in shown
        assert "4 of 6 masks changed" in shown and "is no test of it" in shown
        assert "*Predict* starts with **net**: Dice vs truth is" in shown
    predict = open_page("views/predict/page.py")
    assert predict.selectbox("predict-run").value == old.id
    assert "*net, retrained* was trained again from it, and this one is preferred: Dice vs truth is" in texts(predict)

    app.button(key=f"prefer-{new.id}").click().run()
    assert "*Predict* starts with **net, retrained**: somebody prefers it" in texts(app)
    assert open_page("views/predict/page.py").selectbox("predict-run").value == new.id
    assert open_page("views/predict/page.py", run=old.id).selectbox("predict-run").value == old.id, "the user's choice"


def test_agreement_with_labels_is_shown_but_only_an_audit_or_truth_decides(installation, open_page, dataset):
    labels = add_label_set(installation, dataset, shift_px=0)
    _, new = pair_of(installation, dataset, 0, 8, labels, score_truth=False)
    app = open_page(PAGE, run=new.id)
    shown = texts(app)
    assert "| Agreement with the pseudo-label (Dice) | 2 | 1.000 |" in shown
    assert "*Predict* starts with **net, retrained**: it knows more corrections" in shown
    assert "An audit can tell which is the better" in shown
    with installation.database.writing() as session:
        audited = corrections.draw_audit(session, dataset.id, 6)
    masks = {image.id: truth_of(installation, dataset, image.id).astype(np.uint8) for image in audited}
    correct(installation, dataset, masks)
    app.run()
    shown = texts(app)
    assert "| Dice vs audit | 2 | 1.000 |" in shown
    assert "*Predict* starts with **net**: Dice vs audit is 1.000 against" in shown


def test_scores_with_another_region_left_out_are_not_compared_and_those_of_an_audit_are_without_it(
    installation, open_page, dataset
):
    _, new = pair_of(installation, dataset, 0, 6)
    right_half = np.zeros((64, 64), bool)
    right_half[:, 32:] = True
    region = leave_out(installation, dataset.id, right_half)
    with installation.database.writing() as session:
        runs.update_run(session, new.id, left_out_id=region.id)
        audited = corrections.draw_audit(session, dataset.id, 6)
    app = open_page(PAGE, run=new.id)
    assert "| Dice vs truth |" not in texts(app)
    assert "*Predict* starts with **net, retrained**: it knows more corrections" in texts(app)
    masks = {image.id: truth_of(installation, dataset, image.id).astype(np.uint8) for image in audited}
    correct(installation, dataset, masks)
    before = audit_line(app.run())
    assert before.startswith("| Dice vs audit | 2 | 1.000 |")
    leave_out(installation, dataset.id, ~right_half, base=1)
    after = audit_line(app.run())
    assert after.startswith("| Dice vs audit | 2 | 1.000 |") and after != before


def test_predict_goes_back_as_far_as_an_older_run_is_better(installation, open_page, dataset):
    old, new = pair_of(installation, dataset, 0, 4)
    third = add_run(installation, dataset, "third", shifts_px=(8,))
    with installation.database.writing() as session:
        runs.update_run(session, third.id, details={"retrained": {"from": new.id, "warm": False}})
    assert open_page("views/predict/page.py").selectbox("predict-run").value == old.id
    with installation.database.writing() as session:
        runs.delete_run(session, old.id)
    assert open_page("views/predict/page.py").selectbox("predict-run").value == new.id
    app = open_page(PAGE, run=new.id)
    assert not app.exception and "third" in texts(app)


def test_a_run_that_was_trained_again_without_masks_yet_has_no_comparison(installation, open_page, dataset):
    old = add_run(installation, dataset, "net")
    new = add_run(installation, dataset, "net, retrained", shifts_px=())
    with installation.database.writing() as session:
        runs.update_run(session, new.id, details={"retrained": {"from": old.id, "warm": False}})
        assert session.get_one(Run, new.id) and not jobs.active(session)
    for run in (old, new):
        app = open_page(PAGE, run=run.id)
        assert not app.exception and "Old against new" not in texts(app)
    assert "Trains **net** again with all corrections. Once it has masks, both are compared here." in texts(app)
