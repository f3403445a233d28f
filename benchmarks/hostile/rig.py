"""What attempts are made on: commands in processes of their own, the running app, and what has to hold after each.

A command runs in a fork of a process that has imported the command line, with the jobs that it submits: a tenth of a
second in place of two. What it prints and its exit code are those of `python -m engine`.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import multiprocessing
import os
import random
import re
import shutil
import socket
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from tests.support import small_installation
from tests.support.entering import ACCESS_TOKEN
from tests.support.installation import REPOSITORY
from tests.support.running_app import RunningApp, running
from tests.support.watching import snapshot

PRELOADED = (
    *("engine.cli.every_command", "engine.work.worker", "engine.datasets.job", "engine.labelling.job"),
    *("engine.exports.job", "benchmarks.harness", "benchmarks.hostile.uploads", "benchmarks.hostile.names"),
    *("benchmarks.hostile.requests", "benchmarks.hostile.arguments", "benchmarks.hostile.imports"),
    *("benchmarks.hostile.backups", "benchmarks.hostile.databases"),
    *("tests.support.calling", "tests.support.pages"),
)
"""What every command, and every process of this one, would import anew."""
CANARY = "the canary of the hostile hour: nobody reads this"
HEALTH_S = 1.0
COMMAND_S = 90.0
LONGEST_LINE = 3000
Outcome = tuple[str, list[str]]
"""The name of an attempt, and what it broke."""


@dataclass(frozen=True)
class Said:
    """How a command ended; `code` is None where it had to be killed because it did not end."""

    code: int | None
    out: str
    err: str

    def broken(self, *, fails: bool | None = None, naming: str = "") -> list[str]:
        """Return what is wrong: a traceback, an odd exit code, an error without a sentence or that does not name it."""
        faults = []
        lines = [line.strip("│╭╮╰╯─ ") for line in (self.err or self.out).splitlines()]
        lines = [line for line in lines if line]
        if "Traceback (most recent" in self.err + self.out:
            faults.append(f"traceback: {lines[-1][:200] if lines else ''}")
        elif self.code is None:
            faults.append("does not end")
        elif self.code not in (0, 1, 2):
            faults.append(f"exit code {self.code}")
        elif self.code == 2 and not any(line.startswith("Usage:") for line in lines):
            faults.append(f"no usage: {lines[-1][:200] if lines else 'nothing'}")
        elif self.code == 1 and not self.out.startswith("{") and not (lines and lines[-1][-1:] in ".?!)'"):
            faults.append(f"no sentence: {lines[-1][:200] if lines else 'nothing'}")
        if fails is not None and self.code is not None and bool(self.code) != fails:
            faults.append(f"exit code {self.code}: {' '.join(lines)[-200:]}")
        if fails and naming and naming not in re.sub(r"\s+", " ", " ".join(lines)):
            faults.append(f"does not name {naming!r}: {' '.join(lines)[-200:]}")
        if any(len(line) > LONGEST_LINE for line in self.err.splitlines()):
            faults.append("a line of more than 3,000 characters")
        if shown := re.findall(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", self.out + self.err):
            faults.append(f"control characters on the terminal: {sorted(set(shown))}")
        return faults


def run_command(words: list[str], environment: dict[str, str], folder: Path) -> None:
    """Be `python -m engine WORDS`, in this process; its jobs are worked off here too."""
    os.environ.clear()
    os.environ.update(environment)
    for descriptor, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
    sys.stdout = io.TextIOWrapper(io.FileIO(1, "w", closefd=False), "utf-8")
    sys.stderr = io.TextIOWrapper(io.FileIO(2, "w", closefd=False), "utf-8", "backslashreplace")
    sys.argv, sys.path = ["maskloom", *words], [str(REPOSITORY), *filter(None, sys.path)]
    (folder / "here").mkdir()
    os.chdir(folder / "here")  # what is written to a relative path goes with it
    from engine import cli
    from tests.support.calling import WorkHere

    with (
        mock.patch("engine.cli.following.launcher", WorkHere),
        mock.patch("engine.cli.sweeping.launcher", WorkHere),
    ):
        cli.main()


def run_page(name: str, query: dict[str, str], environment: dict[str, str], file: Path) -> None:
    """Run the script of a page in this process; write what it raised and the texts that are Markdown."""
    os.environ.update(environment)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # Streamlit says at length that there is no browser
    from tests.support.pages import page_at

    shown = page_at(f"views/{name}/page.py", **query).run()
    kinds = shown.markdown, shown.caption, shown.info, shown.warning, shown.error, shown.title, shown.header
    texts = [element.value for kind in kinds for element in kind if not getattr(element, "allow_html", False)]
    raised = [f"{each.message}" for each in shown.exception]
    file.write_text(json.dumps({"exceptions": raised, "markdown": texts}))


class Rig:
    """A folder with an installation that has one of everything, its backup, and files that nobody may touch."""

    def __init__(self, place: Path, rng: random.Random) -> None:
        self.place, self.rng = place, rng
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(list(PRELOADED))
        self.good = place / "good" / "data"
        small_installation.make(self.good).database.close()
        self.backup = place / "good" / "backup.zip"
        made = self.command("backup", self.backup, root=self.good)
        assert made.code == 0, made

    def folder(self, name: str) -> Path:
        """Return a new folder with a file that nobody may touch beside where DATA_ROOT may be."""
        folder = self.place / f"{name}-{self.rng.getrandbits(32):08x}"
        folder.mkdir()
        (folder / "canary.txt").write_text(CANARY)
        return folder

    def copy(self, name: str) -> Path:
        """Return the DATA_ROOT of a copy of the installation, in a folder of its own."""
        root = self.folder(name) / "data"
        shutil.copytree(self.good, root)
        return root

    def command(self, *words: object, root: Path | str, limit_s: float = COMMAND_S, **environment: str) -> Said:
        """Run `python -m engine WORDS` on the installation in `root`."""
        return self._begin(words, root, environment)(limit_s)

    def both(self, one: Sequence[object], other: Sequence[object], root: Path) -> list[Said]:
        """Run two commands at once."""
        begun = [self._begin(words, root, {}) for words in (one, other)]
        return [end(COMMAND_S) for end in begun]

    def _begin(self, words: Sequence[object], root: Path | str, environment: dict[str, str]) -> Callable[[float], Said]:
        folder = self.place / f"said-{self.rng.getrandbits(48):x}"
        folder.mkdir()
        fixed = {"DATA_ROOT": str(root), "DATABASE_URL": "", "FREE_DISK_FLOOR_MB": "0", "COLUMNS": "300"}
        values = {**os.environ, **fixed, "NO_COLOR": "1", **environment}
        process = self._context.Process(target=run_command, args=([str(word) for word in words], values, folder))
        process.start()

        def end(limit_s: float) -> Said:
            process.join(limit_s)
            code = process.exitcode
            if code is None:
                process.kill()
                process.join()
            out, err = ((folder / name).read_text("utf-8", errors="replace") for name in ("out", "err"))
            shutil.rmtree(folder)
            return Said(code, out, err)

        return end

    def page(self, name: str, query: dict[str, str], root: Path) -> dict[str, Any]:
        """Return what a page showed: {"exceptions", "markdown"}."""
        file = self.place / "page.json"
        file.unlink(missing_ok=True)
        environment = {"DATA_ROOT": str(root), "DATABASE_URL": "", "FREE_DISK_FLOOR_MB": "0", "WARM_WORKER_S": "0"}
        process = self._context.Process(target=run_page, args=(name, query, environment, file))
        process.start()
        process.join(COMMAND_S)
        process.kill()
        return json.loads(file.read_text()) if file.exists() else {"exceptions": ["it did not run"], "markdown": []}

    def doctor(self, root: Path, *, clean: bool = True) -> list[str]:
        """Return what the doctor finds, or what is wrong with how it says so."""
        said = self.command("doctor", root=root)
        return [f"doctor: {fault}" for fault in said.broken(fails=False if clean else None)]


def files_of(folder: Path, leave_out: Path) -> dict[str, bytes]:
    """Return what every file below a folder holds, without those below `leave_out`."""
    return {
        str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file() and leave_out not in path.parents
    }


def tried(name: str, attempt: Callable[..., list[str]], *arguments: Any) -> Outcome:
    """Make an attempt; one that could not be made counts as failed."""
    try:
        return name, attempt(*arguments)
    except Exception as error:
        return name, [f"the attempt itself: {type(error).__name__}: {error}"[:300]]


class Web:
    """The running app, asked byte by byte."""

    def __init__(self, app: RunningApp, root: Path) -> None:
        self.app, self.root = app, root
        self.port = int(app.address.rpartition(":")[2])
        self.cookie = ""
        self._read = app.log.stat().st_size
        self._around = self._outside()
        self._secrets = _samples(root)
        self._rows = self.rows()

    def request(self, method: str, path: str, *headers: str, body: bytes = b"", host: str = "") -> bytes:
        """Return the bytes of a request; a header is "Name: value"."""
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host or f'127.0.0.1:{self.port}'}", *headers]
        lines += ["Connection: close"] if not any(line.startswith("Connection:") for line in headers) else []
        lines += [f"Content-Length: {len(body)}"] if body else []
        return "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape") + body

    def send(self, data: bytes, patience_s: float = 10.0, idle_s: float = 0.4) -> bytes:
        """Send bytes on a connection of their own; return what is answered until it closes or falls silent."""
        answer = b""
        with socket.create_connection(("127.0.0.1", self.port), timeout=patience_s) as connection:
            with contextlib.suppress(OSError):
                connection.sendall(data)
            with contextlib.suppress(OSError):
                while piece := connection.recv(1 << 16):
                    answer += piece
                    connection.settimeout(patience_s if b"Connection: close" in data else idle_s)
        return answer

    def broken(self, answer: bytes, *, public: bool = True, same_rows: bool = True) -> list[str]:
        """Return what an answer, or what happened meanwhile, breaks. Not `public`: only a refusal is right."""
        codes = statuses(answer)
        faults = [f"answered with {code}" for code in codes if code >= 500]
        if not public:
            faults += [f"answered with {code} to a stranger" for code in codes if not 400 <= code < 500]
            faults += ["bytes of a stored file" for sample in self._secrets if sample in answer][:1]
        if CANARY.encode() in answer or b"root:x:0" in answer:
            faults.append("a file outside of DATA_ROOT was read")
        faults += self._log_faults()
        # What one attempt has changed is not the fault of the next
        before, self._around = self._around, self._outside()
        faults += ["a file outside of DATA_ROOT was changed"] if self._around != before else []
        rows, self._rows = self._rows, self.rows()
        faults += ["the database has changed"] if same_rows and self._rows != rows else []
        return faults + self.health()

    def health(self) -> list[str]:
        began = time.monotonic()
        answer = self.send(self.request("GET", "/_stcore/health"))
        took = time.monotonic() - began
        return [] if statuses(answer) == [200] and took < HEALTH_S else [f"health {statuses(answer)} in {took:.1f} s"]

    def rows(self) -> str:
        """Return a digest of everything in the database but who visited when, and the app's own rows."""
        return digest(self.root / "app.db", {"workers", "ended_logins", "audit", "jobs"})

    def remember_rows(self) -> None:
        self._rows = self.rows()

    def _log_faults(self) -> list[str]:
        with self.app.log.open("rb") as log:
            log.seek(self._read)
            new = log.read().decode("utf-8", "replace")
            self._read = log.tell()
        found = [line for line in new.splitlines() if re.match(r"\w*(Error|Exception)\b|.*answered with 5", line)]
        return [f"in the log: {' '.join(found)[:200] or 'a traceback'}"] if found or "Traceback" in new else []

    def _outside(self) -> dict[str, str]:
        found = snapshot(self.root.parent, self.root)
        found.pop(str(self.app.log), None)
        return found


