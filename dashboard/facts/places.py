"""Where jobs can run: a choice once machines have joined."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from db import workers
from db.models import Worker
from db.workers import Needs
from engine.core.settings import Settings
from engine.work.registration import capacity_here

HOSTS_NAMED = 3


def places(session: Session, current: Settings, now: datetime) -> dict[Needs, str]:
    """Return {what to need of a machine: the hosts that have it}, the free choice first, alone while no other joined.

    The hosts are "" where they need no naming. A launcher may start a worker that has a GPU.
    """
    here = capacity_here(current)
    there = [row for row in workers.joined(session, now) if not workers.is_silent(row, now, current.lost_after_s)]
    found, launches = {Needs(): ""}, current.launcher != "local"
    if not there and not launches:
        return found
    with_gpu = [row for row in there if row.gpus]
    if with_gpu or launches or (here is not None and here.gpus):
        found[Needs(gpu=True)] = _named(with_gpu, bool(here and here.gpus))
    for tag in sorted({tag for row in there for tag in row.tags} | set(current.tags_elsewhere if launches else ())):
        found[Needs(tag=tag)] = _named([row for row in there if tag in row.tags])
    if here is not None:
        found[Needs(local=True)] = ""
    return found


def words(needs: Needs) -> str:
    """Return the words for a choice, the same while machines come and go: by them Streamlit knows what was chosen."""
    if needs.gpu:
        return "With a GPU"
    if needs.tag:
        return f"Tag {needs.tag}"
    return "This machine" if needs.local else "Any machine"


def _named(rows: Sequence[Worker], here: bool = False) -> str:
    hosts = [*(["this machine"] if here else []), *dict.fromkeys(row.host for row in rows)]
    more = len(hosts) - HOSTS_NAMED
    return ", ".join(hosts[:HOSTS_NAMED]) + (f" and {more} more" if more > 0 else "")
