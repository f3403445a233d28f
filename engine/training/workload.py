"""The amount of work in one epoch of a run: images, squares and steps, from its settings and image sizes alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from engine.core.run_config import RunConfig
from engine.network.framing import Shape, scaled_shape, shares, squares_per_epoch


@dataclass(frozen=True)
class Workload:
    """One epoch of a run. Squares are the network's inputs: one for each image, unless the framing is tiles.

    `rounds` is the number of networks that are trained one after the other, each for at most `epochs` epochs.
    """

    train_images: int
    validation_images: int
    train_squares: int
    validation_squares: int
    batch_size: int
    epochs: int
    rounds: int

    @property
    def steps_per_epoch(self) -> int:
        return math.ceil(self.train_squares / self.batch_size)

    @property
    def validation_steps(self) -> int:
        return math.ceil(self.validation_squares / self.batch_size)

    def seconds_per_epoch(self, step_s: float, validation_step_s: float) -> float:
        """Return the duration of an epoch, given the seconds of a training step and of a validation step."""
        return self.steps_per_epoch * step_s + self.validation_steps * validation_step_s

    def seconds_in_all(self, step_s: float, validation_step_s: float, start_s: float = 0.0) -> float:
        """Return the duration of all epochs of all rounds; each round starts with `start_s` to build the network."""
        return self.rounds * (start_s + self.epochs * self.seconds_per_epoch(step_s, validation_step_s))


def workload(config: RunConfig, images: int, shapes: Mapping[Shape, int], from_labels: bool) -> Workload:
    """Return the work of one epoch on `images` images.

    Args:
        shapes: the number of images of each (height, width); it may be that of other images, as only the mean number of
            squares is used.
        from_labels: whether the targets are pseudo-labels. Truth is never left out and needs no rounds.
    """
    share = config.training.validation_split
    validation = min(max(round(images * share), 1 if share else 0), max(images - 1, 0))
    train = images - validation
    if from_labels:
        train = max(train - round(train * config.data.drop_worst), min(train, 1))
    size, data = config.model.image_size, config.data
    scaled = [(scaled_shape(shape, data, size), count) for shape, count in shapes.items()]
    known = sum(count for _, count in scaled) or 1
    shown = sum(squares_per_epoch(shape, data, size) * count for shape, count in scaled) / known
    covered = sum(len(shares(shape, size)) * count for shape, count in scaled) / known
    squares = max(round(train * shown), train)
    return Workload(
        train_images=train,
        validation_images=validation,
        train_squares=squares,
        validation_squares=max(round(validation * covered), validation),
        batch_size=max(min(config.training.batch_size, squares), 1),
        epochs=config.training.epochs,
        rounds=config.self_training.rounds if from_labels else 1,
    )
