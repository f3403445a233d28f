"""A process that does one thing and has a fault at an exact step of it: a changed file, an SQL statement, a commit.

    ended = run(act, folder, disk, Fault("killed", step=17))

Real processes and files: only the moment is exact, so that a fault can be repeated.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event

from engine.cli import sentence_of
from tests.faults.disk import Disk

PATIENCE_S = 240.0
HELD_S = 1.0
FULL_S = 2.0
"""A job that cannot store how it ended tries again until it can."""
CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "os.link")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

Act = Callable[[Path], str]
"""Does something to the installation in a folder; returns the sentence shown to a person if it failed."""


@dataclass(frozen=True)
class Fault:
    """What happens before step number `step`, counted from 1: "killed", "disk full", "database busy" or nothing."""

    kind: str = ""
    step: int = 0
    leave_bytes: int = 0


@dataclass(frozen=True)
class Ended:
    """How a process ended. `sentence` is shown to a person; `unforeseen` a traceback that nobody foresaw."""

    steps: int = 0
    killed: bool = False
    sentence: str = ""
    unforeseen: str = ""


def run(act: Act, folder: Path, disk: Disk | None = None, fault: Fault = Fault()) -> Ended:
    """Do `act(folder)` in a process of its own."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.faults.operations"])
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_serve, args=(act, folder, disk, fault, theirs))
    process.start()
    theirs.close()
    try:
        if not ours.poll(PATIENCE_S):
            process.kill()
            return Ended(unforeseen=f"It did not end within {PATIENCE_S:.0f} s.")
        return ours.recv()
    except EOFError:
        process.join()
        killed = process.exitcode == -signal.SIGKILL
        return Ended(killed=killed, unforeseen="" if killed else f"The process ended with {process.exitcode}.")
    finally:
        process.join()
        ours.close()


def _serve(act: Act, folder: Path, disk: Disk | None, fault: Fault, answer: Any) -> None:
    steps = Steps(folder, disk, fault)
    sentence = unforeseen = ""
    try:
        sentence = act(folder)
    except Exception as error:
        sentence = sentence_of(error) or ""
        unforeseen = "" if sentence else traceback.format_exc()
    finally:
        steps.end()
    answer.send(Ended(steps.count, False, sentence, unforeseen))


class Steps:
    """Counts the steps of this process below a folder, and lets the fault happen before one of them."""

    def __init__(self, folder: Path, disk: Disk | None, fault: Fault) -> None:
        self.count = 0
        self._folder, self._disk, self._fault = str(folder), disk, fault
        self._ended = False
        self._helpers: list[threading.Thread] = []
        sys.addaudithook(self._audit)
        event.listen(Engine, "before_cursor_execute", lambda *_: self._step())
        event.listen(Engine, "commit", lambda *_: self._step())

    def end(self) -> None:
        self._ended = True
        for thread in self._helpers:
            thread.join()

    def _audit(self, name: str, arguments: tuple[Any, ...]) -> None:
        if name in CHANGES or (name == "open" and (arguments[2] or 0) & WRITING and self._ours(arguments[0])):
            self._step()

    def _ours(self, path: Any) -> bool:
        return isinstance(path, str | os.PathLike) and os.fspath(path).startswith(self._folder)

    def _step(self) -> None:
        if self._ended or threading.current_thread() in self._helpers:
            return
        self.count += 1
        if self.count != self._fault.step:
            return
        if self._fault.kind == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        elif self._fault.kind == "disk full":
            self._fill()
            self._helpers.append(threading.Thread(target=self._make_room))
            self._helpers[-1].start()
        elif self._fault.kind == "database busy":
            self._hold()

    def _fill(self) -> None:
        assert self._disk is not None
        self._disk.fill(self._fault.leave_bytes, lambda: [os.getpid()])

    def _make_room(self) -> None:
        assert self._disk is not None
        time.sleep(FULL_S)
        self._disk.free(lambda: [os.getpid()])

    def _hold(self) -> None:
        """Let another connection hold the database as soon as it gets it."""
        begun = threading.Event()

        def hold() -> None:
            held = sqlite3.connect(f"{self._folder}/data/app.db", isolation_level=None, timeout=60)
            begun.set()
            held.execute("BEGIN EXCLUSIVE")
            time.sleep(HELD_S)
            held.execute("ROLLBACK")
            held.close()

        self._helpers.append(threading.Thread(target=hold))
        self._helpers[-1].start()
        begun.wait()
