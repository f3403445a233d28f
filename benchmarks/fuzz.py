"""Files that are nearly images, zips, annotations, recipes or backups: what is taken, refused, crashes or hangs.

    python -m benchmarks.fuzz files --minutes 10 [--of backups] [--seed 1] [--processes 2] [--keep FOLDER]

Starts from the corpus of the tests and, where they lie beside the repository, from real photographs. Each file is read
as the product reads it, in a separate process: at most 1.5 GB of memory more than the empty process, and 5 s of
processor time, so that a busy machine makes no hangs. A restored backup is also checked by the doctor; of a refused one
nothing may be left. A file that kills, hangs or gets past the product's own errors is kept with its seed. Ends with 1
if there was one. Needs Linux.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import random
import resource
import shutil
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.harness import Failed, note, processor_s, suite
from dashboard.views.labels.saved_recipe_facts import file_name, recipe_of
from db.columns import utc_now
from db.inventory import Inventory
from db.session import Database
from engine.care.checkup import check as check_up
from engine.care.restore import restore_files
from engine.cli import keeping, sentence_of
from engine.core.parameters import ParameterError
from engine.core.settings import sqlite_url
from engine.datasets import ingest
from engine.datasets.annotations.base import annotation_formats
from engine.datasets.annotations.documents import Document
from engine.datasets.annotations.shapes import draw
from engine.datasets.source import UnreadableSource
from engine.imaging import codec
from engine.labelling import recipe_file
from engine.labelling.base import methods
from engine.store.local import LocalStore
from tests.assets import annotation_files, bad_images, bad_zips
from tests.assets.mutations import mutated
from tests.assets.structured_mutations import mutated_backup, mutated_json
from tests.support import small_installation
from tests.support.calling import call
from tests.support.shared_data import SHARED_DATA
from tests.support.watching import watched

MEMORY_BYTES = 1_500_000_000
CPU_S = 5.0
WALL_S = 120.0
LONGEST_SENTENCE = 3000
LARGEST_SEED = 1_000_000
REAL_IMAGES = 24
ANNOTATIONS = tuple(annotation_files.files())
GROUPS = {
    "images": ("image",),
    "zips": ("zip",),
    "annotations": ANNOTATIONS,
    "recipes": ("recipe",),
    "backups": ("backup",),
}
"""What can be tried alone, with `--of`, and its kinds of files."""
STRUCTURED = {"coco": mutated_json, "labelme": mutated_json, "recipe": mutated_json, "backup": mutated_backup}
"""How files of a kind are changed, half the times, so that a parser still reads them."""

Work = Callable[[str, bytes, Path], str]
app = suite(__doc__)


@app.command("files")
def try_files(
    minutes: float = 10,
    seed: int | None = None,
    processes: int = 2,
    of: Annotated[str | None, typer.Option(help=f"One of {', '.join(GROUPS)}; default: all.")] = None,
    keep: Annotated[Path | None, typer.Option(help="Where files that went wrong are kept.")] = None,
) -> list[dict[str, Any]]:
    """Change files and read them: how many were taken, refused, crashed, hung or reached outside the folder."""
    if of is not None and of not in GROUPS:
        raise SystemExit(f"There are no files '{of}'. Known: {', '.join(GROUPS)}.")
    seed = seed if seed is not None else random.SystemRandom().randrange(1 << 32)
    keep = keep or Path(tempfile.mkdtemp(prefix="fuzz-"))
    keep.mkdir(parents=True, exist_ok=True)
    note(f"Seed {seed}; {minutes:g} minutes; what goes wrong is kept in {keep}.")
    rows = fuzz(seed, minutes * 60, processes, keep, [of] if of else list(GROUPS))
    return Failed(rows) if any(row["crashes"] or row["hangs"] or row["outside"] for row in rows) else rows


def fuzz(seed: int, seconds: float, processes: int, keep: Path, groups: Sequence[str]) -> list[dict[str, Any]]:
    """Return for each kind of file {kind, tried, taken, refused, crashes, hangs, outside, most_mb, most_s}."""
    seeds = corpus()
    results: dict[str, list[dict[str, Any]]] = {kind: [] for group in groups for kind in GROUPS[group]}
    ends = time.monotonic() + seconds

    def work(number: int) -> None:
        rng, tries = random.Random(f"{seed}-{number}"), 0
        with contextlib.closing(Importer()) as importer:
            while time.monotonic() < ends:
                kind, name, data = chosen(seeds, rng, groups)
                found = importer.try_file(kind, data)
                tries += 1
                results[kind].append({name: found.get(name, 0) for name in ("outcome", "mb", "s")})
                if found["outcome"] not in ("taken", "refused"):
                    lost = keep / f"{seed}-{number}-{tries}.{kind}"
                    lost.write_bytes(data)
                    note(f"{found['outcome']}: {lost} (from {name})\n{found.get('why', '')[-LONGEST_SENTENCE:]}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(processes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [row(kind, of_kind) for kind, of_kind in results.items()]


def corpus() -> dict[str, list[tuple[str, bytes]]]:
    """Return {kind: [(name, content)]} to start from."""
    images = [(name, make()) for name, make in bad_images.TAKEN.items()]
    images += [(name, make()) for name, (make, _) in bad_images.REFUSED.items()]
    zips = [(name, make()) for name, (make, _) in bad_zips.TAKES_GOOD.items()] * 3  # these get deeper into the importer
    zips += [(name, make()) for name, (make, _) in bad_zips.REFUSED.items()]
    real = [path for path in sorted(SHARED_DATA.rglob("*.*")) if path.suffix.lower() in (".jpg", ".png", ".tif")]
    real = [path for path in real if path.stat().st_size <= LARGEST_SEED]
    images += [(path.name, path.read_bytes()) for path in real[:: max(1, len(real) // REAL_IMAGES)]]
    kinds = {"image": images, "zip": zips}
    kinds |= {kind: [(each.name, each.data) for each in several] for kind, several in annotation_files.files().items()}
    kinds |= {"recipe": recipes(), "backup": [("small installation", backup())]}
    return {kind: [(name, data) for name, data in seeds if len(data) <= LARGEST_SEED] for kind, seeds in kinds.items()}


def recipes() -> list[tuple[str, bytes]]:
    """Return a recipe file of every label method."""
    return [
        (name, recipe_file.to_json(name, name, method.params()).encode())
        for name, method in methods().items()
        if not method.params.model_json_schema().get("required")
    ]


def backup() -> bytes:
    """Return a backup of an installation that has one of everything."""
    with tempfile.TemporaryDirectory() as folder:
        installation = small_installation.make(Path(folder) / "data")
        installation.database.close()
        ended = call(installation.settings, "backup", Path(folder) / "backup.zip")
        assert ended.returncode == 0, ended.stderr
        return (Path(folder) / "backup.zip").read_bytes()


def chosen(
    seeds: dict[str, list[tuple[str, bytes]]], rng: random.Random, groups: Sequence[str] = tuple(GROUPS)
) -> tuple[str, str, bytes]:
    """Return (kind, the name of the seed, a changed copy of it)."""
    kind = rng.choice(GROUPS[rng.choice(groups)])
    name, data = rng.choice(seeds[kind])
    if kind in STRUCTURED and rng.random() < 0.5 and not name.endswith(".txt"):
        return kind, name, STRUCTURED[kind](data, rng)
    return kind, name, mutated(data, rng.choice(seeds[rng.choice(list(seeds))])[1], rng)


def row(kind: str, results: list[dict[str, Any]]) -> dict[str, Any]:
    """Count the results of one kind of file, each as `Importer.try_file` returns it."""
    outcomes = Counter(result["outcome"] for result in results)
    return {
        "kind": kind,
        "tried": len(results),
        **{name: outcomes[name] for name in ("taken", "refused", "crashes", "hangs", "outside")},
        "most_mb": max((result.get("mb", 0.0) for result in results), default=0.0),
        "most_s": max((result.get("s", 0.0) for result in results), default=0.0),
    }


class Importer:
    """A process that imports files, one at a time, and is started again when one of them ends it."""

    def __init__(self, work: Work | None = None) -> None:
        self._work = work or import_file
        self._start()

    def try_file(self, kind: str, data: bytes) -> dict[str, Any]:
        """Return {"outcome": "taken" | "refused" | "crashes" | "hangs" | "outside", "mb", "s", "why"}."""
        self._connection.send((kind, data))
        began, used = time.monotonic(), processor_s(self._process.pid)
        while not self._connection.poll(0.05):
            spent = processor_s(self._process.pid) - used
            if not self._process.is_alive():
                break
            if spent > CPU_S or time.monotonic() - began > WALL_S:
                self._process.kill()
                self._restart()
                return {"outcome": "hangs", "s": spent}
        try:
            return self._connection.recv()
        except EOFError:
            self._process.join()
            code = self._process.exitcode
            self._restart()
            return {"outcome": "crashes", "why": f"The process ended with {code}."}

    def close(self) -> None:
        self._process.kill()
        self._process.join()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs, self._work), daemon=True)
        self._process.start()
        theirs.close()
        self._connection.recv()  # it is ready, and what follows is counted against a file

    def _restart(self) -> None:
        self._process.join()
        self._connection.close()
        self._start()


def serve(connection: Connection, work: Work) -> None:
    """Import what comes through the pipe, until it is closed."""
    loading = [bad_images.TAKEN[name]() for name in ("float colour TIFF", "16-bit PNG", "animated WebP")]
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary).resolve()
        for data in loading:  # what is loaded at the first call is no file's memory
            import_file("image", data, place)
        sink = os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, 2)  # libpng and libtiff print what they think of a file
        limit = memory("VmSize") + MEMORY_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        connection.send("ready")
        while True:
            try:
                kind, data = connection.recv()
            except EOFError:
                return
            Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from what is held now
            before, began = memory("VmRSS"), time.process_time()
            with watched() as seen:
                try:
                    found: dict[str, Any] = {"outcome": work(kind, data, place)}
                except Exception:
                    found = {"outcome": "crashes", "why": traceback.format_exc()}
            outside = seen.written_outside(place) | seen.read_outside(place)
            if outside or seen.started:
                found = {"outcome": "outside", "why": f"{sorted(map(str, outside))} {seen.started}"}
            found |= {"mb": (memory("VmHWM") - before) / 1e6, "s": time.process_time() - began}
            connection.send(found)


def memory(what: str) -> int:
    """Return a line of this process's /proc/self/status, such as VmRSS, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(what))


