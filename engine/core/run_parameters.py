"""The groups of parameters of a run, each parameter with its limits, unit and a one-sentence description.

`engine.core.run_config` combines them. Nothing here imports TensorFlow.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from engine.core.parameters import Params, number, only_with

Loss = Literal["binary_crossentropy", "dice", "bce_dice", "focal", "tversky"]
Monitor = Literal["val_loss", "val_dice", "val_iou", "loss", "dice", "iou"]
ClassWeights = Literal["none", "inverse_frequency", "effective_number"]
FillMode = Literal["nearest", "reflect", "wrap", "constant"]

MOST_ROUNDS = 6
SEVERAL_ROUNDS = list(range(2, MOST_ROUNDS + 1))


class TrainingParams(Params):
    """How the network is trained."""

    epochs: int = number(30, 1, 10_000, "How often the network is trained on every training image.", title="Epochs")
    batch_size: int = number(
        4, 1, 256, "Number of images in one training step.", title="Batch size", unit="images", log=True
    )
    validation_split: float = number(
        0.3,
        0,
        0.9,
        "Share of the images that are not used for training, but to measure the network on unseen images.",
        title="Validation split",
    )
    learning_rate: float = number(
        1e-3, 1e-7, 1, "Step size of the optimizer at the start, after any warm-up.", title="Learning rate", log=True
    )
    schedule: Literal["constant", "cosine"] = Field(
        "cosine",
        title="Learning rate schedule",
        description="Constant keeps the learning rate; cosine reduces it smoothly to nearly 0 in the last epoch.",
    )
    warmup_epochs: float = number(
        0.0,
        0,
        100,
        "The learning rate rises from nearly 0 to its full value during this many epochs.",
        title="Warm-up",
        unit="epochs",
    )
    loss: Loss = Field(
        "bce_dice",
        title="Loss",
        description="What training minimises: cross-entropy per pixel, soft Dice per image, their sum, focal loss, "
        "which emphasises difficult pixels, or the Tversky loss, which weights false positives and false negatives.",
    )
    tversky_alpha: float = number(
        0.3,
        0.05,
        0.95,
        "Weight of false positives in the Tversky loss; false negatives have 1 − alpha. At 0.5 it is the Dice loss.",
        title="Tversky alpha",
        only_with={"loss": ["tversky"]},
    )
    class_weights: ClassWeights = Field(
        "none",
        title="Class weights",
        description="With several classes: rare classes count more in cross-entropy and focal loss, by the inverse of "
        "their pixels, or more mildly by the effective number of samples.",
    )
    confidence_weights: bool = Field(
        False,
        title="Weight pixels by confidence",
        description="Weight each pixel by the certainty of its pseudo-label, |2p − 1|. Truth is always certain.",
    )
    ignore_band: float = number(
        0.0, 0, 0.45, "Pixels whose pseudo-label is within this distance of 0.5 are ignored.", title="Ignore band"
    )
    optimizer: Literal["adam", "adamw", "sgd"] = Field(
        "adamw",
        title="Optimizer",
        description="Adam, Adam with decoupled weight decay (AdamW), or SGD with Nesterov momentum of 0.9.",
    )
    weight_decay: float = number(
        1e-4,
        0,
        1,
        "How strongly AdamW pulls the weights towards zero; the other optimizers ignore it.",
        title="Weight decay",
        only_with={"optimizer": ["adamw"]},
        log=True,
    )
    clip_norm: float = number(
        0.0,
        0,
        1000,
        "Gradients with a larger norm are scaled to this norm; 0 is off.",
        title="Clip gradients",
        zero="off",
    )
    ema: float = number(
        0.0,
        0,
        1,
        "Validate and store a moving average of the weights, with this share of the previous average at every step; "
        "0 is off.",
        title="Weight averaging (EMA)",
        zero="off",
        exclusive="high",
    )
    precision: Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"] = Field(
        "auto",
        title="Precision",
        description="Mixed bfloat16 is faster on processors with AMX or AVX-512 BF16, and on graphics cards; automatic "
        "chooses the fastest for this machine.",
    )
    tensorboard: bool = Field(
        False, title="TensorBoard files", description="Also write TensorBoard event files to the run's folder."
    )
    seed: int = number(0, 0, 2**31 - 1, "Seed of all random numbers: split, weights, augmentation.", title="Seed")


class DataParams(Params):
    """How images of any size are converted to the squares that the network takes, and how images are weighted."""

    framing: Literal["pad", "crop", "stretch", "tiles"] = Field(
        "pad",
        title="Framing",
        description="Pad keeps the proportions of the whole image and mirrors its edge to fill the square; crop cuts "
        "squares of the image's shorter side; stretch distorts every image to a square; tiles cuts squares from the "
        "image at its original scale, for large images with small objects.",
    )
    tile_scale: float = number(
        1.0,
        0,
        2,
        "Images are scaled by this factor before tiles are cut; below 1, a tile covers more of the image.",
        title="Tile scale",
        only_with={"framing": ["tiles"]},
        exclusive="low",
    )
    object_tiles: float = number(
        0.5,
        0,
        1,
        "Share of the training tiles that are placed on some foreground.",
        title="Tiles with objects",
        only_with={"framing": ["tiles"]},
    )
    quality_weights: Literal["equal", "weighted"] = Field(
        "weighted",
        title="Image weights",
        description="Weighted: images whose pseudo-label has a low estimated quality have a lower weight.",
    )
    drop_worst: float = number(
        0.0,
        0,
        0.9,
        "Share of the images that are not used for training because their pseudo-labels have the lowest quality.",
        title="Drop the worst",
    )
    corrections: bool = Field(
        True,
        title="Use corrections",
        description="Lay what people corrected over the masks to train on, truth as well. Corrected images are always "
        "trained on, with full weight.",
    )


class AugmentationParams(Params):
    """Random changes of each training image; image and mask are always changed alike."""

    enabled: bool = Field(
        True, title="Augment", description="Train on a randomly changed copy of each image in every epoch."
    )
    rotation_range: float = number(
        10.0, 0, 180, "Rotates by at most this angle in either direction.", title="Rotation", unit="°"
    )
    width_shift_range: float = number(
        0.05, 0, 1, "Moves sideways by at most this share of the width.", title="Width shift"
    )
    height_shift_range: float = number(
        0.05, 0, 1, "Moves up or down by at most this share of the height.", title="Height shift"
    )
    shear_range: float = number(
        0.0, 0, 60, "Shears by at most this angle in either direction.", title="Shear", unit="°"
    )
    zoom_range: float = number(
        0.1, 0, 0.9, "Enlarges or shrinks by a factor between 1 − zoom and 1 + zoom.", title="Zoom"
    )
    brightness_range: float = number(
        0.2, 0, 0.9, "Multiplies all colours by a factor between 1 − brightness and 1 + brightness.", title="Brightness"
    )
    channel_shift_range: float = number(
        5.0,
        0,
        255,
        "Adds at most this much, up or down, to red, green and blue separately.",
        title="Colour shift",
        unit="grey levels",
    )
    horizontal_flip: bool = Field(
        True, title="Horizontal flip", description="Mirrors left and right in half of the cases."
    )
    vertical_flip: bool = Field(
        False, title="Vertical flip", description="Mirrors top and bottom in half of the cases."
    )
    fill_mode: FillMode = Field(
        "reflect",
        title="Fill mode",
        description="What fills uncovered corners: the nearest pixel, the image mirrored, the image repeated, or black "
        "background.",
    )


class EarlyStoppingParams(Params):
    """Ends a run that no longer improves."""

    enabled: bool = Field(True, title="Early stopping", description="End the run when the monitored metric stalls.")
    monitor: Monitor = Field("val_loss", title="Metric", description="The metric that has to improve.")
    patience: int = number(
        12,
        1,
        1000,
        "Number of consecutive epochs without improvement that are allowed.",
        title="Patience",
        unit="epochs",
    )
    min_delta: float = number(
        0.0, 0, 1, "A smaller change does not count as improvement.", title="Smallest improvement"
    )
    restore_best_weights: bool = Field(
        True, title="Restore best", description="After early stopping, restore the weights of the best epoch."
    )


class CheckpointParams(Params):
    """Which models a run stores. The best one is used for predictions."""

    monitor: Monitor = Field(
        "val_loss", title="Best by", description="The metric that decides which epoch is the best."
    )
    save_last: bool = Field(
        True,
        title="Keep the last",
        description="Also store the last epoch with its optimizer, so that the run can be resumed.",
    )


class ReduceLRParams(Params):
    """Lowers the learning rate when training stalls, in addition to the schedule."""

    enabled: bool = Field(
        False, title="Reduce on plateau", description="Lower the learning rate when the monitored metric stalls."
    )
    monitor: Monitor = Field("val_loss", title="Metric", description="The metric that has to improve.")
    factor: float = number(
        0.5, 0, 1, "The learning rate is multiplied by this number.", title="Factor", exclusive="both"
    )
    patience: int = number(
        5,
        1,
        1000,
        "Number of consecutive epochs without improvement that are allowed.",
        title="Patience",
        unit="epochs",
    )
    min_lr: float = number(1e-6, 0, 1, "The learning rate is never reduced below this.", title="Minimum", log=True)


class SelfTrainingParams(Params):
    """Rounds in which a new network is trained on labels corrected by the previous network. Truth needs none."""

    rounds: int = number(
        1, 1, MOST_ROUNDS, "Number of networks that are trained one after the other on pseudo-labels.", title="Rounds"
    )
    keep: float = number(
        0.3,
        0,
        0.95,
        "Share of the old label in the new one; the rest is the network's prediction.",
        title="Share of the old labels",
        only_with={"rounds": SEVERAL_ROUNDS},
    )
    refine: Literal["none", "guided_filter", "grabcut"] = Field(
        "grabcut",
        title="Refine at edges",
        description="How the network's masks are refined at the edges of the image before they become labels.",
        json_schema_extra=only_with(rounds=SEVERAL_ROUNDS),
    )
    drop_worst: float = number(
        0.0,
        0,
        0.9,
        "Share of the images that the next round drops because their new labels have the lowest quality.",
        title="Drop the worst",
        only_with={"rounds": SEVERAL_ROUNDS},
    )
    label_share: float = number(
        0.0,
        0,
        0.95,
        "Share of the labels in the masks of the run's own images; the rest is the network's. Unless it is 0, these "
        "masks stay the labels where no round is accepted.",
        title="Share of the labels in the masks",
        only_with={"rounds": SEVERAL_ROUNDS},
    )


class PredictionParams(Params):
    """How a run predicts masks of its own images after training."""

    flips: bool = Field(
        True,
        title="Average over flips",
        description="Mean over the image and its three mirror images: better masks at four times the work.",
    )
    refine: Literal["none", "guided_filter", "grabcut"] = Field(
        "none", title="Refine at edges", description="Move the outlines of the masks to the edges of the image."
    )
