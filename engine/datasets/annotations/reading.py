"""All annotation files of a source as one AnnotationSet, whatever their formats."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from engine.datasets.annotations.base import HEAD_BYTES, Annotations, AnnotationSet, annotation_formats, format_of
from engine.datasets.annotations.collection import OTHERS
from engine.datasets.annotations.documents import AnnotationError, Document, content
from engine.datasets.annotations.shapes import BACKGROUND, IGNORE, MOST_CLASSES, Shape
from engine.datasets.source import Entry

NO_FORMAT = "It is not an annotation file of a format that is read: {formats}."


def read_annotations(documents: Sequence[Document], images: Sequence[str]) -> AnnotationSet:
    """Read every document in the format that recognises it, and join what they say; see `Annotations.read`.

    Where several formats describe one image, the shapes of the first of them, by name, that has any are taken.
    """
    by_format: dict[str, list[Document]] = defaultdict(list)
    unknown = []
    for document in documents:
        try:
            found = format_of(document.name, content(document)[:HEAD_BYTES])
        except AnnotationError as error:
            unknown.append(Entry(document.name, False, str(error)))
            continue
        if found is None:
            titles = ", ".join(each.title for each in annotation_formats().values())
            unknown.append(Entry(document.name, False, NO_FORMAT.format(formats=titles)))
        else:
            by_format[found.name].append(document)
    formats = [annotation_formats()[name] for name in sorted(by_format)]
    read = [(each, each.read(by_format[each.name], images)) for each in formats]
    joined = read[0][1] if len(read) == 1 else _joined(read)
    return replace(joined, entries=(*joined.entries, *unknown), formats=tuple(each.title for each in formats))


def _joined(read: Sequence[tuple[Annotations, AnnotationSet]]) -> AnnotationSet:
    classes = tuple(dict.fromkeys(name for _, found in read for name in found.classes))
    if len(classes) > MOST_CLASSES:
        classes = (*classes[: MOST_CLASSES - 1], OTHERS)
    shapes: dict[str, tuple[Shape, ...]] = {}
    owner: dict[str, str] = {}
    entries: list[Entry] = []
    sizes: dict[str, tuple[int, int]] = {}
    for kind, found in read:
        values = {at: _value(name, classes) for at, name in enumerate(found.classes, start=1)}
        values |= {BACKGROUND: BACKGROUND, IGNORE: IGNORE}
        twice: dict[str, int] = defaultdict(int)
        for image, several in found.shapes.items():
            if several and shapes.get(image):
                twice[owner[image]] += 1
            elif several or image not in shapes:
                shapes[image] = tuple(replace(each, value=values[each.value]) for each in several)
                owner[image] = kind.title
                sizes.pop(image, None)
                if image in found.sizes:
                    sizes[image] = found.sizes[image]
        entries.extend(found.entries)
        if twice:
            reason = (
                f"Images that {' and '.join(twice)} describe too have only their objects ({sum(twice.values()):,})."
            )
            entries.append(Entry(kind.title, False, reason))
    return AnnotationSet(classes, shapes, tuple(entries), sizes)


def _value(name: str, classes: tuple[str, ...]) -> int:
    return classes.index(name) + 1 if name in classes else MOST_CLASSES