def import_file(kind: str, data: bytes, place: Path) -> str:
    """Import one file as a job does, up to what would be stored; return "taken" or "refused"."""
    if kind in OTHER_READERS:
        return OTHER_READERS[kind](data, place)
    if kind in annotation_formats():
        return import_annotations(kind, data)
    path = place / ("x.zip" if kind == "zip" else "x.png")
    path.write_bytes(data)
    if kind == "image":
        (place / "masks").mkdir(exist_ok=True)
        (place / "masks" / "x.png").write_bytes(data)  # as truth of itself
    taken = False
    try:
        source = ingest.open_zip_or_folder(path if kind == "zip" else place)
        planned = ingest.plan(source)
        items, entries = planned.items, list(planned.entries)
        with contextlib.closing(source):
            for item in items[:50]:
                decoded = ingest.read(source, item)
                entries.extend(decoded.entries)
                if decoded.image is not None:
                    taken = True
                    codec.encode_png(decoded.image)
                    codec.thumbnail(decoded.image)
        for entry in entries:
            check(entry.reason, entry.taken)
            assert entry.name.strip() and "\n" not in entry.name, repr(entry.name)
    except UnreadableSource as error:
        check(str(error), False)
    finally:
        path.unlink()
    return "taken" if taken else "refused"


def import_annotations(kind: str, data: bytes) -> str:
    """Read annotation files of a format, each replaced by `data` in turn, and draw what they say."""
    documents, taken = annotation_files.files()[kind], False
    for each in documents:
        changed = [Document(other.name, data) if other is each else other for other in documents]
        found = annotation_formats()[kind].read(changed, annotation_files.IMAGES)
        for shapes in found.shapes.values():
            draw(shapes, annotation_files.SHAPE)
        for entry in found.entries:
            check(entry.reason, entry.taken)
            taken |= entry.taken and entry.name == each.name
    return "taken" if taken else "refused"


