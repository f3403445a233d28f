"""The Train page: from choosing to a queued job."""

import numpy as np

from db import datasets, recipes, runs
from db.models import JobKind, Run
from engine import VERSION
from engine.core.run_config import PRESETS, config_from
from engine.network import pretrained
from engine.network.plan import network_plan
from engine.store import keys as stored
from tests.support.installation import add_dataset, add_discs
from tests.support.measured import RATES, measured
from tests.support.predicted import add_label_set
from tests.support.several_classes import add_eggs_and_pans

PAGE = "views/train/page.py"


def stored_runs(installation) -> list[Run]:
    with installation.database.reading() as session:
        return runs.listing(session)


def texts(app) -> str:
    shown = (*app.markdown, *app.caption, *app.error, *app.warning, *app.info)
    return "\n".join(element.value for element in shown)


def test_without_images_it_links_to_the_datasets_page(installation, open_page):
    app = open_page(PAGE)
    assert not app.exception
    assert "No images yet" in texts(app)
    assert app.button[0].label == "Go to Datasets"


def test_without_anything_to_train_on_it_links_to_the_labels_page(installation, open_page):
    add_discs(installation, truth=False)
    app = open_page(PAGE)
    assert not app.exception
    assert "Nothing to train on yet" in texts(app)
    assert app.button[0].label == "Go to Masks"


def test_start_stores_the_run_submits_its_job_and_opens_it(installation, open_page, submitted):
    dataset = add_discs(installation, count=10)
    app = open_page(PAGE)
    assert not app.exception
    assert "**7 images**" in texts(app) and "**3**" in texts(app)
    assert "for this machine" in texts(app), "the duration is known before anything is measured"
    epochs = next(field for field in app.number_input if field.label == "Epochs")
    epochs.set_value(3).run()
    assert app.query_params["p"] == "training.epochs=3"
    app.text_input(key="train-name").set_value("my first").run()
    app.button(key="train-start").click().run()
    assert not app.exception
    (run,) = stored_runs(installation)
    assert (run.name, run.dataset_id, run.label_set_id, run.preset) == ("my first", dataset.id, None, "fast")
    assert run.config["training"]["epochs"] == 3
    assert submitted == [run.job_id]
    assert installation.job(run.job_id).kind == JobKind.TRAIN
    assert app.title[0].value == "Runs" and app.query_params["run"] == run.id


def test_a_run_trains_on_a_label_set_and_its_score_is_shown(installation, open_page, submitted):
    dataset = add_discs(installation)
    with installation.database.writing() as session:
        label_set = recipes.create(session, dataset, "by k-means", "kmeans", {}, 0, VERSION)
        rows = [
            {"image_id": image.id, "area": 0.2, "dice": 0.7, "iou": 0.5}
            for image in datasets.images(session, dataset.id)
        ]
        recipes.add_labels(session, label_set.id, rows)
    app = open_page(PAGE, labels=label_set.id)
    assert "Dice vs truth 0.700" in texts(app)
    # The masks are not on disk: the preview shows an error, and the rest of the page works.
    assert "is gone" in texts(app)
    app.button(key="train-start").click().run()
    assert stored_runs(installation)[0].label_set_id == label_set.id
    assert len(submitted) == 1


def test_the_preview_draws_classes_in_the_colours_that_people_chose(installation, open_page, monkeypatch):
    plates = add_eggs_and_pans(installation)
    with installation.database.writing() as session:
        entries = [entry | ({"colour": "#123456"} if entry["name"] == "pan" else {}) for entry in plates.classes]
        datasets.set_classes(session, plates.id, entries, list(plates.lookup))
    drawn = []
    monkeypatch.setattr(
        "dashboard.views.train.preview_panel.mask_grid", lambda tiles, **given: drawn.append((tiles, given))
    )
    app = open_page(PAGE)
    assert not app.exception
    tiles, given = drawn[-1]
    assert all(tile.classes for tile in tiles)
    assert given["class_colours"] == ("transparent", "#D55E00", "#123456")


def test_six_controls_are_in_sight_and_all_settings_behind_one_fold(installation, open_page):
    add_discs(installation)
    installation.files.write(stored.pretrained_record_key(), b'{"declined": true}')
    app = open_page(PAGE)
    controls = (*app.selectbox, *app.button_group, *app.number_input, *app.text_input, *app.button, *app.slider)
    labels = {each.label for each in (*controls, *app.toggle)}
    assert labels == {"Dataset", "Train on", "Preset", "Epochs", "Name of the run", "Start training"}
    assert [fold.label for fold in app.expander] == ["Advanced"]
    app = open_page(PAGE, advanced="true")
    assert len((*app.slider, *app.toggle)) > 20


