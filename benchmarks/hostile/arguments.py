"""Attempts with arguments of commands, with settings, and with names and places of DATA_ROOT."""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import typer

from benchmarks.hostile.rig import Outcome, Rig, files_of, tried
from engine.cli.every_command import app as every_command
from engine.core.settings import Settings
from tests.assets.bad_files import disk, encoded, picture
from tests.support.installation import REPOSITORY
from tests.support.running_app import APP, free_port

_VALUES = (
    *("", " ", "-1", "0", "1e309", "nan", "-inf", "9" * 400, "null", "../../x", "/etc/passwd", "ü" * 300, "\x1b[31mx"),
    *(
        "a\nb",
        "--",
        "=1+1",
        "<b>x</b>",
        "'; DROP TABLE runs; --",
        "\udcff\udcfe",
        "{}",
        "[[",
        "a=b=c",
        "0x7fff",
        "٣",
        "*",
    ),
    *(
        "learning_rate=nan",
        "epochs=1e9",
        "clusters=-3",
        "x=1",
        "=",
        "gpu=1",
        "memory=-8GB",
        "memory=1e99EB",
        "1,2,3",
        "\u202eb",
    ),
)
_BASES: dict[str, list[str]] = {
    "label": ["discs", "--method", "threshold"],
    "train": ["discs"],  # neither --labels nor --truth: nothing is ever trained
    "predict": ["run", "{images}", "--out", "{out}"],
    "score": ["{images}", "{images}"],
    "audit": ["discs"],
    "classes": ["discs"],
    "correct": ["discs", "{images}"],
    "corrections": ["discs"],
    "export": ["run", "--format", "report", "--out", "{out}/report.html"],
    "images": ["discs"],
    "import": ["{images}"],
    "leave-out": ["discs"],
    "measure": ["discs"],
    "measure-objects": ["{images}", "--out", "{out}"],
    "migrate": ["--from", "sqlite:///{out}/none.db", "--to", "sqlite:///{out}/none-2.db"],
    "remove-truth": ["others"],
    "role": ["nobody", "admin"],
    "queue": ["discs"],
    "retrain": ["spare"],
    "restore": ["{out}"],
    "backup": ["{out}/no/b.zip"],
    "sweep": ["discs", "-p", "clusters=2..4"],
    "sweeps": ["none"],
    "sweep-stop": ["none"],
    "sweep-extend": ["none"],
    "sweep-retry": ["none"],
    "sweep-train-best": ["none"],
    "worker": [],
}
"""Arguments that are right, or fail before anything long begins."""


def command_line(rig: Rig) -> Iterator[Outcome]:
    """Every command without arguments, with rows of another kind, and with nonsense for each of its options."""
    root, rng = rig.copy("commands"), rig.rng
    places = {"images": str(root.parent / "pictures"), "out": str(root.parent / "out")}
    Path(places["images"]).mkdir()
    (Path(places["images"]) / "disc 0.png").write_bytes(encoded(picture(64, 64)))
    Path(places["out"]).mkdir()
    grey = root.parent / "grey"
    grey.mkdir()
    (grey / "disc 0.png").write_bytes(encoded(disk(64, 64, 1)))
    places["grey"] = str(grey)
    known = typer.main.get_command(every_command).commands  # type: ignore[attr-defined]
    for name, base in _BASES.items():
        right = [word.format(**places) for word in base]
        params = [each for each in known[name].params if each.name != "help"]
        arguments = [each for each in params if each.param_type_name == "argument"]
        options = [each for each in params if each.param_type_name == "option" and not each.is_flag]
        calls = [[], [*right, "--no-such-option"]] if right else [["--no-such-option"]]
        for at, _ in enumerate(arguments[: len(right)]):
            calls.append([*right[:at], rng.choice((*_VALUES, _row(root, rng))), *right[at + 1 :]])
        calls += [[*right, rng.choice(option.opts), rng.choice(_VALUES)] for option in options for _ in range(2)]
        for words in calls:
            fails = True if words[-1:] == ["--no-such-option"] or (not words and name != "sweeps") else None
            if any("\0" in word for word in words):
                continue
            yield tried(f"{name} {words}"[:150], _called, rig, root, name, words, fails)
    for one, other in _PAIRS.items():
        yield tried(f"at once: {one}", _at_once, rig, [word.format(**places) for word in other])
    yield "the doctor afterwards", rig.doctor(root)


def _called(rig: Rig, root: Path, name: str, words: list[str], fails: bool | None) -> list[str]:
    before = files_of(root.parent, root)
    broken = rig.command(name, *words, root=root).broken(fails=fails)
    after = files_of(root.parent, root)
    changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    allowed = str(root.parent / "out")
    return broken + [f"outside: {path}" for path in sorted(changed) if not path.startswith(allowed)][:1]


