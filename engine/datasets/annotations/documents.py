"""Annotation files as text, JSON or XML, with limits that hold before a parser runs.

JSON is read by `json` and XML by `xml.etree`, both of the standard library. A document type in XML is refused, since it
can define entities that expand without end or name other files.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any
from xml.etree import ElementTree

from engine.datasets.source import UnreadableSource, shown

MAX_BYTES = 256 << 20
MAX_PARSED_BYTES = 1 << 30
"""A file may take about this much memory once it is parsed; lists of empty lists take 25 times their text."""

LONGEST_QUOTE = 60


class AnnotationError(ValueError):
    """An annotation file, or one object in it, cannot be read. The message is one sentence about "it"."""


@dataclass(frozen=True)
class Document:
    """One annotation file: its name in the source, a relative path with forward slashes, and its content.

    `data` is the content, or a function that reads it: ten thousand files with pictures in them fit in no memory. The
    function may raise `UnreadableSource`.
    """

    name: str
    data: bytes | Callable[[], bytes]

    @property
    def folder(self) -> str:
        """The folder it lies in, "" for the topmost."""
        parent = str(PurePosixPath(self.name).parent)
        return "" if parent == "." else parent


def content(document: Document) -> bytes:
    """Return the content of a document, without a byte order mark of UTF-8.

    Raises:
        AnnotationError: it is too large or cannot be read.
    """
    try:
        data = document.data if isinstance(document.data, bytes) else document.data()
    except UnreadableSource as error:
        raise AnnotationError(str(error)) from None
    if len(data) > MAX_BYTES:
        raise AnnotationError(
            f"It has {len(data) / 1e6:,.0f} MB; the limit for an annotation file is {MAX_BYTES / 1e6:,.0f} MB."
        )
    return data.removeprefix(codecs.BOM_UTF8)


def text(document: Document) -> str:
    """Return the content of a document as text, without a byte order mark.

    Raises:
        AnnotationError: it is empty, too large, not UTF-8, or cannot be read.
    """
    try:
        found = content(document).decode()
    except UnicodeDecodeError:
        raise AnnotationError("It is not UTF-8 text; save it with that encoding.") from None
    if not found.strip():
        raise AnnotationError("It is empty.")
    return found


def json_object(document: Document) -> dict[str, Any]:
    """Return the object that a JSON document holds.

    Raises:
        AnnotationError: it is no JSON, no object, nested too deeply, or too large.
    """
    source = text(document)
    _check_parsed_bytes(80 * source.count("[") + 250 * source.count("{") + 40 * source.count(","))
    try:
        found = json.loads(source)
    except RecursionError:
        raise AnnotationError("Its JSON is nested too deeply.") from None
    except json.JSONDecodeError as error:
        raise AnnotationError(f"It is damaged: line {error.lineno} is not valid JSON.") from None
    except ValueError:  # an integer of thousands of digits
        raise AnnotationError("Its JSON has a number with too many digits.") from None
    if not isinstance(found, dict):
        raise AnnotationError("Its JSON does not have the structure of this format.")
    return found


def xml_root(document: Document) -> ElementTree.Element:
    """Return the root element of an XML document.

    Raises:
        AnnotationError: it is no XML, too large, or declares a document type.
    """
    source = text(document)
    if "<!DOCTYPE" in source or "<!ENTITY" in source:
        raise AnnotationError("Its XML declares a document type, which is refused.")
    _check_parsed_bytes(400 * source.count("<"))
    try:
        return ElementTree.fromstring(source)
    except ElementTree.ParseError as error:
        raise AnnotationError(f"It is damaged: line {error.position[0]} is not valid XML.") from None
    except ValueError:  # an encoding that the parser does not know, or a character that XML does not allow
        raise AnnotationError("It is damaged and not valid XML.") from None


def dicts(found: Any) -> list[dict[str, Any]]:
    """Return the objects of a JSON list, or of an object that holds them by id; anything else has none."""
    if isinstance(found, dict):
        found = list(found.values())
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def quoted(value: object) -> str:
    """Return a value of a document as it is quoted in a sentence: short, one line, and safe to show and store."""
    if isinstance(value, str):
        name = shown(value)
        return f"“{name if len(name) <= LONGEST_QUOTE else '…' + name[1 - LONGEST_QUOTE :]}”"
    return f"{value:.6g}" if isinstance(value, (int, float)) and abs(value) < 1e300 else type(value).__name__


def _check_parsed_bytes(estimate: int) -> None:
    if estimate > MAX_PARSED_BYTES:
        raise AnnotationError("It holds too many entries for the memory that one annotation file may take; split it.")
