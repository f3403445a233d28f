"""What a run notes about itself, in words."""

import pytest

from engine.training.run_details import hardware_line, label_share_note, weights_note, weights_origin

CPU = {"devices": ["CPU"], "threads": 2, "precision": "mixed_bfloat16", "xla": False, "replicas": 1, "cpu": "AMD EPYC"}


@pytest.mark.parametrize(
    ("hardware", "words"),
    [
        (CPU, "2 threads of AMD EPYC · mixed bfloat16 · XLA off"),
        (CPU | {"threads": 1, "cpu": "", "precision": "float32"}, "1 thread of the processor · float32 · XLA off"),
        (CPU | {"devices": ["NVIDIA L4"], "xla": True}, "NVIDIA L4 · mixed bfloat16 · XLA on"),
        (CPU | {"devices": ["NVIDIA L4"] * 2}, "2 × NVIDIA L4 · mixed bfloat16 · XLA off"),
    ],
)
def test_the_hardware_is_one_quiet_line(hardware, words):
    assert hardware_line({"hardware": hardware}) == words


def test_a_run_that_has_not_noted_it_says_nothing():
    assert hardware_line({}) == "" and weights_note({}) == "" and weights_note({"weights": ""}) == ""


def test_weights_that_helped_are_named():
    assert weights_note({"weights": "MobileNetV2 encoder: ImageNet"}) == "ImageNet weights"
    assert weights_note({"weights": "own.weights.h5"}) == "own weights"
    labels = {"label_weights": "MobileNetV2 with ImageNet weights"}
    assert weights_note(labels) == "ImageNet weights in the labels"
    assert weights_note({"label_weights": "dinov2_small.onnx"}) == "dinov2_small.onnx weights in the labels"
    both = labels | {"weights": "MobileNetV2 encoder: own.weights.h5"}
    assert weights_note(both) == "own weights, ImageNet weights in the labels"
    assert "own.weights.h5" in weights_origin(both) and labels["label_weights"] in weights_origin(both)


def test_what_masks_owe_to_labels_is_said():
    assert label_share_note(0) == ""
    assert "50% the labels" in label_share_note(0.5) and "50% its own masks" in label_share_note(0.5)
    assert "are the labels" in label_share_note(1) and "less plausible" in label_share_note(1)
