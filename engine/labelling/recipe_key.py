"""Keys for what determines a mask, except the image, or a fitted state, so that both can be stored and found again."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from engine import VERSION
from engine.labelling.base import LabelParams, drawing, find_method, values_for


def recipe_key(method: str, params: LabelParams, seed: int, state: dict[str, Any] | None, left_out: str = "") -> str:
    """Return 64 hex digits: the SHA-256 of method, parameters, seed, state, the key of what is left out, and code."""
    if state is not None:  # a method can delegate only once it has its state
        delegate, params, state = drawing(find_method(method), params, state)
        method = delegate.name
    parts = [method, params.model_dump(mode="json"), seed, state, _code(inspect.getfile(find_method(method).params))]
    parts += [left_out] if left_out else []  # keys from before anything could be left out stay valid
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def fit_key(method: str, params: LabelParams, seed: int, content_hashes: Sequence[str], left_out: str = "") -> str:
    """Return 64 hex digits for the state that a method fits to images of these contents, in their order."""
    depends_on = find_method(method).look_depends_on
    file = depends_on(params) if depends_on else ""
    code = _code(inspect.getfile(find_method(method).params))
    parts = [method, values_for(params, "fit"), seed, list(content_hashes), left_out, file, code]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


@cache
def _code(module_file: str) -> str:
    """Return a digest of the methods' sources, so that a change of the code invalidates cached masks.

    Args:
        module_file: declares the method's parameters; for a method of another package it is counted beside ours.
    """
    digest = hashlib.sha256(VERSION.encode())
    for path in sorted({*Path(__file__).parent.rglob("*.py"), Path(module_file)}):
        digest.update(path.read_bytes())
    return digest.hexdigest()
