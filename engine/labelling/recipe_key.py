"""A name for all that a mask depends on but the picture: what was drawn under the same name need not be drawn again."""

from __future__ import annotations

import hashlib
import inspect
import json
from functools import cache
from pathlib import Path
from typing import Any

from engine import VERSION
from engine.labelling.base import LabelParams, drawing, find_method


def recipe_key(method: str, params: LabelParams, seed: int, state: dict[str, Any] | None) -> str:
    """Return 64 hex digits: SHA-256 of method, parameters, seed, what was learned of the dataset, and the code."""
    if state is not None:  # before it has learned, a method cannot say what draws for it
        drawn_by, params, state = drawing(find_method(method), params, state)
        method = drawn_by.name
    parts = [method, params.model_dump(mode="json"), seed, state, _code(inspect.getfile(find_method(method).params))]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


@cache
def _code(module_file: str) -> str:
    """Return a digest of the methods' sources, so that no mask outlives a change of the code that drew it.

    Args:
        module_file: declares the method's parameters; for a method of another package it is counted beside ours.
    """
    digest = hashlib.sha256(VERSION.encode())
    for path in sorted({*Path(__file__).parent.rglob("*.py"), Path(module_file)}):
        digest.update(path.read_bytes())
    return digest.hexdigest()
