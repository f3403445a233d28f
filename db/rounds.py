"""Rounds of self-training (see `db.models.Round`)."""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from db.models import Round


def save_round(session: Session, run_id: str, number: int, **values: Any) -> None:
    """Store a finished round, counted from 1; one that is repeated after a resume replaces what it wrote before."""
    session.merge(Round(run_id=run_id, number=number, **values))


def rounds(session: Session, run_id: str) -> list[Round]:
    """Return the finished rounds of a run, in order. A run trained on truth, or of an older version, has none."""
    return list(session.scalars(select(Round).where(Round.run_id == run_id).order_by(Round.number)))


def drop_rounds_after(session: Session, run_id: str, number: int) -> None:
    """Delete the rounds after round `number`: a resumed run repeats them."""
    session.execute(delete(Round).where(Round.run_id == run_id, Round.number > number))