def _row(root: Path, rng: random.Random) -> str:
    """Return the id of a row of a random kind."""
    return rng.choice([path.name for path in root.glob("*/*") if re.fullmatch("[0-9a-f]{32}", path.stem)])


_PAIRS: dict[str, list[str]] = {
    "imports of one name": ["import", "{images}", "--name", "twice"],
    "mask sets of one name": ["label", "discs", "--method", "threshold", "--name", "twice"],
    "exports to one file": ["export", "run", "--format", "report", "--out", "{out}/twice.html"],
    "repairs": ["doctor", "--repair"],
    "audits": ["audit", "discs"],
    "removals of truth": ["remove-truth", "others", "--yes"],
    "corrections of one image": ["correct", "discs", "{grey}"],
    "backups to one file": ["backup", "{out}/twice.zip"],
}


def _at_once(rig: Rig, words: list[str]) -> list[str]:
    root = rig.copy("twice")
    said = rig.both(words, words, root)
    broken = [fault for each in said for fault in each.broken()]
    broken += [] if any(each.code == 0 for each in said) else [f"neither did it: {said[0].err[-150:]}"]
    return broken + rig.doctor(root)


def settings(rig: Rig) -> Iterator[Outcome]:
    """Nonsense for every setting: refused with its name, or taken; and the app's start with some of it."""
    root = rig.copy("settings")
    for name in Settings.model_fields:
        if name == "data_root":
            continue
        for value in rig.rng.sample(_SPECIAL.get(name, _SETTINGS), 2):
            yield tried(f"{name.upper()}={value[:60]!r}", _set, rig, root, name.upper(), value)
    for value in _SPECIAL["database_url"]:
        yield tried(f"DATABASE_URL={value[:60]!r}", _set, rig, root, "DATABASE_URL", value)
    for setting, value in _STARTS:
        yield tried(f"the app with {setting}={value[:40]!r}", _started, rig, root, setting, value)


_SETTINGS = (
    *(
        "",
        " ",
        "-1",
        "nan",
        "inf",
        "1e400",
        "text",
        "9" * 5000,
        "0x10",
        "1;2",
        "true",
        "'",
        "{{7*7}}",
        "\n",
        "٣",
        "0",
        "1.5",
    ),
    *("-0.0001", "10**9", "\x1b[31m", "ü" * 2000, "{worker}", "'unbalanced", ",,,", "a b,c/d", "NaN,inf"),
)
_SPECIAL: dict[str, tuple[str, ...]] = {
    "database_url": (
        *(
            "sqlite://",
            "sqlite:///",
            "mysql://x:p4ssw0rd@y/z",
            "postgresql://",
            "://",
            "x" * 5000,
            "sqlite:////proc/x/app.db",
        ),
        *(
            "sqlite:////dev/null/x.db",
            "postgresql://u:p4ssw0rd@127.0.0.1:1/x",
            "postgresql://u@h:99999999/x",
            "sqlite",
            "[::",
        ),
    ),
    "store_url": (
        "s3://",
        "ftp://x/y",
        "s3://key:p4ssw0rd@b/x",
        "file:///etc",
        "s3:/x",
        "x" * 5000,
        "s3://b?x=p4ssw0rd",
        "gs:",
    ),
    "launcher": ("", "../local", "base", "Local", "command", "__init__", "ray\n", "x" * 3000),
}


def _set(rig: Rig, root: Path, name: str, value: str) -> list[str]:
    said = rig.command(rig.rng.choice(("runs", "doctor")), root=root, **{name: value})
    broken = said.broken()
    if said.code and name != "DATABASE_URL" and name not in said.err.upper() and "LAUNCHER" not in said.err:
        broken.append(f"does not name it: {said.err[-150:]}")
    return broken + (["shows a password"] if "p4ssw0rd" in said.out + said.err else [])


_STARTS = (
    *(("ACCESS_TOKEN", "short"), ("MAX_WORKERS", "-1"), ("DATA_ROOT", "/dev/null/x"), ("DATABASE_URL", "nonsense")),
    *(
        ("LAUNCHER", "../x"),
        ("STORE_URL", "ftp://x"),
        ("HEARTBEAT_S", "nan"),
        ("DATABASE_URL", "postgresql://u:p4ssw0rd@127.0.0.1:1/x"),
    ),
)


