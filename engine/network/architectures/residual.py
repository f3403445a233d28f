"""A U-Net with residual blocks: a 1 × 1 projection of a stage's input is added to its output.

Source: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, doi:10.1109/CVPR.2016.90.
"""

from __future__ import annotations

from engine.core.network_parameters import ModelParams
from engine.network.architectures import Architecture
from engine.network.architectures.unet import striding_kernel, unet_features
from engine.network.layers import Layer, Layers


def residual_block(layers: Layers, x: Layer, filters: int, name: str, stride: int) -> Layer:
    y = layers.convolution(x, filters, f"{name}_conv1", striding_kernel(stride), stride)
    y = layers.linear(y, filters, f"{name}_conv2")
    shortcut = layers.linear(x, filters, f"{name}_short", stride, stride)
    y = layers.add("Add", f"{name}_add", y, shortcut, detail=f"with {x.name}", kept=False)
    return layers.add("ReLU", f"{name}_relu", y, detail="ReLU")


def declare(layers: Layers, params: ModelParams) -> None:
    layers.head(unet_features(layers, params, residual_block), params.first_stride, params.outputs)


ARCHITECTURE = Architecture("residual", declare)
