"""What a process opens, changes and starts while a block runs, by Python's audit events."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGES = {  # event: which arguments are names, and which the folders that they are relative to
    "os.rename": ((0, 2), (1, 3)),
    "os.link": ((0, 2), (1, 3)),
    "os.symlink": ((1, 2),),
    "os.remove": ((0, 1),),
    "os.rmdir": ((0, 1),),
    "os.mkdir": ((0, 2),),
    "os.chmod": ((0, 2),),
    "os.truncate": ((0, None),),
}
_STARTS = {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "socket.connect", "pty.spawn"}


@dataclass
class Seen:
    """Absolute paths that were read and written, and events that start or reach something else."""

    read: set[Path] = field(default_factory=set)
    written: set[Path] = field(default_factory=set)
    started: list[str] = field(default_factory=list)

    def read_outside(self, *allowed: Path) -> set[Path]:
        """Return what was read that lies neither below `allowed` nor belongs to Python, its packages or the system."""
        own = (Path(sys.prefix).resolve(), Path(sys.base_prefix).resolve(), Path(__file__).resolve().parents[2])
        system = (
            Path("/proc/self"),
            Path("/proc/meminfo"),
            Path("/dev/urandom"),
            Path("/sys"),
            Path("/usr/share/mime"),
            Path("/usr/share/zoneinfo"),
        )
        return {
            path for path in self.read if not any(path.is_relative_to(place) for place in (*allowed, *own, *system))
        }

    def written_outside(self, *allowed: Path) -> set[Path]:
        return {
            path
            for path in self.written
            if "__pycache__" not in path.parts
            if not any(path.is_relative_to(place) for place in allowed)
        }


_watching: list[Seen] = []
_hooked = False


def _note(event: str, arguments: tuple) -> None:
    if not _watching:
        return
    seen = _watching[-1]
    if event == "open" and isinstance(arguments[0], str | bytes | os.PathLike):
        path = Path(os.path.realpath(os.fsdecode(arguments[0])))
        (seen.written if (arguments[2] or 0) & _WRITING else seen.read).add(path)
    elif event in _CHANGES:
        for name_at, folder_at in _CHANGES[event]:
            if not isinstance(arguments[name_at], int):
                seen.written.add(_absolute(arguments[name_at], arguments[folder_at] if folder_at else -1))
    elif event in _STARTS:
        seen.started.append(f"{event} {arguments!r}"[:200])


def _absolute(name: str | bytes | os.PathLike, folder: int) -> Path:
    base = Path(f"/proc/self/fd/{folder}") if folder >= 0 else Path.cwd()
    return Path(os.path.realpath(base / os.fsdecode(name)))


@contextmanager
def watched() -> Iterator[Seen]:
    """Collect what this process, all its threads, opens and changes while the block runs."""
    global _hooked
    if not _hooked:  # a hook stays for the life of the process
        sys.addaudithook(_note)
        _hooked = True
    seen = Seen()
    _watching.append(seen)
    try:
        yield seen
    finally:
        _watching.remove(seen)


def snapshot(folder: Path, leave_out: Path) -> dict[str, str]:
    """Return {path: kind and content hash} of everything below `folder` that is not below `leave_out`."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_relative_to(leave_out):
            continue
        if path.is_symlink():
            found[str(path)] = f"link to {path.readlink()}"
        else:
            found[str(path)] = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder or special"
    return found
