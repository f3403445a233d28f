"""What must be true after every fault, judged by SQLite, Pillow and /proc alone: the product is not its own judge.

    before = look(root)
    ...                                       # a fault, and what came of it
    broken = broken_rows(before, look(root), made_anew) + broken_files(root) + ...

Every function returns sentences; none means that all is well.
"""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import psycopg
from PIL import Image

THUMB_PX = 192
PART = ".part"


@dataclass(frozen=True)
class Seen:
    """The rows at one moment. Keys name the owner first: a run, mask set, prediction set or dataset."""

    metrics: Mapping[tuple[str, int, str], float] = field(default_factory=dict)
    images: Mapping[tuple[str, str], tuple[int, int, bool]] = field(default_factory=dict)
    labels: frozenset[tuple[str, str]] = frozenset()
    predictions: frozenset[tuple[str, str]] = frozenset()


class Rows(Protocol):
    """A connection that executes SQL that SQLite and PostgreSQL both know, with ? for values."""

    def execute(self, query: str, values: Sequence[Any] = ()) -> Any: ...

    def close(self) -> None: ...


class _PostgresqlRows:
    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url)

    def execute(self, query: str, values: Sequence[Any] = ()) -> Any:
        return self._connection.execute(query.replace("?", "%s").encode(), values)

    def close(self) -> None:
        self._connection.close()


def opened(root: Path, url: str = "") -> closing[Rows]:
    """Open an installation's database for reading; `with opened(root) as connection`. `url` is one on PostgreSQL."""
    if url:
        return closing(_PostgresqlRows(url))
    return closing(sqlite3.connect(f"file:{root / 'app.db'}?mode=ro", uri=True, timeout=60))


def look(root: Path, url: str = "") -> Seen:
    with opened(root, url) as database:
        # One moment for all
        database.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ" if url else "BEGIN")
        metrics = database.execute("SELECT run_id, epoch, name, value FROM metrics")
        images = database.execute("SELECT dataset_id, id, height, width, has_truth FROM images")
        return Seen(
            {(run, epoch, name): value for run, epoch, name, value in metrics},
            {(dataset, image): (height, width, bool(truth)) for dataset, image, height, width, truth in images},
            frozenset(database.execute("SELECT label_set_id, image_id FROM labels")),
            frozenset(database.execute("SELECT prediction_set_id, image_id FROM predictions")),
        )


def broken_database(root: Path, url: str = "") -> list[str]:
    """The database opens, SQLite finds it whole, and no row points at nothing. PostgreSQL refuses such rows itself."""
    if url:
        with opened(root, url) as database:
            return [] if database.execute("SELECT 1").fetchone() else ["The database does not answer."]
    try:
        with opened(root) as database:
            told = [row[0] for row in database.execute("PRAGMA integrity_check(5)")]
            astray = database.execute("PRAGMA foreign_key_check").fetchmany(5)
    except sqlite3.DatabaseError as error:
        return [f"The database does not open: {error}"]
    found = [f"integrity_check: {line}" for line in told if line != "ok"]
    return found + [f"foreign_key_check: row {row[1]} of {row[0]} points into {row[2]} at nothing" for row in astray]


def lost_rows(before: Seen, now: Seen, made_anew: Collection[str] = ()) -> list[str]:
    """Nothing that was seen is gone or other than it was, but of the owners that a job is making anew."""
    found = []
    for kind in ("images", "labels", "predictions"):
        gone = {key for key in getattr(before, kind) if key[0] not in made_anew} - set(getattr(now, kind))
        found += [f"{len(gone)} rows of {kind} that were there are gone, of {_owners(gone)}"] if gone else []
    for key, value in before.metrics.items():
        if key[0] not in made_anew and now.metrics.get(key) != value:
            found.append(f"epoch {key[1]} of run {key[0]}: {key[2]} was {value!r} and is {now.metrics.get(key)!r}")
    return found[:20]


