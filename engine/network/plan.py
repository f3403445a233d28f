"""What a network is made of, told from its parameters alone: layers, shapes, work and memory, without TensorFlow.

The layers have the names, shapes and sizes of the network that `engine.network.networks` builds; tests compare the two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from engine.core.network_parameters import ModelParams
from engine.core.run_parameters import TrainingParams

Kind = Literal[
    "input",
    "scaling",
    "convolution",
    "depthwise convolution",
    "normalisation",
    "activation",
    "pooling",
    "up-sampling",
    "join",
    "sum",
    "product",
    "dropout",
    "padding",
    "layout",
]

BACKWARD_WORK = 2
"""A backward pass takes about two forward passes: one product for the inputs' gradients, one for the weights'."""

RUNTIME_BYTES = 900_000_000
"""What a process that trains holds whatever the network is: Python, TensorFlow, its kernels and a few images."""

SLACK = 1.25
"""Buffers that kernels use while they run, and memory that the allocator keeps between two steps."""

ENCODER_BLOCKS = (
    *((16, 1, 1),),
    *((24, 2, 6), (24, 1, 6)),
    *((32, 2, 6), (32, 1, 6), (32, 1, 6)),
    *((64, 2, 6), (64, 1, 6), (64, 1, 6), (64, 1, 6)),
    *((96, 1, 6), (96, 1, 6), (96, 1, 6)),
    *((160, 2, 6), (160, 1, 6), (160, 1, 6)),
    *((320, 1, 6),),
)
"""(filters, stride, expansion) of MobileNetV2's blocks: Sandler et al., CVPR 2018, table 2."""

ENCODER_SKIPS = ("block_1_expand_relu", "block_3_expand_relu", "block_6_expand_relu", "block_13_expand_relu")
ENCODER_FILTERS = (32, 64, 96, 128)


@dataclass(frozen=True)
class Layer:
    """One layer. `shape` is (height, width, channels) of its output; `multiply_adds` of one image, forward.

    `kept` says whether the backward pass needs the output, so that it stays in memory until then.
    """

    name: str
    kind: Kind
    detail: str
    shape: tuple[int, ...]
    parameters: int = 0
    multiply_adds: int = 0
    kept: bool = True

    @property
    def values(self) -> int:
        """How many numbers the output of one image has."""
        return _product(self.shape)


@dataclass(frozen=True)
class NetworkPlan:
    """A network's layers in the order in which they compute."""

    layers: tuple[Layer, ...]

    @property
    def parameters(self) -> int:
        """All numbers that a stored model holds, the running statistics of normalisation included."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def flops(self) -> int:
        """Floating-point operations for the forward pass of one image: two for each multiply-add of a convolution."""
        return 2 * sum(layer.multiply_adds for layer in self.layers)

    @property
    def training_flops(self) -> int:
        """Floating-point operations to learn from one image: forward and backward."""
        return (1 + BACKWARD_WORK) * self.flops

    @property
    def kept_values(self) -> int:
        """How many numbers the backward pass needs of one image."""
        return sum(layer.values for layer in self.layers if layer.kept)

    def training_bytes(self, training: TrainingParams, half_precision: bool = False) -> int:
        """Return an estimate of the memory of the process that trains, in bytes.

        Weights, their gradients, the optimizer's moments (two for Adam, one for SGD) and the moving average where there
        is one, 4 bytes each; plus, for each image of a batch, every output that the backward pass needs, and the
        gradients of the two largest, 4 bytes each or 2 in half precision, and the image and its target; plus a quarter
        for buffers, and what Python and TensorFlow take themselves.

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
    """Return the layers of the network that `params` ask for."""
    builder = _Builder(params.batch_normalization)
    side = params.image_size
    builder.add("image", "input", "", (side, side, 3), kept=False)
    builder.add("rescale", "scaling", "to −1 … 1", (side, side, 3))
    (_encoder_unet if params.architecture == "mobilenet_v2" else _unet)(builder, params)
    return NetworkPlan(tuple(builder.layers))