def read_recipe(data: bytes, place: Path) -> str:
    """Read a recipe as the *Masks* page does, and write it again."""
    try:
        name, recipe = recipe_of(data)
        again = recipe_of(recipe_file.to_json(name, recipe.method, recipe.params).encode())
        assert again == (name, recipe), again
        file_name(name).encode()
    except ParameterError as error:
        assert len(str(error)) < LONGEST_SENTENCE, len(str(error))
        return "refused"
    return "taken"


def restore_backup(data: bytes, place: Path) -> str:
    """Restore a backup; what was restored survives the doctor, and of what was refused nothing is left."""
    root, file = place / "restored", place / "backup.zip"
    shutil.rmtree(root, ignore_errors=True)
    file.write_bytes(data)
    try:
        restore_files(file, LocalStore(root), root / "app.db", keeping.ready)
    except Exception as error:
        if (sentence := sentence_of(error)) is None:
            raise
        left = sorted(path.name for path in root.iterdir())
        assert not left, left
        assert sentence.endswith(".") and len(sentence) < LONGEST_SENTENCE, sentence[:300]
        return "refused"
    database = Database(sqlite_url(root / "app.db"))
    try:
        check_up(Inventory(database), LocalStore(root), utc_now(), 60.0)
    finally:
        database.close()
    return "taken"


OTHER_READERS: dict[str, Callable[[bytes, Path], str]] = {"recipe": read_recipe, "backup": restore_backup}


def check(reason: str, taken: bool) -> None:
    """What is refused is refused with a sentence."""
    assert taken or (reason.endswith(".") and reason[:1].isupper() and "\n" not in reason), reason


if __name__ == "__main__":
    app()