def _started(rig: Rig, root: Path, name: str, value: str) -> list[str]:
    environment = {**os.environ, "DATA_ROOT": str(root), name: value}
    command = [
        sys.executable,
        "-m",
        "streamlit",
        "run",
        str(APP),
        "--server.port",
        str(free_port()),
        "--server.headless",
        "true",
    ]
    done = subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    said = done.stdout + done.stderr
    broken = [] if done.returncode else ["it started and ended well"]
    broken += ["traceback"] if "Traceback" in said else []
    broken += ["shows a password"] if "p4ssw0rd" in said else []
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return broken + ([] if lines and lines[-1].endswith((".", "'")) else [f"no sentence: {said[-200:]}"])


def places(rig: Rig) -> Iterator[Outcome]:
    """DATA_ROOT under odd names and at odd places: everything in it, nothing beside it, or a sentence."""
    pictures = rig.place / "pictures" / "images"
    pictures.mkdir(parents=True, exist_ok=True)
    (pictures / "x.png").write_bytes(encoded(picture(64, 64)))
    marker = f"{rig.rng.getrandbits(16):x}"
    for name in _NAMES:
        yield tried(f"DATA_ROOT …/{name[:40]!r}", _at, rig, name.replace("#", f"#{marker}"))
    for name, prepare in _PLACES.items():
        yield tried(f"DATA_ROOT is {name}", _unusable, rig, prepare)
    for name, inner in (("itself", "."), ("the folder above", "..")):
        yield tried(f"importing {name}", _itself, rig, inner)


_NAMES = (
    *(
        "what?now",
        "50%25 off",
        "%2e%2e",
        "a#b",
        " blank ",
        'it\'s "quoted"',
        "ünï\u0301",
        "two\nlines",
        "tab\there",
        "~",
        "$HOME",
    ),
    *(
        "-rf",
        "...",
        "a;b&c|d",
        "*?[x]",
        "👩‍👩‍👧",
        "n" * 255,
        "a/" * 60 + "deep",
        "mode=memory",
        "?mode=memory&x",
        "\\x",
    ),
    *("%s%n", "{0}", "file:x", "C:\\x", "a b\u00a0c", "\u202egnp", "app.db", "\x1b[31m", "con", "@x:y"),
)


def _at(rig: Rig, name: str) -> list[str]:
    folder = rig.folder("place")
    before = files_of(folder, folder / "none")
    root = folder / name
    broken = rig.command("runs", root=root).broken(fails=False)
    pictures = rig.place / "pictures"
    broken += rig.command("import", pictures, "--name", "x", root=root).broken(fails=False)
    broken += rig.doctor(root)
    outside = {path for path in files_of(folder, root) if root.resolve() not in Path(path).parents}
    broken += ["files beside DATA_ROOT"] if outside - before.keys() else []
    broken += [] if (root / "app.db").is_file() else ["no database in DATA_ROOT"]
    shutil.rmtree(folder)
    return broken


_PLACES: dict[str, Callable[[Path], Path]] = {
    "a file": lambda folder: folder / "canary.txt",
    "below a file": lambda folder: folder / "canary.txt" / "data",
    "a link into nothing below a file": lambda folder: _linked(folder, folder / "canary.txt" / "x"),
    "a link to itself": lambda folder: _linked(folder, folder / "link"),
    "a device": lambda folder: Path("/dev/full"),
    "below a device": lambda folder: Path("/dev/null/x"),
    "in /proc": lambda folder: Path("/proc/maskloom"),
    "in /sys": lambda folder: Path("/sys/kernel/maskloom"),
    "a pipe": lambda folder: _pipe(folder / "pipe"),
    "no UTF-8": lambda folder: folder / "\udcff\udcfe",
    "a name of 256 bytes": lambda folder: folder / ("n" * 256),
    "a path of 5,000 bytes": lambda folder: folder / "/".join(["n" * 200] * 25),
}


def _linked(folder: Path, target: Path) -> Path:
    (folder / "link").symlink_to(target)
    return folder / "link"


def _pipe(path: Path) -> Path:
    os.mkfifo(path)
    return path


def _unusable(rig: Rig, prepare: Callable[[Path], Path]) -> list[str]:
    folder = rig.folder("place")
    root = prepare(folder)
    broken = []
    for words in (("runs",), ("doctor",), ("restore", rig.backup), ("import", rig.place / "pictures", "--name", "x")):
        broken += [f"{words[0]}: {fault}" for fault in rig.command(*words, root=root).broken(fails=True)]
    return broken


def _itself(rig: Rig, inner: str) -> list[str]:
    root = rig.copy("itself")
    said = rig.command("import", root / inner, "--name", "itself", root=root)
    return said.broken(fails=True) + rig.doctor(root)
