"""The faults: each is done to a rig while a job is at work, and says what it did. `undo` is what a person would do.

Faults that end by themselves (a busy database, a full disk, a wrong clock) have ended when their function returns.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from db.models import JobStatus
from engine.store import keys as stored
from tests.faults.jobs_at_work import Work, done
from tests.faults.rig import Rig

HOUR_S = 3600.0
HOLD = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=120)
connection.execute("BEGIN " + sys.argv[2])
print("held", flush=True)
time.sleep(float(sys.argv[3]))
connection.execute("ROLLBACK")
"""


@dataclass(frozen=True)
class Done:
    """What a fault did, in words, and the file it took away or damaged if it did (paths below DATA_ROOT)."""

    words: str
    removed: str = ""
    damaged: str = ""


@dataclass(frozen=True)
class Kind:
    """A kind of fault and the kinds of job it is tried on. `app_starts` leaves it to the app to start the worker."""

    name: str
    inject: Callable[[Rig, Work, random.Random, bool], Done]
    jobs: tuple[str, ...]
    app_starts: bool = False


def kill_worker(rig: Rig, work: Work, rng: random.Random, short: bool) -> Done:
    process = rig.worker_of(work.job_id)
    if process is None:
        return Done("no worker was left to kill")
    _kill(rig, process)
    return Done("killed the worker")


def kill_web(rig: Rig, work: Work, rng: random.Random, short: bool) -> Done:
    rig.kill_app()
    pause_s = 0.0 if short else rng.uniform(0, 3)
    time.sleep(pause_s)
    rig.start_app()
    return Done(f"killed the web process, and started it {pause_s:.1f} s later")


def kill_both(rig: Rig, work: Work, rng: random.Random, short: bool) -> Done:
    rig.kill_app()
    for process in rig.workers():
        _kill(rig, process)
    rig.start_app()
    return Done("killed web process and workers, as a power cut does, and started the app")


def fill_disk(rig: Rig, work: Work, rng: random.Random, short: bool) -> Done:
    leave = rng.choice([0, 0, 16, 128]) * 1024
    hold_s = 2.0 if short else rng.uniform(1, 8)
    rig.disk.fill(leave, rig.processes)
    try:
        _wait_while_at_work(rig, work, hold_s)
    finally:
        rig.disk.free(rig.processes)
    how = f"{leave // 1024} KB left" if rig.disk.mounted else "by a limit on file size"
    return Done(f"filled the disk for {hold_s:.1f} s ({how})")


def hold_database(rig: Rig, work: Work, rng: random.Random, short: bool) -> Done:
    how = rng.choice(["IMMEDIATE", "EXCLUSIVE"])
    hold_s = 3.0 if short else rng.uniform(2, 20)
    command = [sys.executable, "-c", HOLD, str(rig.root / "app.db"), how, str(hold_s)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=hold_s + 150)
    return Done(f"another process held the database ({how}) for {hold_s:.1f} s")


def lose_database(rig: Rig, work: Work, rng: random.Random, short: bool) -> Done:
    """End all connections to the PostgreSQL server, or the server itself, which is started again after a while."""
    assert rig.server is not None
    if rng.random() < 0.5:
        rig.server.disconnect()
        return Done("ended all connections to the database")
    down_s = 1.0 if short else rng.uniform(1, 10)
    rig.server.crash()
    try:
        time.sleep(down_s)
    finally:
        rig.server.start()
    return Done(f"ended the database's server at once, and started it {down_s:.1f} s later")


def lose_store(rig: Rig, work: Work, rng: random.Random, short: bool) -> Done:
    """Take the object store's server away, let it refuse or be slow for a while. Its clock may differ by 5 minutes."""
    assert rig.s3 is not None
    command, words = rng.choice(
        [
            ("down", "took the object store away"),
            ("slow 0.4", "let every request of the object store take 0.4 s longer"),
            ("refuse 503 SlowDown", "let the object store refuse every request as busy"),
            ("refuse 403 RequestTimeTooSkewed", "let the object store refuse every request because of the clock"),
        ]
    )
    for_s = 1.0 if short else rng.uniform(1, 10)
    rig.s3.tell(command)
    try:
        time.sleep(for_s)
    finally:
        rig.s3.tell("well")
    return Done(f"{words} for {for_s:.1f} s")


def damage_checkpoint(rig: Rig, work: Work, rng: random.Random, short: bool) -> Done:
    """Damage what the run stored last, while no worker is at it: killed, or stopped by a person."""
    if rng.random() < 0.5:
        done_ = kill_worker(rig, work, rng, short).words
    else:
        rig.stop(work.job_id)
        done_ = "a person stopped it"
        rig.until(lambda: rig.job(work.job_id).status.ended, "the stopped run has ended")
    if rig.job(work.job_id).status == JobStatus.FINISHED:
        return Done(f"{done_}; it had finished, and nothing was damaged")  # nobody would read it again
    folder = rig.root / stored.run_folder(work.owner_id)
    found = sorted(folder.glob("*.npz"), key=_written) + sorted(folder.glob("*.keras"), key=_written)
    found = [path for path in found if ".part" not in path.name]
    if not found:
        return Done(f"{done_}; there was no checkpoint yet")
    path = max((path for path in found if path.suffix == ".npz"), key=_written, default=found[-1])
    if rng.random() < 0.35:
        path = rng.choice(found)
    how = damage(path, rng)
    return Done(f"{done_}; {path.name} was {how}", damaged=path.relative_to(rig.root).as_posix())


