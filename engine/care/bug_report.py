"""A bug report as one small zip: built from plain values, without secrets, paths and names.

Names that people gave (of datasets, runs, mask sets and files) become words like "image 12": a file name can be the
name of a patient. Images are added only on request.
"""

from __future__ import annotations

import io
import json
import os
import platform
import re
import shutil
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from engine import VERSION
from engine.care.findings import Report
from engine.core import logs
from engine.core.machine import free_memory_bytes, multiplies_bfloat16
from engine.core.redaction import HIDDEN, is_secret, redacted, secrets_of, without_places
from engine.core.settings import REPOSITORY_ROOT, Settings
from engine.datasets.source import ARCHIVE_SUFFIXES, DOCUMENT_SUFFIXES, IMAGE_SUFFIXES
from engine.store import keys as stored
from engine.store.base import MissingFile, Store

LOG_BYTES = 1_000_000
LOG_LINES = 2_000
IMAGES = 8
IMAGES_BYTES = 40_000_000
A_FILE = "a file"
OF_FILES = ("image ", "file ")
"""How the words for names of files begin."""
_SUFFIXES = "|".join(sorted(suffix[1:] for suffix in IMAGE_SUFFIXES | ARCHIVE_SUFFIXES | DOCUMENT_SUFFIXES))
_QUOTED_FILE = re.compile(rf"(['\"])([^'\"\n]{{0,500}}\.(?:{_SUFFIXES}))\1", re.IGNORECASE)
_BARE_FILE = re.compile(rf"(?<![\w/])[^\s'\",;:()\[\]{{}}]{{1,200}}\.(?:{_SUFFIXES})(?!\w)", re.IGNORECASE)
_WORD = re.compile(r"(?<![\w/])[\w\-]{6,}(?![\w/.])")
MOST_WORDS = 12
"""Words of a name with spaces that are looked for before its last one."""
_OUR_FILE = re.compile(r"(?:.*/)?(?:[0-9a-f]{32}|\w+\.[0-9a-f]{8}\.part)\.(?:png|webp)")

README = """A report about a job that failed, created by Maskloom. It contains:

job.json         the job: kind, state, times, input and how it ended
job.log          its log
log.jsonl        what was logged about it in DATA_ROOT/logs
settings.json    the settings of this installation, without secrets
recipe.json      the settings of the run or the labels it worked on, if any
versions.json    versions of Python and of the packages that Maskloom uses
machine.json     processor, memory and disk
doctor.json      a quick check of the database against the files
{images}
Passwords, tokens, folders of this machine and names that people gave were removed. Check it before you send it.
"""
WITH_IMAGES = "images/          some of the images that the job worked on, because that was selected\n"
NO_IMAGES = "It contains no images.\n"


@dataclass(frozen=True)
class Facts:
    """The rows about a job. `names` maps names that people gave to neutral words."""

    job: Mapping[str, Any]
    recipe: Mapping[str, Any] | None
    names: Mapping[str, str] = field(default_factory=dict)
    image_keys: tuple[str, ...] = ()


def bug_report(facts: Facts, report: Report, files: Store, current: Settings, with_images: bool) -> bytes:
    """Return the zip. Its members have fixed names; images, where requested, are numbered."""
    clean = Cleaner(facts.names, current)
    job_id = facts.job["id"]
    try:
        log = files.tail(stored.job_log_key(job_id), LOG_BYTES)
    except MissingFile:
        log = ""
    lines = logs.lines_of_job(current.data_root / logs.FOLDER, job_id, LOG_LINES)
    members = {
        "README.txt": README.format(images=WITH_IMAGES if with_images else NO_IMAGES),
        "job.json": _json(clean.value(facts.job)),
        "job.log": clean(log),
        "log.jsonl": "".join(_line(clean, line) for line in lines),
        "settings.json": _json(shown_settings(current)),
        "recipe.json": _json(clean.value(facts.recipe)) if facts.recipe else "",
        "versions.json": _json(versions()),
        "machine.json": _json(machine(current.data_root)),
        "doctor.json": _json(clean.value(report.as_dict())),
    }
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            if text:
                archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), text, zipfile.ZIP_DEFLATED)
        if with_images:
            for number, data in enumerate(_images(facts.image_keys, files), start=1):
                archive.writestr(zipfile.ZipInfo(f"images/image {number}.png", (1980, 1, 1, 0, 0, 0)), data)
    return target.getvalue()


