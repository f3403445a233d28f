"""Rounds of self-training (see `db.models.Round`)."""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from db.models import Round, Run

LABEL_SHARE = "label_share"
"""In `Run.details`: the share of the labels that a run was trained on in the masks of its own images."""


def save_round(session: Session, run_id: str, number: int, **values: Any) -> None:
    """Store a finished round, counted from 1; one that is repeated after a resume replaces what it wrote before."""
    session.merge(Round(run_id=run_id, number=number, **values))


def rounds(session: Session, run_id: str) -> list[Round]:
    """Return the finished rounds of a run, in order. A run trained on truth, or of an older version, has none."""
    return list(session.scalars(select(Round).where(Round.run_id == run_id).order_by(Round.number)))


def drop_rounds_after(session: Session, run_id: str, number: int) -> None:
    """Delete the rounds after round `number`: a resumed run repeats them."""
    session.execute(delete(Round).where(Round.run_id == run_id, Round.number > number))


def label_share(run: Run) -> float:
    """Return the share in [0, 1] of the labels that a run was trained on in the masks of its own images.

    The rest is its network's. It is 1 where the labels were kept, as the network's masks were less plausible.
    """
    return float(run.details.get(LABEL_SHARE, 0))
