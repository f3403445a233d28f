"""The parameters of a training run, each declared once with its limits, unit and a one-sentence description.

The form in the browser, the command line (`-p training.epochs=3`), the JSON stored with a run, the difference between
two runs and the tables in the documentation are derived from these declarations. Nothing here imports TensorFlow.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from engine.core.network_parameters import ModelParams
from engine.core.parameters import ParameterError, Params, parse
from engine.core.run_parameters import (
    AugmentationParams,
    CheckpointParams,
    DataParams,
    EarlyStoppingParams,
    PredictionParams,
    ReduceLRParams,
    SelfTrainingParams,
    TrainingParams,
)


class RunConfig(Params):
    """All parameters of a run, except for its images."""

    version: Literal[2] = Field(2, title="Version", description="Version of this set of parameters.")
    training: TrainingParams = Field(default_factory=TrainingParams, title="Training")
    data: DataParams = Field(default_factory=DataParams, title="Data")
    model: ModelParams = Field(default_factory=ModelParams, title="Model")
    augmentation: AugmentationParams = Field(default_factory=AugmentationParams, title="Augmentation")
    early_stopping: EarlyStoppingParams = Field(default_factory=EarlyStoppingParams, title="Early stopping")
    checkpoint: CheckpointParams = Field(default_factory=CheckpointParams, title="Checkpoint")
    reduce_lr: ReduceLRParams = Field(default_factory=ReduceLRParams, title="Learning rate on a plateau")
    self_training: SelfTrainingParams = Field(default_factory=SelfTrainingParams, title="Self-training")
    prediction: PredictionParams = Field(default_factory=PredictionParams, title="Prediction")

    @model_validator(mode="before")
    @classmethod
    def _upgraded(cls, values: Any) -> Any:
        """Upgrade the settings of version 1, which stretched images and predicted without flips."""
        if not isinstance(values, dict) or values.get("version") != 1:
            return values
        before = {
            "data": {"framing": "stretch", "quality_weights": "equal"},
            "prediction": {"flips": False},
        }
        return _merged(before, values | {"version": 2})

    @model_validator(mode="after")
    def _rates_fit(self) -> RunConfig:
        if self.reduce_lr.enabled and self.reduce_lr.min_lr >= self.training.learning_rate:
            raise ValueError(
                f"reduce_lr.min_lr must be below training.learning_rate ({self.training.learning_rate:g}), "
                f"and it is {self.reduce_lr.min_lr:g}"
            )
        return self


DEFAULT_PRESET = "fast"
FROM_LABELS = "from_labels"
PRESETS: dict[str, RunConfig] = {
    "fast": RunConfig(),
    # Chosen on eggs-and-pans with truth, for half an hour on two cores (docs/benchmarks.md)
    "thorough": RunConfig(
        training=TrainingParams(epochs=100, learning_rate=2e-3, warmup_epochs=1),
        model=ModelParams(image_size=448, depth=5),
        augmentation=AugmentationParams(zoom_range=0.15),
        early_stopping=EarlyStoppingParams(patience=30),
        self_training=SelfTrainingParams(rounds=2),
    ),
    "encoder": RunConfig(
        training=TrainingParams(epochs=16, learning_rate=5e-4),
        model=ModelParams(architecture="mobilenet_v2", encoder_weights="imagenet", image_size=320),
        self_training=SelfTrainingParams(rounds=2, keep=0.0),
    ),
    # Few epochs, as a network learns the errors of its labels later than what they have in common (docs/benchmarks.md)
    FROM_LABELS: RunConfig(
        training=TrainingParams(epochs=12),
        model=ModelParams(image_size=160),
        self_training=SelfTrainingParams(rounds=2, keep=0.0, label_share=0.5),
        prediction=PredictionParams(refine="grabcut"),
    ),
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
        data=DataParams(framing="stretch"),
        augmentation=AugmentationParams(enabled=False),
        early_stopping=EarlyStoppingParams(enabled=True, monitor="val_loss", patience=10),
        prediction=PredictionParams(flips=False),
    ),
}


WITH_WEIGHTS: dict[str, RunConfig] = {
    FROM_LABELS: RunConfig(
        training=TrainingParams(epochs=5, learning_rate=5e-4),
        model=ModelParams(architecture="mobilenet_v2", encoder_weights="imagenet", image_size=224),
        self_training=SelfTrainingParams(rounds=2, keep=0.0, label_share=0.5),
        prediction=PredictionParams(refine="grabcut"),
    ),
}
"""What these presets are where there are pretrained weights to start from."""


def preset_config(preset: str, weights: bool = False) -> RunConfig:
    """Return the parameters of a preset; `weights` says whether there are pretrained weights to start from.

    Raises:
        ParameterError: there is no such preset.
    """
    if preset not in PRESETS:
        raise ParameterError(f"There is no preset '{preset}'. Known: {', '.join(PRESETS)}.")
    return WITH_WEIGHTS.get(preset, PRESETS[preset]) if weights else PRESETS[preset]


def config_from(preset: str = DEFAULT_PRESET, values: dict[str, Any] | None = None, weights: bool = False) -> RunConfig:
    """Return `preset_config`, overridden by `values` (nested by group, as from `parameters.from_assignments`).

    Raises:
        ParameterError: there is no such preset, or one sentence for each invalid parameter.
    """
    return parse(RunConfig, _merged(preset_config(preset, weights).model_dump(), values or {}))


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