class Cleaner:
    """Removes secrets, paths and names from text."""

    def __init__(self, names: Mapping[str, str], current: Settings) -> None:
        self._names, self._root, self._secrets = names, current.data_root, secrets_of(current)
        # Names of files are looked up where one is written; those of a few other things are searched for.
        few = [name for name, word in names.items() if not word.startswith(OF_FILES)]
        ordered = sorted((name for name in few if len(name) > 2), key=len, reverse=True)
        self._few = re.compile("|".join(rf"(?<!\w){re.escape(name)}(?!\w)" for name in ordered)) if ordered else None

    def __call__(self, text: str) -> str:
        text = redacted(text, self._secrets)
        text = _QUOTED_FILE.sub(lambda found: f"{found[1]}{self._file(found[2])}{found[1]}", text)
        text = "".join(self._line(line) for line in text.splitlines(keepends=True))
        text = _WORD.sub(lambda found: self._names.get(found[0], found[0]), text)
        if self._few:
            text = self._few.sub(lambda found: self._names[found[0]], text)
        return without_places(text, self._root)

    def value(self, value: Any) -> Any:
        """Return JSON data with every text in it cleaned; a path of a source keeps only what kind of thing it is."""
        if isinstance(value, str):
            return self._names.get(value) or self(value)
        if isinstance(value, Mapping):
            return {
                key: "a place on this machine" if key in ("path", "token") else self.value(item)
                for key, item in value.items()
            }
        if isinstance(value, (list, tuple)):
            return [self.value(item) for item in value]
        return value

    def _line(self, line: str) -> str:
        """Return a line with every name of a file replaced, and the words before it where they belong to the name."""
        done, position = "", 0
        for found in _BARE_FILE.finditer(line):
            before, name = line[position : found.start()], found[0]
            starts = [match.start() for match in re.finditer(r"(?<!\S)\S", before)][-MOST_WORDS:]
            longest = next((start for start in starts if before[start:] + name in self._names), len(before))
            done += before[:longest] + self._file(before[longest:] + name)
            position = found.end()
        return done + line[position:]

    def _file(self, name: str) -> str:
        if _OUR_FILE.fullmatch(name):
            return name  # an id reveals no name
        return self._names.get(name) or self._names.get(Path(name).name) or A_FILE


OF_PEOPLE = ("admin_emails", "allowed_hosts")
"""Settings that name people and hosts."""


def shown_settings(current: Settings) -> dict[str, Any]:
    """Return the settings without secrets and names; of the URLs of database and store only their kinds."""
    values = current.model_dump(mode="json")
    kind = current.resolved_database_url.partition(":")[0]
    shown = {
        name: HIDDEN if value and (is_secret(name) or name in OF_PEOPLE) else value for name, value in values.items()
    }
    store = current.store_url.partition(":")[0]
    return shown | {
        "data_root": "DATA_ROOT",
        "database_url": f"{kind}://…" if current.database_url else "",
        "store_url": f"{store}://…" if store else "",
    }


def _requirements() -> list[str]:
    try:
        return (REPOSITORY_ROOT / "requirements.txt").read_text().splitlines()
    except FileNotFoundError:  # installed
        return metadata.requires("maskloom") or []


def versions() -> dict[str, str]:
    """Return {package: version} of Python and of what Maskloom requires."""
    found = {"maskloom": VERSION, "python": platform.python_version()}
    for line in _requirements():
        name = re.match(r"[A-Za-z0-9][\w.\-]*", line)
        if name:
            try:
                found[name[0]] = metadata.version(name[0])
            except metadata.PackageNotFoundError:
                found[name[0]] = "not installed"
    return found


def machine(root: Path) -> dict[str, Any]:
    """Return what the machine is, without its name."""
    disk = shutil.disk_usage(root)
    return {
        "system": platform.system(),
        "release": platform.release(),
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "bfloat16": multiplies_bfloat16(),
        "free_memory_bytes": free_memory_bytes(),
        "disk_bytes": disk.total,
        "free_disk_bytes": disk.free,
    }


def _images(keys: Iterable[str], files: Store) -> Iterable[bytes]:
    total = 0
    for key in list(keys)[:IMAGES]:
        try:
            data = files.read(key)
        except MissingFile:
            continue
        total += len(data)
        if total > IMAGES_BYTES:
            return
        yield data


def _line(clean: Cleaner, line: str) -> str:
    try:
        return json.dumps(clean.value(json.loads(line)), ensure_ascii=False) + "\n"
    except ValueError:
        return ""


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n"