def damage(path: Path, rng: random.Random) -> str:
    """Empty, cut or change a file, as bad disks and half copies do; return which."""
    data = bytearray(path.read_bytes())
    how = rng.choice(["emptied", "cut short", "changed in a byte"])
    if how == "emptied":
        data = bytearray()
    elif how == "cut short":
        data = data[: rng.randrange(1, max(len(data), 2))]
    elif data:
        data[rng.randrange(len(data))] ^= 0xFF
    path.write_bytes(data)
    return how


def remove_file(rig: Rig, work: Work, rng: random.Random, short: bool) -> Done:
    """Delete an image, a thumbnail or a truth mask of the dataset that the job works on."""
    what, key = rng.choice(
        [("image", stored.image_key), ("thumbnail", stored.thumb_key), ("truth mask", stored.truth_key)]
    )
    folder = key(work.dataset_id, "0" * 32).rpartition("/")[0]
    names = sorted(Path(name).stem for name in rig.names(folder) if ".part" not in name)
    if not names:
        return Done(f"there was no {what} yet to delete")
    removed = key(work.dataset_id, rng.choice(names))
    rig.installation.files.delete(removed)
    return Done(f"deleted a {what}", removed)


def move_clock(rig: Rig, work: Work, rng: random.Random, short: bool) -> Done:
    """Set a clock an hour wrong and, half the times, kill the worker meanwhile; then set the clock right."""
    whose = rng.choice([("app",), ("worker",), ("app", "worker")])
    hours = rng.choice([-1, 1])
    kill = rng.random() < 0.5
    for each in whose:
        rig.move_clock(each, hours * HOUR_S)
    try:
        _wait_while_at_work(rig, work, 2.0 if short else rng.uniform(1, 12))
        killed = f"; {kill_worker(rig, work, rng, short).words}" if kill else ""
    finally:
        for each in whose:
            rig.move_clock(each, 0)
    return Done(f"set the clock of {' and '.join(whose)} {hours:+d} h{killed}")


KINDS = (
    Kind("worker killed", kill_worker, ("import", "label", "train", "predict", "objects", "export")),
    Kind("web killed", kill_web, ("import", "label", "train", "predict", "objects", "export"), app_starts=True),
    Kind("web and worker killed", kill_both, ("import", "label", "train", "predict", "objects", "export")),
    Kind("disk full", fill_disk, ("import", "label", "train", "predict", "objects", "export")),
    Kind("database busy", hold_database, ("import", "label", "train", "predict", "objects", "export")),
    Kind("checkpoint damaged", damage_checkpoint, ("train",)),
    Kind("file removed", remove_file, ("label", "train", "predict", "objects")),
    Kind("clock moved", move_clock, ("import", "label", "train", "predict", "objects")),
)

ON_POSTGRESQL = tuple(
    replace(kind, name="database lost", inject=lose_database) if kind.inject is hold_database else kind
    for kind in KINDS
)
"""The kinds where the database is on a server: nothing there can be held as a file can."""

ON_S3 = (
    *(kind for kind in ON_POSTGRESQL if kind.inject is not damage_checkpoint),
    Kind("store lost", lose_store, ("import", "label", "train", "predict", "objects", "export")),
)
"""The kinds where the files are in an object store, too, which keeps each whole."""


def wait_for_moment(rig: Rig, work: Work, rng: random.Random, kind: Kind) -> str:
    """Wait until the job is at a moment drawn by `rng`; return which, in words."""
    from_ = 1 if kind.inject is damage_checkpoint else 0
    wanted = rng.randrange(from_, work.total) if work.kind != "export" else 1
    early = kind.inject is not damage_checkpoint and rng.random() < 0.15

    def reached() -> bool:
        job = rig.job(work.job_id)
        if early:
            return job.status != JobStatus.QUEUED
        return job.status.ended or (job.status == JobStatus.RUNNING and done(rig, work) >= wanted)

    rig.until(reached, "the job has come to the moment of the fault", every_s=0.005)
    return "as it was claimed" if early else f"after {min(done(rig, work), wanted)} of {work.total}"


def _wait_while_at_work(rig: Rig, work: Work, seconds: float) -> None:
    """Let a fault last; nobody waits for what has ended."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and not rig.job(work.job_id).status.ended:
        time.sleep(0.1)


def _kill(rig: Rig, process: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)
    rig.until(lambda: process not in rig.processes(), "the killed process is gone", every_s=0.01)


def _written(path: Path) -> int:
    return path.stat().st_mtime_ns