def test_the_search_leaves_the_matching_settings(installation, open_page):
    add_discs(installation)
    app = open_page(PAGE, advanced="true")
    app.text_input(key="train-search").set_value("clip").run()
    fields = [each.label for each in (*app.slider, *app.toggle, *app.number_input)]
    assert fields == ["Clip gradients, 0 = off", "Epochs"] or fields == ["Epochs", "Clip gradients, 0 = off"]
    app.slider[0].set_value(2.0).run()
    app.text_input(key="train-search").set_value("nothing like it").run()
    assert "No setting contains" in texts(app)
    app.text_input(key="train-search").set_value("").run()
    assert app.query_params["p"] == "training.clip_norm=2.0", "what is not in sight keeps its value"
    assert app.expander[0].label == "Advanced · 1 changed"
    assert "Clip gradients 2 (off)" in texts(app)
    app.button(key="train-reset").click().run()
    assert app.expander[0].label == "Advanced"


def test_an_error_in_a_folded_setting_is_in_sight(installation, open_page):
    add_discs(installation)
    app = open_page(PAGE, p=["reduce_lr.enabled=true", "reduce_lr.min_lr=0.0005", "training.learning_rate=0.001"])
    app.session_state["train-form-fast-.training.learning_rate"] = 1e-4
    app.run()
    assert "reduce_lr.min_lr must be below" in texts(app) and app.button(key="train-start").disabled


def test_pretrained_weights_are_offered_once(installation, open_page, submitted):
    add_discs(installation)
    app = open_page(PAGE)
    assert "ImageNet" in texts(app) and "9 MB" in texts(app) and "Apache License 2.0" in texts(app)
    app.button(key="pretrained-decline").click().run()
    assert not app.exception and "Start from pretrained weights?" not in texts(app)
    assert "starts from random weights" in texts(app), "what declining costs"
    app = open_page(PAGE, advanced="true")
    app.button(key="pretrained-get").click().run()
    assert installation.job(submitted[0]).payload == {"source": {"kind": "download"}}
    assert "Getting pretrained weights" in texts(app)


def test_once_there_are_weights_encoder_is_the_default(installation, open_page):
    add_discs(installation)
    app = open_page(PAGE)
    assert app.query_params["preset"] == "fast"
    installation.files.write(stored.encoder_weights_key(), b"weights")
    pretrained.remember(installation.files, pretrained.Pretrained("ours.h5", "ab", 9_000_000, "cd"))
    app.run()
    assert not app.exception and app.query_params["preset"] == "encoder", "they came while the page was open"
    assert "Start from pretrained weights?" not in texts(app) and "every score says" in texts(app)
    assert open_page(PAGE).query_params["preset"] == "encoder"
    assert open_page(PAGE, preset="fast").query_params["preset"] == "fast"


def test_computed_masks_have_the_preset_from_labels_until_another_is_chosen(installation, open_page, submitted):
    dataset = add_discs(installation)
    label_set_id = add_label_set(installation, dataset)
    app = open_page(PAGE)
    assert app.query_params["preset"] == "from_labels"
    app.selectbox[1].set_value("truth").run()
    assert app.query_params["preset"] == "fast"
    app.selectbox[1].set_value(label_set_id).run()
    assert app.query_params["preset"] == "from_labels"
    installation.files.write(stored.encoder_weights_key(), b"weights")
    pretrained.remember(installation.files, pretrained.Pretrained("ours.h5", "ab", 9_000_000, "cd"))
    app.run()
    assert not app.exception and "a MobileNetV2" in texts(app), "weights came while the page was open"
    assert app.query_params["preset"] == "from_labels" and not app.query_params.get("p")
    app.button_group(key="train-preset-").set_value("classic").run()
    app.selectbox[1].set_value("truth").run()
    assert app.query_params["preset"] == "classic", "it was chosen"


def test_invalid_settings_show_an_error_and_disable_the_start(installation, open_page, submitted):
    add_discs(installation)
    app = open_page(PAGE, advanced="true")
    size = next(field for field in app.number_input if field.label.startswith("Image size"))
    size.set_value(100).run()
    assert "image_size must be divisible by" in texts(app)
    assert app.button(key="train-start").disabled
    app.button(key="train-reset").click().run()
    assert not app.button(key="train-start").disabled and not app.error


