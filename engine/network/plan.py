"""The size of a network, and the work and memory that training it takes, computed without TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from engine.core.network_parameters import ModelParams
from engine.core.run_parameters import TrainingParams
from engine.network.architectures import declared_layers
from engine.network.layers import Layer

RUNTIME_BYTES = 900_000_000
"""Memory of a training process apart from the network: Python, TensorFlow, its kernels and a few images."""

SLACK = 1.25
"""Buffers that kernels use while they run, and memory that the allocator keeps between two steps."""


@dataclass(frozen=True)
class NetworkPlan:
    """The layers of a network, in the order in which they are computed."""

    layers: tuple[Layer, ...]

    @property
    def parameters(self) -> int:
        """The number of values in a stored model, including the moving statistics of normalisation."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def flops(self) -> int:
        """Floating-point operations for the forward pass of one image: two for each multiply-add of a convolution."""
        return 2 * sum(layer.multiply_adds for layer in self.layers)

    @property
    def kept_values(self) -> int:
        """The number of values that the backward pass needs for one image."""
        return sum(layer.values for layer in self.layers if layer.kept)

    def training_bytes(self, training: TrainingParams, half_precision: bool = False) -> int:
        """Return an estimate of the memory of the training process, in bytes.

        Weights, their gradients, the optimizer's moments (two for Adam, one for SGD) and the moving average where there
        is one, 4 bytes each; plus, for each image of a batch, every output that the backward pass needs, and the
        gradients of the two largest, 4 bytes each or 2 in half precision, and the image and its target; plus a quarter
        for buffers, and the memory of Python and TensorFlow.

        Args:
            half_precision: whether activations are kept in 16 bits.
        """
        copies = 2 + (1 if training.optimizer == "sgd" else 2) + (1 if training.ema else 0)
        weights = 4 * copies * self.parameters
        largest = sorted(layer.values for layer in self.layers)[-2:]
        activations = (2 if half_precision else 4) * (self.kept_values + sum(largest))
        pixels = self.layers[0].shape[0] * self.layers[0].shape[1]
        batch = training.batch_size * (activations + 4 * 5 * pixels)
        return round(SLACK * (weights + batch)) + RUNTIME_BYTES


def network_plan(params: ModelParams) -> NetworkPlan:
    """Return the layers of the network described by `params`."""
    return NetworkPlan(declared_layers(params))


def readable(plan: NetworkPlan) -> Iterator[Layer]:
    """Yield the layers to show: normalisation and activation are merged into the layer that they follow."""
    held: Layer | None = None
    for layer in plan.layers:
        if held is not None and layer.kind in ("normalisation", "activation"):
            word = "normalised" if layer.kind == "normalisation" else layer.detail
            detail = ", ".join(part for part in (held.detail, word) if part)
            held = replace(held, detail=detail, parameters=held.parameters + layer.parameters)
        elif layer.kind not in ("layout", "padding"):
            if held is not None:
                yield held
            held = layer
    if held is not None:
        yield held
