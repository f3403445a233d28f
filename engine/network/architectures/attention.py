"""A U-Net with attention gates: the decoder weighs each position of a skip connection between 0 and 1.

Source: Oktay et al., "Attention U-Net: Learning Where to Look for the Pancreas", MIDL 2018, arXiv:1804.03999, with the
gate at the skip's own resolution.
"""

from __future__ import annotations

from engine.core.network_parameters import ModelParams
from engine.network.architectures import Architecture
from engine.network.architectures.unet import two_convolutions, unet_features
from engine.network.layers import GLOROT_UNIFORM, Layer, Layers


def attention_gate(layers: Layers, skip: Layer, x: Layer, name: str) -> Layer:
    filters = max(skip.shape[-1] // 2, 1)
    gate = layers.linear(x, filters, f"{name}_gate", kernel=1)
    offered = layers.linear(skip, filters, f"{name}_skip", kernel=1)
    both = layers.add("Add", f"{name}_add", gate, offered, detail=f"with {name}_gate", kept=False)
    both = layers.add("ReLU", f"{name}_relu", both, detail="ReLU")
    weight = layers.plain_convolution(
        both, 1, f"{name}_weight", 1, activation="sigmoid", kernel_initializer=GLOROT_UNIFORM, padding="valid"
    )
    return layers.add("Multiply", f"{name}_weigh", skip, weight, detail="skip × weight")


def declare(layers: Layers, params: ModelParams) -> None:
    layers.head(unet_features(layers, params, two_convolutions, attention_gate), params.first_stride, params.outputs)


ARCHITECTURE = Architecture("attention", declare)
