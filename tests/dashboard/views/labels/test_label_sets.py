"""Mask sets on the Masks page: cards, masks, and dropping."""

from __future__ import annotations

from dashboard.facts.train import teachers
from db import recipes, runs
from db.columns import utc_now
from db.models import Label
from engine.imaging.class_colours import class_colour
from engine.store import keys as stored
from tests.support.calling import call
from tests.support.installation import Installation, add_discs, disc, mask_png
from tests.support.labels_page import PAGE, add_label_set, finish_jobs, stored_sets, texts
from tests.support.pressing import press_in_dialog
from tests.support.two_classes import add_scenes


def test_label_sets_show_recipe_and_scores(installation, open_page):
    dataset = add_discs(installation)
    add_label_set(installation, dataset.id)
    app = open_page(PAGE, a="threshold")
    assert "clusters 6" in texts(app)
    assert "Dice vs truth **0.750**, IoU vs truth **0.600**" in texts(app)
    assert "foreground 25% of the area" in texts(app)


def test_masks_of_most_of_each_image_are_doubted_before_the_training(installation, open_page):
    made = add_label_set(installation, add_discs(installation).id)
    finish_jobs(installation)
    assert "The masks cover" not in texts(open_page(PAGE, a="threshold"))
    with installation.database.writing() as session:
        session.query(Label).update({"area": 0.71})
    doubt = "The masks cover 71% of the image on average. Check them before you train on them."
    assert doubt in texts(open_page(PAGE, a="threshold"))
    assert doubt in texts(open_page(PAGE, a="threshold", labels=made.id))


def test_a_label_set_of_several_classes_names_them_and_has_their_colours(installation, open_page):
    dataset = add_scenes(installation, 6)
    made = add_label_set(installation, dataset.id)
    with installation.database.writing() as session:
        recipes.set_classes(session, made.id, dataset.classes)
    finish_jobs(installation)
    app = open_page(PAGE, a="threshold", labels=made.id)
    assert not app.exception
    assert "classes disc, square" in texts(app)
    assert "Foreground Dice vs truth **0.750**" in texts(app)
    [legend] = [element.proto.body for element in app.get("html") if "square" in element.proto.body]
    assert class_colour(2) in legend
    app = open_page(PAGE, a="threshold", labels=made.id, **{"labels-overlay": "errors"})
    assert not app.exception


def test_the_recipe_of_a_label_set_is_loaded_into_the_sliders(installation, open_page):
    made = add_label_set(installation, add_discs(installation).id)
    app = open_page(PAGE, a="threshold")
    app.button(key=f"load-{made.id}").click().run()
    assert not app.exception
    assert app.selectbox(key="labels-a-method").value == "kmeans"
    assert app.slider(key="labels-a-kmeans.clusters").value == 6
    assert app.query_params["a"] == "kmeans,clusters:6"


def test_masks_are_browsed_and_closed_through_the_url(installation, open_page):
    made = add_label_set(installation, add_discs(installation).id)
    finish_jobs(installation)
    app = open_page(PAGE, a="threshold")
    app.button(key=f"browse-{made.id}").click().run()
    assert not app.exception
    assert app.query_params["labels"] == made.id
    assert "Masks of first" in texts(app)
    order = app.selectbox(key=f"masks-order-{made.id}")
    assert order.value == "lowest plausibility first"
    order.set_value("lowest Dice vs truth first").run()
    assert not app.exception
    app.button(key=f"browse-{made.id}").click().run()
    assert "labels" not in app.query_params
    assert "Masks of first" not in texts(app)


def test_a_label_set_is_deleted_only_after_confirmation(installation, open_page):
    made = add_label_set(installation, add_discs(installation).id)
    finish_jobs(installation)
    app = open_page(PAGE, a="threshold", labels=made.id)
    app.button(key=f"delete-{made.id}").click().run()
    assert "are deleted permanently" in texts(app)
    assert len(stored_sets(installation)) == 1
    press_in_dialog(app, f"delete-{made.id}", "delete-go")
    assert not app.exception
    assert stored_sets(installation) == []
    assert not installation.files.path(stored.label_folder(made.id)).exists()


