"""What the Train page offers and promises."""

import numpy as np
import pytest

from dashboard.facts import train, training_pairs
from db import datasets, jobs, recipes, runs, submissions
from db.columns import utc_now
from db.models import Dataset, JobStatus
from engine import VERSION
from engine.core.run_config import PRESETS, RunConfig, config_from
from engine.datasets.split import split
from engine.imaging.codec import encode_png
from engine.network.plan import network_plan
from engine.store import keys as stored
from tests.support.installation import Installation, add_discs
from tests.support.several_classes import add_eggs_and_pans

LOST_AFTER_S = 60.0


@pytest.fixture
def dataset(installation: Installation):
    return add_discs(installation, count=6)


def truth_of(images: int, classes: tuple[str, ...] = ()) -> train.Teacher:
    return train.Teacher(train.TRUTH, "Truth masks", "", images, classes=classes)


def label(installation: Installation, dataset, drawn=6, dice=0.7):
    """Submit a mask set with `drawn` finished masks; return (id, job id)."""
    with installation.database.writing() as session:
        label_set, job = submissions.submit_label(session, dataset.id, "by k-means", "kmeans", {}, 0, VERSION)
        images = datasets.images(session, dataset.id)[:drawn]
        rows = [{"image_id": image.id, "area": 0.2, "dice": dice, "iou": None} for image in images]
        recipes.add_labels(session, label_set.id, rows)
    return label_set.id, job.id


def end(installation: Installation) -> None:
    with installation.database.writing() as session:
        job = jobs.claim(session, "test", 9, LOST_AFTER_S)
        jobs.finish(session, job.id, job.attempt, JobStatus.FINISHED)


def offered(installation: Installation, dataset) -> dict[str, train.Teacher]:
    with installation.database.reading() as session:
        return {teacher.title: teacher for teacher in train.teachers(session, dataset.id, utc_now(), LOST_AFTER_S)}


def test_truth_and_label_sets_are_offered_with_counts_and_named_scores(installation, dataset):
    label(installation, dataset)
    end(installation)
    found = offered(installation, dataset)
    assert list(found) == ["by k-means", "Truth masks"]
    assert found["Truth masks"].sentence == "6 of 6 images have a truth mask."
    assert "6 of 6 images" in found["by k-means"].sentence
    assert "Dice vs truth 0.700" in found["by k-means"].sentence
    assert found["by k-means"].problem == "" and found["Truth masks"].label_set_id is None


def test_an_unfinished_label_set_cannot_be_chosen(installation, dataset):
    label(installation, dataset, drawn=2)
    assert "still being computed" in offered(installation, dataset)["by k-means"].problem


def test_truth_without_foreground_cannot_be_chosen(installation, dataset):
    with installation.database.writing() as session:
        session.get_one(Dataset, dataset.id).lookup = [0] * 256
    assert "mark nothing as foreground" in offered(installation, dataset)["Truth masks"].problem


def test_a_label_set_without_masks_cannot_be_chosen(installation, dataset):
    label(installation, dataset, drawn=0)
    end(installation)
    assert "no masks" in offered(installation, dataset)["by k-means"].problem


def test_without_truth_only_label_sets_are_offered(installation):
    bare = add_discs(installation, name="bare", truth=False)
    assert offered(installation, bare) == {}
    with installation.database.reading() as session:
        assert [option.name for option in train.dataset_options(session)] == ["bare"]


def test_the_plan_counts_images_and_steps():
    config = config_from("fast", {"training": {"epochs": 30, "batch_size": 4, "validation_split": 0.3}})
    plan = train.plan(config, truth_of(274))
    assert (plan.work.train_images, plan.work.validation_images) == (192, 82)
    assert plan.work.steps_per_epoch == 48
    assert plan.image_size_px == config.model.image_size and plan.work.epochs == 30 and plan.warnings == ()
    assert (plan.network, plan.cost.parameters) == ("a U-Net", network_plan(config.model).parameters)


def test_settings_without_effect_for_truth_have_a_reason(installation, dataset):
    label(installation, dataset)
    end(installation)
    found = offered(installation, dataset)
    assert list(train.idle_settings(found["by k-means"])) == ["training.class_weights"]
    idle = train.idle_settings(found["Truth masks"])
    assert "no correction" in idle["self_training"]
    for path in idle:
        group, _, name = path.partition(".")
        assert not name or name in RunConfig.model_fields[group].annotation.model_fields


