"""The classes of the compared runs: each with one name and one colour, whichever runs tell it apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from dashboard.ui import palette
from dashboard.views.compare.facts import ComparedRun
from db.runs import ClassIdentity, class_identities

NO_CLASS = -1
"""The number of a class that a run does not have, since no pixel has it."""


@dataclass(frozen=True)
class ComparedClasses:
    """All classes that any of the runs tells apart, background first; empty if every run knows foreground alone.

    `names` are as for a person: those of two different classes differ. `colours` are "#RRGGBB".
    """

    identities: tuple[ClassIdentity, ...]
    names: tuple[str, ...]
    colours: tuple[str, ...]

    def number(self, run: ComparedRun, index: int) -> int | None:
        """Return the number that a run gives to the class at `index`; None for all classes, `NO_CLASS` for none."""
        own = class_identities(run.classes)
        if not index:
            return None
        return own.index(self.identities[index]) if self.identities[index] in own else NO_CLASS

    def colours_of(self, run: ComparedRun) -> tuple[str, ...]:
        """Return the colours of a run's class numbers, background first."""
        return tuple(self.colours[self.identities.index(each)] for each in class_identities(run.classes))


def compared_classes(runs: Sequence[ComparedRun]) -> ComparedClasses:
    """Return the classes of runs. One has the colour that the first run with it gives it, unless another class has."""
    found: dict[ClassIdentity, str] = {}
    for run in runs:
        for identity, colour in zip(class_identities(run.classes), run.class_colours, strict=True):
            if identity not in found:
                free = (each for each in (colour, *palette.CLASSES) if each not in found.values())
                found[identity] = next(free, colour)
    count = Counter(name for name, _ in found)
    names = [name if count[name] == 1 else f"{name} (value {value})" for name, value in found]
    return ComparedClasses(tuple(found), tuple(names), tuple(found.values()))
