"""Which ONNX file describes images: the one that was named, or that of this installation once it was fetched."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.network import pretrained
from engine.store import keys as stored
from engine.store.opening import local_copy

NONE = "none"


def backbone_of(named: str) -> Path | None:
    """Return the file that a recipe names: empty for the installation's, if there is one; "none" for none."""
    if named == NONE:
        return None
    if named:
        return Path(named).expanduser()
    own = (local_copy(key) for key in (stored.backbone_key(), stored.older_backbone_key()))
    return next((path for path in own if path.is_file()), None)


def weights_of(params: Mapping[str, Any], state: Mapping[str, Any]) -> str:
    """Return the pretrained weights that helped a mask set, for the reports on it; empty for none.

    What a method that delegates has chosen counts (see `engine.labelling.base.Method`).
    """
    while isinstance(state.get("state"), Mapping):
        params, state = state.get("params", {}), state["state"]
    if not state.get("backbone"):
        return ""
    named = str(params.get("backbone", ""))
    if named:
        return Path(named).name
    added = pretrained.installed_here()
    return f"MobileNetV2 with {added.file}" if added and not added.of_imagenet else "MobileNetV2 with ImageNet weights"
