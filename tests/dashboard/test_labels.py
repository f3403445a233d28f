"""The Labels page: from sliders to a queued job, and what becomes of label sets."""

from __future__ import annotations

import pytest

from db import datasets, recipes, runs, submissions
from db.models import Job, JobKind, JobStatus, LabelSet
from engine import artifacts as stored
from tests.dashboard.pressing import press_in_dialog
from tests.house import House, add_discs

PAGE = "views/labels.py"
KMEANS = {"clusters": 6, "longest_side_px": 400}


def texts(app) -> str:
    shown = (*app.markdown, *app.caption, *app.subheader, *app.error, *app.warning, *app.info)
    return "\n".join(element.value for element in shown)


def metrics(app) -> dict[str, str]:
    return {metric.label: metric.value for metric in app.metric}


def stored_sets(house: House) -> list[LabelSet]:
    with house.database.reading() as session:
        return recipes.listing(session)


def add_label_set(house: House, dataset_id: str, name: str = "first") -> LabelSet:
    """A label set whose masks are there and whose job has not begun."""
    with house.database.writing() as session:
        made, _ = submissions.submit_label(session, dataset_id, name, "kmeans", KMEANS, 0, "0.1.0")
        images = datasets.images(session, dataset_id)
        rows = [{"image_id": image.id, "area": 0.25, "dice": 0.75, "iou": 0.6} for image in images]
        recipes.add_labels(session, made.id, rows)
        house.files.write(stored.label_key(made.id, images[0].id), b"png")
    return made


def finish_jobs(house: House) -> None:
    with house.database.writing() as session:
        for label_set in recipes.listing(session):
            session.get_one(Job, label_set.job_id).status = JobStatus.FINISHED


def test_without_images_it_sends_to_the_datasets(house, open_page):
    app = open_page(PAGE)
    assert not app.exception
    assert "No images yet" in texts(app)
    assert app.button[0].label == "Go to Datasets"


def test_masks_are_scored_against_truth_and_timed(house, open_page):
    dataset = add_discs(house, count=10)
    app = open_page(PAGE, a="kmeans")
    assert not app.exception
    assert app.query_params["dataset"] == dataset.id
    shown = metrics(app)
    assert float(shown["Dice vs truth"]) > 0.9
    assert float(shown["IoU vs truth"]) > 0.8
    assert shown["Per image"].endswith(" s")
    assert "All 10 images" in shown
    assert "256 px" in texts(app)


def test_without_truth_it_says_so_and_shows_no_score(house, open_page):
    add_discs(house, truth=False)
    app = open_page(PAGE, a="threshold")
    assert not app.exception
    assert "no truth, so there is no score" in texts(app)
    assert not any("truth" in label for label in metrics(app))


def test_a_moved_slider_draws_anew_and_stands_in_the_address(house, open_page):
    add_discs(house)
    app = open_page(PAGE, a="kmeans")
    app.slider(key="labels-a-kmeans.clusters").set_value(2).run()
    assert not app.exception
    assert app.query_params["a"] == "kmeans,clusters:2"
    assert app.slider(key="labels-a-kmeans.clusters").value == 2


def test_the_address_brings_the_recipe_back(house, open_page):
    add_discs(house)
    app = open_page(PAGE, a="kmeans,clusters:7,foreground:lighter")
    assert app.selectbox(key="labels-a-method").value == "kmeans"
    assert app.slider(key="labels-a-kmeans.clusters").value == 7
    assert app.query_params["a"] == "kmeans,foreground:lighter,clusters:7"


@pytest.mark.parametrize("text", ["magic", "kmeans,clusters:900"])
def test_an_address_that_cannot_be_drawn_gives_a_sentence_and_the_defaults(house, open_page, text):
    add_discs(house)
    app = open_page(PAGE, a=text)
    assert not app.exception
    assert "The address names no recipe" in app.warning[0].value


def test_the_second_recipe_starts_as_a_copy_and_goes_its_own_way(house, open_page):
    add_discs(house)
    app = open_page(PAGE, a="kmeans,clusters:3")
    app.toggle(key="labels-two").set_value(True).run()
    assert not app.exception
    assert app.query_params["b"] == "kmeans,clusters:3"
    app.slider(key="labels-b-kmeans.clusters").set_value(5).run()
    assert (app.query_params["a"], app.query_params["b"]) == ("kmeans,clusters:3", "kmeans,clusters:5")
    assert len([metric for metric in app.metric if metric.label == "Dice vs truth"]) == 2
    app.toggle(key="labels-two").set_value(False).run()
    assert "b" not in app.query_params
    assert not app.exception


def test_two_recipes_survive_a_refresh(house, open_page):
    add_discs(house)
    app = open_page(PAGE, a="kmeans", b="threshold,softness:0")
    assert not app.exception
    assert app.toggle(key="labels-two").value
    assert app.selectbox(key="labels-b-method").value == "threshold"


def test_full_size_says_no_more_of_a_preview_size(house, open_page):
    add_discs(house)
    app = open_page(PAGE, a="threshold")
    app.toggle(key="labels-full").set_value(True).run()
    assert not app.exception
    assert "256 px" not in texts(app)


