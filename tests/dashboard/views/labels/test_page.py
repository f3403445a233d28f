"""The bench on the Masks page: from sliders, ticks and saved recipes to a queued job."""

from __future__ import annotations

import re

import numpy as np
import pytest

from dashboard.server.byte_cache import ByteCache
from db import datasets, recipes
from db.models import JobKind
from engine.imaging import codec
from engine.imaging.metrics import probability_to_u8
from engine.labelling.base import draw_mask, find_method
from engine.store import keys as stored
from tests.support.installation import Installation, add_dataset, add_discs, disc
from tests.support.labels_page import PAGE, add_label_set, stored_sets, texts
from tests.support.pressing import press_in_dialog
from tests.support.two_classes import add_scenes


def metrics(app) -> dict[str, str]:
    return {metric.label: metric.value for metric in app.metric}


def test_without_images_the_page_links_to_datasets(installation, open_page):
    app = open_page(PAGE)
    assert not app.exception
    assert "No images yet" in texts(app)
    assert app.button[0].label == "Go to Datasets"


def test_masks_are_scored_against_truth_and_timed(installation, open_page):
    dataset = add_discs(installation, count=10)
    app = open_page(PAGE, a="kmeans")
    assert not app.exception
    assert app.query_params["dataset"] == dataset.id
    shown = metrics(app)
    assert float(shown["Dice vs truth"]) > 0.9
    assert float(shown["IoU vs truth"]) > 0.8
    assert 0 < float(shown["Estimated score (8 test images)"]) <= 1
    assert "s per image" in texts(app)


def test_without_truth_no_score_is_shown(installation, open_page):
    add_discs(installation, truth=False)
    app = open_page(PAGE, a="threshold")
    assert not app.exception
    assert "No truth masks here" in texts(app)
    assert not any("vs truth" in label for label in metrics(app))


def test_a_moved_slider_redraws_and_is_stored_in_the_url(installation, open_page):
    add_discs(installation)
    app = open_page(PAGE, a="kmeans")
    app.slider(key="labels-a-kmeans.clusters").set_value(2).run()
    assert not app.exception
    assert app.query_params["a"] == "kmeans,clusters:2"
    assert app.slider(key="labels-a-kmeans.clusters").value == 2


def test_the_recipe_is_read_from_the_url(installation, open_page):
    add_discs(installation)
    app = open_page(PAGE, a="kmeans,clusters:7,foreground:lighter")
    assert app.selectbox(key="labels-a-method").value == "kmeans"
    assert app.slider(key="labels-a-kmeans.clusters").value == 7
    assert app.query_params["a"] == "kmeans,foreground:lighter,clusters:7"


@pytest.mark.parametrize("text", ["magic", "kmeans,clusters:900"])
def test_an_invalid_url_gives_a_warning_and_the_defaults(installation, open_page, text):
    add_discs(installation)
    app = open_page(PAGE, a=text)
    assert not app.exception
    assert "The URL has no valid recipe" in app.warning[0].value


def test_the_second_recipe_starts_as_an_independent_copy(installation, open_page):
    add_discs(installation)
    app = open_page(PAGE, a="kmeans,clusters:3")
    app.button(key="labels-add").click().run()
    assert not app.exception
    assert app.query_params["b"] == "kmeans,clusters:3"
    app.slider(key="labels-b-kmeans.clusters").set_value(5).run()
    assert (app.query_params["a"], app.query_params["b"]) == ("kmeans,clusters:3", "kmeans,clusters:5")
    assert len([metric for metric in app.metric if metric.label == "Dice vs truth"]) == 2
    assert len([metric for metric in app.metric if metric.label.startswith("Estimated score (")]) == 2


def test_three_recipes_survive_a_refresh_and_there_is_no_fourth(installation, open_page):
    add_discs(installation)
    app = open_page(PAGE, a="kmeans", b="threshold,softness:0", c="kmeans,clusters:2")
    assert not app.exception
    assert [app.selectbox(key=f"labels-{slot}-method").value for slot in "abc"] == ["kmeans", "threshold", "kmeans"]
    assert app.slider(key="labels-c-kmeans.clusters").value == 2
    assert "labels-add" not in {button.key for button in app.button}


def test_removing_a_recipe_moves_the_others_left(installation, open_page):
    add_discs(installation)
    app = open_page(PAGE, a="kmeans", b="threshold", c="kmeans,clusters:2")
    app.button(key="labels-a-remove").click().run()
    assert not app.exception
    assert (app.query_params["a"], app.query_params["b"]) == ("threshold", "kmeans,clusters:2")
    assert "c" not in app.query_params
    app.button(key="labels-b-remove").click().run()
    assert not app.exception
    assert "b" not in app.query_params
    assert app.selectbox(key="labels-a-method").value == "threshold"
    assert "labels-a-remove" not in {button.key for button in app.button}


