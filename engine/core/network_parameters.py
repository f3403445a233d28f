"""The settings of the network itself; `engine.core.run_parameters` has a run's other groups.

Nothing here imports TensorFlow.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from engine.core.parameters import Params, only_with

U_NETS = ["unet", "residual", "attention"]
ENCODER_STRIDE = 32  # how far MobileNetV2 shrinks an image
MAX_FILTERS = 2048  # twice the classic bottom; more is a slip of the hand and would exhaust memory


def _whole_number(value: Any) -> Any:
    """Return "2" from the command line as 2: a Literal of numbers is not converted from text by itself."""
    return int(value) if isinstance(value, str) and value.strip().isdecimal() else value


class ModelParams(Params):
    """The network: how large its input is and how much it can hold."""

    architecture: Literal["unet", "residual", "attention", "mobilenet_v2"] = Field(
        "unet",
        title="Network",
        description="The plain U-Net; one with residual blocks; one with attention gates on its skips; or one whose "
        "way down is MobileNetV2, which can start from pretrained weights.",
    )
    encoder_weights: str = Field(
        "none",
        max_length=500,
        title="Encoder weights",
        description="For MobileNetV2: none, imagenet (downloaded by Keras once; learned from ImageNet's labels), or "
        "the path of a weights file.",
        json_schema_extra=only_with(architecture=["mobilenet_v2"]),
    )
    image_size: int = Field(
        256,
        ge=16,
        le=2048,
        title="Image size",
        description="Width and height of the square that the network sees.",
        json_schema_extra={"unit": "px"},
    )
    depth: int = Field(
        4,
        ge=1,
        le=7,
        title="Depth",
        description="How many times the image is halved on the way down.",
        json_schema_extra=only_with(architecture=U_NETS),
    )
    base_filters: int = Field(
        16,
        ge=1,
        le=256,
        title="Base filters",
        description="Filters at the top; each level down doubles them.",
        json_schema_extra=only_with(architecture=U_NETS),
    )
    first_stride: Annotated[Literal[1, 2, 4], BeforeValidator(_whole_number)] = Field(
        2,
        title="First stride",
        description="1 works at full size as the classic U-Net does; 2 or 4 works on a coarser grid and is faster.",
        json_schema_extra={"unit": "px"} | only_with(architecture=U_NETS),
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
        encoder = self.architecture == "mobilenet_v2"
        step = ENCODER_STRIDE if encoder else self.first_stride * 2**self.depth
        if self.image_size % step:
            name = "the encoder's stride" if encoder else "first_stride × 2^depth"
            raise ValueError(f"image_size must be divisible by {name} = {step}, and {self.image_size} is not")
        if encoder:
            return self
        widest = self.base_filters * 2**self.depth
        if widest > MAX_FILTERS:
            raise ValueError(f"base_filters × 2^depth must be at most {MAX_FILTERS}, and it is {widest}")
        return self