def test_tiles_of_large_images_and_rounds_count_for_labels():
    config = config_from("fast", {"data": {"framing": "tiles"}, "self_training": {"rounds": 2}})
    plan = train.plan(config, train.Teacher("0" * 32, "by k-means", "", 10), {(512, 512): 10})
    assert (plan.work.train_squares, plan.work.rounds) == (28, 2)
    assert train.plan(config, truth_of(10), {(512, 512): 10}).work.rounds == 1


def test_one_image_leaves_no_validation_and_the_plan_warns():
    plan = train.plan(PRESETS["fast"], truth_of(1))
    assert (plan.work.train_images, plan.work.validation_images) == (1, 0)
    assert any("validation" in warning for warning in plan.warnings)
    assert any("memorize" in warning for warning in plan.warnings)


def test_settings_are_stored_in_the_url():
    config = config_from("fast", {"training": {"epochs": 3, "learning_rate": 2e-4}, "augmentation": {"enabled": False}})
    kept = train.assignments("fast", config)
    assert set(kept) == {"training.epochs=3", "training.learning_rate=0.0002", "augmentation.enabled=False"}
    assert train.start_config("fast", kept, None) == (config, "")


def test_an_invalid_url_is_ignored_with_a_message():
    config, sentence = train.start_config("fast", ["training.epochs=many"], None)
    assert config == PRESETS["fast"]
    assert "ignored" in sentence and "training.epochs" in sentence


def test_a_run_provides_the_start_values_of_the_next(installation, dataset):
    config = config_from("classic", {"training": {"epochs": 7}})
    with installation.database.writing() as session:
        run = runs.create(session, dataset, None, "seven", "classic", config.model_dump(), VERSION)
    with installation.database.reading() as session:
        origin = train.source(session, run.id)
        teacher = train.teachers(session, dataset.id, utc_now(), LOST_AFTER_S)[0]
        assert train.proposed_name(session, "discs", teacher, "classic", origin) == "seven #2"
        assert train.proposed_name(session, "discs", teacher, "classic", None) == "discs · truth · classic"
        assert train.source(session, "f" * 32) is None
    assert (origin.preset, origin.teacher, origin.dataset_id) == ("classic", train.TRUTH, dataset.id)
    assert train.start_config("classic", [], origin) == (config, "")


def test_settings_of_another_version_fall_back_to_the_preset(installation, dataset):
    with installation.database.writing() as session:
        run = runs.create(session, dataset, None, "old", "no such preset", {"version": 99}, VERSION)
    with installation.database.reading() as session:
        origin = train.source(session, run.id)
    assert origin.config == PRESETS["fast"] and "another version" in origin.problem


def test_preview_moves_image_and_mask_together(installation, dataset):
    with installation.database.reading() as session:
        teacher = train.teachers(session, dataset.id, utc_now(), LOST_AFTER_S)[0]
        pairs = training_pairs.preview_pairs(session, dataset.id, teacher, 3)
    assert len({pair.name for pair in pairs}) == 3
    image, mask = training_pairs.read_pair(installation.files, pairs[0])
    config = config_from(
        "fast", {"augmentation": {"brightness_range": 0, "channel_shift_range": 0, "rotation_range": 90}}
    )
    shown = training_pairs.augmented(image, mask, config, 4, draw=1)
    assert len(shown) == 5
    for picture, moved in shown:
        bright = picture[..., 0] > 125
        agreement = 2 * (bright & (moved > 127)).sum() / (bright.sum() + (moved > 127).sum())
        assert agreement > 0.95
    again = training_pairs.augmented(image, mask, config, 4, draw=1)
    other = training_pairs.augmented(image, mask, config, 4, draw=2)
    assert all(np.array_equal(a[0], b[0]) for a, b in zip(shown, again, strict=True))
    assert not np.array_equal(shown[1][0], other[1][0])


def test_dropped_images_are_not_counted_or_shown_and_a_set_dropped_whole_cannot_be_chosen(installation, dataset):
    label_set_id, _ = label(installation, dataset)
    end(installation)
    with installation.database.writing() as session:
        ids = [image.id for image in datasets.images(session, dataset.id)]
        recipes.set_dropped(session, label_set_id, ids[:4], True)
    teacher = offered(installation, dataset)["by k-means"]
    assert teacher.images == 2
    assert "2 of 6 images · 4 dropped" in teacher.sentence
    assert teacher.problem == ""
    with installation.database.reading() as session:
        pairs = training_pairs.preview_pairs(session, dataset.id, teacher, 6)
    assert [pair.image_key for pair in pairs] == [stored.image_key(dataset.id, image_id) for image_id in ids[4:]]
    with installation.database.writing() as session:
        recipes.set_dropped(session, label_set_id, None, True)
    assert "Every mask of the mask set 'by k-means' is dropped" in offered(installation, dataset)["by k-means"].problem


