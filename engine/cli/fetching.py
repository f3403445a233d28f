"""`python -m engine weights` and `backbone`: the pretrained network of the installation."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from engine.cli.commands import AsJson, CommandFailed, Installation, app, existing, print_result
from engine.network import pretrained
from engine.store import keys as stored

weights_app = typer.Typer(no_args_is_help=True, help="Pretrained weights: better masks from few masks to train on.")
app.add_typer(weights_app, name="weights")

Yes = Annotated[bool, typer.Option("--yes", help="Download them: you agree to size and licence.")]
Expected = Annotated[str, typer.Option(metavar="HEX", help="Refuse the file unless this is its SHA-256.")]


@weights_app.command("add")
def add(file: Path, sha256: Expected = "", as_json: AsJson = False):
    """Add the ImageNet weights of MobileNetV2 without its top from a file that Keras wrote (.h5, .weights.h5)."""
    path = existing(file, "weights file")
    found = pretrained.sha256_of(path)
    if sha256 and sha256.strip().lower() != found:
        raise CommandFailed(f"The SHA-256 of {str(path)!r} is {found}, and not {sha256.strip()!r}: it is another file.")
    _add(str(path), as_json)


@weights_app.command("get")
def get(yes: Yes = False, as_json: AsJson = False):
    """Download the ImageNet weights of MobileNetV2 without its top, as Keras does."""
    if not yes:
        raise CommandFailed(f"This downloads {pretrained.ABOUT}. Agree by --yes, or name a file: weights add FILE.")
    _add(pretrained.IMAGENET, as_json)


@weights_app.command("list")
def list_(as_json: AsJson = False):
    """Show the pretrained weights of this installation, and the preset that trainings have by default."""
    files = Installation().files
    found = pretrained.installed(files)
    preset = pretrained.default_preset(files)
    sentence = f"{found.origin}, {found.bytes / 1e6:.1f} MB." if found else "No pretrained weights were added."
    result = {"weights": asdict(found) if found else None, "default_preset": preset}
    print_result(
        result, as_json, f"{sentence} Trainings on truth have the preset {preset!r}, unless another is chosen."
    )


@app.command()
def backbone(
    weights: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Weights of MobileNetV2 without its top; no download then.")
    ] = None,
    yes: Yes = False,
    as_json: AsJson = False,
):
    """The same as `weights add FILE` and `weights get`: strokes and trainings use the same network."""
    if weights is None and not yes:
        raise CommandFailed(f"This downloads {pretrained.ABOUT}. Agree by --yes, or name a file by --weights.")
    _add(str(existing(weights, "weights file")) if weights is not None else pretrained.IMAGENET, as_json)


def _add(source: str, as_json: bool) -> None:
    from engine.network.backbone import add_pretrained  # TensorFlow takes seconds to load

    added = add_pretrained(source, Installation().files)
    sentence = (
        f"Added {added.origin} ({added.bytes / 1e6:.1f} MB). Strokes, deep features, Automatic and the presets "
        f"'from_labels' and {pretrained.WITH_WEIGHTS!r} use it from now on."
    )
    result = {"key": stored.backbone_key(), "weights": added.file} | asdict(added)
    print_result(result, as_json, sentence)
