"""Building a network in Keras from the declaration of its layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from engine.core.network_parameters import ModelParams
from engine.network.architectures import declared_layers
from engine.network.layers import Initializer


def network(
    params: ModelParams,
    seed: int = 0,
    dtype: str = "float32",
    replaced: Mapping[str, type[keras.layers.Layer]] | None = None,
) -> keras.Model:
    """Return an untrained network from images (B, S, S, 3), values 0 to 255, to probabilities (B, S, S, 1 or K + 1).

    `dtype` is a Keras policy such as "mixed_bfloat16"; the output is always float32. `replaced` has classes that
    compute the same as those of these names in `keras.layers`. The order of weights depends on neither.
    """
    seeds = keras.random.SeedGenerator(seed)

    def next_seed() -> int:
        return int(keras.ops.convert_to_numpy(seeds.next())[0])

    def argument(value: Any) -> Any:
        if not isinstance(value, Initializer):
            return value
        seed = {"seed": next_seed()} if value.seeded else {}
        return getattr(keras.initializers, value.name)(*value.arguments, **seed)

    outputs: dict[str, keras.KerasTensor] = {}
    for layer in declared_layers(params):
        if layer.keras_class == "InputLayer":
            outputs[layer.name] = keras.Input(layer.shape, name=layer.name)
            continue
        cls = (replaced or {}).get(layer.keras_class) or getattr(keras.layers, layer.keras_class)
        options = {"dtype": dtype, **{name: argument(value) for name, value in layer.options.items()}}
        if layer.keras_class == "Dropout":
            options["seed"] = next_seed()
        inputs = [outputs[name] for name in layer.inputs]
        outputs[layer.name] = cls(name=layer.name, **options)(inputs if len(inputs) > 1 else inputs[0])
    return keras.Model(outputs["image"], outputs["probability"], name=params.architecture)
