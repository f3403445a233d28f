"""The declaration of a network: its layers, from which it is planned (`plan`) and built in Keras (`networks`).

Nothing here imports TensorFlow. Only layers that Keras itself ships are declared, so that a stored model loads in safe
mode without this code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import log, prod
from typing import Any

KINDS = {
    "InputLayer": "input",
    "Rescaling": "scaling",
    "Conv2D": "convolution",
    "DepthwiseConv2D": "depthwise convolution",
    "BatchNormalization": "normalisation",
    "ReLU": "activation",
    "Activation": "activation",
    "MaxPooling2D": "pooling",
    "UpSampling2D": "up-sampling",
    "Concatenate": "join",
    "Add": "sum",
    "Multiply": "product",
    "Dropout": "dropout",
    "ZeroPadding2D": "padding",
    "Reshape": "layout",
    "Permute": "layout",
}
"""Classes of `keras.layers` that a network may consist of, and what the Train page calls them."""

MOMENTUM = 0.9
"""Of batch normalisation: Keras' 0.99 follows too slowly for the few hundred steps of a small dataset."""

FIRST_LOGIT = -2.0
"""An untrained network starts at a probability of about 0.12: most pixels are background, and starting at 0.5 wasted
the first epochs. The idea of a prior is from Lin et al., ICCV 2017, doi:10.1109/ICCV.2017.324, section 4.1."""

LOGIT_SCALE = 4.0
"""Adam changes a weight by about the learning rate per step, so confident outputs (large logits) took hundreds of steps
to reach. Scaled logits get there four times sooner: after 12 epochs on 40 kitchen scenes, the fast network's soft Dice
was 0.82 on 24 other images instead of 0.67."""


@dataclass(frozen=True)
class Initializer:
    """A class of `keras.initializers` with its arguments; `seeded` if it takes the next seed of the network."""

    name: str
    arguments: tuple[Any, ...] = ()
    seeded: bool = True


HE_NORMAL, GLOROT_UNIFORM = Initializer("HeNormal"), Initializer("GlorotUniform")


@dataclass(frozen=True)
class Layer:
    """One layer of a network.

    `keras_class` is a class of `keras.layers` and `options` are its arguments. `inputs` are names of earlier layers.
    `shape` is (height, width, channels) of the output. `multiply_adds` counts those of one image in the forward pass.
    `kept` is whether the backward pass needs the output, which then stays in memory.
    """

    name: str
    keras_class: str
    detail: str
    shape: tuple[int, ...]
    inputs: tuple[str, ...]
    options: Mapping[str, Any]
    parameters: int = 0
    multiply_adds: int = 0
    kept: bool = True

    @property
    def kind(self) -> str:
        return KINDS[self.keras_class]

    @property
    def values(self) -> int:
        """The number of values in the output for one image."""
        return prod(self.shape)


