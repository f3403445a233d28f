"""The cost of training settings: parameters, operations, memory, and the source of an encoder's weights."""

from __future__ import annotations

from dataclasses import dataclass

from dashboard.facts import wording
from engine.core import machine
from engine.core.network_parameters import ModelParams
from engine.core.run_config import RunConfig
from engine.network import pretrained
from engine.network.plan import Layer, NetworkPlan, network_plan, readable
from engine.training.memory_advice import memory_advice


@dataclass(frozen=True)
class LayerRow:
    """One row of the table of layers."""

    layer: str
    kind: str
    output: str
    parameters: int
    megaflops: float


@dataclass(frozen=True)
class Cost:
    """The cost of a network. `memory_bytes` is an estimate; `warning` is what to lower if it is too much.

    `note` describes pretrained weights; `problem` is why they are not available, which prevents training.
    """

    layers: tuple[LayerRow, ...]
    parameters: int
    flops: int
    memory_bytes: int
    free_bytes: int | None
    warning: str
    note: str
    problem: str

    @property
    def sentence(self) -> str:
        free = f" ({wording.size(self.free_bytes)} free now)" if self.free_bytes is not None else ""
        return (
            f"**{wording.millions(self.parameters)} parameters** · **{wording.gigaflops(self.flops)}** for an image, "
            f"three times that to train on it · about **{wording.size(self.memory_bytes)} of memory** to train{free}"
        )


def cost(config: RunConfig, free_bytes: int | None) -> Cost:
    """Return the cost of training with `config`, with `free_bytes` of free memory (None: unknown)."""
    plan = network_plan(config.model)
    half = config.training.precision.startswith("mixed") or (
        config.training.precision == "auto" and machine.multiplies_bfloat16()
    )
    needed = plan.training_bytes(config.training, half)
    note, problem = encoder_weights(config.model)
    return Cost(
        layers=tuple(_row(layer) for layer in readable(plan)),
        parameters=plan.parameters,
        flops=plan.flops,
        memory_bytes=needed,
        free_bytes=free_bytes,
        warning=_memory_warning(config, plan, half, needed, free_bytes),
        note=note,
        problem=problem,
    )


def encoder_weights(model: ModelParams) -> tuple[str, str]:
    """Return (a description of the encoder's start weights, why they are not available); either may be empty."""
    if not model.uses("encoder_weights"):
        return "", ""
    if model.encoder_weights == "none":
        return "The encoder starts from random weights: choose pretrained weights, or expect to need many images.", ""
    there = pretrained.weights_path(model.encoder_weights) is not None
    added = pretrained.installed_here()
    if model.encoder_weights == pretrained.IMAGENET and (not there or not added or added.of_imagenet):
        where = "" if there else " They are downloaded once (9 MB) by the machine that trains."
        return (
            "ImageNet weights were learned from labels by people, so this run is not label-free, and every score says "
            f"so.{where}",
            "",
        )
    if not there:
        name = wording.escaped(model.encoder_weights)
        return "", f"There is no weights file {name} on this machine. Enter its path, or choose none or imagenet."
    unknown = "What they were trained on is unknown, and every score says that they were used."
    return f"The encoder starts from the weights of a file. {unknown}", ""


def _memory_warning(config: RunConfig, plan: NetworkPlan, half: bool, needed: int, free_bytes: int | None) -> str:
    if free_bytes is None or needed <= free_bytes:
        return ""
    fitting = [
        size
        for size in range(1, config.training.batch_size)
        if plan.training_bytes(config.training.model_copy(update={"batch_size": size}), half) <= free_bytes
    ]
    fits = f" A batch size of {fitting[-1]} would fit." if fitting else ""
    return (
        f"Training needs about {wording.size(needed)} of memory, and {wording.size(free_bytes)} are free. "
        f"Choose {memory_advice(config.model_dump())}.{fits}"
    )


def _row(layer: Layer) -> LayerRow:
    kind = f"{layer.kind}, {layer.detail}" if layer.detail else layer.kind
    shape = " × ".join(str(side) for side in layer.shape)
    return LayerRow(layer.name, kind[:1].upper() + kind[1:], shape, layer.parameters, 2 * layer.multiply_adds / 1e6)
