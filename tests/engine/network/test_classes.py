"""Several classes: losses, metrics and inference, with one class as their special case."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from engine.core.network_parameters import ModelParams
from engine.core.run_parameters import DataParams, Loss, TrainingParams
from engine.imaging import class_maps, metrics
from engine.network.architectures import architectures
from engine.network.inference import predict_many
from engine.network.keras_metrics import ABSENT, metrics_of
from engine.network.losses import loss_of
from engine.network.networks import network
from engine.network.plan import network_plan

LOSSES = Loss.__args__
K = 3


def target_of(classes, weight=None):
    """Return the target of a class map, float32 (1, H, W, 3)."""
    classes = np.asarray(classes, np.float32)[np.newaxis]
    weights = np.ones_like(classes) if weight is None else np.float32(weight)[np.newaxis]
    return np.stack([(classes > 0).astype(np.float32), weights, classes], axis=-1)


def certain(classes, outputs=K + 1, share=1.0):
    """Return probabilities that give `share` to the class of each pixel, float32 (1, H, W, K + 1)."""
    rest = (1 - share) / (outputs - 1)
    return np.where(np.eye(outputs)[np.asarray(classes)] > 0, share, rest).astype(np.float32)[np.newaxis]


MAP = [[0, 1, 1, 0], [2, 2, 0, 0], [0, 0, 3, 3], [0, 0, 0, 0]]


@pytest.mark.parametrize("name", LOSSES)
def test_the_right_classes_cost_nothing_and_exchanged_ones_much(name):
    loss = loss_of(TrainingParams(loss=name))
    exchanged = np.array([0, 2, 1, 3])[np.asarray(MAP)]
    right, unsure, wrong = (
        float(loss(target_of(MAP), probability)[0])
        for probability in (certain(MAP), certain(MAP, share=0.5), certain(exchanged))
    )
    assert right == pytest.approx(0, abs=1e-3)
    assert right < unsure < wrong
    assert np.isfinite(wrong)


def test_known_answers():
    target, probability = target_of([[1, 0]]), np.float32([[[[0.2, 0.5, 0.3], [0.6, 0.2, 0.2]]]])
    entropy = -(np.log(0.5) + np.log(0.6)) / 2
    assert float(loss_of(TrainingParams(loss="binary_crossentropy"))(target, probability)[0]) == pytest.approx(entropy)
    first = 1 - (2 * 0.5 + 1) / (0.7 + 1 + 1)
    absent = 1 - 1 / (0.5 + 1)  # nothing of the second class is there, and half a pixel of it is seen
    dice = float(loss_of(TrainingParams(loss="dice"))(target, probability)[0])
    assert dice == pytest.approx((first + absent) / 2)
    focal = -(0.5**2 * np.log(0.5) + 0.4**2 * np.log(0.6)) / 2
    assert float(loss_of(TrainingParams(loss="focal"))(target, probability)[0]) == pytest.approx(focal)


@pytest.mark.parametrize("name", LOSSES)
def test_pixels_without_weight_cost_nothing(name):
    loss = loss_of(TrainingParams(loss=name))
    wrong = np.array([1, 2, 3, 0])[np.asarray(MAP)]
    assert float(loss(target_of(MAP, np.zeros((4, 4))), certain(wrong))[0]) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_gradients_are_finite(name, share):
    probability = tf.Variable(certain(MAP, share=share))
    with tf.GradientTape() as tape:
        cost = tf.reduce_mean(loss_of(TrainingParams(loss=name))(target_of(MAP), probability))
    assert np.isfinite(tape.gradient(cost, probability).numpy()).all()


def test_class_weights_make_a_rare_class_count():
    weighed = loss_of(TrainingParams(loss="binary_crossentropy"), [0.5, 0.5, 0.5, 4.0])
    plain = loss_of(TrainingParams(loss="binary_crossentropy"))
    missed = np.where(np.asarray(MAP) == 3, 0, MAP)
    cost, usual = (float(loss(target_of(MAP), certain(missed, share=0.9))[0]) for loss in (weighed, plain))
    assert cost > 2 * usual


def test_metrics_are_those_of_the_masks_of_each_class():
    rng = np.random.default_rng(0)
    truth, seen = (rng.integers(0, 3, (2, 8, 8)) for _ in range(2))  # the third class never occurs
    weight = rng.integers(0, 2, (2, 8, 8))
    targets = np.concatenate([target_of(one, w) for one, w in zip(truth, weight, strict=True)])
    predictions = np.concatenate([certain(one) for one in seen])
    computed = {}
    several = metrics_of(K + 1)
    for batch in range(2):  # summed batch by batch
        for metric in several:
            metric.update_state(targets[batch : batch + 1], predictions[batch : batch + 1])
    computed = {metric.name: float(metric.result()) for metric in several}
    matrix = metrics.confusion_matrix(metrics.confusion(seen[weight > 0], truth[weight > 0]), K)
    scores = metrics.class_scores(matrix)
    assert scores.occurs.tolist() == [True, True, False]
    assert list(computed) == ["dice", "dice_1", "dice_2", "dice_3", "iou", "iou_1", "iou_2", "iou_3"]
    assert computed["dice_3"] == computed["iou_3"] == ABSENT
    for number in (1, 2):
        assert computed[f"dice_{number}"] == pytest.approx(scores.dice[number - 1], abs=1e-6)
        assert computed[f"iou_{number}"] == pytest.approx(scores.iou[number - 1], abs=1e-6)
    assert computed["iou"] == pytest.approx(scores.iou[:2].mean(), abs=1e-6)
    for metric in several:
        metric.reset_state()
    assert float(several[1].result()) == ABSENT and float(several[0].result()) == 1


def test_one_class_keeps_its_metrics_and_network():
    assert [metric.name for metric in metrics_of(1)] == ["dice", "iou"]
    for classes in (0, 1):
        params = ModelParams(image_size=32, depth=2, base_filters=4, classes=classes)
        assert network(params).output_shape == (None, 32, 32, 1)


@pytest.mark.parametrize("name", architectures())
def test_every_architecture_gives_a_distribution_and_starts_at_background(name):
    params = ModelParams(architecture=name, image_size=64, depth=2, base_filters=4, classes=K)
    built = network(params)
    plan = network_plan(params)
    assert plan.parameters == built.count_params()
    values = np.asarray(built(np.zeros((1, 64, 64, 3), np.float32)))
    assert values.shape == (1, 64, 64, K + 1)
    np.testing.assert_allclose(values.sum(axis=-1), 1, atol=1e-5)
    assert values[..., 0].mean() == pytest.approx(0.88, abs=0.08)


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_positions_become_pixels_in_their_places(stride):
    """A head whose logits are its bias: class n for the n-th value of each pixel, whatever the stride."""
    built = network(ModelParams(image_size=32, depth=1, base_filters=2, first_stride=stride, classes=2))
    head = built.get_layer("head")
    kernel, _ = head.get_weights()
    bias = 0.05 * np.arange(stride**2)[:, np.newaxis] * [0, 1, 0] + [0.0, 0.0, 0.1]
    head.set_weights([kernel * 0, bias.ravel()])
    values = np.asarray(built(np.zeros((1, 32, 32, 3), np.float32)))[0, ..., 1]
    block = values[:stride, :stride].ravel()
    assert (np.diff(block) > 0).all()
    np.testing.assert_allclose(values, np.tile(values[:stride, :stride], (32 // stride, 32 // stride)))


@pytest.fixture(scope="module")
def colours_are_classes():
    """A network that sees red as class 1 and blue as class 2, and doubts where both are there."""
    image = keras.Input((32, 32, 3))
    red, blue = (image[..., channel : channel + 1] / 255 for channel in (0, 2))
    parts = [keras.ops.maximum(1 - red - blue, 0), red, blue]
    together = keras.layers.Concatenate()(parts)
    return keras.Model(image, together / keras.ops.sum(together, axis=-1, keepdims=True))


@pytest.mark.parametrize("framing", ["pad", "crop", "stretch", "tiles"])
@pytest.mark.parametrize("flips", [False, True])
def test_classes_lie_where_their_objects_are(colours_are_classes, framing, flips):
    image = np.zeros((60, 90, 3), np.uint8)
    image[10:30, 10:40, 0] = 255
    image[30:50, 50:80, 2] = 255
    (found,) = predict_many(colours_are_classes, [image], DataParams(framing=framing), flips=flips, compare_mirror=True)
    classes = class_maps.to_classes(metrics.probability_to_u8(found.probability), found.classes, 0.5)
    assert classes.shape == (60, 90) and classes.dtype == np.uint8
    assert (classes[14:26, 14:36] == 1).all() and (classes[34:46, 54:76] == 2).all()
    assert (classes[:5] == 0).all() and (classes[:, 85:] == 0).all()
    assert found.flip_agreement > 0.95
    assert found.uncertainty.shape == (60, 90) and 0 <= found.uncertainty.min() <= found.uncertainty.max() <= 1
    assert found.uncertainty[20, 20] < 0.01


def test_a_pixel_undecided_between_classes_is_doubted_although_it_is_foreground(colours_are_classes):
    image = np.full((32, 32, 3), (127, 0, 128), np.uint8)
    (found,) = predict_many(colours_are_classes, [image], DataParams())
    assert found.probability.min() > 0.95
    assert found.uncertainty.min() > 0.6