def test_label_the_dataset_freezes_the_recipe_and_submits_its_job(house, open_page, submitted):
    dataset = add_discs(house)
    app = open_page(PAGE, a="kmeans,clusters:6")
    app.button(key="labels-a-start").click().run()
    name = app.text_input(key="labels-name")
    assert name.value == "discs · kmeans · clusters 6"
    name.set_value("my labels")
    press_in_dialog(app, "labels-a-start", "labels-submit")
    assert not app.exception
    (made,) = stored_sets(house)
    assert (made.name, made.dataset_id, made.method, made.params["clusters"]) == ("my labels", dataset.id, "kmeans", 6)
    job = house.job(made.job_id)
    assert (job.kind, submitted) == (JobKind.LABEL, [job.id])
    assert "my labels" in texts(app)
    assert "waits for a free worker" in texts(app)


def test_a_taken_name_is_told_and_nothing_starts(house, open_page, submitted):
    dataset = add_discs(house)
    add_label_set(house, dataset.id, "taken")
    app = open_page(PAGE, a="kmeans")
    app.button(key="labels-a-start").click().run()
    app.text_input(key="labels-name").set_value("taken")
    press_in_dialog(app, "labels-a-start", "labels-submit")
    assert "The name 'taken' is taken." in app.error[0].value
    assert len(stored_sets(house)) == 1
    assert submitted == []


def test_stored_label_sets_tell_what_drew_them_and_how_good_they_are(house, open_page):
    dataset = add_discs(house)
    add_label_set(house, dataset.id)
    app = open_page(PAGE, a="threshold")
    assert "clusters 6" in texts(app)
    assert "Dice vs truth **0.750**, IoU vs truth **0.600**" in texts(app)
    assert "foreground 25% of the area" in texts(app)


def test_a_stored_recipe_goes_back_into_the_sliders(house, open_page):
    made = add_label_set(house, add_discs(house).id)
    app = open_page(PAGE, a="threshold")
    app.button(key=f"load-{made.id}").click().run()
    assert not app.exception
    assert app.selectbox(key="labels-a-method").value == "kmeans"
    assert app.slider(key="labels-a-kmeans.clusters").value == 6
    assert app.query_params["a"] == "kmeans,clusters:6"


def test_masks_are_browsed_and_closed_by_the_address(house, open_page):
    made = add_label_set(house, add_discs(house).id)
    finish_jobs(house)
    app = open_page(PAGE, a="threshold")
    app.button(key=f"browse-{made.id}").click().run()
    assert not app.exception
    assert app.query_params["labels"] == made.id
    assert "Masks of first" in texts(app)
    app.selectbox(key="masks-order").set_value("lowest Dice vs truth first").run()
    assert not app.exception
    app.button(key=f"browse-{made.id}").click().run()
    assert "labels" not in app.query_params
    assert "Masks of first" not in texts(app)


def test_a_label_set_is_deleted_only_after_a_second_word(house, open_page):
    made = add_label_set(house, add_discs(house).id)
    finish_jobs(house)
    app = open_page(PAGE, a="threshold", labels=made.id)
    app.button(key=f"delete-{made.id}").click().run()
    assert "are removed for good" in texts(app)
    assert len(stored_sets(house)) == 1
    press_in_dialog(app, f"delete-{made.id}", "delete-go")
    assert not app.exception
    assert stored_sets(house) == []
    assert not house.files.path(stored.label_folder(made.id)).exists()


def test_a_label_set_that_taught_a_run_stays(house, open_page):
    dataset = add_discs(house)
    made = add_label_set(house, dataset.id)
    finish_jobs(house)
    with house.database.writing() as session:
        runs.create(session, session.merge(dataset), made.id, "pupil", "fast", {}, "0.1.0")
    app = open_page(PAGE, a="threshold")
    app.button(key=f"delete-{made.id}").click().run()
    press_in_dialog(app, f"delete-{made.id}", "delete-go")
    assert "taught 'pupil'" in app.error[0].value
    assert len(stored_sets(house)) == 1


def test_the_probe_is_changed_in_its_dialog(house, open_page):
    dataset = add_discs(house, count=20)
    with house.database.writing() as session:
        chosen = [image.id for image in datasets.images(session, dataset.id)[:6]]
        datasets.set_probe_images(session, dataset.id, chosen)
    app = open_page(PAGE, a="threshold")
    assert app.button(key="labels-probe").label == "Probe images · 6"
    app.button(key="labels-probe").click().run()
    assert not app.exception
    assert "6 images ticked" in texts(app)
    press_in_dialog(app, "labels-probe", "probe-spread")
    assert not app.exception
    assert app.button(key="labels-probe").label == "Probe images · 8"
    with house.database.reading() as session:
        assert datasets.probe_images(session, dataset.id, count=3)[1].name == "disc 10.png"


def test_too_few_ticks_cannot_be_saved(house, open_page):
    dataset = add_discs(house, count=20)
    with house.database.writing() as session:
        datasets.set_probe_images(session, dataset.id, [datasets.images(session, dataset.id)[0].id])
    app = open_page(PAGE, a="threshold")
    app.button(key="labels-probe").click().run()
    assert app.button(key="probe-save").disabled
    assert "The probe takes 6 to 12 images. 1 is ticked." in texts(app)


def test_another_dataset_keeps_the_recipe_and_closes_the_masks(house, open_page):
    first, second = add_discs(house, name="first"), add_discs(house, name="second")
    made = add_label_set(house, first.id, "set")
    app = open_page(PAGE, a="kmeans,clusters:3", dataset=first.id, labels=made.id)
    app.selectbox(key="labels-dataset").set_value(second.id).run()
    assert not app.exception
    assert app.query_params["dataset"] == second.id
    assert app.query_params["a"] == "kmeans,clusters:3"
    assert "labels" not in app.query_params
