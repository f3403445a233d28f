"""A U-Net whose parameters span the classic one and a small, fast one.

Source: Ronneberger, Fischer, Brox, "U-Net: Convolutional Networks for Biomedical Image Segmentation", MICCAI 2015,
doi:10.1007/978-3-319-24574-4_28. Unlike there, convolutions are padded, so the output has the input's size, and the
way up is nearest up-sampling followed by a 2 x 2 convolution.

Only layers that Keras itself ships are used, so a stored model loads in safe mode with no code of ours.
"""

from __future__ import annotations

from dataclasses import dataclass

import keras
from keras import layers

from engine.run_parameters import ModelParams

NORMALIZATION_MOMENTUM = 0.9  # Keras' 0.99 follows too slowly for the few hundred steps of a small dataset
FIRST_LOGIT = -2.0
"""Untrained, a network with our head says about 0.12 everywhere: most pixels are background, and starting at 0.5 wasted
the first epochs. The idea of a prior is from Lin et al., ICCV 2017, doi:10.1109/ICCV.2017.324, section 4.1."""

LOGIT_SCALE = 4.0
"""Adam moves a weight by about the learning rate per step, so sure answers (large logits) took hundreds of steps to
reach. Scaling the logits in our head gets there four times sooner: after 12 epochs on 40 kitchen scenes, the fast
network's soft Dice was 0.82 on 24 others instead of 0.67."""


def unet(
    params: ModelParams,
    seed: int = 0,
    dtype: str = "float32",
    normalization: type[layers.BatchNormalization] = layers.BatchNormalization,
) -> keras.Model:
    """Return an untrained network from images (B, S, S, 3), values 0 to 255, to probabilities (B, S, S, 1) in [0, 1].

    S is `params.image_size`. With `first_stride` s > 1 the first convolution strides over s pixels, everything between
    works on the grid S / s, and a transposed convolution brings the answer back to S. At stride 1 and without batch
    normalisation this is the published network, which ends in a 1 x 1 convolution and a sigmoid; every other one is
    ours, and ends in a head with a background prior and scaled logits. `dtype` is a Keras policy such as
    "mixed_bfloat16"; the output is float32 always. Weights are in the same order whatever `dtype` and `normalization`
    are.
    """
    block = _Block(params, dtype, normalization, keras.random.SeedGenerator(seed))
    image = keras.Input((params.image_size, params.image_size, 3), name="image")
    x = layers.Rescaling(1 / 127.5, offset=-1, dtype=dtype, name="rescale")(image)

    skips = []
    for level in range(params.depth):
        x = block.twice(x, level, f"down{level}", stride=params.first_stride if level == 0 else 1)
        skips.append(x)  # (B, S / s / 2^level, S / s / 2^level, base_filters * 2^level)
        x = layers.MaxPooling2D(dtype=dtype, name=f"pool{level}")(x)

    x = block.twice(x, params.depth, "bottom")
    if params.dropout:
        x = layers.Dropout(params.dropout, seed=block.next_seed(), dtype=dtype, name="dropout")(x)

    for level in reversed(range(params.depth)):
        x = layers.UpSampling2D(dtype=dtype, name=f"up{level}_sample")(x)
        x = block.once(x, level, f"up{level}_conv", kernel=2)
        x = layers.Concatenate(dtype=dtype, name=f"up{level}_join")([skips[level], x])
        x = block.twice(x, level, f"up{level}")

    classic = params.first_stride == 1 and not params.batch_normalization
    head_seed = block.next_seed()
    logit = _classic_head(x, dtype, head_seed) if classic else _our_head(x, params.first_stride, dtype, head_seed)
    probability = layers.Activation("sigmoid", dtype="float32", name="probability")(logit)
    return keras.Model(image, probability, name="unet")


@dataclass
class _Block:
    """Convolution, normalisation and ReLU, as one run's parameters want them."""

    params: ModelParams
    dtype: str
    normalization: type[layers.BatchNormalization]
    seeds: keras.random.SeedGenerator

    def next_seed(self) -> int:
        return int(keras.ops.convert_to_numpy(self.seeds.next())[0])

    def once(self, x: keras.KerasTensor, level: int, name: str, kernel: int = 3, stride: int = 1) -> keras.KerasTensor:
        normalized = self.params.batch_normalization
        x = layers.Conv2D(
            self.params.base_filters * 2**level,
            kernel,
            strides=stride,
            padding="same",
            use_bias=not normalized,
            kernel_initializer=keras.initializers.HeNormal(self.next_seed()),
            dtype=self.dtype,
            name=name,
        )(x)
        if normalized:
            x = self.normalization(momentum=NORMALIZATION_MOMENTUM, dtype=self.dtype, name=f"{name}_norm")(x)
        return layers.ReLU(dtype=self.dtype, name=f"{name}_relu")(x)

    def twice(self, x: keras.KerasTensor, level: int, name: str, stride: int = 1) -> keras.KerasTensor:
        # The striding convolution looks at every pixel with some overlap
        x = self.once(x, level, f"{name}_conv1", kernel=3 if stride < 4 else 5, stride=stride)
        return self.once(x, level, f"{name}_conv2")


def _classic_head(x: keras.KerasTensor, dtype: str, seed: int) -> keras.KerasTensor:
    """Return logits (B, S, S, 1) from features (B, S, S, C) by a 1 x 1 convolution, as the paper does."""
    initializer = keras.initializers.GlorotUniform(seed)  # Keras' own default, with our seed
    return layers.Conv2D(1, 1, kernel_initializer=initializer, dtype=dtype, name="head")(x)


def _our_head(x: keras.KerasTensor, stride: int, dtype: str, seed: int) -> keras.KerasTensor:
    """Return logits (B, S, S, 1) from features (B, S / s, S / s, C), scaled and with a prior for background."""
    weights = {
        "kernel_initializer": keras.initializers.VarianceScaling(1 / LOGIT_SCALE, "fan_avg", "uniform", seed),
        "bias_initializer": keras.initializers.Constant(FIRST_LOGIT / LOGIT_SCALE),
        "dtype": dtype,
        "name": "head",
    }
    if stride == 1:
        x = layers.Conv2D(1, 1, **weights)(x)
    else:
        x = layers.Conv2DTranspose(1, 2 * stride, strides=stride, padding="same", **weights)(x)
    return layers.Rescaling(LOGIT_SCALE, dtype="float32", name="logit")(x)