def test_preview_of_a_label_set_shows_its_probability(installation, dataset):
    label_set_id, _ = label(installation, dataset, drawn=1)
    end(installation)
    teacher = offered(installation, dataset)["by k-means"]
    with installation.database.reading() as session:
        pairs = training_pairs.preview_pairs(session, dataset.id, teacher, 3)
    assert len(pairs) == 1
    image_id = pairs[0].mask_key.rpartition("/")[2].removesuffix(".png")
    installation.files.write(stored.label_key(label_set_id, image_id), encode_png(np.full((64, 64), 90, np.uint8)))
    _, mask = training_pairs.read_pair(installation.files, pairs[0])
    assert mask.shape == (64, 64) and (mask == 90).all()


def test_the_default_parameters_are_a_preset():
    assert RunConfig() == PRESETS["fast"]


@pytest.mark.parametrize("images", [1, 2, 3, 7, 60])
@pytest.mark.parametrize("share", [0.05, 0.3, 0.9])
def test_the_plan_splits_as_training_will(images, share):
    taught, held = split([str(number) for number in range(images)], share)
    plan = train.plan(config_from("fast", {"training": {"validation_split": share}}), truth_of(images))
    assert (plan.work.train_images, plan.work.validation_images) == (len(taught), len(held))


def test_truth_with_several_classes_names_them_and_counts_them_in_the_cost(installation):
    plates = add_eggs_and_pans(installation)
    truth = offered(installation, plates)["Truth masks"]
    assert truth.classes == ("egg", "pan")
    assert train.class_choices(truth) == {0: "Tell apart: egg, pan", 1: "Merge into one"}
    assert "training.class_weights" not in train.idle_settings(truth)
    apart, merged = (
        train.plan(train.resolved(config_from("fast", {"model": {"classes": classes}}), truth), truth)
        for classes in (0, 1)
    )
    assert apart.classes == "It tells **2 classes** apart: egg, pan."
    assert merged.classes == "It merges 2 classes into one: egg, pan."
    assert apart.cost.parameters > merged.cost.parameters


def test_many_classes_are_named_in_part():
    many = truth_of(9, tuple(f"class {number}" for number in range(1, 255)))
    assert train.class_choices(many)[0].endswith("class 5, class 6 and 248 more")


@pytest.mark.parametrize(("classes", "again"), [(2, 0), (1, 1)])
def test_a_duplicate_tells_the_classes_apart_that_there_are_or_merges_them_again(installation, classes, again):
    plates = add_eggs_and_pans(installation)
    config = config_from("fast", {"model": {"classes": classes}}).model_dump(mode="json")
    with installation.database.writing() as session:
        run, _ = submissions.submit_train(session, plates.id, None, "first", "fast", config, VERSION)
    with installation.database.reading() as session:
        origin = train.source(session, run.id)
    assert origin.config.model.classes == again
    assert train.start_config("fast", ["model.classes=5"], origin)[0].model.classes == 0


def test_a_duplicate_of_a_run_of_an_older_version_merges_the_classes_again(installation):
    plates = add_eggs_and_pans(installation)
    config = config_from("fast").model_dump(mode="json")
    del config["model"]["classes"]
    with installation.database.writing() as session:
        run = runs.create(session, plates, None, "first", "fast", config, VERSION)
    with installation.database.reading() as session:
        assert train.source(session, run.id).config.model.classes == 1


def test_a_duplicate_of_a_run_with_one_class_leaves_their_number_open(installation, dataset):
    config = config_from("fast").model_dump(mode="json")
    with installation.database.writing() as session:
        run, _ = submissions.submit_train(session, dataset.id, None, "first", "fast", config, VERSION)
    assert run.config["model"]["classes"] == 1
    with installation.database.reading() as session:
        assert train.source(session, run.id).config.model.classes == 0


def test_the_preview_moves_classes_with_their_image(installation):
    plates = add_eggs_and_pans(installation, 2)
    truth = offered(installation, plates)["Truth masks"]
    with installation.database.reading() as session:
        (pair,) = training_pairs.preview_pairs(session, plates.id, truth, 1)
    image, mask = training_pairs.read_pair(installation.files, pair)
    assert mask.shape == (64, 64, 2) and set(np.unique(mask[..., 1])) <= {0, 1, 2}
    shown = training_pairs.augmented(image, mask, PRESETS["fast"], 2, draw=1)
    assert [target.shape for _, target in shown] == [(64, 64, 2), (256, 256, 2), (256, 256, 2)]
    assert all((target[..., 1] > 0)[target[..., 0] > 200].all() for _, target in shown)
