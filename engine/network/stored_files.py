"""Model files are code: what is looked at before Keras opens one.

A Keras file names the classes it is built from, and a class can be a Lambda with a program in it or anything that can
be imported. Safe mode refuses the first. Here nothing passes but Keras' own layers that our networks are made of, so
that the file of another program is refused by name, and what is inside is bounded before it is read.
"""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py

MEMBERS = frozenset({"metadata.json", "config.json", "model.weights.h5"})
MOST_CONFIG_BYTES = 16 << 20
MOST_WEIGHT_BYTES = 4 << 30
"""The widest network that the parameters allow has far less."""
DEEPEST_CONFIG = 60

LAYERS = frozenset(
    {
        "InputLayer",
        "Rescaling",
        "Conv2D",
        "Conv2DTranspose",
        "DepthwiseConv2D",
        "BatchNormalization",
        "ReLU",
        "Activation",
        "MaxPooling2D",
    }
    | {"UpSampling2D", "ZeroPadding2D", "Concatenate", "Add", "Multiply", "Dropout", "Reshape", "Permute"}
)
INITIALIZERS = frozenset({"HeNormal", "GlorotUniform", "VarianceScaling", "Zeros", "Ones", "Constant"})
_KNOWN = {"keras.layers": LAYERS, "keras.initializers": INITIALIZERS, "keras": frozenset({"DTypePolicy"})}
_FUNCTIONAL = ("keras.src.models.functional", "Functional", "Functional")
_WEIGHT_SUFFIXES = (".h5", ".hdf5", ".keras")


class UnsafeFile(ValueError):
    """A file that Keras is not asked to open. The message is one sentence about "it"."""


def check_model_file(path: Path) -> None:
    """Look into a .keras file.

    Raises:
        UnsafeFile: it holds more, larger or other things than a network of ours.
    """
    with _opened(path) as archive:
        _check_classes(json.loads(archive.read("config.json")))
        _check_weights(archive)


def check_weights_file(path: Path) -> None:
    """Look into a file of weights: HDF5, or a .keras file, of which only the weights are read.

    Raises:
        UnsafeFile: it is neither, refers to other files, or holds more than any network that is used here.
    """
    if path.suffix.lower() not in _WEIGHT_SUFFIXES:
        raise UnsafeFile(
            f"Weights are files ending in {', '.join(_WEIGHT_SUFFIXES)}. Got {path.suffix or 'no ending'}."
        )
    if path.suffix.lower() == ".keras":
        with _opened(path) as archive:
            _check_weights(archive)
    elif path.stat().st_size > MOST_WEIGHT_BYTES:
        raise UnsafeFile(_too_large("It", path.stat().st_size, MOST_WEIGHT_BYTES))
    else:
        _check_hdf5(path)


def _opened(path: Path) -> zipfile.ZipFile:
    """Return a .keras file as a zip, its members and their sizes checked."""
    try:
        archive = zipfile.ZipFile(path)
    except Exception:  # anything from BadZipFile to struct.error
        raise UnsafeFile("It is damaged, or no Keras file.") from None
    try:
        members = archive.infolist()
        names = sorted(member.filename for member in members)
        if names != sorted(MEMBERS):
            odd = next((name for name in names if name not in MEMBERS or names.count(name) > 1), None)
            what = f"also holds {odd!r}" if odd else f"lacks {min(MEMBERS - set(names))!r}"
            raise UnsafeFile(f"It {what}; a network of Maskloom has {', '.join(sorted(MEMBERS))} and nothing else.")
        for member in members:
            limit = MOST_WEIGHT_BYTES if member.filename.endswith(".h5") else MOST_CONFIG_BYTES
            if member.file_size > limit:
                raise UnsafeFile(_too_large(member.filename, member.file_size, limit))
            # Keras stores without packing; what is packed could unpack to more than it says
            if member.compress_type != zipfile.ZIP_STORED or member.compress_size != member.file_size:
                raise UnsafeFile(f"{member.filename} is packed, and Keras does not pack.")
    except UnsafeFile:
        archive.close()
        raise
    return archive


def _check_classes(config: Any) -> None:
    for found in _objects(config, 0):
        name, module, registered = (found.get(key) for key in ("class_name", "module", "registered_name"))
        if (module, name, registered) == _FUNCTIONAL:
            continue
        if name == "__keras_tensor__" and module is None and registered is None:
            continue
        if name == "Lambda" or (module or "").endswith("lambda_layer"):
            raise UnsafeFile("It has a Lambda layer, which is a program: such files are not opened.")
        if registered is not None or name not in _KNOWN.get(module, ()):
            full = ".".join(str(part) for part in (module, name) if part)
            raise UnsafeFile(f"It is built from {full[:120]!r}, which no network of Maskloom uses.")


def _objects(value: Any, depth: int) -> Iterator[dict[str, Any]]:
    """Yield every part of a configuration that names a class or a module."""
    if depth > DEEPEST_CONFIG:
        raise UnsafeFile(f"Its configuration is nested more than {DEEPEST_CONFIG} deep.")
    if isinstance(value, dict):
        if value.keys() & {"class_name", "module", "registered_name"}:
            yield value
        for part in value.values():
            yield from _objects(part, depth + 1)
    elif isinstance(value, list):
        for part in value:
            yield from _objects(part, depth + 1)


def _check_weights(archive: zipfile.ZipFile) -> None:
    with archive.open("model.weights.h5") as file:
        _check_hdf5(file)


def _check_hdf5(file: Path | Any) -> None:
    try:
        opened = h5py.File(file, "r")
    except (OSError, ValueError):
        raise UnsafeFile("Its weights are damaged, or no HDF5 file.") from None
    with opened:
        total = sum(_bytes_of(group, name) for group, name in _links(opened, set()))
    if total > MOST_WEIGHT_BYTES:
        raise UnsafeFile(_too_large("Its weights", total, MOST_WEIGHT_BYTES))


def _links(group: h5py.Group, seen: set[Any]) -> Iterator[tuple[h5py.Group, str]]:
    """Yield (group, name) of every array below a group; nothing that leads elsewhere is followed."""
    if group.id in seen:
        raise UnsafeFile(f"Its weights hold the group {group.name!r} twice, or inside itself.")
    seen.add(group.id)
    for name in group:
        link = group.get(name, getlink=True)
        if not isinstance(link, h5py.HardLink):
            raise UnsafeFile(f"Its weights hold a link {name!r} to something else: such files are not opened.")
        if isinstance(group[name], h5py.Group):
            yield from _links(group[name], seen)
        else:
            yield group, name


def _bytes_of(group: h5py.Group, name: str) -> int:
    array = group[name]
    if not isinstance(array, h5py.Dataset):
        raise UnsafeFile(f"Its weights hold {name!r}, which is no array.")
    if array.external or array.is_virtual:
        raise UnsafeFile(f"Its weights hold {name!r}, whose numbers lie in another file: such files are not opened.")
    if array.dtype.kind not in "fiub":
        raise UnsafeFile(f"Its weights hold {name!r} of {array.dtype}, which are no numbers.")
    return math.prod(array.shape or (1,)) * array.dtype.itemsize


def _too_large(what: str, found: int, limit: int) -> str:
    return f"{what} has {found / 1e6:,.0f} MB; the limit is {limit / 1e6:,.0f} MB."
