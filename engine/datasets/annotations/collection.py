"""What the readers gather while they read: shapes by image, classes by name, and what was wrong, counted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from engine.datasets.annotations.base import BOXES_ONLY, AnnotationSet
from engine.datasets.annotations.documents import AnnotationError, Document, quoted
from engine.datasets.annotations.image_names import ImageNames
from engine.datasets.annotations.shapes import BACKGROUND, IGNORE, MOST_CLASSES, Shape
from engine.datasets.source import Entry, shown

LONGEST_CLASS = 80
OTHERS = "other classes"
EMPTY = "It has no object, so its image counts as background."
UNMATCHED = "Image names that match no image of this import were left out"
_SPECIAL = {
    **dict.fromkeys(("background", "_background_", "__background__"), BACKGROUND),
    **dict.fromkeys(("ignore", "__ignore__", "_ignore_", "void"), IGNORE),
}


@dataclass
class Report:
    """What is said about one document. A problem is a sentence without its full stop; equal ones are counted."""

    name: str
    objects: int = 0
    boxes: int = 0
    images: set[str] = field(default_factory=set)
    supplies_classes: bool = False
    refusal: str = ""
    problems: dict[str, list[str | int]] = field(default_factory=dict)

    def problem(self, sentence: str, example: object = None) -> None:
        """Count a problem; of the first of its kind the example is quoted."""
        sentence = sentence.removesuffix(".")
        if sentence in self.problems:
            self.problems[sentence][0] = int(self.problems[sentence][0]) + 1
        else:
            self.problems[sentence] = [1, "" if example is None else quoted(example)]

    def entry(self, empty: int, single: bool) -> Entry:
        """Return the line of the report. `empty` images have no object; a `single` file describes one image only."""
        if self.refusal:
            return Entry(self.name, False, self.refusal)
        sentences = [
            f"{problem} ({count:,}{f', the first: {example}' if example else ''})."
            for problem, (count, example) in self.problems.items()
        ]
        if self.boxes and not self.objects:
            return Entry(self.name, False, " ".join([BOXES_ONLY, *sentences]))
        if self.boxes:
            sentences.append(f"Boxes were left out ({self.boxes:,}); Maskloom needs outlines or masks.")
        if not self.images and not self.supplies_classes:
            return Entry(self.name, False, " ".join(sentences) or "It describes no image.")
        if self.images and not single:
            sentences.insert(0, f"Images described: {len(self.images):,}; objects: {self.objects:,}.")
        if empty:
            sentences.append(EMPTY if single else f"Images without an object ({empty:,}) count as background.")
        return Entry(self.name, True, " ".join(sentences))


class Collection:
    """Gathers an AnnotationSet. Classes are numbered as they are declared, or met."""

    def __init__(self, images: Sequence[str]) -> None:
        self.images = ImageNames(images)
        self._classes: dict[str, int] = {}
        self._shapes: dict[str, list[Shape]] = {}
        self._sizes: dict[str, tuple[int, int]] = {}
        self._source: dict[str, str] = {}
        self._incomplete: set[str] = set()
        self._reports: list[Report] = []

    @contextmanager
    def document(self, document: Document) -> Iterator[Report]:
        """Report on one document; an AnnotationError inside ends it with its sentence."""
        report = Report(document.name)
        self._reports.append(report)
        try:
            yield report
        except AnnotationError as error:
            report.refusal = str(error)
        except MemoryError:
            report.refusal = "It needs more memory than this machine has."

    def value(self, name: object, otherwise: str = "object") -> int:
        """Return what is drawn for a class of this name; `otherwise` is its name if it has none."""
        text = shown(name.strip())[:LONGEST_CLASS] if isinstance(name, str) and name.strip() else otherwise
        special = _SPECIAL.get(text.casefold())
        return special if special is not None else _provisional(self._classes.setdefault(text, len(self._classes)))

    def class_of(self, report: Report, name: object) -> int:
        """Return what is drawn for an object's class; one without a name is reported."""
        if not isinstance(name, str) or not name.strip():
            report.problem("Objects without a class became the class “object”")
        return self.value(name)

    def image(self, report: Report, name: str, size: tuple[int, int] | None = None) -> None:
        """Note that a document describes an image; it is all background until a shape is added."""
        report.images.add(name)
        self._shapes.setdefault(name, [])
        if self._source.setdefault(name, report.name) != report.name:
            report.problem(f"Images that {quoted(self._source[name])} also describes have the objects of both", name)
        if size is not None:
            self._sizes.setdefault(name, size)

    def add(self, report: Report, name: str, shape: Shape) -> None:
        """Add a shape to an image that `image` has noted; it is drawn over earlier ones."""
        report.objects += 1
        self._shapes[name].append(shape)

    def incomplete(self, name: str) -> None:
        """Note that something of an image was left out: without a shape it is unknown, not background."""
        self._incomplete.add(name)

    def annotations(self, single: bool = False, by_area: bool = False, by_name: bool = False) -> AnnotationSet:
        """Return what was gathered. `single` if each document describes one image; `by_name` sorts the classes.

        If `by_area`, large shapes are drawn first so that small ones stay visible, and ignored regions before all.
        """
        shapes = {name: each for name, each in self._shapes.items() if each or name not in self._incomplete}
        classes, values = self._numbered({each.value for several in shapes.values() for each in several}, by_name)
        final = {
            name: tuple(replace(each, value=values[each.value]) for each in (_by_area(several) if by_area else several))
            for name, several in shapes.items()
        }
        return AnnotationSet(
            classes, final, tuple(self._entry(each, shapes, single) for each in self._reports), self._sizes
        )

    def _numbered(self, used: set[int], by_name: bool) -> tuple[tuple[str, ...], dict[int, int]]:
        names = sorted(self._classes) if by_name else list(self._classes)
        if len(names) > MOST_CLASSES:
            names = [name for name in names if _provisional(self._classes[name]) in used]
        kept = names if len(names) <= MOST_CLASSES else [*names[: MOST_CLASSES - 1], OTHERS]
        values = {_provisional(self._classes[name]): min(at, MOST_CLASSES) for at, name in enumerate(names, start=1)}
        return tuple(kept), values | {BACKGROUND: BACKGROUND, IGNORE: IGNORE}

    def _entry(self, report: Report, shapes: dict[str, list[Shape]], single: bool) -> Entry:
        empty = sum(1 for name in report.images if name in shapes and not shapes[name])
        return report.entry(empty, single)


def _provisional(number: int) -> int:
    """Return a value for the class of this number that is neither BACKGROUND nor IGNORE."""
    return -1 - number


def _by_area(shapes: list[Shape]) -> list[Shape]:
    return sorted(shapes, key=lambda shape: (shape.value != IGNORE, -shape.area))
