"""A U-Net whose encoder is MobileNetV2, which can start from pretrained weights (`engine.network.encoder_weights`).

Source of the encoder: Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018,
doi:10.1109/CVPR.2018.00474, table 2. Layers have the names, options and default initialisers of
`keras.applications.MobileNetV2`, so that its weights fit.
"""

from __future__ import annotations

from engine.core.network_parameters import ModelParams
from engine.network.architectures import Architecture
from engine.network.layers import Layer, Layers, kernel_text

BLOCKS = (
    *((16, 1, 1),),
    *((24, 2, 6), (24, 1, 6)),
    *((32, 2, 6), (32, 1, 6), (32, 1, 6)),
    *((64, 2, 6), (64, 1, 6), (64, 1, 6), (64, 1, 6)),
    *((96, 1, 6), (96, 1, 6), (96, 1, 6)),
    *((160, 2, 6), (160, 1, 6), (160, 1, 6)),
    *((320, 1, 6),),
)
"""(filters, stride, expansion) of each block."""

SKIPS = ("block_1_expand_relu", "block_3_expand_relu", "block_6_expand_relu", "block_13_expand_relu")
FILTERS = (32, 64, 96, 128)
"""Filters of the decoder, from half of the image's size to a sixteenth: few, because the encoder has the knowledge."""


def declare(layers: Layers, params: ModelParams) -> None:
    """Declare the network. The decoder ends at half of the image's size, and the head restores it.

    With pretrained weights the encoder's batch normalisation keeps its statistics: batches of a few images are too
    small to replace them, and when they were trained, validation collapsed.
    """
    encoder = _Encoder(layers, frozen=params.encoder_weights != "none")
    x = layers.dropout(encoder.declare(layers.scaled), params.dropout)
    skips = {layer.name: layer for layer in layers.declared if layer.name in SKIPS}
    for level in reversed(range(len(SKIPS))):
        x = layers.up(x, f"up{level}_sample")
        x = layers.join(skips[SKIPS[level]], x, f"up{level}_join", f"with {SKIPS[level]}")
        x = layers.convolution(x, FILTERS[level], f"up{level}_conv1")
        x = layers.convolution(x, FILTERS[level], f"up{level}_conv2")
    layers.head(x, 2, params.outputs)


class _Encoder:
    """Declares MobileNetV2 without its last convolution. With `frozen` its normalisation is never trained."""

    def __init__(self, layers: Layers, frozen: bool) -> None:
        self._layers, self._frozen = layers, frozen

    def declare(self, x: Layer) -> Layer:
        x = self._activated(self._convolution(x, 32, "Conv1", "bn_Conv1", kernel=3, stride=2), "Conv1_relu")
        for number, (filters, stride, expansion) in enumerate(BLOCKS):
            x = self._block(x, f"block_{number}" if number else "expanded_conv", filters, stride, expansion)
        return x

    def _block(self, entered: Layer, name: str, filters: int, stride: int, expansion: int) -> Layer:
        layers, x = self._layers, entered
        if expansion > 1:
            x = self._convolution(x, expansion * x.shape[-1], f"{name}_expand", f"{name}_expand_BN")
            x = self._activated(x, f"{name}_expand_relu")
        height, width, channels = x.shape
        if stride > 1:
            shape, padding = (height + 1, width + 1, channels), ((0, 1), (0, 1))
            x = layers.add("ZeroPadding2D", f"{name}_pad", x, detail="below and right", shape=shape, padding=padding)
        shape = (height // stride, width // stride, channels)
        x = layers.add(
            "DepthwiseConv2D",
            f"{name}_depthwise",
            x,
            detail=kernel_text(3, stride),
            shape=shape,
            parameters=9 * channels,
            multiply_adds=9 * channels * shape[0] * shape[1],
            kernel_size=3,
            strides=stride,
            padding="same" if stride == 1 else "valid",
            use_bias=False,
        )
        x = self._activated(self._normalized(x, f"{name}_depthwise_BN"), f"{name}_depthwise_relu")
        x = self._convolution(x, filters, f"{name}_project", f"{name}_project_BN")
        if stride == 1 and entered.shape[-1] == filters:
            x = layers.add("Add", f"{name}_add", entered, x, detail="with its input")
        return x

    def _convolution(
        self, x: Layer, filters: int, name: str, normalization: str, kernel: int = 1, stride: int = 1
    ) -> Layer:
        """Declare a convolution, which is always normalised and has no bias."""
        x = self._layers.plain_convolution(x, filters, name, kernel, stride, use_bias=False)
        return self._normalized(x, normalization)

    def _normalized(self, x: Layer, name: str) -> Layer:
        return self._layers.normalization(x, name, epsilon=1e-3, momentum=0.999, trainable=not self._frozen)

    def _activated(self, x: Layer, name: str) -> Layer:
        return self._layers.add("ReLU", name, x, detail="ReLU6", max_value=6.0)


ARCHITECTURE = Architecture("mobilenet_v2", declare)
