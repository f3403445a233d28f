"""The groups of settings that a run is made of: every parameter with its limits, unit and one-sentence help.

`engine.core.run_config` puts them together. Nothing here imports TensorFlow.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from engine.core.parameters import Params, number, only_with

Loss = Literal["binary_crossentropy", "dice", "bce_dice", "focal", "tversky"]
Monitor = Literal["val_loss", "val_dice", "val_iou", "loss", "dice", "iou"]
FillMode = Literal["nearest", "reflect", "wrap", "constant"]

MOST_ROUNDS = 6
SEVERAL_ROUNDS = list(range(2, MOST_ROUNDS + 1))


class TrainingParams(Params):
    """How the network learns."""

    epochs: int = number(30, 1, 10_000, "How many times the network sees every training image.", title="Epochs")
    batch_size: int = number(
        4, 1, 256, "How many images are averaged for one step of learning.", title="Batch size", unit="images"
    )
    validation_split: float = number(
        0.3,
        0,
        0.9,
        "Share of the images kept out of training to measure how well the network does on unseen ones.",
        title="Validation split",
    )
    learning_rate: float = number(1e-3, 1e-7, 1, "Size of the first learning step.", title="Learning rate")
    schedule: Literal["constant", "cosine"] = Field(
        "cosine",
        title="Learning rate schedule",
        description="Constant keeps the learning rate; cosine lets it fall smoothly to almost 0 by the last epoch.",
    )
    warmup_epochs: float = number(
        0.0,
        0,
        100,
        "The learning rate rises from almost 0 to its full size during this many epochs.",
        title="Warm-up",
        unit="epochs",
    )
    loss: Loss = Field(
        "bce_dice",
        title="Loss",
        description="What learning makes small: cross-entropy per pixel, soft Dice per image, their sum, focal loss "
        "which turns to the hard pixels, or Tversky's index, which weighs false alarms and misses.",
    )
    tversky_alpha: float = number(
        0.3,
        0.05,
        0.95,
        "What a false alarm counts in the Tversky loss; a miss counts 1 − alpha. At 0.5 it is Dice.",
        title="Tversky alpha",
        only_with={"loss": ["tversky"]},
    )
    confidence_weights: bool = Field(
        False,
        title="Weigh by confidence",
        description="Count each pixel by how sure its pseudo-label is: |2p − 1|. Truth is always sure.",
    )
    ignore_band: float = number(
        0.0, 0, 0.45, "Pixels whose pseudo-label lies within this distance of 0.5 teach nothing.", title="Ignore band"
    )
    optimizer: Literal["adam", "adamw", "sgd"] = Field(
        "adamw",
        title="Optimizer",
        description="How steps are taken: Adam, Adam with decoupled weight decay (AdamW), or SGD with Nesterov's "
        "momentum of 0.9.",
    )
    weight_decay: float = number(
        1e-4,
        0,
        1,
        "How strongly AdamW pulls the weights towards zero; the other optimizers ignore it.",
        title="Weight decay",
        only_with={"optimizer": ["adamw"]},
    )
    clip_norm: float = number(
        0.0,
        0,
        1000,
        "Gradients longer than this are shortened to it; 0 leaves them as they are.",
        title="Clip gradients",
    )
    ema: float = number(
        0.0,
        0,
        1,
        "Validate and store a moving average of the weights, which keeps this share of itself at every "
        "step; 0 uses the weights as they are.",
        title="Average of weights",
        exclusive="high",
    )
    precision: Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"] = Field(
        "auto",
        title="Precision",
        description="Mixed bfloat16 is faster on processors with AMX or AVX-512 BF16, and on graphics cards; automatic "
        " chooses what this machine is fast at.",
    )
    tensorboard: bool = Field(
        False, title="TensorBoard files", description="Also write TensorBoard event files into the run's folder."
    )
    seed: int = number(0, 0, 2**31 - 1, "Start of every random choice: split, weights, augmentation.", title="Seed")


class DataParams(Params):
    """How images of any size become the squares that the network sees."""

    framing: Literal["pad", "crop", "stretch", "tiles"] = Field(
        "pad",
        title="Framing",
        description="Pad shows the whole image in its own proportions and mirrors its edge to fill the square; crop "
        "cuts squares of the image's shorter side; stretch bends every image into the square; tiles cuts squares out "
        "of the image at its own scale, for large images with small objects.",
    )
    tile_scale: float = number(
        1.0,
        0,
        2,
        "Images are scaled by this factor before tiles are cut; below 1, tiles see more of the image.",
        title="Tile scale",
        only_with={"framing": ["tiles"]},
        exclusive="low",
    )
    object_tiles: float = number(
        0.5,
        0,
        1,
        "Share of the training tiles that are placed so that they hold some foreground.",
        title="Tiles with objects",
        only_with={"framing": ["tiles"]},
    )
    quality_weights: Literal["equal", "weighted"] = Field(
        "weighted",
        title="Image weights",
        description="Weighted lets images whose pseudo-label looks bad by its label-free quality count less.",
    )
    drop_worst: float = number(
        0.0,
        0,
        0.9,
        "Share of the images that do not teach because their pseudo-labels have the lowest quality.",
        title="Leave out the worst",
    )


class AugmentationParams(Params):
    """Random changes made to each training image; image and mask always move together."""

    enabled: bool = Field(
        True, title="Augment", description="Show the network a randomly changed copy of each image in every epoch."
    )
    rotation_range: float = number(10.0, 0, 180, "Turns by at most this angle, either way.", title="Rotation", unit="°")
    width_shift_range: float = number(
        0.05, 0, 1, "Moves sideways by at most this share of the width.", title="Width shift"
    )
    height_shift_range: float = number(
        0.05, 0, 1, "Moves up or down by at most this share of the height.", title="Height shift"
    )
    shear_range: float = number(0.0, 0, 60, "Slants by at most this angle, either way.", title="Shear", unit="°")
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
        description="What fills the corners that a change uncovers: the nearest pixel, the image mirrored, the image "
        "repeated, or black background.",
    )


class EarlyStoppingParams(Params):
    """Ends a run that no longer gets better."""

    enabled: bool = Field(True, title="Early stopping", description="End the run when the watched metric stalls.")
    monitor: Monitor = Field("val_loss", title="Watch", description="The metric that has to improve.")
    patience: int = number(
        12, 1, 1000, "How many epochs in a row may pass without improvement.", title="Patience", unit="epochs"
    )
    min_delta: float = number(
        0.0, 0, 1, "A smaller change does not count as improvement.", title="Smallest improvement"
    )
    restore_best_weights: bool = Field(
        True, title="Restore best", description="When stopping early, go back to the weights of the best epoch."
    )


class CheckpointParams(Params):
    """Which models a run keeps. The best one makes the predictions."""

    monitor: Monitor = Field(
        "val_loss", title="Best by", description="The metric that decides which epoch is the best."
    )
    save_last: bool = Field(
        True, title="Keep the last", description="Also keep the last epoch with its optimizer, so the run can resume."
    )


class ReduceLRParams(Params):
    """Lowers the learning rate when learning stalls, on top of the schedule."""

    enabled: bool = Field(
        False, title="Reduce on plateau", description="Lower the learning rate when the watched metric stalls."
    )
    monitor: Monitor = Field("val_loss", title="Watch", description="The metric that has to improve.")
    factor: float = number(
        0.5, 0, 1, "The learning rate is multiplied by this number.", title="Factor", exclusive="both"
    )
    patience: int = number(
        5, 1, 1000, "How many epochs in a row may pass without improvement.", title="Patience", unit="epochs"
    )
    min_lr: float = number(1e-6, 0, 1, "The learning rate is never reduced below this.", title="Minimum")


class SelfTrainingParams(Params):
    """Rounds in which a fresh network learns from the labels corrected by the one before. Truth needs none."""

    rounds: int = number(
        1,
        1,
        MOST_ROUNDS,
        "How many networks are trained one after the other on pseudo-labels; 1 trains a single one.",
        title="Rounds",
    )
    keep: float = number(
        0.3,
        0,
        0.95,
        "Share of the old label in the new one; the rest is what the network said.",
        title="Keep of the labels",
        only_with={"rounds": SEVERAL_ROUNDS},
    )
    refine: Literal["none", "guided_filter", "grabcut"] = Field(
        "grabcut",
        title="Refine at edges",
        description="How the network's masks are moved to the edges of the image before they become labels.",
        json_schema_extra=only_with(rounds=SEVERAL_ROUNDS),
    )
    drop_worst: float = number(
        0.0,
        0,
        0.9,
        "Share of the images left out of the next round because their new labels have the lowest quality.",
        title="Leave out the worst",
        only_with={"rounds": SEVERAL_ROUNDS},
    )


class PredictionParams(Params):
    """How a run's masks of its own images are made once it is trained."""

    flips: bool = Field(
        True,
        title="Average over flips",
        description="Mean of the image and its three mirror images: better masks at four times the work.",
    )
    refine: Literal["none", "guided_filter", "grabcut"] = Field(
        "none", title="Refine at edges", description="Move the masks to the edges of the image."
    )
