"""Structured logs: one JSON object a line in DATA_ROOT/logs, from all processes, without secrets.

All processes of a day append to one file. Each line is one write to a file opened for appending, which is atomic on a
local disk however many processes write; renaming a full file, as rotating handlers do, would lose lines of the others.
A full file is therefore closed and the next number started, and the oldest files are deleted once all together exceed
LOG_LIMIT_MB. There is no file for each process, because workers start and end by the hundred.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import threading
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from engine.core.redaction import redacted, secrets_of
from engine.core.settings import Settings

FOLDER = "logs"
"""Below DATA_ROOT: where the structured logs of all processes are."""
NAME = "maskloom-structured"
LONGEST_TEXT = 2_000
LONGEST_TRACE = 12_000
FILES_IN_ALL = 10
"""The limit on all files is this many times that on one, so deleting the oldest loses a tenth."""

_about: str | None = None


@contextlib.contextmanager
def about(job_id: str) -> Iterator[None]:
    """Mark every line that this process logs during the block, from any thread, as being about a job."""
    global _about
    before, _about = _about, job_id
    try:
        yield
    finally:
        _about = before


class StructuredFile(logging.Handler):
    """Appends records to the day's file."""

    def __init__(self, folder: Path, process: str, limit_bytes: int, secrets: tuple[str, ...]) -> None:
        super().__init__(logging.INFO)
        self.set_name(NAME)
        self._folder, self._process, self._secrets = folder, process, secrets
        self._limit_bytes = limit_bytes
        self._descriptor: int | None = None
        self._day, self._number = "", 1
        self._opening = threading.Lock()

    def filter(self, record: logging.LogRecord) -> bool:
        """Drop what Alembic logs at every start."""
        return record.levelno >= logging.WARNING or not record.name.startswith("alembic")

    def emit(self, record: logging.LogRecord) -> None:
        # A log that cannot be written, on a full disk for one, is no reason to end the work that it is about.
        with contextlib.suppress(OSError, ValueError, TypeError):
            line = json.dumps(self.entry(record), ensure_ascii=False) + "\n"
            data = line.encode("utf-8", "replace")
            with self._opening:
                os.write(self._open(datetime.now(UTC).strftime("%Y-%m-%d"), len(data)), data)

    def entry(self, record: logging.LogRecord) -> dict[str, object]:
        """Return a record as it is stored: time, level, process, pid, job, event, text and, of an exception, trace."""
        entry: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "process": self._process,
            "pid": record.process,
            "job": getattr(record, "job", None) or _about,
            "event": getattr(record, "event", record.name),
            "text": redacted(record.getMessage(), self._secrets)[:LONGEST_TEXT],
        }
        if record.exc_info and record.exc_info[1] is not None:
            trace = "".join(traceback.format_exception(record.exc_info[1]))
            entry["trace"] = redacted(trace, self._secrets)[-LONGEST_TRACE:]
        return entry

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        super().close()

    def _open(self, day: str, more_bytes: int) -> int:
        if self._descriptor is not None and day == self._day and self._has_room(self._descriptor, more_bytes):
            return self._descriptor
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        if day != self._day:
            self._day, self._number = day, 1
        self._folder.mkdir(parents=True, exist_ok=True)
        while self._descriptor is None:
            name = f"{day}.jsonl" if self._number == 1 else f"{day}.{self._number}.jsonl"
            self._descriptor = os.open(self._folder / name, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            if not self._has_room(self._descriptor, more_bytes):
                os.close(self._descriptor)
                self._descriptor = None
                self._number += 1
        self._delete_oldest()
        return self._descriptor

    def _has_room(self, descriptor: int, more_bytes: int) -> bool:
        state = os.fstat(descriptor)
        full = state.st_size > 0 and state.st_size + more_bytes > self._limit_bytes // FILES_IN_ALL
        return state.st_nlink > 0 and not full

    def _delete_oldest(self) -> None:
        files = [(path, path.stat()) for path in self._folder.glob("*.jsonl")]
        files.sort(key=lambda file: file[1].st_mtime, reverse=True)
        total = 0
        for index, (path, state) in enumerate(files):
            total += state.st_size
            if index and total > self._limit_bytes:
                path.unlink(missing_ok=True)


def configure(process: str, current: Settings) -> None:
    """Send what this process logs to DATA_ROOT/logs as well. Safe to call again."""
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if handler.name == NAME]:
        root.removeHandler(handler)
        handler.close()
    folder = current.data_root / FOLDER
    root.addHandler(StructuredFile(folder, process, current.log_limit_mb * 1_000_000, secrets_of(current)))
    if root.level == logging.NOTSET or root.level > logging.INFO:
        root.setLevel(logging.INFO)


def lines_of_job(folder: Path, job_id: str, most: int) -> list[str]:
    """Return the newest `most` lines about a job, oldest first."""
    found: list[str] = []
    for path in sorted(folder.glob("*.jsonl"), key=lambda path: path.stat().st_mtime):
        with path.open(encoding="utf-8", errors="replace") as file:
            found += [line for line in file if job_id in line]
    return found[-most:]
