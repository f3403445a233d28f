"""What to change about a run whose memory ran out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def memory_advice(config: Mapping[str, Any]) -> str:
    """Return what decides how much memory a run needs, each with its value in the run's settings, to end a sentence.

    Such as "a smaller batch size (now 4), image size (now 256 px) or number of base filters (now 16)".
    """
    training, model = config.get("training", {}), config.get("model", {})
    values = {
        "batch size": training.get("batch_size"),
        "image size": f"{model['image_size']} px" if "image_size" in model else None,
    }
    if model.get("architecture") != "mobilenet_v2":  # whose filters are what they are
        values["number of base filters"] = model.get("base_filters")
    *first, last = (what + (f" (now {now})" if now is not None else "") for what, now in values.items())
    return f"a smaller {', '.join(first)} or {last}"
