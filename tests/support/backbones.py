"""Small networks that describe images, as ONNX files of the forms that label methods read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from engine.labelling.methods import dataset_clusters, deep_features


def small_network(path: Path, kernel: np.ndarray) -> Path:
    """Write an ONNX file of one convolution with stride 4 for images (1, H, W, 3); `kernel` is (C, 3, h, w)."""
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, None, None, 3])
    out = helper.make_tensor_value_info("activation", TensorProto.FLOAT, None)
    nodes = [
        helper.make_node("Transpose", ["image"], ["turned"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["turned", "kernel"], ["found"], strides=[4, 4]),
        helper.make_node("Transpose", ["found"], ["activation"], perm=[0, 2, 3, 1]),
    ]
    return _write(path, nodes, image, [out], [numpy_helper.from_array(kernel, "kernel")])


def small_transformer(path: Path, side_px: int | None, others: int = 1, patch: int = 14) -> Path:
    """Write an ONNX file of the form of DINOv2: images (1, 3, H, W) to tokens (1, N, C), and one more output (1, C).

    A token is the mean colour of its patch, after `others` tokens of zeros.

    Args:
        side_px: of the images that it takes; None for any.
    """
    image = helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, ["batch", 3, side_px, side_px])
    outs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("last_hidden_state", "pooled")]
    sides = [patch, patch]
    nodes = [
        helper.make_node("AveragePool", ["pixel_values"], ["means"], kernel_shape=sides, strides=sides),
        helper.make_node("Reshape", ["means", "flat"], ["rows"]),
        helper.make_node("Transpose", ["rows"], ["patches"], perm=[0, 2, 1]),
        helper.make_node("Concat", ["others", "patches"], ["last_hidden_state"], axis=1),
        helper.make_node("ReduceMean", ["patches"], ["pooled"], axes=[1], keepdims=0),
    ]
    constants = [
        numpy_helper.from_array(np.array([1, 3, -1], np.int64), "flat"),
        numpy_helper.from_array(np.zeros((1, others, 3), np.float32), "others"),
    ]
    return _write(path, nodes, image, outs, constants)


def lend_backbone(folder: Path) -> None:
    """Let deep features and dataset clusters find a small random network in place of that of the installation."""
    kernel = np.random.default_rng(0).normal(size=(6, 3, 4, 4)).astype(np.float32)
    path = small_network(folder / "lent.onnx", kernel)
    for method in (deep_features, dataset_clusters):
        method.backbone_of = lambda named: path


def _write(path: Path, nodes: list, image: object, outs: list, constants: list) -> Path:
    graph = helper.make_graph(nodes, "small", [image], outs, constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path
