"""What to change in the settings of a run that takes more memory than there is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.core.network_parameters import U_NETS


def memory_advice(config: Mapping[str, Any]) -> str:
    """Return the settings of a run that determine its memory, with their values, as the end of a sentence.

    Such as "a smaller batch size (now 4), image size (now 256 px) or number of base filters (now 16)". Settings that
    cannot be lowered or have no effect are left out.
    """
    training, model = config.get("training", {}), config.get("model", {})
    values = {"image size": f"{model['image_size']} px" if "image_size" in model else None}
    if training.get("batch_size") != 1:  # first, because lowering it changes the result least
        values = {"batch size": training.get("batch_size")} | values
    if model.get("architecture", "unet") in U_NETS:
        values["number of base filters"] = model.get("base_filters")
    *first, last = (name + (f" (now {now})" if now is not None else "") for name, now in values.items())
    return f"a smaller {' or '.join([', '.join(first), last] if first else [last])}"
