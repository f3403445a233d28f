"""The architectures of networks: each module here declares one and exports it as ARCHITECTURE."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from engine.core.network_parameters import ModelParams
from engine.network.layers import Layer, Layers


@dataclass(frozen=True)
class Architecture:
    """`name` is the value of `model.architecture`; `declare` adds the layers from the scaled image to the output.

    The output is the probability of foreground, or of background and each class, (S, S, `model.outputs`) where S is
    `model.image_size`: end with a head of `Layers`.
    """

    name: str
    declare: Callable[[Layers, ModelParams], None]


@cache
def architectures() -> dict[str, Architecture]:
    """Return every architecture by name: one for each module of this package."""
    modules = [importlib.import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__)]
    return {module.ARCHITECTURE.name: module.ARCHITECTURE for module in modules}


def declared_layers(params: ModelParams) -> tuple[Layer, ...]:
    """Return the layers of the network described by `params`, input first."""
    layers = Layers(params.image_size, params.batch_normalization)
    architectures()[params.architecture].declare(layers, params)
    return tuple(layers.declared)