def test_the_automatic_method_shows_its_choice_and_the_other_candidates(installation, open_page):
    add_discs(installation)
    app = open_page(PAGE, a="auto")
    assert not app.exception
    assert "*Search score* of each recipe, estimated without truth over the 6 images" in texts(app)
    runner_up = app.button(key="labels-a-auto-1")
    assert "Parameters: " in runner_up.help
    runner_up.click().run()
    assert not app.exception
    assert app.selectbox(key="labels-a-method").value == "auto"
    assert app.selectbox(key="labels-b-method").value != "auto"
    assert app.query_params["b"] != "auto"
    assert app.button(key="labels-a-auto-1").label == runner_up.label


def test_the_choice_of_the_automatic_method_is_stored_with_the_job(installation, open_page):
    add_discs(installation)
    app = open_page(PAGE, a="auto")
    app.button(key="labels-a-start").click().run()
    assert not app.exception
    (made,) = stored_sets(installation)
    assert made.method == "auto"
    assert made.state["ranking"][0]["method"] == made.state["method"]
    app.button(key=f"browse-{made.id}").click().run()
    assert "Chosen automatically" in texts(app)


def test_ticks_are_reset_when_the_clusters_are_recomputed(installation, open_page):
    add_discs(installation)
    app = open_page(PAGE, a="dataset_clusters,ticked:0")
    assert not app.exception
    assert app.query_params["a"] == "dataset_clusters,ticked:0"
    assert not app.button(key="labels-a-clusters-propose").disabled
    app.slider(key="labels-a-dataset_clusters.position_weight").set_value(0.0).run()
    assert app.query_params["a"] == "dataset_clusters,position_weight:0"
    assert "the proposal is ticked again" in texts(app)


def test_ticks_are_reset_to_the_proposal(installation, open_page):
    add_discs(installation)
    app = open_page(PAGE, a="dataset_clusters,ticked:none")
    app.button(key="labels-a-clusters-propose").click().run()
    assert not app.exception
    assert app.query_params["a"] == "dataset_clusters"
    assert app.button(key="labels-a-clusters-propose").disabled
    app.button(key="labels-a-clusters-none").click().run()
    assert app.query_params["a"] == "dataset_clusters,ticked:none"
    assert app.button(key="labels-a-clusters-none").disabled


def test_regions_ticked_as_classes_are_previewed_with_a_legend_and_stored(installation, open_page, submitted):
    dataset = add_scenes(installation, 6)
    app = open_page(PAGE, dataset=dataset.id, a="kmeans,clusters:3,position_weight:0,ticked:2 1=2")
    assert not app.exception
    assert app.query_params["a"] == "kmeans,clusters:3,position_weight:0,ticked:2 1=2"
    labels = {metric.label: metric.value for metric in app.metric}
    assert float(labels["Foreground Dice vs truth"]) > 0.8
    assert any("square" in element.proto.body for element in app.get("html"))
    [scores] = re.findall(r"Dice vs truth of each class.*: disc \*\*(0.\d+)\*\*, square \*\*(0.\d+)\*\*", texts(app))
    assert min(map(float, scores)) > 0.8
    swapped = open_page(PAGE, dataset=dataset.id, a="kmeans,clusters:3,position_weight:0,ticked:1 2=2")
    assert "disc **0.000**, square **0.000**" in texts(swapped)
    app.button(key="labels-a-start").click().run()
    assert not app.exception
    (made,) = stored_sets(installation)
    assert made.params["ticked"] == "2 1=2"
    app.button(key=f"browse-{made.id}").click().run()
    app.slider(key="labels-a-kmeans.clusters").set_value(4).run()
    assert "the rule chooses again" in texts(app)
    assert "ticked" not in app.query_params["a"]


def saved(installation: Installation) -> list[str]:
    with installation.database.reading() as session:
        return [row.name for row in recipes.saved_recipes(session)]