def test_a_taken_name_shows_an_error_and_starts_nothing(installation, open_page, submitted):
    dataset = add_discs(installation)
    with installation.database.writing() as session:
        runs.create(session, dataset, None, "taken", "fast", config_from().model_dump(), VERSION)
    app = open_page(PAGE)
    app.text_input(key="train-name").set_value("taken").run()
    app.button(key="train-start").click().run()
    assert "'taken' is taken" in texts(app)
    assert len(stored_runs(installation)) == 1 and submitted == []


def test_duplicate_prefills_from_the_run_and_a_preset_resets_the_settings(installation, open_page):
    dataset = add_discs(installation)
    config = config_from("classic", {"training": {"epochs": 7}}).model_dump()
    with installation.database.writing() as session:
        run = runs.create(session, dataset, None, "seven", "classic", config, VERSION)
    app = open_page(PAGE, **{"from": run.id})
    epochs = next(field for field in app.number_input if field.label == "Epochs")
    assert epochs.value == 7
    assert app.text_input(key="train-name").value == "seven #2"
    assert app.query_params["preset"] == "classic" and app.query_params["p"] == "training.epochs=7"
    app.button_group(key=f"train-preset-{run.id}").set_value("fast").run()
    assert not app.exception
    epochs = next(field for field in app.number_input if field.label == "Epochs")
    assert epochs.value == PRESETS["fast"].training.epochs
    assert "from" not in app.query_params


def test_the_settings_survive_a_refresh(installation, open_page):
    add_discs(installation)
    app = open_page(PAGE, preset="classic", p="training.epochs=12", advanced="true")
    epochs = next(field for field in app.number_input if field.label == "Epochs")
    assert epochs.value == 12
    rate = next(field for field in app.number_input if field.label == "Learning rate")
    assert rate.value == 1e-4


def test_shuffle_changes_the_augmented_variants(installation, open_page):
    add_discs(installation)
    app = open_page(PAGE, advanced="true")
    app.button(key="train-draw").click().run()
    assert not app.exception
    assert app.session_state["train-draws"] == 1


def test_the_page_shows_what_the_network_needs(installation, open_page):
    add_discs(installation)
    app = open_page(PAGE, advanced="true")
    assert "million parameters" in texts(app) and "GFLOPs" in texts(app) and "of memory" in texts(app)
    layers = app.dataframe[0].value
    assert layers["parameters"].sum() == network_plan(PRESETS["fast"].model).parameters


def test_speed_is_measured_by_a_job_whose_progress_is_shown(installation, open_page, submitted):
    dataset = add_discs(installation)
    app = open_page(PAGE, advanced="true")
    app.button(key="measure-trial").click().run()
    assert not app.exception
    (job_id,) = submitted
    payload = installation.job(job_id).payload
    assert (installation.job(job_id).kind, payload["dataset"], payload["what"]) == (
        JobKind.MEASURE,
        dataset.id,
        "trial",
    )
    assert payload["config"] == config_from("fast", {"model": {"classes": 1}}).model_dump(mode="json")
    assert "Measuring speed" in texts(app)
    assert app.button(key="measure-trial").disabled
    assert not app.button(key="measure-rate_range").disabled
    assert not stored_runs(installation)


def test_a_trial_is_shown_again_and_marked_as_outdated_for_other_settings(installation, open_page):
    dataset = add_discs(installation, count=10)
    measured(installation, dataset, PRESETS["fast"])
    app = open_page(PAGE, advanced="true")
    assert "All 30 epochs take at most" in texts(app)
    assert "other settings" not in texts(app)
    filters = next(field for field in (*app.slider, *app.number_input) if field.label == "Base filters")
    filters.set_value(8).run()
    assert "other settings: Base filters 16" in texts(app)


def test_a_suggested_learning_rate_is_copied_to_the_form(installation, open_page):
    dataset = add_discs(installation)
    measured(installation, dataset, PRESETS["fast"], RATES)
    app = open_page(PAGE, advanced="true")
    assert "learning rate of **3e-4**" in texts(app) and len(app.get("plotly_chart")) == 1
    app.button(key="rate-range-use").click().run()
    assert not app.exception
    rate = next(field for field in app.number_input if field.label == "Learning rate")
    assert rate.value == 3e-4
    assert app.query_params["p"] == "training.learning_rate=0.0003"
    assert app.button(key="rate-range-use").disabled


def test_missing_encoder_weights_disable_the_start(installation, open_page):
    add_discs(installation)
    app = open_page(PAGE, p=["model.architecture=mobilenet_v2", "model.encoder_weights=/no/such/file.h5"])
    assert "There is no weights file" in texts(app)
    assert app.button(key="train-start").disabled


