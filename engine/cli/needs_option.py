"""`--needs` of commands that submit jobs: what a machine must have to run them."""

from __future__ import annotations

from typing import Annotated

import typer
from pydantic import ByteSize, TypeAdapter, ValidationError

from db.workers import TAG, Needs

Where = Annotated[
    list[str] | None,
    typer.Option(
        "--needs",
        metavar="gpu|memory=8GB|tag=NAME",
        help="Only a machine that has this runs the job; may be repeated.",
    ),
]
RULE = "The 'needs' parameter must be gpu, memory=8GB or tag=NAME, each once."


class BadNeeds(ValueError):
    """What was asked for is no need. The message is a sentence."""


def needs_from(given: list[str] | None) -> Needs:
    """Return the needs of `--needs` options.

    Raises:
        BadNeeds: one is unknown, doubled or has no valid value.
    """
    values: dict[str, str] = {}
    for each in given or []:
        name, _, value = each.partition("=")
        if name not in ("gpu", "memory", "tag") or name in values or bool(value) != (name != "gpu"):
            raise BadNeeds(f"{RULE} Got {each!r}.")
        values[name] = value
    tag = values.get("tag", "")
    if tag and not TAG.fullmatch(tag):
        raise BadNeeds(f"A tag has up to 64 letters, digits, '.', '_' and '-'. Got {tag!r}.")
    return Needs("gpu" in values, _megabytes(values["memory"]) if "memory" in values else 0, tag)


def _megabytes(text: str) -> int:
    try:
        return int(TypeAdapter(ByteSize).validate_python(text)) // 1_000_000
    except ValidationError:
        raise BadNeeds(f"{RULE} Got 'memory={text}'.") from None
