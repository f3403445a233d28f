"""The U-Net: with its parameters, anything from the published network to a small, fast one.

Source: Ronneberger, Fischer, Brox, "U-Net: Convolutional Networks for Biomedical Image Segmentation", MICCAI 2015,
doi:10.1007/978-3-319-24574-4_28. Unlike the original, convolutions are padded, so that the output has the input's size,
and the decoder uses nearest-neighbour up-sampling followed by a 2 × 2 convolution.
"""

from __future__ import annotations

from collections.abc import Callable

from engine.core.network_parameters import ModelParams
from engine.network.architectures import Architecture
from engine.network.layers import Layer, Layers

Stage = Callable[[Layers, Layer, int, str, int], Layer]
"""(layers, input, filters, name, stride) -> output."""

Gate = Callable[[Layers, Layer, Layer, str], Layer]
"""(layers, skip, decoder features of the same shape, name) -> the skip to concatenate."""


def two_convolutions(layers: Layers, x: Layer, filters: int, name: str, stride: int) -> Layer:
    """Declare two convolutions; the first has the stride, with a kernel that covers every pixel."""
    x = layers.convolution(x, filters, f"{name}_conv1", striding_kernel(stride), stride)
    return layers.convolution(x, filters, f"{name}_conv2")


def declare(layers: Layers, params: ModelParams) -> None:
    """Declare the plain U-Net. At stride 1 without batch normalisation it is the published one, its output included."""
    published = params.first_stride == 1 and not params.batch_normalization
    x = unet_features(layers, params, two_convolutions)
    if published:
        layers.classic_head(x, params.outputs)
    else:
        layers.head(x, params.first_stride, params.outputs)


def unet_features(layers: Layers, params: ModelParams, stage: Stage, gate: Gate | None = None) -> Layer:
    """Declare encoder and decoder, and return features (S / s, S / s, base_filters).

    With `first_stride` s > 1 the first convolution has stride s, and all other layers work on the grid S / s.
    """
    filters = [params.base_filters * 2**level for level in range(params.depth + 1)]
    x, skips = layers.scaled, []
    for level in range(params.depth):
        x = stage(layers, x, filters[level], f"down{level}", params.first_stride if level == 0 else 1)
        skips.append(x)  # (S / s / 2^level, S / s / 2^level, base_filters * 2^level)
        height, width, channels = x.shape
        half = (height // 2, width // 2, channels)
        x = layers.add("MaxPooling2D", f"pool{level}", x, detail="maximum of 2 × 2", shape=half)
    x = stage(layers, x, filters[-1], "bottom", 1)
    x = layers.dropout(x, params.dropout)
    for level in reversed(range(params.depth)):
        x = layers.up(x, f"up{level}_sample")
        x = layers.convolution(x, filters[level], f"up{level}_conv", kernel=2)
        skip = gate(layers, skips[level], x, f"up{level}_attention") if gate else skips[level]
        x = layers.join(skip, x, f"up{level}_join", f"with down{level}")
        x = stage(layers, x, filters[level], f"up{level}", 1)
    return x


def striding_kernel(stride: int) -> int:
    """Return a kernel size that overlaps neighbours by a pixel or more, so that no pixel is always at an edge."""
    return 3 if stride < 4 else 5


ARCHITECTURE = Architecture("unet", declare)