def test_a_recipe_is_saved_loaded_renamed_and_deleted(installation, open_page):
    add_discs(installation)
    app = open_page(PAGE, a="kmeans,clusters:6")
    app.button(key="labels-a-keep").click().run()
    app.text_input(key="recipe-name").set_value("six clusters")
    press_in_dialog(app, "labels-a-keep", "recipe-keep")
    assert not app.exception
    assert saved(installation) == ["six clusters"]
    assert "six clusters" in texts(app)
    with installation.database.reading() as session:
        key = f"kept-{recipes.saved_recipes(session)[0].id}"
    app.selectbox(key="labels-a-method").set_value("threshold").run()
    app.button(key=f"{key}-a").click().run()
    assert not app.exception
    assert app.query_params["a"] == "kmeans,clusters:6"
    app.button(key=f"{key}-rename").click().run()
    app.text_input(key="recipe-new-name").set_value("half a dozen")
    press_in_dialog(app, f"{key}-rename", "recipe-rename")
    assert saved(installation) == ["half a dozen"]
    app.button(key=f"{key}-delete").click().run()
    press_in_dialog(app, f"{key}-delete", "delete-go")
    assert not app.exception
    assert saved(installation) == []


def test_ticks_of_a_saved_recipe_give_a_warning(installation, open_page):
    add_discs(installation)
    with installation.database.writing() as session:
        made = recipes.save_recipe(session, "ticks", "dataset_clusters", {"ticked": "0"})
    app = open_page(PAGE, a="threshold")
    app.button(key=f"kept-{made.id}-a").click().run()
    assert not app.exception
    assert app.query_params["a"] == "dataset_clusters,ticked:0"
    assert "On another dataset their numbers stand for other surfaces" in app.warning[0].value
    app.button(key="labels-a-clusters-propose").click().run()
    assert not app.warning


def test_a_taken_recipe_name_is_rejected(installation, open_page):
    add_discs(installation)
    with installation.database.writing() as session:
        recipes.save_recipe(session, "mine", "kmeans", {})
    app = open_page(PAGE, a="threshold")
    app.button(key="labels-a-keep").click().run()
    app.text_input(key="recipe-name").set_value("mine")
    press_in_dialog(app, "labels-a-keep", "recipe-keep")
    assert "The name 'mine' is taken." in app.error[0].value
    assert saved(installation) == ["mine"]


def test_a_recipe_file_is_validated_saved_and_loaded(installation, open_page):
    add_discs(installation)
    app = open_page(PAGE, a="threshold")
    app.button(key="recipe-import").click().run()
    wrong = b'{"maskloom_recipe": 1, "name": "six", "method": "kmeans", "params": {"clusters": 900}}'
    app.button(key="recipe-import").click()
    app.file_uploader(key="recipe-file").set_value(("six.json", wrong, "application/json")).run()
    assert not app.exception
    assert "'clusters'" in app.error[0].value
    assert "900" in app.error[0].value
    app.button(key="recipe-import").click()
    right = wrong.replace(b"900", b"6")
    app.file_uploader(key="recipe-file").set_value(("six.json", right, "application/json")).run()
    press_in_dialog(app, "recipe-import", "recipe-import-keep")
    assert not app.exception
    assert saved(installation) == ["six"]
    assert app.query_params["a"] == "kmeans,clusters:6"


def test_the_masks_shown_are_those_that_the_job_computes(installation, open_page, monkeypatch):
    dataset = add_discs(installation, size_px=380)  # larger than quick previews
    shown: list[bytes] = []
    put = ByteCache.put
    monkeypatch.setattr(ByteCache, "put", lambda cache, data: (shown.append(data), put(cache, data))[1])
    app = open_page(PAGE, a="threshold")
    assert not app.exception
    with installation.database.reading() as session:
        [image, *_] = datasets.probe_images(session, dataset.id)
    pixels = codec.decode_png(installation.files.read(stored.image_key(dataset.id, image.id)))
    method = find_method("threshold")
    mask = codec.encode_png(probability_to_u8(draw_mask(method, pixels, method.params(), 0).probability))
    assert mask in shown[-6:]


def test_masks_of_a_frame_that_is_in_every_image_are_doubted_and_strokes_are_a_click_away(installation, open_page):
    pairs = [disc(radius_px=26, seed=5) for _ in range(6)]
    noise = np.random.default_rng(0)
    views = [(np.clip(image + noise.normal(0, 3, image.shape), 0, 255).astype(np.uint8), None) for image, _ in pairs]
    add_dataset(installation, "frame", views)
    app = open_page(PAGE, a="threshold")
    [words] = [each.value for each in app.markdown if "I cannot tell what you mean" in each.value]
    assert "in the same place in every image" in words
    app.button(key="labels-a-verdict").click().run()
    assert not app.exception
    assert app.selectbox(key="labels-a-method").value == "strokes"


def test_masks_of_objects_are_trusted(installation, open_page):
    add_discs(installation)
    app = open_page(PAGE, a="threshold")
    assert any("You can trust most of these masks" in each.value for each in app.markdown)


