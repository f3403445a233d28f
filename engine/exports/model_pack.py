"""The zip of an exported model: its file or folder, its card, and a program that runs it."""

from __future__ import annotations

import zipfile
from pathlib import Path


def write(target: Path, model: Path, card: str, example: str) -> None:
    """Write the zip. `model` is a file or a folder; inside, it keeps its name."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("MODEL_CARD.md", card)
        archive.writestr("example.py", example)
        if model.is_file():
            archive.write(model, model.name, zipfile.ZIP_STORED)  # weights do not get smaller
            return
        for path in sorted(model.rglob("*")):
            archive.write(path, path.relative_to(model.parent).as_posix())