def doubled_rows(root: Path, url: str = "") -> list[str]:
    """Nothing is there twice, and the epochs of each run count from 1 without a gap, each with the same numbers."""
    found = []
    with opened(root, url) as database:
        for what, table, columns in (
            ("picture", "images", "dataset_id, content_hash"),
            ("name of an image", "images", "dataset_id, name"),
            ("line of an import's report", "import_entries", "job_id, name"),
            ("label", "labels", "label_set_id, image_id"),
            ("set of predictions", "prediction_sets", "run_id, dataset_id"),
            ("prediction", "predictions", "prediction_set_id, image_id"),
            ("number of an epoch", "metrics", "run_id, epoch, name"),
        ):
            query = f"SELECT {columns}, count(*) FROM {table} GROUP BY {columns} HAVING count(*) > 1"
            found += [f"a {what} is there {row[-1]} times: {row[:-1]}" for row in database.execute(query)]
        names: dict[str, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
        for run, epoch, name in database.execute("SELECT run_id, epoch, name FROM metrics"):
            names[run][epoch].add(name)
    for run, epochs in names.items():
        if sorted(epochs) != list(range(1, len(epochs) + 1)):
            found.append(f"epochs of run {run} have a gap: {sorted(epochs)}")
        if len(set(map(frozenset, epochs.values()))) > 1:
            found.append(f"epochs of run {run} have different numbers: {dict(Counter(map(len, epochs.values())))}")
    return found


def unusable_files(root: Path, url: str = "", stored: Callable[[], Path] | None = None) -> dict[str, str]:
    """Return {path below root: what is wrong} of files that rows name and that are not there, whole and of the size.

    `stored` returns a folder with the files, copied after the rows were read: a job at work adds files before rows.
    """
    found: dict[str, str] = {}
    known = "image_id IN (SELECT id FROM images)"  # else the row points at nothing, which `broken_database` tells
    with opened(root, url) as database:
        images = database.execute("SELECT dataset_id, id, height, width, has_truth FROM images").fetchall()
        sizes = {image: (width, height) for _, image, height, width, _ in images}
        labels = database.execute(f"SELECT label_set_id, image_id FROM labels WHERE {known}").fetchall()
        predictions = database.execute(
            f"SELECT prediction_set_id, image_id, uncertainty IS NOT NULL FROM predictions WHERE {known}"
        ).fetchall()
        models = database.execute("SELECT id FROM runs WHERE best_epoch IS NOT NULL").fetchall()
        exports = database.execute(
            "SELECT result ->> 'key' FROM jobs WHERE kind = 'export' AND status = 'finished'"
        ).fetchall()
    root = stored() if stored else root
    for dataset, image, _, _, truth in images:
        _judge(found, root, f"datasets/{dataset}/images/{image}.png", sizes[image])
        _judge(found, root, f"datasets/{dataset}/thumbs/{image}.webp", None)
        if truth:
            _judge(found, root, f"datasets/{dataset}/truth/{image}.png", sizes[image])
    for label_set, image in labels:
        _judge(found, root, f"labels/{label_set}/{image}.png", sizes[image])
    for prediction_set, image, unsure in predictions:
        _judge(found, root, f"predictions/{prediction_set}/{image}.png", sizes[image])
        if unsure:
            _judge(found, root, f"predictions/{prediction_set}/uncertainty/{image}.png", sizes[image])
    for key in [f"runs/{run}/best.keras" for (run,) in models] + [key for (key,) in exports if _latest(root, key)]:
        if not (root / key).is_file() or not (root / key).stat().st_size:
            found[key] = "gone or empty"
    return found


def _latest(root: Path, key: str) -> bool:
    """Whether an export is the last of its format: it replaces the others, and goes with what it was made of."""
    folder = root / Path(key).parent
    others = (path for path in folder.glob("*") if path.name != Path(key).name)
    return folder.is_dir() and not any(PART not in path.name for path in others)


def _judge(found: dict[str, str], root: Path, key: str, size: tuple[int, int] | None) -> None:
    """Decode a picture; `size` is (width, height) in px, None for a thumbnail."""
    try:
        with Image.open(root / key) as picture:
            picture.load()
            right = picture.size == size if size else max(picture.size) <= THUMB_PX
            if not right:
                found[key] = f"{picture.size} px in place of {size}"
    except (OSError, SyntaxError) as error:  # Pillow raises SyntaxError for damaged PNGs
        found[key] = f"{type(error).__name__}"


def broken_files(
    root: Path, said: Collection[str] = (), url: str = "", stored: Callable[[], Path] | None = None
) -> list[str]:
    """Every row's file exists and decodes to its size, or is among those that the product `said` are not."""
    return [f"{key}: {what}" for key, what in unusable_files(root, url, stored).items() if key not in said][:20]


def deserted_jobs(states: Mapping[str, str], workers: Mapping[str, int | None]) -> list[str]:
    """No job is shown as running for long without a worker. Arguments: {job id: state as shown, or its process}."""
    shown = ("running", "stopping")
    return [
        f"job {job_id} is shown as {state} and no process works on it"
        for job_id, state in states.items()
        if state in shown and not workers.get(job_id)
    ]


def half_written(root: Path, but: Collection[str] = ()) -> list[str]:
    """No file or folder that was being written is left behind, but below folders (keys) that may have some."""
    found = (path.relative_to(root).as_posix() for path in root.rglob(f"*{PART}*"))
    return [f"left behind half written: {key}" for key in found if not any(key.startswith(place) for place in but)][:20]


def contents(*folders: Path) -> frozenset[str]:
    """Return the paths of all files below some folders, and of the folders themselves."""
    return frozenset(str(path) for folder in folders for path in (folder, *folder.rglob("*")) if path.exists())


def written_outside(before: Collection[str], now: Collection[str], allowed: Iterable[str] = ()) -> list[str]:
    """Nothing new lies in folders where nothing should. Arguments: `contents` of them, and beginnings of exceptions."""
    new = sorted(set(now) - set(before))
    return [f"written outside of DATA_ROOT: {path}" for path in new if not path.startswith(tuple(allowed))][:20]


def _owners(keys: Iterable[tuple[str, str]]) -> str:
    return ", ".join(sorted({key[0] for key in keys})[:5])
