"""Checks of a model file before Keras opens it, because a model file can contain code.

A Keras file names the classes that it is built from: a class can be a Lambda layer, which contains a program, or
anything that can be imported. Keras' safe mode refuses Lambda layers. These checks allow only the Keras layers that our
networks use, name what they refuse, and bound the size of the content before it is read.
"""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py

from engine.network.layers import KINDS

MEMBERS = frozenset({"metadata.json", "config.json", "model.weights.h5"})
MOST_CONFIG_BYTES = 16 << 20
MOST_WEIGHT_BYTES = 4 << 30
"""Far more than the widest network that the parameters allow."""
DEEPEST_CONFIG = 60

LAYERS = frozenset(KINDS) | {"Conv2DTranspose"}
INITIALIZERS = frozenset({"HeNormal", "GlorotUniform", "VarianceScaling", "Zeros", "Ones", "Constant"})
_KNOWN = {"keras.layers": LAYERS, "keras.initializers": INITIALIZERS, "keras": frozenset({"DTypePolicy"})}
_FUNCTIONAL = ("keras.src.models.functional", "Functional", "Functional")
_WEIGHT_SUFFIXES = (".h5", ".hdf5", ".keras")


class UnsafeFile(ValueError):
    """A file that is refused. The message is one sentence about "it"."""


def check_model_file(path: Path) -> None:
    """Check a .keras file.

    Raises:
        UnsafeFile: it contains more, larger or other things than our networks.
    """
    with _opened(path) as archive:
        _check_classes(json.loads(archive.read("config.json")))
        _check_weights(archive)


def check_weights_file(path: Path) -> None:
    """Check a file of weights: HDF5, or a .keras file, of which only the weights are read.

    Raises:
        UnsafeFile: it is neither, refers to other files, or is larger than the weights of any of our networks.
    """
    if path.suffix.lower() not in _WEIGHT_SUFFIXES:
        raise UnsafeFile(
            f"Weights are files ending in {', '.join(_WEIGHT_SUFFIXES)}. Got {path.suffix or 'no suffix'}."
        )
    if path.suffix.lower() == ".keras":
        with _opened(path) as archive:
            _check_weights(archive)
    elif path.stat().st_size > MOST_WEIGHT_BYTES:
        raise UnsafeFile(_too_large("It", path.stat().st_size, MOST_WEIGHT_BYTES))
    else:
        _check_hdf5(path)


def _opened(path: Path) -> zipfile.ZipFile:
    """Return a .keras file as a zip archive after checking its members and their sizes."""
    try:
        archive = zipfile.ZipFile(path)
    except Exception:  # anything from BadZipFile to struct.error
        raise UnsafeFile("It is damaged or not a Keras file.") from None
    try:
        members = archive.infolist()
        names = sorted(member.filename for member in members)
        if names != sorted(MEMBERS):
            extra = next((name for name in names if name not in MEMBERS or names.count(name) > 1), None)
            problem = f"also contains {extra!r}" if extra else f"lacks {min(MEMBERS - set(names))!r}"
            raise UnsafeFile(f"It {problem}; a network of Maskloom has {', '.join(sorted(MEMBERS))} and nothing else.")
        for member in members:
            limit = MOST_WEIGHT_BYTES if member.filename.endswith(".h5") else MOST_CONFIG_BYTES
            if member.file_size > limit:
                raise UnsafeFile(_too_large(member.filename, member.file_size, limit))
            # Keras does not compress; a compressed member could expand to more than its declared size
            if member.compress_type != zipfile.ZIP_STORED or member.compress_size != member.file_size:
                raise UnsafeFile(f"{member.filename} is compressed, and Keras does not compress.")
    except UnsafeFile:
        archive.close()
        raise
    return archive


def _check_classes(config: Any) -> None:
    for part in _objects(config, 0):
        name, module, registered = (part.get(key) for key in ("class_name", "module", "registered_name"))
        if (module, name, registered) == _FUNCTIONAL:
            continue
        if name == "__keras_tensor__" and module is None and registered is None:
            continue
        if name == "Lambda" or (module or "").endswith("lambda_layer"):
            raise UnsafeFile("It has a Lambda layer, which is a program: such files are not opened.")
        if registered is not None or name not in _KNOWN.get(str(module), frozenset()):
            full = ".".join(str(word) for word in (module, name) if word)
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
        raise UnsafeFile("Its weights are damaged or not an HDF5 file.") from None
    with opened:
        total = sum(_bytes_of(group, name) for group, name in _links(opened, set()))
    if total > MOST_WEIGHT_BYTES:
        raise UnsafeFile(_too_large("Its weights", total, MOST_WEIGHT_BYTES))


def _links(group: h5py.Group, seen: set[Any]) -> Iterator[tuple[h5py.Group, str]]:
    """Yield (group, name) of every array below a group; links to other places are refused."""
    if group.id in seen:
        raise UnsafeFile(f"Its weights contain the group {group.name!r} twice, or inside itself.")
    seen.add(group.id)
    for name in group:
        link = group.get(name, getlink=True)
        if not isinstance(link, h5py.HardLink):
            raise UnsafeFile(f"Its weights contain a link {name!r} to something else: such files are not opened.")
        if isinstance(group[name], h5py.Group):
            yield from _links(group[name], seen)
        else:
            yield group, name


def _bytes_of(group: h5py.Group, name: str) -> int:
    array = group[name]
    if not isinstance(array, h5py.Dataset):
        raise UnsafeFile(f"Its weights contain {name!r}, which is not an array.")
    if array.external or array.is_virtual:
        raise UnsafeFile(f"Its weights contain {name!r}, whose data is in another file: such files are not opened.")
    if array.dtype.kind not in "fiub":
        raise UnsafeFile(f"Its weights contain {name!r} of {array.dtype}, which is not numeric.")
    return math.prod(array.shape or (1,)) * array.dtype.itemsize


def _too_large(what: str, size: int, limit: int) -> str:
    return f"{what} has {size / 1e6:,.0f} MB; the limit is {limit / 1e6:,.0f} MB."
