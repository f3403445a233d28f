"""A U-Net whose parameters span the classic one, a small, fast one, and variants with residual blocks or attention.

Source: Ronneberger, Fischer, Brox, "U-Net: Convolutional Networks for Biomedical Image Segmentation", MICCAI 2015,
doi:10.1007/978-3-319-24574-4_28. Unlike there, convolutions are padded, so the output has the input's size, and the
way up is nearest up-sampling followed by a 2 x 2 convolution.
"""

from __future__ import annotations

import keras
from keras import layers

from engine.core.network_parameters import ModelParams
from engine.network.blocks import Blocks


def unet(params: ModelParams, blocks: Blocks) -> keras.Model:
    """Return an untrained network from images (B, S, S, 3), values 0 to 255, to probabilities (B, S, S, 1) in [0, 1].

    S is `params.image_size`. With `first_stride` s > 1 the first convolution strides over s pixels, everything between
    works on the grid S / s, and the head lays the answer out at S. A plain U-Net at stride 1 and without batch
    normalisation is the published network, which ends in a 1 x 1 convolution and a sigmoid; every other one is ours,
    and ends in a head with a background prior and scaled logits. The output is float32 always.
    """
    dtype = blocks.dtype
    stage = blocks.residual if params.architecture == "residual" else blocks.twice
    filters = [params.base_filters * 2**level for level in range(params.depth + 1)]
    image = keras.Input((params.image_size, params.image_size, 3), name="image")
    x = layers.Rescaling(1 / 127.5, offset=-1, dtype=dtype, name="rescale")(image)

    skips = []
    for level in range(params.depth):
        x = stage(x, filters[level], f"down{level}", stride=params.first_stride if level == 0 else 1)
        skips.append(x)  # (B, S / s / 2^level, S / s / 2^level, base_filters * 2^level)
        x = layers.MaxPooling2D(dtype=dtype, name=f"pool{level}")(x)

    x = stage(x, filters[-1], "bottom")
    if params.dropout:
        x = layers.Dropout(params.dropout, seed=blocks.next_seed(), dtype=dtype, name="dropout")(x)

    for level in reversed(range(params.depth)):
        x = layers.UpSampling2D(dtype=dtype, name=f"up{level}_sample")(x)
        x = blocks.once(x, filters[level], f"up{level}_conv", kernel=2)
        skip = skips[level]
        if params.architecture == "attention":
            skip = blocks.attention(skip, x, f"up{level}_attention")
        x = layers.Concatenate(dtype=dtype, name=f"up{level}_join")([skip, x])
        x = stage(x, filters[level], f"up{level}")

    plain = params.architecture == "unet" and params.first_stride == 1 and not params.batch_normalization
    probability = blocks.classic_head(x) if plain else blocks.head(x, params.first_stride)
    return keras.Model(image, probability, name=params.architecture)
