"""What an export format is, and which there are: one for each module of `engine.exports.formats` with a FORMAT."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from engine.core.plugins import plugins
from engine.exports import formats as format_modules
from engine.exports.annotated import Annotated, Progress
from engine.exports.measured import MeasuredObjects
from engine.exports.run_facts import RunFacts, TileRow

Owner = Literal["run", "prediction_set", "label_set", "measurement"]
Network = Callable[[np.ndarray], np.ndarray]


class UnknownFormat(ValueError):
    """There is no such format. The sentence lists those that there are."""


@dataclass(frozen=True, kw_only=True)
class Format:
    """One kind of file that a job exports; a FORMAT is one of the classes below.

    `suffix` is that of the file, `sentence` says what is in it, and lists show formats by `order`.
    """

    name: str
    title: str
    sentence: str
    suffix: str
    order: int = 100
    owners: ClassVar[tuple[Owner, ...]] = ("run",)

    @property
    def thresholded(self) -> bool:
        """Return whether the file depends on the mask threshold."""
        return isinstance(self, MaskFormat)


@dataclass(frozen=True, kw_only=True)
class MaskFormat(Format):
    """Annotations of the masks of a prediction set or a mask set.

    `write(source, target, progress)` writes the file, reports the number of images done after each image, and returns
    the number of annotations.
    """

    write: Callable[[Annotated, Path, Progress], int]
    owners: ClassVar[tuple[Owner, ...]] = ("prediction_set", "label_set")


@dataclass(frozen=True, kw_only=True)
class ObjectFormat(Format):
    """The objects of a measurement: `write(objects, target, progress)` writes the file."""

    write: Callable[[MeasuredObjects, Path, Progress], None]
    owners: ClassVar[tuple[Owner, ...]] = ("measurement",)


@dataclass(frozen=True, kw_only=True)
class RunFormat(Format):
    """A description of a run: `write(facts, rows, target)` writes the file; `rows` are its best and worst masks."""

    write: Callable[[RunFacts, Sequence[TileRow], Path], None]


@dataclass(frozen=True, kw_only=True)
class ModelFormat(Format):
    """The model of a run's best epoch, in a zip with a model card and an example program.

    `convert(model, path, facts)` writes a Keras model to a file or folder, which `file` names. It returns a function
    that runs what was written: images uint8 (B, S, S, 3) to probabilities float32 (B, S, S, 1), or (B, S, S, K + 1) of
    background and K > 1 classes. The job compares these with the probabilities of the Keras model. It may raise
    `engine.network.conversion.ConversionError`.

    `contents` describes the file in the model card. The example installs `packages`, runs the line `imports`, then
    `load`, and computes the probabilities of `batch`, float32 (1, S, S, 3), by the expression `predict`.
    """

    suffix: str = "zip"
    file: str
    convert: Callable[[Any, Path, RunFacts], Network]
    contents: str
    packages: str
    imports: str
    load: str
    predict: str


@cache
def formats() -> dict[str, Format]:
    """Return every format by name, in the order of lists; installed packages may add some (`maskloom.formats`)."""
    found = plugins(format_modules, "FORMAT", Format)
    return dict(sorted(found.items(), key=lambda item: (item[1].order, item[0])))


def find_format(name: str) -> Format:
    """Return a format by its name.

    Raises:
        UnknownFormat: there is none.
    """
    if name not in formats():
        raise UnknownFormat(f"There is no format {name!r}. Known: {', '.join(formats())}.")
    return formats()[name]


def formats_of(owner: Owner) -> tuple[Format, ...]:
    """Return the formats in which an owner of this kind can be exported."""
    return tuple(each for each in formats().values() if owner in each.owners)
