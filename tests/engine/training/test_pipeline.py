"""The stream of batches: every image in every epoch, fixed shapes, and the same again from the middle."""

import numpy as np
import pytest

from engine.training import pipeline
from engine.training.samples import Pixels
from tests.engine.training.drawn import tiny


def numbered(count, size=32):
    """Images that are flat at 10 times their number, so that a batch tells who is in it."""
    values = np.arange(count, dtype=np.uint8) * 10
    images = np.broadcast_to(values[:, None, None, None], (count, size, size, 3)).copy()
    targets = np.broadcast_to((values > 20)[:, None, None] * np.uint8(255), (count, size, size)).copy()
    return Pixels(tuple(range(count)), images, targets, ((size, size),) * count)


STILL = {"augmentation": {"enabled": False}}


def members(batch):
    return [int(value) // 10 for value in np.asarray(batch[0])[:, 0, 0, 0]]


@pytest.mark.parametrize(("count", "batch", "steps"), [(5, 4, 2), (8, 4, 2), (1, 4, 1), (3, 16, 1)])
def test_every_image_comes_in_every_epoch_in_batches_of_one_size(count, batch, steps):
    config = tiny(training={"epochs": 2, "batch_size": batch}, **STILL)
    batches = list(pipeline.training_batches(config, numbered(count)))
    assert len(batches) == 2 * steps
    assert pipeline.steps_per_epoch(config, numbered(count)) == steps
    assert {images.shape for images, _ in batches} == {(min(count, batch), 32, 32, 3)}
    for epoch in range(2):
        seen = [member for part in batches[epoch * steps : (epoch + 1) * steps] for member in members(part)]
        assert set(seen) == set(range(count))


def test_images_and_targets_belong_together():
    config = tiny(training={"epochs": 1}, augmentation={"channel_shift_range": 0, "brightness_range": 0})
    for images, targets in pipeline.training_batches(config, numbered(8)):
        foreground = np.asarray(targets)[:, 0, 0, 0]
        assert list(foreground) == [float(member > 2) for member in members((images, targets))]


def test_epochs_differ_in_order_and_in_changes():
    config = tiny(training={"epochs": 6, "batch_size": 8}, **STILL)
    orders = {tuple(members(batch)) for batch in pipeline.training_batches(config, numbered(8))}
    assert len(orders) == 6


def test_a_stream_from_the_middle_is_the_rest_of_the_whole():
    config = tiny(training={"epochs": 3, "batch_size": 4})
    pixels = numbered(6)
    rng = np.random.default_rng(0)
    pixels.images[:] = rng.integers(0, 256, pixels.images.shape)
    whole = list(pipeline.training_batches(config, pixels))
    rest = list(pipeline.training_batches(config, pixels, first_epoch=1))
    assert len(rest) == 4
    for (images, targets), (same_images, same_targets) in zip(whole[2:], rest, strict=True):
        assert (np.asarray(images) == np.asarray(same_images)).all()
        assert (np.asarray(targets) == np.asarray(same_targets)).all()


def test_validation_takes_every_image_once_and_unchanged():
    config = tiny(training={"batch_size": 4})
    pixels = numbered(6)
    batches = list(pipeline.validation_batches(config, pixels))
    assert [members(batch) for batch in batches] == [[0, 1, 2, 3], [4, 5]]
    images = np.concatenate([np.asarray(images) for images, _ in batches])
    assert (images == pixels.images).all()
    targets = np.concatenate([np.asarray(targets) for _, targets in batches])
    assert set(np.unique(targets)) == {0.0, 1.0}
