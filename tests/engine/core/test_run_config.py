"""The run configuration: presets, merging, limits, and the sentences a person gets to read."""

import json
import subprocess
import sys

import pytest
from pydantic import BaseModel

from engine.core.parameters import ParameterError, from_assignments, parse
from engine.core.run_config import PRESETS, WITH_WEIGHTS, RunConfig, config_from, differences, flattened, preset_config
from engine.core.run_config_text import config_rows, preset_text


def test_classic_is_the_published_recipe():
    classic = PRESETS["classic"]
    assert (classic.model.base_filters, classic.model.image_size, classic.model.first_stride) == (64, 256, 1)
    assert not classic.model.batch_normalization
    assert (classic.training.batch_size, classic.training.learning_rate) == (4, 1e-4)
    assert (classic.training.optimizer, classic.training.loss) == ("adam", "binary_crossentropy")
    assert (classic.early_stopping.patience, classic.training.validation_split) == (10, 0.3)


def test_fast_is_the_default_and_has_batch_normalisation():
    assert config_from() == PRESETS["fast"] == RunConfig()
    assert PRESETS["fast"].model.batch_normalization


@pytest.mark.parametrize(("name", "config"), PRESETS.items(), ids=PRESETS)
def test_a_preset_is_described_by_its_declared_numbers(name, config):
    text = preset_text(name)
    assert f"{config.model.image_size} × {config.model.image_size} px" in text
    assert f"up to {config.training.epochs} epochs" in text
    assert ("no augmentation" in text) is not config.augmentation.enabled
    assert (f"{config.model.base_filters} base filters" in text) is (config.model.architecture == "unet")


def test_from_labels_is_another_network_where_there_are_pretrained_weights():
    assert preset_config("from_labels") == PRESETS["from_labels"]
    assert preset_config("fast", weights=True) == PRESETS["fast"]
    config = config_from("from_labels", {"training": {"epochs": 3}}, weights=True)
    assert (config.model.architecture, config.model.encoder_weights) == ("mobilenet_v2", "imagenet")
    assert (config.training.epochs, config.training.learning_rate) == (3, 5e-4)
    assert "MobileNetV2" in preset_text("from_labels", weights=True)
    assert "MobileNetV2" not in preset_text("from_labels")
    rows = config_rows(WITH_WEIGHTS["from_labels"].model_dump(), "from_labels")
    assert all(row.preset_value is None for row in rows), "nothing differs from the preset"


def test_assignments_of_text_are_laid_over_the_preset():
    values = from_assignments(["training.epochs=3", "augmentation.horizontal_flip=false", "model.first_stride=1"])
    config = config_from("fast", values)
    assert config.training.epochs == 3
    assert config.augmentation.horizontal_flip is False
    assert config.model.first_stride == 1
    assert config.training.batch_size == PRESETS["fast"].training.batch_size


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"training": {"epochs": "0"}}, ["training.epochs", "greater than or equal to 1", "'0'"]),
        ({"training": {"learning_rate": "nan"}}, ["training.learning_rate", "nan"]),
        ({"training": {"loss": "hinge"}}, ["training.loss", "hinge", "'focal'"]),
        ({"training": {"epoch": 3}}, ["no parameter 'training.epoch'"]),
        ({"training": 3}, ["training", "Got 3"]),
        ({"model": {"image_size": 100}}, ["divisible by first_stride × 2^depth = 32", "100"]),
        ({"model": {"base_filters": 256}}, ["at most 2048", "4096"]),
        ({"reduce_lr": {"enabled": True, "min_lr": 0.5}}, ["reduce_lr.min_lr", "below training.learning_rate"]),
        ({"version": 3}, ["version"]),
    ],
)
def test_a_wrong_value_is_named_with_its_rule(values, words):
    with pytest.raises(ParameterError) as error:
        config_from("fast", values)
    for word in words:
        assert word in str(error.value)


def test_an_unknown_preset_lists_the_known_ones():
    with pytest.raises(ParameterError, match=r"no preset 'slow'. Known: fast, thorough, encoder, from_labels"):
        config_from("slow")


def test_differences_name_the_path_and_both_values():
    other = config_from("fast", {"training": {"epochs": 5}, "augmentation": {"fill_mode": "wrap"}})
    assert differences(RunConfig(), other) == [
        ("training.epochs", RunConfig().training.epochs, 5),
        ("augmentation.fill_mode", RunConfig().augmentation.fill_mode, "wrap"),
    ]
    assert differences(other, other) == []


def test_a_stored_config_is_read_back_unchanged():
    for preset in PRESETS.values():
        assert parse(RunConfig, json.loads(preset.model_dump_json())) == preset


def test_every_parameter_has_a_title_and_one_sentence_of_help():
    assert "training.epochs" in flattened(RunConfig())
    for group_name, group in RunConfig.model_fields.items():
        assert group.title, group_name
        if isinstance(group.annotation, type) and issubclass(group.annotation, BaseModel):
            for name, field in group.annotation.model_fields.items():
                assert field.title, name
                assert field.description.endswith("."), name


def test_reading_the_config_loads_no_tensorflow():
    code = "import sys, engine.core.run_config; sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