def _unet(builder: _Builder, params: ModelParams) -> None:
    residual, attention = params.architecture == "residual", params.architecture == "attention"
    filters = [params.base_filters * 2**level for level in range(params.depth + 1)]

    def stage(level: int, name: str, stride: int = 1) -> None:
        (builder.residual if residual else builder.twice)(filters[level], name, stride)

    for level in range(params.depth):
        stage(level, f"down{level}", params.first_stride if level == 0 else 1)
        height, width, channels = builder.shape
        builder.add(f"pool{level}", "pooling", "maximum of 2 × 2", (height // 2, width // 2, channels))
    stage(params.depth, "bottom")
    builder.dropout(params.dropout)
    for level in reversed(range(params.depth)):
        builder.up(f"up{level}_sample")
        builder.once(filters[level], f"up{level}_conv", kernel=2)
        if attention:
            builder.attention(f"up{level}_attention")
        height, width, channels = builder.shape
        builder.add(f"up{level}_join", "join", f"with down{level}", (height, width, 2 * channels))
        stage(level, f"up{level}")
    plain = params.architecture == "unet" and params.first_stride == 1 and not params.batch_normalization
    if plain:
        builder.convolve("head", 1, 1, bias=True)
        builder.add("probability", "activation", "sigmoid", builder.shape)
    else:
        builder.head(params.first_stride)


def _encoder_unet(builder: _Builder, params: ModelParams) -> None:
    builder.encoder_convolution("Conv1", "bn_Conv1", 32, 3, stride=2)
    builder.add("Conv1_relu", "activation", "ReLU6", builder.shape)
    for number, (filters, stride, expansion) in enumerate(ENCODER_BLOCKS):
        builder.inverted_residual(f"block_{number}" if number else "expanded_conv", filters, stride, expansion)
    builder.dropout(params.dropout)
    shapes = {layer.name: layer.shape for layer in builder.layers}
    for level in reversed(range(len(ENCODER_SKIPS))):
        builder.up(f"up{level}_sample")
        height, width, channels = builder.shape
        skip = ENCODER_SKIPS[level]
        builder.add(f"up{level}_join", "join", f"with {skip}", (height, width, channels + shapes[skip][2]))
        builder.once(ENCODER_FILTERS[level], f"up{level}_conv1")
        builder.once(ENCODER_FILTERS[level], f"up{level}_conv2")
    builder.head(2)


class _Builder:
    """Writes layers down one after the other. `shape` is that of the last one's output."""

    def __init__(self, normalized: bool) -> None:
        self.layers: list[Layer] = []
        self._normalized = normalized

    @property
    def shape(self) -> tuple[int, ...]:
        return self.layers[-1].shape

    def add(self, name: str, kind: Kind, detail: str, shape: tuple[int, ...], **numbers: int | bool) -> None:
        self.layers.append(Layer(name, kind, detail, shape, **numbers))

    def convolve(self, name: str, filters: int, kernel: int, stride: int = 1, *, bias: bool, kept: bool = True) -> None:
        height, width, channels = self.shape
        out = (-(-height // stride), -(-width // stride), filters)
        weights = kernel**2 * channels * filters
        self.add(
            name,
            "convolution",
            _kernel_words(kernel, stride),
            out,
            parameters=weights + (filters if bias else 0),
            multiply_adds=weights * out[0] * out[1],
            kept=kept,
        )

    def normalize(self, name: str) -> None:
        # Scale, shift, mean and variance; the backward pass needs its input, not its output.
        self.add(name, "normalisation", "batch", self.shape, parameters=4 * self.shape[-1], kept=False)

    def convolution(self, filters: int, name: str, kernel: int = 3, stride: int = 1) -> None:
        """Write a convolution and its normalisation, without an activation."""
        # A ReLU's backward pass needs its own output: what came in is kept only for normalisation.
        self.convolve(name, filters, kernel, stride, bias=not self._normalized, kept=self._normalized)
        if self._normalized:
            self.normalize(f"{name}_norm")

    def once(self, filters: int, name: str, kernel: int = 3, stride: int = 1) -> None:
        self.convolution(filters, name, kernel, stride)
        self.add(f"{name}_relu", "activation", "ReLU", self.shape)

    def twice(self, filters: int, name: str, stride: int = 1) -> None:
        self.once(filters, f"{name}_conv1", _striding_kernel(stride), stride)
        self.once(filters, f"{name}_conv2")

    def residual(self, filters: int, name: str, stride: int = 1) -> None:
        entered = self.layers[-1]
        self.once(filters, f"{name}_conv1", _striding_kernel(stride), stride)
        self.convolution(filters, f"{name}_conv2")
        out = self.shape
        self._at(entered.shape, lambda: self.convolution(filters, f"{name}_short", stride, stride))
        self.add(f"{name}_add", "sum", f"with {entered.name}", out, kept=False)
        self.add(f"{name}_relu", "activation", "ReLU", out)

    def attention(self, name: str) -> None:
        """Write a gate for a skip that has the same shape as the way up at this place."""
        out = self.shape
        filters = max(out[-1] // 2, 1)
        self.convolution(filters, f"{name}_gate", kernel=1)
        self._at(out, lambda: self.convolution(filters, f"{name}_skip", kernel=1))
        self.add(f"{name}_add", "sum", f"with {name}_gate", self.shape, kept=False)
        self.add(f"{name}_relu", "activation", "ReLU", self.shape)
        self.convolve(f"{name}_weight", 1, 1, bias=True)
        self.add(f"{name}_weigh", "product", "skip × weight", out)

    def dropout(self, share: float) -> None:
        if share:
            self.add("dropout", "dropout", f"{share:.0%} off", self.shape)

    def up(self, name: str) -> None:
        height, width, channels = self.shape
        self.add(name, "up-sampling", "nearest, × 2", (2 * height, 2 * width, channels))

    def head(self, stride: int) -> None:
        self.convolve("head", stride**2, 1 if stride == 1 else 3, bias=True, kept=False)
        if stride > 1:
            height, width, _ = self.shape
            self.add("head_split", "layout", "", (height, width, stride, stride), kept=False)
            self.add("head_order", "layout", "", (height, stride, width, stride), kept=False)
            self.add("head_join", "layout", "places to pixels", (height * stride, width * stride, 1), kept=False)
        self.add("logit", "scaling", "", self.shape)
        self.add("probability", "activation", "sigmoid", self.shape)

    def encoder_convolution(self, name: str, normalization: str, filters: int, kernel: int, stride: int = 1) -> None:
        """Write a convolution as MobileNetV2 has it: always normalised, never with a bias."""
        self.convolve(name, filters, kernel, stride, bias=False)
        self.normalize(normalization)

    def inverted_residual(self, name: str, filters: int, stride: int, expansion: int) -> None:
        entered = self.shape
        if expansion > 1:
            self.encoder_convolution(f"{name}_expand", f"{name}_expand_BN", expansion * entered[-1], 1)
            self.add(f"{name}_expand_relu", "activation", "ReLU6", self.shape)
        height, width, channels = self.shape
        if stride > 1:
            self.add(f"{name}_pad", "padding", "below and right", (height + 1, width + 1, channels))
        out = (height // stride, width // stride, channels)
        self.add(
            f"{name}_depthwise",
            "depthwise convolution",
            _kernel_words(3, stride),
            out,
            parameters=9 * channels,
            multiply_adds=9 * _product(out),
        )
        self.normalize(f"{name}_depthwise_BN")
        self.add(f"{name}_depthwise_relu", "activation", "ReLU6", out)
        self.encoder_convolution(f"{name}_project", f"{name}_project_BN", filters, 1)
        if stride == 1 and entered[-1] == filters:
            self.add(f"{name}_add", "sum", "with its input", self.shape)

    def _at(self, shape: tuple[int, ...], write: Callable[[], None]) -> None:
        """Write layers that begin at an earlier output of `shape`."""
        place = len(self.layers)
        self.add("", "input", "", shape)
        write()
        del self.layers[place]


def _striding_kernel(stride: int) -> int:
    return 3 if stride < 4 else 5


def _kernel_words(kernel: int, stride: int) -> str:
    return f"{kernel} × {kernel}" + (f", stride {stride}" if stride > 1 else "")


def _product(shape: tuple[int, ...]) -> int:
    total = 1
    for side in shape:
        total *= side
    return total


def readable(plan: NetworkPlan) -> Iterator[Layer]:
    """Yield the layers a person wants to read about: normalisation and activation are told with what they belong to."""
    held: Layer | None = None
    for layer in plan.layers:
        if held is not None and layer.kind in ("normalisation", "activation"):
            word = "normalised" if layer.kind == "normalisation" else layer.detail
            detail = ", ".join(part for part in (held.detail, word) if part)
            held = Layer(
                held.name, held.kind, detail, held.shape, held.parameters + layer.parameters, held.multiply_adds
            )
        elif layer.kind not in ("layout", "padding"):
            if held is not None:
                yield held
            held = layer
    if held is not None:
        yield held


def what_to_lower(params: ModelParams, training: TrainingParams) -> str:
    """Return which setting to lower, and how it stands, when memory is short: the batch first, it changes least."""
    if training.batch_size > 1:
        return f"the batch size (now {training.batch_size})"
    if params.architecture == "mobilenet_v2":
        return f"the image size (now {params.image_size} px)"
    return f"the image size (now {params.image_size} px) or the base filters (now {params.base_filters})"
