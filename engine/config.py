"""What a training run is made of: every parameter declared once, with its limits, unit and one-sentence help.

The form in the browser, the command line (`-p training.epochs=3`), the JSON stored with a run, the difference between
two runs and the table in the documentation are all made from these declarations. Nothing here imports TensorFlow.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from engine.parameters import ParameterError, Params, parse

Loss = Literal["binary_crossentropy", "dice", "bce_dice", "focal"]
Monitor = Literal["val_loss", "val_dice", "val_iou", "loss", "dice", "iou"]
FillMode = Literal["nearest", "reflect", "wrap", "constant"]

MAX_FILTERS = 2048  # twice the classic bottom; more is a slip of the hand and would exhaust memory


def _whole_number(value: Any) -> Any:
    """Return "2" from the command line as 2: a Literal of numbers is not converted from text by itself."""
    return int(value) if isinstance(value, str) and value.strip().isdecimal() else value


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
    loss: Loss = Field(
        "bce_dice",
        title="Loss",
        description="What learning makes small: cross-entropy per pixel, soft Dice per image, their sum, or focal loss "
        "which turns to the hard pixels.",
    )
    optimizer: Literal["adam", "adamw"] = Field(
        "adamw",
        title="Optimizer",
        description="How steps are taken: Adam, or Adam with decoupled weight decay (AdamW).",
    )
    weight_decay: float = Field(
        1e-4,
        ge=0,
        le=1,
        title="Weight decay",
        description="How strongly AdamW pulls the weights towards zero; Adam ignores it.",
    )
    precision: Literal["auto", "float32", "mixed_bfloat16"] = Field(
        "auto",
        title="Precision",
        description="Mixed bfloat16 is faster where the processor has AMX; automatic uses it only there.",
    )
    tensorboard: bool = Field(
        False, title="TensorBoard files", description="Also write TensorBoard event files into the run's folder."
    )
    seed: int = Field(
        0, ge=0, le=2**31 - 1, title="Seed", description="Start of every random choice: split, weights, augmentation."
    )


class ModelParams(Params):
    """The U-Net: how large its input is and how much it can hold."""

    image_size: int = Field(
        256,
        ge=16,
        le=2048,
        title="Image size",
        description="Every image is stretched to this width and height before the network sees it.",
        json_schema_extra={"unit": "px"},
    )
    depth: int = Field(4, ge=1, le=7, title="Depth", description="How many times the image is halved on the way down.")
    base_filters: int = Field(
        16, ge=1, le=256, title="Base filters", description="Filters at the top; each level down doubles them."
    )
    first_stride: Annotated[Literal[1, 2, 4], BeforeValidator(_whole_number)] = Field(
        2,
        title="First stride",
        description="1 works at full size as the classic U-Net does; 2 or 4 works on a coarser grid and is faster.",
        json_schema_extra={"unit": "px"},
    )
    batch_normalization: bool = Field(
        True,
        title="Batch normalisation",
        description="Normalises every layer's output, which makes learning faster and steadier.",
    )
    dropout: float = Field(
        0.0,
        ge=0,
        le=0.9,
        title="Dropout",
        description="Share of the features at the bottom that is switched off at random while training.",
    )

    @model_validator(mode="after")
    def _sizes_fit(self) -> ModelParams:
        step = self.first_stride * 2**self.depth
        if self.image_size % step:
            raise ValueError(
                f"image_size must be divisible by first_stride × 2^depth = {step}, and {self.image_size} is not"
            )
        widest = self.base_filters * 2**self.depth
        if widest > MAX_FILTERS:
            raise ValueError(f"base_filters × 2^depth must be at most {MAX_FILTERS}, and it is {widest}")
        return self


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


class RunConfig(Params):
    """Everything that decides how a run goes, apart from the images it learns from."""

    version: Literal[1] = Field(1, title="Version", description="Version of this set of parameters.")
    training: TrainingParams = Field(default_factory=TrainingParams, title="Training")
    model: ModelParams = Field(default_factory=ModelParams, title="Model")
    augmentation: AugmentationParams = Field(default_factory=AugmentationParams, title="Augmentation")
    early_stopping: EarlyStoppingParams = Field(default_factory=EarlyStoppingParams, title="Early stopping")
    checkpoint: CheckpointParams = Field(default_factory=CheckpointParams, title="Checkpoint")
    reduce_lr: ReduceLRParams = Field(default_factory=ReduceLRParams, title="Learning rate on a plateau")

    @model_validator(mode="after")
    def _rates_fit(self) -> RunConfig:
        if self.reduce_lr.enabled and self.reduce_lr.min_lr >= self.training.learning_rate:
            raise ValueError(
                f"reduce_lr.min_lr must be below training.learning_rate ({self.training.learning_rate:g}), "
                f"and it is {self.reduce_lr.min_lr:g}"
            )
        return self


DEFAULT_PRESET = "fast"
PRESETS: dict[str, RunConfig] = {
    "fast": RunConfig(),
    # The U-Net that reported a validation Dice of 0.5998 on eggs-and-pans: it had no augmentation.
    "classic": RunConfig(
        training=TrainingParams(
            epochs=100,
            batch_size=4,
            validation_split=0.3,
            learning_rate=1e-4,
            schedule="constant",
            loss="binary_crossentropy",
            optimizer="adam",
        ),
        model=ModelParams(
            image_size=256, depth=4, base_filters=64, first_stride=1, batch_normalization=False, dropout=0.5
        ),
        augmentation=AugmentationParams(enabled=False),
        early_stopping=EarlyStoppingParams(enabled=True, monitor="val_loss", patience=10),
    ),
}


def config_from(preset: str = DEFAULT_PRESET, values: dict[str, Any] | None = None) -> RunConfig:
    """Return the preset with `values` (nested by group, as `parameters.from_assignments` gives them) laid over it.

    Raises:
        ParameterError: if there is no such preset, or a sentence for each wrong parameter.
    """
    if preset not in PRESETS:
        raise ParameterError(f"There is no preset '{preset}'. Known: {', '.join(PRESETS)}.")
    return parse(RunConfig, _merged(PRESETS[preset].model_dump(), values or {}))


def differences(a: RunConfig, b: RunConfig) -> list[tuple[str, Any, Any]]:
    """Return (path, value in `a`, value in `b`) for every parameter that differs, in the order of declaration."""
    flat_a, flat_b = flattened(a), flattened(b)
    return [(path, value, flat_b[path]) for path, value in flat_a.items() if value != flat_b[path]]


def flattened(config: RunConfig) -> dict[str, Any]:
    """Return every parameter by its path, such as {"training.epochs": 30}, in the order of declaration."""
    flat: dict[str, Any] = {}
    for group, content in config.model_dump().items():
        if isinstance(content, dict):
            flat.update({f"{group}.{name}": value for name, value in content.items()})
        else:
            flat[group] = content
    return flat


def _merged(base: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in values.items():
        both_groups = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merged(merged[key], value) if both_groups else value
    return merged
