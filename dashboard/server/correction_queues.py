"""Which images to correct next, found in background threads and remembered until masks or corrections change."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from functools import partial

from db.correction_queue import Masks, queue_rows, queue_stamp
from db.session import Database
from engine.prediction.correct_next import Suggestion
from engine.prediction.correction_queue import CorrectionQueue
from engine.store.base import MissingFile, Store

MOST = 200
"""Images in a queue: more than anybody corrects before the order changes anyway."""

KEPT = 16
"""Queues in memory, 2 MB each for 10,000 images."""

log = logging.getLogger("maskloom.dashboard")


@dataclass(frozen=True)
class QueueState:
    """What is known of a queue: `suggestions` in order once it is not `busy`, and until then how many images of all
    were seen, in `elapsed_s` seconds. `error` is a sentence if it could not be computed."""

    busy: bool
    seen: int = 0
    total: int = 0
    elapsed_s: float = 0.0
    suggestions: tuple[Suggestion, ...] = ()
    error: str = ""


@dataclass
class _Entry:
    stamp: tuple[str, str] = ("", "")
    queue: CorrectionQueue | None = None
    state: QueueState | None = None
    ended: threading.Event = field(default_factory=threading.Event)


class CorrectionQueues:
    """Safe to use from several threads. One queue is computed at a time, with all cores."""

    def __init__(self, database: Database, files: Store) -> None:
        self._database, self._files = database, files
        self._lock, self._one_at_a_time = threading.Lock(), threading.Lock()
        self._entries: OrderedDict[Masks, _Entry] = OrderedDict()

    def latest(self, masks: Masks) -> tuple[Suggestion, ...] | None:
        """Return the queue as it was last computed; None before that."""
        entry = self._entries.get(masks)
        return entry.state.suggestions if entry and entry.state and not entry.state.busy else None

    def ask(self, dataset_id: str, masks: Masks, patience_s: float = 0.0) -> QueueState:
        """Return the queue as of now, if that is known after `patience_s`; begin to compute it where it is not."""
        with self._database.reading() as session:
            stamp = queue_stamp(session, dataset_id, masks)
        with self._lock:
            entry = self._entries.setdefault(masks, _Entry())
            self._entries.move_to_end(masks)
            while len(self._entries) > KEPT:
                self._entries.popitem(last=False)
            state = entry.state
            if state is None or (not state.busy and (entry.stamp != stamp or state.error)):
                if entry.queue is None or entry.stamp[0] != stamp[0]:
                    entry.queue = CorrectionQueue(self._files, masks)
                entry.stamp, entry.state = stamp, QueueState(busy=True)
                entry.ended.clear()
                work = partial(self._compute, entry, entry.queue, dataset_id, masks)
                threading.Thread(target=work, name="what to correct next", daemon=True).start()
        entry.ended.wait(patience_s)
        assert entry.state is not None
        return entry.state

    def _compute(self, entry: _Entry, queue: CorrectionQueue, dataset_id: str, masks: Masks) -> None:
        def tell(seen: int, total: int) -> None:
            entry.state = QueueState(True, seen, total, time.monotonic() - began)

        state = QueueState(False, error="What to correct next could not be computed; the log says why.")
        try:
            with self._one_at_a_time:
                began = time.monotonic()
                with self._database.reading() as session:
                    rows = queue_rows(session, dataset_id, masks)
                state = QueueState(False, suggestions=tuple(queue.suggestions(rows, MOST, tell)))
        except MissingFile as error:
            state = QueueState(False, error=f"A file is missing, so nothing can be suggested: {error}")
        except Exception:
            log.exception("What to correct next could not be computed.")
        finally:
            entry.state = state
            entry.ended.set()
