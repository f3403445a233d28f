"""The Home page and its data."""

from __future__ import annotations

from datetime import timedelta

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.ui.new_dataset import SAMPLE_NAME
from dashboard.views.home import facts as home
from db import datasets, jobs, submissions
from db.columns import utc_now
from db.models import Dataset, Job, JobKind, Run
from engine.core.run_config import PRESETS
from tests.support.installation import REPOSITORY, add_discs

LOST_AFTER_S = 60.0


def view_of(installation, now=None):
    with installation.database.reading() as session:
        return home.home_view(session, now or utc_now(), LOST_AFTER_S)


def open_home():
    return AppTest.from_file(str(REPOSITORY / "dashboard" / "navigation.py"), default_timeout=120).run()


def submit_run(installation, dataset_id):
    with installation.database.writing() as session:
        config = PRESETS["fast"].model_dump(mode="json")
        return submissions.submit_train(session, dataset_id, None, "first", "fast", config, "1")[0].id


def test_the_first_step_of_an_empty_installation_is_images(installation):
    view = view_of(installation)
    assert view.empty and view.next_step == "images" and view.work == () and view.recent == ()


@pytest.mark.parametrize(("truth", "step"), [(False, "labels"), (True, "train")])
def test_the_next_step_after_images_is_labels_unless_all_have_truth(installation, truth, step):
    add_discs(installation, count=2, truth=truth)
    assert view_of(installation).next_step == step


def test_images_imported_for_a_prediction_do_not_count(installation):
    with installation.database.writing() as session:
        datasets.create(session, "for one prediction", purpose="prediction")
    assert view_of(installation).empty


def test_the_step_after_a_model_is_results_with_the_reference_of_its_dice(installation):
    run_id = submit_run(installation, add_discs(installation, count=2).id)
    with installation.database.writing() as session:
        run = session.get_one(Run, run_id)
        run.best_epoch, run.best_val_dice = 3, 0.75
    view = view_of(installation)
    assert view.next_step == "results" and view.runs_with_model == 1
    assert [(run.name, run.best_dice, run.dice_against) for run in view.recent] == [("first", 0.75, "truth")]


def test_an_active_job_links_to_its_page_and_is_lost_after_silence(installation):
    dataset = add_discs(installation, count=2)
    run_id = submit_run(installation, dataset.id)
    with installation.database.writing() as session:
        jobs.claim(session, "worker", 2, LOST_AFTER_S)
    work = view_of(installation).work[0]
    assert (work.what, work.name, work.page, work.query) == ("Training", "first", "views/runs/page.py", {"run": run_id})
    assert work.job.status == "running"
    assert view_of(installation, utc_now() + timedelta(minutes=2)).work[0].job.status == "lost"


def test_one_button_imports_the_sample_set(dashboard, submitted):
    app = open_home()
    app.button(key="home-sample").click().run()
    with dashboard.database.reading() as session:
        job = session.query(Job).one()
        dataset = session.query(Dataset).one()
    assert job.kind == JobKind.IMPORT and job.payload == {"dataset": dataset.id, "source": {"kind": "sample"}}
    assert dataset.name == SAMPLE_NAME and submitted == [job.id]


def test_the_steps_show_counts_and_runs(dashboard, submitted):
    submit_run(dashboard, add_discs(dashboard, count=2).id)
    app = open_home()
    words = " ".join(element.value for element in app.markdown)
    assert "1 dataset, 2 images" in words and "1 run" in words and "no trained networks" in words
    assert any("on discs" in link.proto.label for link in app.get("page_link"))
    assert "Training: **first**" in words
    assert not [button for button in app.button if button.key == "home-sample"]


def test_measurements_are_not_listed_as_active_jobs(installation):
    dataset = add_discs(installation)
    with installation.database.writing() as session:
        submissions.submit_measure(session, dataset.id, None, {}, "trial")
    assert view_of(installation).work == ()