def digest(file: Path, leave_out: set[str]) -> str:
    """Return a digest of the rows of a SQLite file."""
    found = hashlib.sha256()
    with contextlib.closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in sorted(set(tables) - leave_out):
            found.update(repr((table, database.execute(f'SELECT * FROM "{table}"').fetchall())).encode())
    return found.hexdigest()


def statuses(answer: bytes) -> list[int]:
    """Return the statuses of the responses in an answer."""
    return [int(code) for code in re.findall(rb"(?:\A|\n)HTTP/1\.[01] (\d{3})", answer)]


def _samples(root: Path) -> list[bytes]:
    """Return some bytes of each stored file, which only it has."""
    found = []
    for path in sorted(root.rglob("*")):
        if path.is_file() and path.suffix in (".png", ".webp", ".keras", ".parquet", ".zip"):
            data = path.read_bytes()
            sample = data[len(data) * 3 // 5 :][:16]
            found += [sample] if len(set(sample)) > 10 else []
    return found


@contextlib.contextmanager
def web(root: Path, **environment: str) -> Iterator[Web]:
    """Run the app on the installation in `root`."""
    with running(root, **environment) as app:
        yield Web(app, root)


@contextlib.contextmanager
def shared_web(root: Path, **environment: str) -> Iterator[Web]:
    """Run the app with an access token, which has been entered once."""
    with web(root, ACCESS_TOKEN=ACCESS_TOKEN, **environment) as found:
        form = f"token={ACCESS_TOKEN}".encode()
        answer = found.send(found.request("POST", "/access", body=form))
        match = re.search(rb"set-cookie: [^=]+=([^;]+);", answer, re.IGNORECASE)
        assert match, answer
        found.cookie = match[1].decode()
        yield found
