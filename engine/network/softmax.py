"""The softmax over classes computed plane by plane, for training."""

from __future__ import annotations

import tensorflow as tf
from keras import layers


class PlanarActivation(layers.Activation):
    """Computes the same as Keras' layer for (B, H, W, C).

    On CPUs a softmax along a last axis of a few classes and its gradient take two and a half times as long. It is used
    for training only: a stored model has Keras' layer, so that it loads without this class.
    """

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        if self.get_config()["activation"] != "softmax":
            return super().call(inputs)
        return tf.transpose(_softmax(tf.transpose(inputs, (0, 3, 1, 2))), (0, 2, 3, 1))


@tf.custom_gradient
def _softmax(logits: tf.Tensor):
    """Return the softmax over axis 1 of (B, C, H, W), and its gradient."""
    powers = tf.exp(logits - tf.reduce_max(logits, axis=1, keepdims=True))
    shares = powers / tf.reduce_sum(powers, axis=1, keepdims=True)

    def gradient(upstream: tf.Tensor) -> tf.Tensor:
        scaled = upstream * shares
        return scaled - shares * tf.reduce_sum(scaled, axis=1, keepdims=True)

    return shares, gradient