def test_labelling_saves_the_recipe_and_submits_its_job(installation, open_page, submitted):
    dataset = add_discs(installation)
    app = open_page(PAGE, a="kmeans,clusters:6")
    app.button(key="labels-a-start").click().run()
    assert not app.exception
    (made,) = stored_sets(installation)
    name = "discs · kmeans · clusters 6"
    assert (made.name, made.dataset_id, made.method, made.params["clusters"]) == (name, dataset.id, "kmeans", 6)
    job = installation.job(made.job_id)
    assert (job.kind, submitted) == (JobKind.LABEL, [job.id])
    assert name in texts(app)
    assert "Waiting for a free worker" in texts(app)


def test_a_mask_set_is_renamed_unless_the_name_is_taken(installation, open_page):
    dataset = add_discs(installation)
    add_label_set(installation, dataset.id, "taken")
    renamed = add_label_set(installation, dataset.id, "first").id
    app = open_page(PAGE, a="kmeans")
    app.button(key=f"rename-{renamed}").click().run()
    app.text_input(key="labels-new-name").set_value("taken")
    press_in_dialog(app, f"rename-{renamed}", "labels-rename")
    assert "The name 'taken' is taken." in app.error[0].value
    app.button(key=f"rename-{renamed}").click().run()
    app.text_input(key="labels-new-name").set_value("second")
    press_in_dialog(app, f"rename-{renamed}", "labels-rename")
    assert not app.exception
    assert sorted(made.name for made in stored_sets(installation)) == ["second", "taken"]


def test_the_test_images_are_chosen_in_a_dialog(installation, open_page):
    dataset = add_discs(installation, count=20)
    with installation.database.writing() as session:
        chosen = [image.id for image in datasets.images(session, dataset.id)[:6]]
        datasets.set_probe_images(session, dataset.id, chosen)
    app = open_page(PAGE, a="threshold")
    assert app.button(key="labels-probe").label == "Test images (6)"
    app.button(key="labels-probe").click().run()
    assert not app.exception
    assert "6 images ticked" in texts(app)
    press_in_dialog(app, "labels-probe", "probe-spread")
    assert not app.exception
    assert app.button(key="labels-probe").label == "Test images (8)"
    with installation.database.reading() as session:
        assert datasets.probe_images(session, dataset.id, count=3)[1].name == "disc 10.png"


def test_too_few_ticks_cannot_be_saved(installation, open_page):
    dataset = add_discs(installation, count=20)
    with installation.database.writing() as session:
        datasets.set_probe_images(session, dataset.id, [datasets.images(session, dataset.id)[0].id])
    app = open_page(PAGE, a="threshold")
    app.button(key="labels-probe").click().run()
    assert app.button(key="probe-save").disabled
    assert "Choose 6 to 12 test images. 1 is ticked." in texts(app)


def test_changing_the_dataset_keeps_the_recipe_and_closes_the_masks(installation, open_page):
    first, second = add_discs(installation, name="first"), add_discs(installation, name="second")
    made = add_label_set(installation, first.id, "set")
    app = open_page(PAGE, a="kmeans,clusters:3", dataset=first.id, labels=made.id)
    app.selectbox(key="labels-dataset").set_value(second.id).run()
    assert not app.exception
    assert app.query_params["dataset"] == second.id
    assert app.query_params["a"] == "kmeans,clusters:3"
    assert "labels" not in app.query_params


def test_pressing_twice_opens_the_mask_set_that_waits(installation, open_page, submitted):
    add_discs(installation)
    for _ in range(2):
        app = open_page(PAGE, a="kmeans")
        app.button(key="labels-a-start").click().run()
        assert not app.exception
        (made,) = stored_sets(installation)
        assert app.query_params["labels"] == made.id
    assert submitted == [made.job_id]


def test_masks_of_a_dataset_that_was_deleted_in_another_tab_are_refused_in_a_sentence(installation, open_page):
    dataset = add_discs(installation)
    app = open_page(PAGE, a="kmeans")
    with installation.database.writing() as session:
        datasets.delete_dataset(session, dataset.id)
    app.button(key="labels-a-start").click().run()
    assert not app.exception
    assert stored_sets(installation) == []


def test_masks_of_another_dataset_are_not_made_instead_of_a_deleted_one(installation, open_page, submitted):
    dataset = add_discs(installation)
    add_discs(installation, name="others")
    app = open_page(PAGE, a="kmeans", dataset=dataset.id)
    with installation.database.writing() as session:
        datasets.delete_dataset(session, dataset.id)
    app.button(key="labels-a-start").click().run()
    assert not app.exception
    assert stored_sets(installation) == [] and submitted == []
