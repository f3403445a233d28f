"""The parameters of the network; `engine.core.run_parameters` has the other groups of a run.

Nothing here imports TensorFlow.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from engine.core.parameters import Params, number, only_with

ARCHITECTURE_TITLES = {
    "unet": "U-Net",
    "residual": "U-Net with residual blocks",
    "attention": "U-Net with attention gates",
    "mobilenet_v2": "U-Net on a MobileNetV2 encoder",
}
U_NETS = ["unet", "residual", "attention"]
ENCODER_STRIDE = 32  # the factor by which MobileNetV2 reduces an image
MOST_CLASSES = 254  # 0 is background, and 255 is ignored
MAX_FILTERS = 2048  # twice those of the published U-Net; more would exhaust memory


def _whole_number(value: Any) -> Any:
    """Return "2" from the command line as 2: pydantic does not convert text for a Literal of numbers."""
    return int(value) if isinstance(value, str) and value.strip().isdecimal() else value


class ModelParams(Params):
    """The network, the size of its input, and its capacity."""

    architecture: Literal["unet", "residual", "attention", "mobilenet_v2"] = Field(
        "unet",
        title="Network",
        description="The plain U-Net; one with residual blocks; one with attention gates on its skip connections; or "
        "one with MobileNetV2 as encoder, which can start from pretrained weights.",
    )
    encoder_weights: str = Field(
        "none",
        max_length=500,
        title="Encoder weights",
        description="For MobileNetV2: none, imagenet (downloaded by Keras once; trained on ImageNet's labels), or the "
        "path of a weights file.",
        json_schema_extra=only_with(architecture=["mobilenet_v2"]),
    )
    image_size: int = number(
        256, 16, 2048, "Width and height of the square that the network takes.", title="Image size", unit="px"
    )
    depth: int = number(
        4, 1, 7, "How often the encoder halves the image.", title="Depth", only_with={"architecture": U_NETS}
    )
    base_filters: int = number(
        16,
        1,
        256,
        "Filters at the first level; each further level doubles them.",
        title="Base filters",
        log=True,
        only_with={"architecture": U_NETS},
    )
    first_stride: Annotated[Literal[1, 2, 4], BeforeValidator(_whole_number)] = Field(
        2,
        title="First stride",
        description="1 works at full resolution, as the published U-Net; 2 or 4 at a lower one, which is faster.",
        json_schema_extra={"unit": "px"} | only_with(architecture=U_NETS),
    )
    classes: int = number(
        0,
        0,
        MOST_CLASSES,
        "Number of classes that the network tells apart; 0 takes as many as the masks have, 1 merges them into one.",
        title="Classes",
    )
    batch_normalization: bool = Field(
        True,
        title="Batch normalisation",
        description="Normalises the output of every convolution, which makes training faster and more stable.",
    )
    dropout: float = number(
        0.0,
        0,
        0.9,
        "Share of the features at the lowest resolution that are set to 0 at random during training.",
        title="Dropout",
    )

    @property
    def outputs(self) -> int:
        """The number of values for each pixel: the probability of foreground, or those of background and each class."""
        return self.classes + 1 if self.classes > 1 else 1

    @property
    def size_step_px(self) -> int:
        """The image size must be a multiple of this, the factor by which the network reduces an image."""
        return self.first_stride * 2**self.depth if self.uses("depth") else ENCODER_STRIDE

    @model_validator(mode="after")
    def _sizes_fit(self) -> ModelParams:
        step, scaled = self.size_step_px, self.uses("depth")
        if self.image_size % step:
            name = "first_stride × 2^depth" if scaled else "the encoder's stride"
            raise ValueError(f"image_size must be divisible by {name} = {step}, and {self.image_size} is not")
        if not scaled:
            return self
        widest = self.base_filters * 2**self.depth
        if widest > MAX_FILTERS:
            raise ValueError(f"base_filters × 2^depth must be at most {MAX_FILTERS}, and it is {widest}")
        return self
