"""The groups of settings that a run is made of: every parameter with its limits, unit and one-sentence help.

`engine.core.run_config` puts them together. Nothing here imports TensorFlow.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from engine.core.parameters import Params, only_with

Loss = Literal["binary_crossentropy", "dice", "bce_dice", "focal", "tversky"]
Monitor = Literal["val_loss", "val_dice", "val_iou", "loss", "dice", "iou"]
FillMode = Literal["nearest", "reflect", "wrap", "constant"]

MOST_ROUNDS = 6
SEVERAL_ROUNDS = list(range(2, MOST_ROUNDS + 1))


class TrainingParams(Params):
    """How the network learns."""

    epochs: int = Field(
        30, ge=1, le=10_000, title="Epochs", description="How many times the network sees every training image."
    )
    batch_size: int = Field(
        4,
        ge=1,
        le=256,
        title="Batch size",
        description="How many images are averaged for one step of learning.",
        json_schema_extra={"unit": "images"},
    )
    validation_split: float = Field(
        0.3,
        ge=0,
        le=0.9,
        title="Validation split",
        description="Share of the images kept out of training to measure how well the network does on unseen ones.",
    )
    learning_rate: float = Field(
        1e-3, ge=1e-7, le=1, title="Learning rate", description="Size of the first learning step."
    )
    schedule: Literal["constant", "cosine"] = Field(
        "cosine",
        title="Learning rate schedule",
        description="Constant keeps the learning rate; cosine lets it fall smoothly to almost 0 by the last epoch.",
    )
    warmup_epochs: float = Field(
        0.0,
        ge=0,
        le=100,
        title="Warm-up",
        description="The learning rate rises from almost 0 to its full size during this many epochs.",
        json_schema_extra={"unit": "epochs"},
    )
    loss: Loss = Field(
        "bce_dice",
        title="Loss",
        description="What learning makes small: cross-entropy per pixel, soft Dice per image, their sum, focal loss "
        "which turns to the hard pixels, or Tversky's index, which weighs false alarms and misses.",
    )
    tversky_alpha: float = Field(
        0.3,
        ge=0.05,
        le=0.95,
        title="Tversky alpha",
        description="What a false alarm counts in the Tversky loss; a miss counts 1 − alpha. At 0.5 it is Dice.",
        json_schema_extra=only_with(loss=["tversky"]),
    )
    confidence_weights: bool = Field(
        False,
        title="Weigh by confidence",
        description="Count each pixel by how sure its pseudo-label is: |2p − 1|. Truth is always sure.",
    )
    ignore_band: float = Field(
        0.0,
        ge=0,
        le=0.45,
        title="Ignore band",
        description="Pixels whose pseudo-label lies within this distance of 0.5 teach nothing.",
    )
    optimizer: Literal["adam", "adamw", "sgd"] = Field(
        "adamw",
        title="Optimizer",
        description="How steps are taken: Adam, Adam with decoupled weight decay (AdamW), or SGD with Nesterov's "
        "momentum of 0.9.",
    )
    weight_decay: float = Field(
        1e-4,
        ge=0,
        le=1,
        title="Weight decay",
        description="How strongly AdamW pulls the weights towards zero; the other optimizers ignore it.",
        json_schema_extra=only_with(optimizer=["adamw"]),
    )
    clip_norm: float = Field(
        0.0,
        ge=0,
        le=1000,
        title="Clip gradients",
        description="Gradients longer than this are shortened to it; 0 leaves them as they are.",
    )
    ema: float = Field(
        0.0,
        ge=0,
        lt=1,
        title="Average of weights",
        description="Validate and store a moving average of the weights, which keeps this share of itself at every "
        "step; 0 uses the weights as they are.",
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
    seed: int = Field(
        0, ge=0, le=2**31 - 1, title="Seed", description="Start of every random choice: split, weights, augmentation."
    )


class DataParams(Params):
    """How images of any size become the squares that the network sees."""

    framing: Literal["pad", "crop", "stretch", "tiles"] = Field(
        "pad",
        title="Framing",
        description="Pad shows the whole image in its own proportions and mirrors its edge to fill the square; crop "
        "cuts squares of the image's shorter side; stretch bends every image into the square; tiles cuts squares out "
        "of the image at its own scale, for large images with small objects.",
    )
    tile_scale: float = Field(
        1.0,
        gt=0,
        le=2,
        title="Tile scale",
        description="Images are scaled by this factor before tiles are cut; below 1, tiles see more of the image.",
        json_schema_extra=only_with(framing=["tiles"]),
    )
    object_tiles: float = Field(
        0.5,
        ge=0,
        le=1,
        title="Tiles with objects",
        description="Share of the training tiles that are placed so that they hold some foreground.",
        json_schema_extra=only_with(framing=["tiles"]),
    )
    quality_weights: Literal["equal", "weighted"] = Field(
        "weighted",
        title="Image weights",
        description="Weighted lets images whose pseudo-label looks bad by its label-free quality count less.",
    )
    drop_worst: float = Field(
        0.0,
        ge=0,
        le=0.9,
        title="Leave out the worst",
        description="Share of the images that do not teach because their pseudo-labels have the lowest quality.",
    )


class AugmentationParams(Params):
    """Random changes made to each training image; image and mask always move together."""

    enabled: bool = Field(
        True, title="Augment", description="Show the network a randomly changed copy of each image in every epoch."
    )
    rotation_range: float = Field(
        10.0,
        ge=0,
        le=180,
        title="Rotation",
        description="Turns by at most this angle, either way.",
        json_schema_extra={"unit": "°"},
    )
    width_shift_range: float = Field(
        0.05, ge=0, le=1, title="Width shift", description="Moves sideways by at most this share of the width."
    )
    height_shift_range: float = Field(
        0.05, ge=0, le=1, title="Height shift", description="Moves up or down by at most this share of the height."
    )
    shear_range: float = Field(
        0.0,
        ge=0,
        le=60,
        title="Shear",
        description="Slants by at most this angle, either way.",
        json_schema_extra={"unit": "°"},
    )
    zoom_range: float = Field(
        0.1, ge=0, le=0.9, title="Zoom", description="Enlarges or shrinks by a factor between 1 − zoom and 1 + zoom."
    )
    brightness_range: float = Field(
        0.2,
        ge=0,
        le=0.9,
        title="Brightness",
        description="Multiplies all colours by a factor between 1 − brightness and 1 + brightness.",
    )
    channel_shift_range: float = Field(
        5.0,
        ge=0,
        le=255,
        title="Colour shift",
        description="Adds at most this much, up or down, to red, green and blue separately.",
        json_schema_extra={"unit": "grey levels"},
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
    patience: int = Field(
        12,
        ge=1,
        le=1000,
        title="Patience",
        description="How many epochs in a row may pass without improvement.",
        json_schema_extra={"unit": "epochs"},
    )
    min_delta: float = Field(
        0.0, ge=0, le=1, title="Smallest improvement", description="A smaller change does not count as improvement."
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
    factor: float = Field(
        0.5, gt=0, lt=1, title="Factor", description="The learning rate is multiplied by this number."
    )
    patience: int = Field(
        5,
        ge=1,
        le=1000,
        title="Patience",
        description="How many epochs in a row may pass without improvement.",
        json_schema_extra={"unit": "epochs"},
    )
    min_lr: float = Field(
        1e-6, ge=0, le=1, title="Minimum", description="The learning rate is never reduced below this."
    )


class SelfTrainingParams(Params):
    """Rounds in which a fresh network learns from the labels corrected by the one before. Truth needs none."""

    rounds: int = Field(
        1,
        ge=1,
        le=MOST_ROUNDS,
        title="Rounds",
        description="How many networks are trained one after the other on pseudo-labels; 1 trains a single one.",
    )
    keep: float = Field(
        0.3,
        ge=0,
        le=0.95,
        title="Keep of the labels",
        description="Share of the old label in the new one; the rest is what the network said.",
        json_schema_extra=only_with(rounds=SEVERAL_ROUNDS),
    )
    refine: Literal["none", "guided_filter", "grabcut"] = Field(
        "grabcut",
        title="Refine at edges",
        description="How the network's masks are moved to the edges of the image before they become labels.",
        json_schema_extra=only_with(rounds=SEVERAL_ROUNDS),
    )
    drop_worst: float = Field(
        0.0,
        ge=0,
        le=0.9,
        title="Leave out the worst",
        description="Share of the images left out of the next round because their new labels have the lowest quality.",
        json_schema_extra=only_with(rounds=SEVERAL_ROUNDS),
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
