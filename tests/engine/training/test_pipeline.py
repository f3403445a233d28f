"""The stream of batches: every image in every epoch, fixed shapes, and the same again from the middle."""

from contextlib import contextmanager

import numpy as np
import pytest

from engine.core.run_config import RunConfig
from engine.core.run_parameters import TrainingParams
from engine.imaging.class_maps import IGNORE
from engine.imaging.codec import encode_png
from engine.training import pipeline
from engine.training.samples import Sample, prepared
from tests.support.training_samples import LOOKUP, tiny

STILL = {"augmentation": {"enabled": False}}


@pytest.fixture
def numbered(tmp_path):
    """Images that are flat at 10 times their number, so that a batch tells who is in it; from the third, foreground."""

    @contextmanager
    def build(config: RunConfig, count: int, shape=(32, 32), split="train", **values):
        samples = []
        for number in range(count):
            image, target = tmp_path / f"i{number}.png", tmp_path / f"t{number}.png"
            image.write_bytes(encode_png(np.full((*shape, 3), 10 * number, np.uint8)))
            target.write_bytes(encode_png(np.full(shape, 255 if number > 2 else 0, np.uint8)))
            samples.append(Sample(str(number), image, target, split, LOOKUP, **values))
        if split == "train":
            with prepared(samples, config, tmp_path, lambda *_: None) as (train, _):
                yield train
        else:
            other = Sample("other", samples[0].image, samples[0].target, "train")
            with prepared([other, *samples], config, tmp_path, lambda *_: None) as (_, validation):
                yield validation

    return build


@contextmanager
def drawn(folder, config, image, target, **values):
    """Prepare one image and its pseudo-label for training and validation alike."""
    (folder / "i.png").write_bytes(encode_png(image))
    (folder / "t.png").write_bytes(encode_png(target))
    pair = folder / "i.png", folder / "t.png"
    samples = [Sample(split, *pair, split, **values) for split in ("train", "validation")]
    with prepared(samples, config, folder, lambda *_: None) as (train, validation):
        yield train, validation


def members(batch):
    return [int(value) // 10 for value in np.asarray(batch[0])[:, 0, 0, 0]]


@pytest.mark.parametrize(("count", "batch", "steps"), [(5, 4, 2), (8, 4, 2), (1, 4, 1), (3, 16, 1)])
def test_every_image_comes_in_every_epoch_in_batches_of_one_size(numbered, count, batch, steps):
    config = tiny(training={"epochs": 2, "batch_size": batch}, **STILL)
    with numbered(config, count) as pixels:
        batches = list(pipeline.training_batches(config, pixels))
    assert len(batches) == 2 * steps
    assert pipeline.steps_per_epoch(config, pixels) == steps
    assert {images.shape for images, _ in batches} == {(min(count, batch), 32, 32, 3)}
    assert {targets.shape for _, targets in batches} == {(min(count, batch), 32, 32, 2)}
    for epoch in range(2):
        seen = [member for part in batches[epoch * steps : (epoch + 1) * steps] for member in members(part)]
        assert set(seen) == set(range(count))


@pytest.mark.parametrize("framing", ["pad", "crop", "stretch", "tiles"])
def test_images_and_targets_belong_together(numbered, framing):
    changes = {"channel_shift_range": 0, "brightness_range": 0}
    config = tiny(training={"epochs": 1}, augmentation=changes, data={"framing": framing})
    with numbered(config, 8, shape=(20, 50)) as pixels:
        for images, targets in pipeline.training_batches(config, pixels):
            foreground = np.asarray(targets)[..., 0]
            assert list(foreground[:, 0, 0]) == [float(member > 2) for member in members((images, targets))]
            assert (foreground == foreground[:, :1, :1]).all()
            assert (np.asarray(targets)[..., 1] == 1).all()


def test_epochs_differ_in_order_and_in_changes(numbered):
    config = tiny(training={"epochs": 6, "batch_size": 8}, **STILL)
    with numbered(config, 8) as pixels:
        orders = {tuple(members(batch)) for batch in pipeline.training_batches(config, pixels)}
    assert len(orders) == 6


@pytest.mark.parametrize("framing", ["pad", "crop", "stretch", "tiles"])
def test_a_stream_from_the_middle_is_the_rest_of_the_whole(tmp_path, framing):
    config = tiny(training={"epochs": 3, "batch_size": 2}, data={"framing": framing})
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (70, 100, 3)).astype(np.uint8)
    with drawn(tmp_path, config, image, image[..., 0]) as (train, _):
        steps = pipeline.steps_per_epoch(config, train)
        whole = list(pipeline.training_batches(config, train))
        rest = list(pipeline.training_batches(config, train, first_epoch=1))
    assert len(whole) == 3 * steps and len(rest) == 2 * steps
    assert not np.array_equal(whole[0][0], whole[steps][0])
    for (images, targets), (same_images, same_targets) in zip(whole[steps:], rest, strict=True):
        assert np.array_equal(images, same_images)
        assert np.array_equal(targets, same_targets)


def test_large_images_show_as_many_tiles_as_they_hold(tmp_path):
    config = tiny(training={"epochs": 1, "batch_size": 4}, data={"framing": "tiles"}, **STILL)
    image = np.random.default_rng(0).integers(0, 256, (64, 80, 3)).astype(np.uint8)
    with drawn(tmp_path, config, image, image[..., 0]) as (train, _):
        assert train.squares == 5
        assert pipeline.steps_per_epoch(config, train) == 2
        tiles = np.concatenate([np.asarray(images) for images, _ in pipeline.training_batches(config, train)])
    assert len({tile.tobytes() for tile in tiles[:5]}) == 5
    assert all(any((tile[0] == row[left : left + 32]).all() for row in image for left in range(49)) for tile in tiles)


