"""The plan of a network agrees with the network, and with what training it takes."""

import subprocess
import sys

import pytest

from engine.core.run_config import PRESETS, ModelParams, TrainingParams
from engine.network.architectures import architectures
from engine.network.networks import network
from engine.network.plan import network_plan, readable

SMALL = {"image_size": 64, "depth": 2, "base_filters": 4}
NETWORKS = {
    "fast": PRESETS["fast"].model,
    "classic": PRESETS["classic"].model,
    "stride 4": ModelParams(**SMALL, first_stride=4),
    "one level, odd filters": ModelParams(image_size=32, depth=1, base_filters=3, first_stride=1),
    "without normalisation": ModelParams(**SMALL, first_stride=2, batch_normalization=False, dropout=0.2),
    "residual at full size": ModelParams(**SMALL, architecture="residual", first_stride=1, batch_normalization=False),
    "attention of one filter": ModelParams(
        image_size=32, depth=2, base_filters=1, architecture="attention", first_stride=1
    ),
    "mobilenet_v2 with dropout": ModelParams(image_size=64, architecture="mobilenet_v2", dropout=0.1),
    "mobilenet_v2 from imagenet": ModelParams(image_size=96, architecture="mobilenet_v2", encoder_weights="imagenet"),
} | {name: ModelParams(**SMALL, architecture=name) for name in architectures()}


@pytest.mark.parametrize("params", NETWORKS.values(), ids=NETWORKS)
def test_names_shapes_and_sizes_are_those_of_the_real_network(params):
    model = network(params)
    plan = network_plan(params)
    expected = {
        layer.name: ((layer.output.shape[1:] if hasattr(layer, "output") else ()), layer.count_params())
        for layer in model.layers
    }
    assert {layer.name: (tuple(layer.shape), layer.parameters) for layer in plan.layers} == expected
    assert len({layer.name for layer in plan.layers}) == len(plan.layers)
    assert plan.parameters == model.count_params()
    assert plan.layers[-1].shape == (params.image_size, params.image_size, 1)


def test_multiply_adds_of_a_convolution_are_its_weights_at_each_place():
    plan = network_plan(ModelParams(image_size=32, depth=1, base_filters=4, first_stride=1))
    first = next(layer for layer in plan.layers if layer.kind == "convolution")
    assert first.multiply_adds == 9 * 3 * 4 * 32 * 32
    assert plan.flops == 2 * sum(layer.multiply_adds for layer in plan.layers)


def test_the_encoder_takes_about_what_its_authors_say():
    """MobileNetV2 takes 300 million multiply-adds at 224 × 224 with its classifier (Sandler et al., table 4)."""
    plan = network_plan(ModelParams(image_size=224, architecture="mobilenet_v2"))
    encoder = [layer for layer in plan.layers if layer.name.startswith(("Conv1", "expanded", "block"))]
    # What is missing is its last convolution, 320 to 1280 at 7 × 7, and 1280 to 1000 for the classes.
    rest = 320 * 1280 * 49 + 1280 * 1000
    assert sum(layer.multiply_adds for layer in encoder) + rest == pytest.approx(300e6, rel=0.02)


def test_memory_grows_with_the_batch_and_shrinks_with_the_image():
    def needed(batch_size=4, image_size=256, half=False, **training):
        plan = network_plan(PRESETS["classic"].model.model_copy(update={"image_size": image_size}))
        return plan.training_bytes(TrainingParams(batch_size=batch_size, **training), half)

    assert needed(8) > needed(4) > needed(4, image_size=128)
    assert needed(4, half=True) < needed(4)
    assert needed(4, optimizer="sgd") < needed(4, optimizer="adam") < needed(4, optimizer="adam", ema=0.99)


def test_a_person_reads_a_convolution_with_what_belongs_to_it():
    plan = network_plan(NETWORKS["residual"])
    rows = list(readable(plan))
    assert sum(row.parameters for row in rows) == plan.parameters
    first = next(row for row in rows if row.kind == "convolution")
    assert (first.name, first.detail) == ("down0_conv1", "3 × 3, stride 2, normalised, ReLU")
    assert not {"normalisation", "activation", "layout"} & {row.kind for row in rows}


def test_the_plan_loads_no_tensorflow():
    code = "import sys, engine.network.plan; sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
