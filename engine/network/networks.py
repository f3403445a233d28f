"""Which network a run's parameters ask for."""

from __future__ import annotations

import keras
from keras import layers

from engine.core.network_parameters import ModelParams
from engine.network.blocks import Blocks
from engine.network.encoder import encoder_unet
from engine.network.unet import unet


def network(
    params: ModelParams,
    seed: int = 0,
    dtype: str = "float32",
    normalization: type[layers.BatchNormalization] = layers.BatchNormalization,
) -> keras.Model:
    """Return an untrained network from images (B, S, S, 3), values 0 to 255, to probabilities (B, S, S, 1) in [0, 1].

    `dtype` is a Keras policy such as "mixed_bfloat16"; the output is float32 always. Weights are in the same order
    whatever `dtype` and `normalization` are.
    """
    blocks = Blocks(params.batch_normalization, dtype, normalization, keras.random.SeedGenerator(seed))
    return (encoder_unet if params.architecture == "mobilenet_v2" else unet)(params, blocks)
