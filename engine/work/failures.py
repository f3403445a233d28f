"""What a failure of a job means: the sentence for people, and whether it was only the database that was gone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from engine.core.system_errors import FULL, is_full_disk, is_unreachable_server, sqlite_says, sqlstate
from engine.store.base import StoreFailed
from engine.training.memory_advice import memory_advice


def explain(error: BaseException, config: Mapping[str, Any] | None = None) -> str:
    """Return the sentence that a person reads when a job fails; `config` is the settings of the run it trained."""
    causes = list(_causes(error))
    if any(map(is_full_disk, causes)):
        return f"{FULL} Free some space, then retry: what was finished is kept."
    if any(sqlite_says(cause, "SQLITE_BUSY", "SQLITE_LOCKED") or sqlstate(cause) == "55P03" for cause in causes):
        return "Another program kept the database locked for too long. End it, then retry: what was finished is kept."
    if store_failure := next((cause for cause in causes if isinstance(cause, StoreFailed)), None):
        return str(store_failure)  # and not that of the image that could not be read or stored
    if lost_database(error):
        return "The database could not be reached. See that its server runs, then retry: what was finished is kept."
    if any(isinstance(cause, MemoryError) or type(cause).__name__ == "ResourceExhaustedError" for cause in causes):
        return _out_of_memory(config)
    if type(error).__module__.partition(".")[0] in ("engine", "db") and str(error):
        return str(error)  # our own errors are sentences for people
    what = str(error).partition("\n")[0].rstrip(".")[:300]  # the SQL follows on further lines
    return f"Unexpected error, {type(error).__name__}: {what}. The job's log has the details."


def lost_database(error: BaseException) -> bool:
    """Whether the connection to PostgreSQL broke or could not be opened, as while it is restarted."""
    return any(map(is_unreachable_server, _causes(error)))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and those that led to it: closing a file that could not be written raises one more."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _out_of_memory(config: Mapping[str, Any] | None) -> str:
    if config is None:
        return "Memory ran out. End other programs that need much of it, then retry: what was finished is kept."
    return (
        "Memory ran out. What was finished is kept. End other programs that need much memory and retry, or duplicate "
        f"the run with {memory_advice(config)}."
    )
