"""`python -m engine classes`: what the values of a dataset's truth mean, another meaning for them, and colours."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import typer
from sqlalchemy import select
from sqlalchemy.orm import Session

from db import datasets
from db.models import Dataset, Image
from db.names import by_id_or_name
from engine.cli.commands import AsJson, CommandFailed, Installation, app, print_result
from engine.datasets import truth
from engine.imaging import class_colours
from engine.imaging.class_maps import IGNORE


@app.command()
def classes(
    dataset: str,
    map_: Annotated[
        str | None,
        typer.Option(
            "--map",
            metavar="VALUE=CLASS,…",
            help="The class of each value, id, colour or name, such as 0=background,1=pet,2=background,3=ignore. "
            "Values of one name are one class; pixels of ignore do not count in training and scores.",
        ),
    ] = None,
    colours: Annotated[
        str | None,
        typer.Option(metavar="CLASS=#RRGGBB,…", help="The colour of classes by number, such as 1=#E69F00,2=#56B4E9."),
    ] = None,
    as_json: AsJson = False,
):
    """Show the classes of a dataset's truth, or change them with --map and their colours with --colours."""
    installation = Installation()
    with installation.database.writing() as session:
        row = by_id_or_name(session, Dataset, dataset)
        if not row.truth_count:
            raise CommandFailed(f"The dataset {row.name!r} has no truth masks.")
        if map_ is not None:
            _change(session, row, map_)
        if colours is not None:
            _colour(session, row, colours)
        result = _result(session, row)
    lines = [f"Truth of {result['name']}: {result['truth']:,} masks."]
    named = zip(result["classes"][1:], result["colours"], strict=True)
    lines += [f"  {number} {name}: {colour}" for number, (name, colour) in enumerate(named, start=1)]
    for entry in result["values"]:
        lines.append(f"{entry['value']:>8}  {entry['share']:7.2%}  {entry['class']}")
    print_result(result, as_json, "\n".join([*lines, *result["concerns"]]))


def _change(session: Session, row: Dataset, text: str) -> None:
    codes = {str(key).lower(): code for code, key in datasets.truth_codes(session, row.id)}
    names: dict[int, str] = {}
    for part in text.split(","):
        value, separator, name = (" ".join(piece.split()) for piece in part.partition("="))
        code = codes.get(value.lower(), int(value) if value.isdecimal() and int(value) <= 255 else None)
        if not separator or not name or len(name) > 60 or code is None:
            raise CommandFailed(
                f"Each part of --map is VALUE=CLASS, with a value that `classes` lists and a name of at most 60 "
                f"characters. Got {part.strip()!r}."
            )
        names[code] = name
    try:
        found = truth.from_names(names, np.flatnonzero(_facts(session, row.id).counts).tolist())
        classes_ = class_colours.with_colours([entry.model_dump() for entry in found.classes], row.classes)
        datasets.set_classes(session, row.id, classes_, list(found.lookup), row.truth_version)
    except (ValueError, datasets.InUse) as error:
        raise CommandFailed(str(error)) from None


def _colour(session: Session, row: Dataset, text: str) -> None:
    entries = [dict(entry) for entry in row.classes]
    try:
        for part in text.split(","):
            number, separator, colour = (piece.strip() for piece in part.partition("="))
            if not separator or number not in map(str, range(1, len(entries))):
                raise CommandFailed(
                    f"Each part of --colours is CLASS=#RRGGBB, with a class from 1 to {len(entries) - 1}. "
                    f"Got {part.strip()!r}."
                )
            entry = entries[int(number)]
            entry["colour"] = class_colours.checked_colour(colour, entry["name"])
        datasets.set_classes(session, row.id, entries, row.lookup, row.truth_version)
    except (ValueError, datasets.InUse) as error:
        raise CommandFailed(str(error)) from None


def _facts(session: Session, dataset_id: str) -> truth.ValueFacts:
    query = select(Image.truth_values).where(Image.dataset_id == dataset_id, Image.has_truth.is_(True))
    return truth.facts(session.scalars(query))


def _result(session: Session, row: Dataset) -> dict[str, Any]:
    found = _facts(session, row.id)
    keys = dict(datasets.truth_codes(session, row.id))
    names = [entry["name"] for entry in row.classes] or ["background"]
    total = max(int(found.counts.sum()), 1)
    return {
        "dataset": row.id,
        "name": row.name,
        "truth": row.truth_count,
        "classes": names,
        "colours": class_colours.class_colours(row.classes[1:]),
        "values": [
            {
                "value": keys.get(code, code),
                "share": int(found.counts[code]) / total,
                "class": "ignore" if row.lookup[code] == IGNORE else names[row.lookup[code]],
            }
            for code in np.flatnonzero(found.counts).tolist()
            if row.lookup
        ],
        "concerns": truth.concerns(found, row.lookup, keys),
    }