class Layers:
    """Collects the layers of one network in the order in which they are declared, which is also the order of seeds.

    `scaled` is the layer to begin with: the image with values from −1 to 1.
    """

    def __init__(self, side: int, normalized: bool) -> None:
        """Declare the input of an image (side, side, 3); `normalized`: convolutions have batch normalisation."""
        self.declared: list[Layer] = []
        self._normalized = normalized
        image = self.add("InputLayer", "image", shape=(side, side, 3), kept=False)
        self.scaled = self.add("Rescaling", "rescale", image, detail="to −1 … 1", scale=1 / 127.5, offset=-1)

    def add(
        self,
        keras_class: str,
        name: str,
        *inputs: Layer,
        detail: str = "",
        shape: tuple[int, ...] | None = None,
        parameters: int = 0,
        multiply_adds: int = 0,
        kept: bool = True,
        **options: Any,
    ) -> Layer:
        """Declare a layer; without `shape`, its output has the shape of its first input."""
        names = tuple(layer.name for layer in inputs)
        layer = Layer(
            name, keras_class, detail, shape or inputs[0].shape, names, options, parameters, multiply_adds, kept
        )
        self.declared.append(layer)
        return layer

    def plain_convolution(
        self, x: Layer, filters: int, name: str, kernel: int, stride: int = 1, kept: bool = True, **options: Any
    ) -> Layer:
        """Declare a convolution alone: (H, W, C) -> (H / stride, W / stride, filters)."""
        height, width, channels = x.shape
        shape = (-(-height // stride), -(-width // stride), filters)
        weights = kernel**2 * channels * filters
        return self.add(
            "Conv2D",
            name,
            x,
            detail=kernel_text(kernel, stride),
            shape=shape,
            parameters=weights + (filters if options.get("use_bias", True) else 0),
            multiply_adds=weights * shape[0] * shape[1],
            kept=kept,
            filters=filters,
            kernel_size=kernel,
            strides=stride,
            **{"padding": "same"} | options,
        )

    def normalization(self, x: Layer, name: str, **options: Any) -> Layer:
        """Declare batch normalisation: scale, shift, mean and variance. The backward pass needs its input only."""
        return self.add(
            "BatchNormalization", name, x, detail="batch", parameters=4 * x.shape[-1], kept=False, **options
        )

    def linear(self, x: Layer, filters: int, name: str, kernel: int = 3, stride: int = 1) -> Layer:
        """Declare a convolution with its normalisation, if any, and no activation."""
        x = self.plain_convolution(
            x,
            filters,
            name,
            kernel,
            stride,
            kept=self._normalized,  # the backward pass of a ReLU needs its own output, not its input
            use_bias=not self._normalized,
            kernel_initializer=HE_NORMAL,
        )
        return self.normalization(x, f"{name}_norm", momentum=MOMENTUM) if self._normalized else x

    def convolution(self, x: Layer, filters: int, name: str, kernel: int = 3, stride: int = 1) -> Layer:
        """Declare a convolution with its normalisation, if any, and a ReLU."""
        return self.add("ReLU", f"{name}_relu", self.linear(x, filters, name, kernel, stride), detail="ReLU")

    def dropout(self, x: Layer, rate: float) -> Layer:
        return self.add("Dropout", "dropout", x, detail=f"{rate:.0%} off", rate=rate) if rate else x

    def up(self, x: Layer, name: str) -> Layer:
        """Declare nearest-neighbour up-sampling: (H, W, C) -> (2 H, 2 W, C)."""
        height, width, channels = x.shape
        return self.add("UpSampling2D", name, x, detail="nearest, × 2", shape=(2 * height, 2 * width, channels))

    def join(self, skip: Layer, x: Layer, name: str, detail: str) -> Layer:
        """Declare the concatenation of two layers of the same height and width."""
        shape = (*x.shape[:2], skip.shape[2] + x.shape[2])
        return self.add("Concatenate", name, skip, x, detail=detail, shape=shape)

    def classic_head(self, x: Layer, outputs: int) -> None:
        """Declare probabilities (H, W, outputs) by a 1 × 1 convolution and a sigmoid or softmax, as published."""
        logits = self.plain_convolution(x, outputs, "head", 1, kernel_initializer=GLOROT_UNIFORM, padding="valid")
        self._probability(logits)

    def head(self, x: Layer, stride: int, outputs: int) -> None:
        """Declare probabilities (s H, s W, outputs) from features (H, W, C), by scaled logits with a background prior.

        Each position predicts its s × s pixels at once, which are then laid out side by side (depth to space). Source:
        Shi et al., "Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel Convolutional Neural
        Network", CVPR 2016, doi:10.1109/CVPR.2016.207.
        """
        x = self.plain_convolution(
            x,
            stride**2 * outputs,
            "head",
            1 if stride == 1 else 3,
            kept=False,
            kernel_initializer=Initializer("VarianceScaling", (1 / LOGIT_SCALE, "fan_avg", "uniform")),
            bias_initializer=Initializer("Constant", (_first_logits(outputs, stride**2),), seeded=False),
        )
        if stride > 1:
            height, width, _ = x.shape
            values = (outputs,) if outputs > 1 else ()  # the order of values of a network for one class is older
            split, order = (height, width, stride, stride, *values), (height, stride, width, stride, *values)
            whole = (height * stride, width * stride, outputs)
            x = self.add("Reshape", "head_split", x, shape=split, kept=False, target_shape=split)
            x = self.add("Permute", "head_order", x, shape=order, kept=False, dims=(1, 3, 2, 4, 5)[: len(order)])
            detail = "positions to pixels"
            x = self.add("Reshape", "head_join", x, detail=detail, shape=whole, kept=False, target_shape=whole)
        self._probability(self.add("Rescaling", "logit", x, scale=LOGIT_SCALE, dtype="float32"))

    def _probability(self, logit: Layer) -> None:
        kind = "softmax" if logit.shape[-1] > 1 else "sigmoid"
        self.add("Activation", "probability", logit, detail=kind, activation=kind, dtype="float32")


def _first_logits(outputs: int, pixels: int) -> float | list[float]:
    """Return the bias of the head, by which an untrained network gives foreground the probability of `FIRST_LOGIT`."""
    if outputs == 1:
        return FIRST_LOGIT / LOGIT_SCALE
    return [0.0, *[(FIRST_LOGIT - log(outputs - 1)) / LOGIT_SCALE] * (outputs - 1)] * pixels


def kernel_text(kernel: int, stride: int) -> str:
    return f"{kernel} × {kernel}" + (f", stride {stride}" if stride > 1 else "")
