"""Documents that are still JSON and backups that are still zips, with odd content: what a parser lets through."""

from __future__ import annotations

import copy
import hashlib
import io
import json
import random
import zipfile
from typing import Any

from engine.care.backup import DATABASE, MANIFEST
from tests.assets.mutations import mutated

_ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2**31, 2**63, 10**400, 0.5, -0.0, 1e308, float("nan"), float("inf")),
    *("", " ", "0", "NaN", "a\nb", "\0", "\ud800", "../../x", "/etc/passwd", "x" * 10_000, "true"),
    *([], {}, [[]], [{}], {"": None}, [None], [0] * 1000),
)
_NAMES = (
    *("../x", "/x", "a/../../x", "C:\\x", "a\\..\\..\\x", "", ".", "x/", "app.db/x", "datasets", "restore.part/x"),
    *("é" * 200, "a" * 300, "a\0b", "\ud800", "con", "x/" * 300 + "x", ".hidden", "installation.json", "lost+found/x"),
)


def mutated_json(data: bytes, rng: random.Random) -> bytes:
    """Return a JSON document with a few of its values replaced, removed, renamed or moved."""
    document = json.loads(data)
    try:
        for _ in range(rng.choice((1, 1, 2, 3, 8))):
            document = _changed(document, rng)
        return json.dumps(document).encode("utf-8", "surrogatepass")
    except RecursionError:  # too deep to write
        return data


def mutated_backup(data: bytes, rng: random.Random) -> bytes:
    """Return a backup with members that were changed, renamed, removed or added; mostly its list fits them."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist() if name != MANIFEST}
        manifest = json.loads(archive.read(MANIFEST))
    for _ in range(rng.choice((1, 1, 2, 3))):
        name = DATABASE if rng.random() < 0.5 else rng.choice(sorted(members))
        change = rng.random()
        if change < 0.6 and name in members:
            members[name] = mutated(members[name], rng.choice(sorted(members.values())), rng)
        elif change < 0.8:
            members[rng.choice(_NAMES)] = members.pop(name, b"")
        elif len(members) > 1:
            members.pop(name, None)
    if rng.random() < 0.85:
        manifest["files"] = {key: [len(value), hashlib.sha256(value).hexdigest()] for key, value in members.items()}
    listed = json.dumps(manifest).encode("utf-8", "surrogatepass")
    if rng.random() < 0.3:
        listed = mutated_json(listed, rng)
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for name, content in [*members.items(), (MANIFEST, listed)]:
            info = zipfile.ZipInfo("x", (1980, 1, 1, 0, 0, 0))
            info.filename = name.encode("utf-8", "replace").decode()
            info.compress_type = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
            archive.writestr(info, content)
    return written.getvalue()


def _changed(value: Any, rng: random.Random) -> Any:
    """Change one node of a JSON value; the deeper, the likelier the walk goes on."""
    if not isinstance(value, dict | list) or not value or rng.random() < 0.15:
        return copy.deepcopy(rng.choice([*_ODD, [value], {"x": value}, str(value)]))
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    key = rng.choice(keys)
    how = rng.random()
    if how < 0.12:
        del value[key]
    elif how < 0.2 and isinstance(value, dict):
        value[rng.choice([*map(str, keys), "x", "__proto__", ""])] = value.pop(key)
    elif how < 0.25 and isinstance(value, list):
        value += [value[key]] * rng.choice((1, 2, 500))
    elif how < 0.27:
        for _ in range(rng.choice((10, 900, 5000))):
            value[key] = [value[key]]
    else:
        value[key] = _changed(value[key], rng)
    return value
