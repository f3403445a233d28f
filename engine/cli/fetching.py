"""`python -m engine backbone`: fetch the network that describes images to the method *strokes*."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from engine.cli.commands import AsJson, CommandFailed, Installation, app, existing, print_result
from engine.store import keys as stored

LICENCE = "MobileNetV2 with ImageNet weights, from Keras Applications (9 MB, Apache License 2.0)"


@app.command()
def backbone(
    weights: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Weights of MobileNetV2 without its top; no download then.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Download them: you agree to size and licence.")] = False,
    as_json: AsJson = False,
):
    """Store MobileNetV2 as an ONNX file, with which strokes teach more. Without it they teach colour and texture."""
    if weights is None and not yes:
        raise CommandFailed(f"This downloads {LICENCE}. Agree by --yes, or name a file by --weights.")
    source = str(existing(weights, "weights file")) if weights is not None else "imagenet"
    from engine.network.backbone import save_backbone  # TensorFlow takes seconds to load

    installation = Installation()
    with installation.files.writing(stored.backbone_key()) as path:
        save_backbone(source, path)
    size = installation.files.size(stored.backbone_key())
    result = {"key": stored.backbone_key(), "weights": source, "bytes": size}
    print_result(result, as_json, f"Stored MobileNetV2 ({size / 1e6:.1f} MB). Strokes use it from now on.")