def test_settings_for_pseudo_labels_are_disabled_for_truth(installation, open_page):
    add_discs(installation)
    app = open_page(PAGE, advanced="true")
    assert "Truth masks need no correction" in texts(app)
    rounds = next(field for field in (*app.slider, *app.number_input) if field.label == "Rounds")
    assert rounds.disabled


def test_objects_too_small_for_the_network_and_truth_that_is_all_foreground_are_warned_of(installation, open_page):
    image = np.full((200, 200, 3), 90, np.uint8)
    speck = np.zeros((200, 200), bool)
    speck[50:51, 50:52] = True
    add_dataset(installation, "full", [(image, np.ones((64, 64), bool))] * 3)
    add_dataset(installation, "specks", [(image + np.uint8(number), speck) for number in range(4)])
    app = open_page(PAGE, p="model.image_size=64")
    warned = "\n".join(warning.value for warning in app.warning)
    assert "In 4 of 4 images with objects, no object is left at 64 px" in warned and "background" not in warned
    app.selectbox[0].select_index(1).run()
    warned = "\n".join(warning.value for warning in app.warning)
    assert "every pixel is foreground" in warned and "no object is left" not in warned


def test_classes_are_told_apart_or_merged(installation, open_page, submitted):
    add_eggs_and_pans(installation, 10)
    app = open_page(PAGE, advanced="true")
    assert not app.exception
    assert "It tells **2 classes** apart: egg, pan." in texts(app)
    (field,) = [box for box in app.selectbox if box.label == "Classes"]
    assert field.options == ["Tell apart: egg, pan", "Merge into one"]
    app.button(key="train-start").click().run()
    (run,) = stored_runs(installation)
    assert run.config["model"]["classes"] == 2 and [entry["name"] for entry in run.classes][1:] == ["egg", "pan"]

    app = open_page(PAGE, advanced="true")
    next(box for box in app.selectbox if box.label == "Classes").set_value(1).run()
    assert not app.exception
    assert app.query_params["p"] == "model.classes=1"
    assert "It merges 2 classes into one: egg, pan." in texts(app)
    app.button(key="train-start").click().run()
    merged = next(each for each in stored_runs(installation) if each.id != run.id)
    assert merged.config["model"]["classes"] == 1 and merged.classes == []


def test_a_measurement_of_several_classes_belongs_to_these_settings(installation, open_page, submitted):
    add_eggs_and_pans(installation, 10)
    app = open_page(PAGE, advanced="true")
    app.button(key="measure-trial").click().run()
    assert not app.exception
    assert installation.job(submitted[0]).payload["config"]["model"]["classes"] == 2
    assert app.button(key="measure-trial").disabled  # it is this measurement that is at work


def test_one_class_has_no_choice_of_classes(installation, open_page):
    add_discs(installation, count=10)
    app = open_page(PAGE)
    assert not any(field.label == "Classes" for field in (*app.selectbox, *app.number_input))
    assert "apart" not in texts(app)


def test_pressing_start_twice_opens_the_run_that_waits(installation, open_page, submitted):
    add_discs(installation)
    for _ in range(2):
        app = open_page(PAGE)
        app.button(key="train-start").click().run()
        assert not app.exception
        (run,) = stored_runs(installation)
        assert app.query_params["run"] == run.id
    assert submitted == [run.job_id]


def test_a_dataset_that_was_deleted_in_another_tab_cannot_be_trained_on(installation, open_page, submitted):
    dataset = add_discs(installation)
    add_discs(installation, name="others")
    app = open_page(PAGE, dataset=dataset.id)
    with installation.database.writing() as session:
        datasets.delete_dataset(session, dataset.id)
    app.button(key="train-start").click().run()
    assert not app.exception
    assert "was deleted meanwhile" in texts(app)
    assert stored_runs(installation) == [] and submitted == []


def test_a_mask_set_that_was_deleted_in_another_tab_is_not_replaced_by_another(installation, open_page, submitted):
    dataset = add_discs(installation)
    label_set_id = add_label_set(installation, dataset)
    app = open_page(PAGE, labels=label_set_id)
    with installation.database.writing() as session:
        recipes.delete_label_set(session, label_set_id)
    app.button(key="train-start").click().run()
    assert not app.exception
    assert "was deleted meanwhile" in texts(app)
    app.button(key="train-start").click().run()
    assert [run.label_set_id for run in stored_runs(installation)] == [None], "pressed on what is shown now"
