"""The pretrained MobileNetV2 of this installation: added once, for trainings and for the method *strokes*.

One step stores its weights, from which the encoder of a U-Net starts, the same network as an ONNX file that describes
images to strokes, and a record of the file that they were read from. Nothing here imports TensorFlow.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from engine.core.network_parameters import ModelParams
from engine.core.run_config import DEFAULT_PRESET, FROM_LABELS
from engine.store import keys as stored
from engine.store.base import Store
from engine.store.opening import local_copy

IMAGENET = "imagenet"
ABOUT = "MobileNetV2 with ImageNet weights, from Keras Applications (9 MB, Apache License 2.0)"
SOURCE = "storage.googleapis.com (Keras Applications)"
KERAS_FILE = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5"
"""The name that Keras gives the file which it downloads."""
KERAS_NAMES = "mobilenet_v2_weights_tf_dim_ordering"
"""How the names of the files begin that Keras downloads, which are all of ImageNet."""
LONGEST_NAME = 24

WITH_WEIGHTS = "encoder"
"""The preset that starts from pretrained weights, and the default once there are some."""


@dataclass(frozen=True)
class Pretrained:
    """The file that was added: its name, SHA-256 and bytes, and the SHA-256 of the weights that are kept of it."""

    file: str
    sha256: str
    bytes: int
    stored_sha256: str

    @property
    def of_imagenet(self) -> bool:
        return short_name(self.file) == "ImageNet"

    @property
    def origin(self) -> str:
        """The file and its checksum in one line, for a tooltip or a report."""
        return file_and_sum(self.file, self.sha256)


def installed(files: Store) -> Pretrained | None:
    """Return what was added, or None if nothing was or if its weights are gone."""
    if not files.exists(stored.encoder_weights_key()):
        return None
    return _parsed(_record(files))


def declined(files: Store) -> bool:
    """Whether somebody has answered the offer with no."""
    return "declined" in _record(files)


def decline(files: Store) -> None:
    """Remember that nobody wants to be asked again; what was added meanwhile stays known."""
    if not installed(files):
        _write(files, {"declined": True})


def remember(files: Store, added: Pretrained) -> None:
    """Record what was added, after its files were stored."""
    _write(files, asdict(added))


def default_preset(files: Store, label_free: bool = False) -> str:
    """Return the preset that a training has unless another is chosen: "encoder" once there are weights for it.

    It is "from_labels" for `label_free` masks, which a method computed without anybody's help.
    """
    if label_free:
        return FROM_LABELS
    return WITH_WEIGHTS if installed(files) else DEFAULT_PRESET


def weights_path(weights: str) -> Path | None:
    """Return the file that holds "imagenet" or named weights: of the installation, else of Keras; None if missing."""
    path = Path(weights).expanduser()
    if weights == IMAGENET:
        own = installed_path()
        path = own if own.is_file() else keras_path()
    return path if path.is_file() else None


def weights_origin(model: ModelParams) -> str:
    """Return the file that a network starts from and its SHA-256, as far as it is on this machine; else ""."""
    if not model.uses("encoder_weights") or model.encoder_weights == "none":
        return ""
    path = weights_path(model.encoder_weights)
    if path is None:
        return ""
    if path == installed_path() and (added := installed_here()):
        return added.origin
    return file_and_sum(path.name, sha256_of(path))


def file_and_sum(file: str, sha256: str) -> str:
    """Return the name of a file with its SHA-256."""
    return f"{file}, SHA-256 {sha256}"


def installed_path() -> Path:
    """Return where the weights of this installation are, if any were added."""
    return local_copy(stored.encoder_weights_key())


def installed_here() -> Pretrained | None:
    """Return what was added to the installation of the settings, or None if that is unknown."""
    return _parsed(_read_record(local_copy(stored.pretrained_record_key())))


def short_name(weights: str) -> str:
    """Return "ImageNet" if the name of a file says so, else the beginning of the name."""
    if "imagenet" in weights.lower() or weights.startswith(KERAS_NAMES):
        return "ImageNet"
    stem = weights.removesuffix(".keras").removesuffix(".h5").removesuffix(".hdf5").removesuffix(".weights")
    return stem if len(stem) <= LONGEST_NAME else f"{stem[: LONGEST_NAME - 1]}…"


def keras_path() -> Path:
    """Return where Keras keeps the weights that it has downloaded."""
    return Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser() / "models" / KERAS_FILE


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _parsed(record: dict[str, Any]) -> Pretrained | None:
    known: dict[str, Any] = {field.name: record.get(field.name) for field in fields(Pretrained)}
    sums = all(isinstance(known[name], str) for name in ("file", "sha256", "stored_sha256"))
    return Pretrained(**known) if sums and isinstance(known["bytes"], int) else None


def _record(files: Store) -> dict[str, Any]:
    key = stored.pretrained_record_key()
    if not files.exists(key):
        return {}
    with files.local(key) as path:
        return _read_record(path)


def _read_record(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):  # missing, or damaged: as if nobody had answered
        return {}
    return record if isinstance(record, dict) else {}


def _write(files: Store, record: dict[str, Any]) -> None:
    files.write(stored.pretrained_record_key(), json.dumps(record).encode())