def test_validation_takes_every_image_once_and_unchanged(numbered):
    config = tiny(training={"batch_size": 4})
    with numbered(config, 6, split="validation") as pixels:
        batches = list(pipeline.validation_batches(config, pixels))
    assert [members(batch) for batch in batches] == [[0, 1, 2, 3], [4, 5]]
    for images, targets in batches:
        assert (np.asarray(images) == np.asarray(images)[:, :1, :1]).all()
        assert (np.asarray(targets)[..., 1] == 1).all()
    assert set(np.unique(np.concatenate([targets for _, targets in batches])[..., 0])) == {0.0, 1.0}


@pytest.mark.parametrize(
    ("framing", "shape", "scaled"),
    [
        ("pad", (40, 64), (20, 32)),
        ("crop", (64, 150), (32, 75)),
        ("tiles", (70, 20), (70, 20)),
        ("stretch", (9, 70), (32, 32)),
    ],
)
def test_validation_counts_each_pixel_of_a_scaled_image_once(tmp_path, framing, shape, scaled):
    config = tiny(data={"framing": framing}, training={"confidence_weights": True, "ignore_band": 0.4, "batch_size": 2})
    rng = np.random.default_rng(0)
    image, target = rng.integers(0, 256, (*shape, 3)).astype(np.uint8), rng.integers(0, 256, shape).astype(np.uint8)
    with drawn(tmp_path, config, image, target, weight=0.25) as (_, validation):
        pair = validation.pair(0).astype(int)
        batches = [(np.asarray(a), np.asarray(b)) for a, b in pipeline.validation_batches(config, validation)]
    images, targets = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    counted = targets[..., 1]
    assert pair.shape[:2] == scaled
    assert set(np.unique(counted)) <= {0.0, 1.0}
    assert counted.sum() == scaled[0] * scaled[1]
    assert (images[..., 0] * counted).sum() == pair[..., 0].sum()
    np.testing.assert_allclose((targets[..., 0] * counted).sum(), pair[..., 3].sum() / 255, rtol=1e-5)


def test_a_sample_counts_by_its_weight_in_training(numbered):
    config = tiny(training={"epochs": 1}, **STILL)
    with numbered(config, 2, weight=0.25) as pixels:
        weights = [np.asarray(targets)[..., 1] for _, targets in pipeline.training_batches(config, pixels)]
    assert (np.concatenate(weights) == 0.25).all()


def test_doubtful_pixels_of_a_pseudo_label_teach_less_and_those_of_truth_do_not():
    sure = pipeline.pixel_weights(TrainingParams(confidence_weights=True, ignore_band=0.2), truth=False)
    np.testing.assert_allclose(sure[[0, 255]], 1)
    assert sure[128] == 0 and sure[77] == 0 and sure[178] == 0
    np.testing.assert_allclose(sure[[76, 204]], [1 - 2 * 76 / 255, 2 * 204 / 255 - 1], rtol=1e-5)
    band = pipeline.pixel_weights(TrainingParams(ignore_band=0.2), truth=False)
    assert set(band) == {0.0, 1.0}
    assert (band[77:179] == 0).all() and band[76] == band[179] == 1
    assert (pipeline.pixel_weights(TrainingParams(), truth=False) == 1).all()
    assert (pipeline.pixel_weights(TrainingParams(confidence_weights=True, ignore_band=0.2), truth=True) == 1).all()


def test_weights_follow_the_target_through_the_changes(tmp_path):
    config = tiny(training={"epochs": 2, "confidence_weights": True, "ignore_band": 0.1}, data={"framing": "pad"})
    target = np.tile(np.linspace(0, 255, 60).astype(np.uint8), (30, 1))
    with drawn(tmp_path, config, np.zeros((30, 60, 3), np.uint8), target, weight=0.5) as (train, _):
        for _, targets in pipeline.training_batches(config, train):
            probability, weight = np.moveaxis(np.asarray(targets), -1, 0)
            doubt = np.abs(probability - 0.5)
            np.testing.assert_allclose(weight, np.where(doubt < 0.1, 0, doubt), atol=1e-6)


def test_ignored_pixels_of_truth_have_no_weight(tmp_path):
    values = np.zeros((32, 32), np.uint8)
    values[:, 8:16], values[:, 24:] = 255, 9
    lookup = tuple(IGNORE if value == 9 else int(value > 9) for value in range(256))
    config = tiny(**STILL)
    with drawn(tmp_path, config, np.zeros((32, 32, 3), np.uint8), values, lookup=lookup) as (train, validation):
        for batches in (pipeline.training_batches(config, train), pipeline.validation_batches(config, validation)):
            _, targets = next(iter(batches))
            target, weight = np.moveaxis(np.asarray(targets)[0], -1, 0)
            np.testing.assert_array_equal(weight, values != 9)
            np.testing.assert_array_equal(target[values != 9] > 0.5, values[values != 9] == 255)


def test_edges_of_ignored_regions_have_no_weight_after_interpolation(tmp_path):
    values = np.zeros((32, 32), np.uint8)
    values[8:24, 8:24] = 9
    lookup = tuple(IGNORE if value == 9 else int(value > 9) for value in range(256))
    config = tiny(augmentation={"rotation_range": 40.0, "zoom_range": 0.2})
    with drawn(tmp_path, config, np.zeros((32, 32, 3), np.uint8), values, lookup=lookup) as (train, _):
        _, targets = next(iter(pipeline.training_batches(config, train)))
        target, weight = np.moveaxis(np.asarray(targets)[0], -1, 0)
    assert 0 < (weight == 0).sum() < weight.size
    assert target[weight > 0].max() < 0.26
