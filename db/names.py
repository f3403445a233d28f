"""Ids and names: what a person may type for a dataset, a mask set or a run."""

from __future__ import annotations

import re
import unicodedata
from typing import Any, TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.columns import Base

Row = TypeVar("Row", bound=Base)

LONGEST_PART = 24
"""Characters of a dataset or method in a default name."""

_TURNING = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


class NotFound(LookupError):
    """Nothing goes by that id or name. The sentence lists what there is."""

    def __str__(self) -> str:
        return str(self.args[0])


class NameTaken(ValueError):
    """Another row has that name already."""


def by_id_or_name(session: Session, model: Any, text: str) -> Any:
    """Return the row of `model` whose id or name is `text`.

    Raises:
        NotFound: there is none; the sentence names up to ten that exist.
    """
    row = session.get(model, text) or session.scalar(select(model).where(model.name == text))
    if row is None:
        noun = {"datasets": "dataset", "label_sets": "mask set", "runs": "run", "sweeps": "sweep"}[model.__tablename__]
        names = session.scalars(select(model.name).order_by(model.created_at.desc()).limit(10)).all()
        known = ", ".join(repr(name) for name in names) or "none yet"
        raise NotFound(f"There is no {noun} {text!r}. Known: {known}.")
    return row


def checked_name(session: Session, model: Any, name: str) -> str:
    """Return `name` trimmed, if it may be given to a new row of `model`.

    Raises:
        NameTaken: it is empty, too long or taken.
    """
    if reason := problem(session, model, name):
        raise NameTaken(reason)
    return _in_one_line(name)


def problem(session: Session, model: Any, name: str) -> str:
    """Return why `name` cannot be given to a new row of `model`, or "" if it can."""
    name = _in_one_line(name)
    if not name or len(name) > 200:
        return f"A name has 1 to 200 characters. Got {len(name)}."
    if session.scalar(select(model.id).where(model.name == name)) is not None:
        return f"The name {name!r} is taken. Choose another."
    return ""


def free_name(session: Session, model: Any, wish: str) -> str:
    """Return `wish`, or `wish 2`, `wish 3` … : the first that no row of `model` has."""
    wish = _in_one_line(wish)[:190] or "unnamed"
    name, number = wish, 2
    while session.scalar(select(model.id).where(model.name == name)) is not None:
        name, number = f"{wish} {number}", number + 1
    return name


def default_name(*parts: str) -> str:
    """Return the name of a mask set or run from its parts: "Horses · auto · fast", each part shortened if it is long.

    A part may be a name itself; its count is left out.
    """
    return " · ".join(_shortened(_uncounted(part)) for part in parts if part)


def run_parts(dataset: str, trained_on: str) -> tuple[str, str]:
    """Return the dataset and what a run is trained on as parts of its name: a mask set may begin with the dataset."""
    for beginning in (dataset, _shortened(dataset)):
        if re.match(re.escape(beginning) + r"(?=\W|$)", trained_on):
            return dataset, trained_on[len(beginning) :].strip(" ,·")
    return dataset, trained_on


def counted_name(session: Session, model: Any, wish: str) -> str:
    """Return `wish` if no row of `model` has it, else the next in its count: "Horses · auto · fast #3".

    A wish that has a count continues it: a copy of "#2" is "#3", or what is free after it.
    """
    name = _uncounted(_in_one_line(wish))[:180] or "unnamed"
    taken = session.scalars(select(model.name).where(model.name.startswith(name, autoescape=True)))
    counts = [1 if other == name else int(found[1]) for other in taken if (found := _counted(name, other))]
    return f"{name} #{max(counts) + 1}" if counts else name


def _counted(name: str, other: str) -> re.Match[str] | None:
    return re.fullmatch(re.escape(name) + r"(?: #(\d{1,9}))?", other)


def _uncounted(name: str) -> str:
    return re.sub(r" #\d+$", "", name)


def _shortened(part: str) -> str:
    if len(part) <= LONGEST_PART:
        return part
    start = part[: LONGEST_PART - 1]
    words = start.rpartition(" ")[0]
    return f"{(words if len(words) > LONGEST_PART // 2 else start).rstrip(' ,;·-')}…"


def _in_one_line(name: str) -> str:
    """Return a name without what cannot be seen in it: control characters, and marks that turn the direction."""
    kept = (sign for sign in name if sign.isspace() or not _is_hidden(sign))
    return " ".join("".join(kept).split())


def _is_hidden(sign: str) -> bool:
    return unicodedata.category(sign) in ("Cc", "Cs") or sign in _TURNING
