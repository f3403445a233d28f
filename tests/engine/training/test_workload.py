"""What an epoch does, for images of one size and of many."""

import pytest

from engine.core.run_config import config_from
from engine.training.workload import workload

SQUARE = {(256, 256): 10}


def test_images_become_steps_and_seconds():
    work = workload(config_from("fast", {"training": {"epochs": 5, "batch_size": 4}}), 10, SQUARE, False)
    assert (work.train_images, work.validation_images, work.rounds) == (7, 3, 1)
    assert (work.steps_per_epoch, work.validation_steps) == (2, 1)
    assert work.seconds_per_epoch(2.0, 1.0) == 5.0
    assert work.seconds_in_all(2.0, 1.0, 3.0) == 28.0


def test_tiles_of_large_images_make_more_steps_and_wide_ones_more_validation():
    tiles = config_from("fast", {"data": {"framing": "tiles"}})
    work = workload(tiles, 10, {(512, 512): 10}, False)
    assert (work.train_squares, work.validation_squares) == (28, 12)
    crops = workload(config_from("fast", {"data": {"framing": "crop"}}), 10, {(256, 512): 10}, False)
    assert (crops.train_squares, crops.validation_squares) == (7, 6)


def test_rounds_and_left_out_images_are_for_pseudo_labels():
    config = config_from("fast", {"self_training": {"rounds": 3}, "data": {"drop_worst": 0.5}})
    from_labels, from_truth = (workload(config, 20, SQUARE, labels) for labels in (True, False))
    assert (from_labels.rounds, from_labels.train_images) == (3, 7)
    assert (from_truth.rounds, from_truth.train_images) == (1, 14)


@pytest.mark.parametrize("images", [1, 2, 3])
def test_few_images_still_make_a_step(images):
    work = workload(config_from("fast"), images, {}, True)
    assert work.steps_per_epoch >= 1 and work.batch_size <= images
