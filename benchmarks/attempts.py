"""Attempts to break Maskloom by kind, on the real app and the real command line: how many of them held.

    python -m benchmarks.attempts make                             # all kinds, 20 minutes on two busy cores
    python -m benchmarks.attempts make --kind access --seed 7      # may be repeated
    python -m benchmarks.attempts make --kind backups --only size  # those with "size" in their names

What is sent, which route it is sent to and which row is damaged is drawn from the seed. An attempt fails if a response
is a 5xx, a command or the app's log shows a traceback, a command fails without a sentence, a byte of a stored file goes
to somebody without a right to it, a file outside of DATA_ROOT is read or changed, rows change that must not, the app
does not answer within a second afterwards, or the doctor finds something. Each failed attempt is named
on standard error. Ends with 1 if there was one. Needs Linux, and Chromium for the uploads.
"""

from __future__ import annotations

import contextlib
import functools
import random
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.harness import Failed, note, suite
from benchmarks.hostile import arguments, backups, databases, imports, names, requests, uploads
from benchmarks.hostile.rig import Outcome, Rig, Web, shared_web, web

Kind = Callable[[Rig], Iterator[Outcome]]
app = suite(__doc__)


def kinds(shared: Callable[[], Web]) -> dict[str, Kind]:
    """Return all kinds, in the order in which they are tried.

    Args:
        shared: returns the app that needs a token, which some of them share; it is started when it is first needed.
    """
    return {
        "access": lambda rig: _with_doctor(rig, shared(), requests.access),
        "access without a token": _open_access,
        "HTTP": lambda rig: _with_doctor(rig, shared(), requests.http),
        "uploads": _uploads,
        "injection": names.injection,
        "imports": imports.imports,
        "backups": backups.backups,
        "places": arguments.places,
        "settings": arguments.settings,
        "databases": databases.databases,
        "command line": arguments.command_line,
        "kills": databases.kills,
    }


def _open_access(rig: Rig) -> Iterator[Outcome]:
    with web(rig.copy("open")) as found:
        yield from requests.without_token(found, rig.rng)


def _uploads(rig: Rig) -> Iterator[Outcome]:
    with shared_web(rig.folder("uploads") / "data", UPLOAD_LIMIT_MB=str(uploads.LIMIT_MB)) as found:
        yield from uploads.uploads(found, rig.rng)


def _with_doctor(
    rig: Rig, shared: Web, attempts: Callable[[Web, random.Random], Iterator[Outcome]]
) -> Iterator[Outcome]:
    yield from attempts(shared, rig.rng)
    yield "the doctor afterwards", rig.doctor(shared.root)


@app.command("make")
def make(
    seed: int | None = None,
    kind: Annotated[list[str] | None, typer.Option(help="A kind, may be repeated; default: all.")] = None,
    only: Annotated[str, typer.Option(help="Report only attempts with this in their names.")] = "",
) -> list[dict[str, Any]]:
    """Make the attempts: how many of each kind held."""
    seed = seed if seed is not None else random.SystemRandom().randrange(1 << 32)
    note(f"Seed {seed}.")
    rows = []
    with tempfile.TemporaryDirectory(prefix="attempts-") as place, contextlib.ExitStack() as stack:
        rig = Rig(Path(place).resolve(), random.Random(seed))
        known = kinds(functools.cache(lambda: stack.enter_context(shared_web(rig.copy("shared")))))
        if unknown := set(kind or ()) - set(known):
            raise SystemExit(f"There is no kind {', '.join(sorted(unknown))}. Known: {', '.join(known)}.")
        for name in kind or known:
            rig.rng = random.Random(f"{seed}/{name}")
            rows.append(row(name, [each for each in known[name](rig) if only in each[0]]))
    return Failed(rows) if any(each["failed"] for each in rows) else rows


def row(kind: str, outcomes: list[Outcome]) -> dict[str, Any]:
    """Count the attempts of a kind, and name those that failed."""
    for name, broken in outcomes:
        if broken:
            note(f"{kind}: {name}: {'; '.join(broken)}"[:1000])
    failed = sum(bool(broken) for _, broken in outcomes)
    return {"kind": kind, "attempts": len(outcomes), "held": len(outcomes) - failed, "failed": failed}


if __name__ == "__main__":
    app()