def test_a_label_set_used_by_a_run_is_not_deleted(installation, open_page):
    dataset = add_discs(installation)
    made = add_label_set(installation, dataset.id)
    finish_jobs(installation)
    with installation.database.writing() as session:
        runs.create(session, session.merge(dataset), made.id, "pupil", "fast", {}, "0.1.0")
    app = open_page(PAGE, a="threshold")
    app.button(key=f"delete-{made.id}").click().run()
    press_in_dialog(app, f"delete-{made.id}", "delete-go")
    assert "used to train 'pupil'" in app.error[0].value
    assert len(stored_sets(installation)) == 1


def dropped(installation: Installation, label_set_id: str) -> int:
    with installation.database.reading() as session:
        return len(recipes.dropped_images(session, label_set_id))


def test_the_worst_are_counted_dropped_and_restored(installation, open_page):
    made = add_label_set(installation, add_discs(installation).id)
    finish_jobs(installation)
    app = open_page(PAGE, a="threshold", labels=made.id)
    assert not app.exception
    app.slider(key="drop-percent").set_value(50).run()
    assert app.button(key="drop-go").label == "Drop 3 masks"
    assert "leaves 3 masks to train on" in texts(app)
    app.button(key="drop-go").click().run()
    assert not app.exception
    assert dropped(installation, made.id) == 3
    assert "**3 dropped**: not trained on" in texts(app)
    app.button(key="drop-undo").click().run()
    assert dropped(installation, made.id) == 0


def test_all_are_kept_again_after_several_drops(installation, open_page):
    made = add_label_set(installation, add_discs(installation).id)
    finish_jobs(installation)
    app = open_page(PAGE, a="threshold", labels=made.id)
    app.segmented_control(key="drop-rule").set_value("Doubtful").run()
    assert app.button(key="drop-go").label == "Drop 1 mask"
    app.button(key="drop-go").click().run()
    assert app.button(key="drop-go").disabled
    app.segmented_control(key="drop-rule").set_value("Below a plausibility").run()
    app.slider(key="drop-below").set_value(0.25).run()
    assert app.button(key="drop-go").label == "Drop 2 masks"
    app.button(key="drop-go").click().run()
    assert dropped(installation, made.id) == 3
    app.button(key="drop-restore").click().run()
    assert not app.exception
    assert dropped(installation, made.id) == 0


def test_the_page_shows_how_far_the_plausibility_can_be_trusted(installation, open_page):
    made = add_label_set(installation, add_discs(installation).id)
    app = open_page(PAGE, a="threshold", labels=made.id)
    assert "On the 6 images with truth" in texts(app)
    assert "Spearman 1.00 (1 = same order, 0 = no relation)" in texts(app)


def test_imported_masks_are_browsed_and_trained_on_but_have_no_recipe_to_edit(installation, open_page, tmp_path):
    dataset = add_discs(installation, count=3)
    folder = tmp_path / "sam"
    folder.mkdir()
    for number in range(2):
        (folder / f"disc {number}.png").write_bytes(mask_png(disc(seed=number)[1]))
    call(installation.settings, "import", folder, "--into", "discs", "--as", "labels", "--name", "SAM")
    (made,) = stored_sets(installation)
    app = open_page(PAGE, a="threshold", labels=made.id)
    assert not app.exception
    assert "Imported masks: from sam, read as 0/255 · 2 of 3 masks" in texts(app)
    assert "Masks of SAM" in texts(app)
    assert "Dice vs truth **1.000**" in texts(app)
    assert not any(button.key == f"load-{made.id}" for button in app.button)
    with installation.database.reading() as session:
        teacher = teachers(session, dataset.id, utc_now(), 60)[0]
    assert (teacher.title, teacher.images, teacher.problem) == ("SAM", 2, "")
    assert teacher.sentence.startswith("Imported masks from sam, read as 0/255 · 2 of 3 images")
