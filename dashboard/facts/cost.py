"""What chosen settings mean, told at once: size, work, memory, and where an encoder's weights come from."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from dashboard.facts import wording
from engine.core import machine
from engine.core.run_config import ModelParams, RunConfig
from engine.network.plan import Layer, NetworkPlan, network_plan, readable
from engine.training.memory_advice import memory_advice

IMAGENET_FILE = "models/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5"
"""Where Keras keeps the weights that it downloaded, below its own folder."""


@dataclass(frozen=True)
class LayerRow:
    """One layer as the table shows it."""

    layer: str
    kind: str
    output: str
    parameters: int
    megaflops: float


@dataclass(frozen=True)
class Cost:
    """What a network takes. `memory_bytes` is an estimate; `warning` says what to lower where it is too much.

    `note` tells of pretrained weights; `problem` why they cannot be had, and then training cannot begin.
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
            f"three times that to learn from it · about **{wording.size(self.memory_bytes)} of memory** to train{free}"
        )


def cost(config: RunConfig, free_bytes: int | None) -> Cost:
    """Return what training with `config` takes, `free_bytes` of memory being free (None: the system does not say)."""
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


def encoder_weights(model: ModelParams, keras_home: Path | None = None) -> tuple[str, str]:
    """Return (what starting from these weights means, why they cannot be had); either may be empty."""
    if not model.uses("encoder_weights"):
        return "", ""
    if model.encoder_weights == "none":
        return "The encoder starts from random numbers: choose weights for it, or expect it to need many images.", ""
    if model.encoder_weights == "imagenet":
        home = keras_home or Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser()
        where = "They are on this machine already."
        if not (home / IMAGENET_FILE).exists():
            where = "They are downloaded once (9 MB) to the machine that trains."
        return (
            "The encoder starts from weights that were learned from ImageNet's labels, so this run is not label-free: "
            f"people made those labels. {where}",
            "",
        )
    if not Path(model.encoder_weights).expanduser().is_file():
        name = wording.escaped(model.encoder_weights)
        return "", f"There is no weights file {name} on this machine. Give its path, or choose none or imagenet."
    return "The encoder starts from the weights of a file. What they were learned from is not known here.", ""


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
