"""Many files in and out: an import by the real command line, and a zip of masks through the real app.

    python -m benchmarks.downloads imports --count 10000
    python -m benchmarks.downloads label-maps
    python -m benchmarks.downloads zips --data-root /tmp/many/masks

The folder of `zips` is one that `benchmarks.drawn_runs masks` has filled; its largest set of predictions is taken.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import Annotated, Any
from urllib.request import urlopen

import cv2
import numpy as np
import typer
from PIL import Image
from sqlalchemy import func, select

from benchmarks.drawn_runs import opened
from benchmarks.harness import resident_mib, suite
from dashboard.facts import urls
from db.models import Prediction
from engine.datasets import truth
from engine.datasets.truth_codes import TruthCodes
from engine.datasets.truth_file import read_truth
from engine.imaging import class_maps
from tests.support.installation import REPOSITORY
from tests.support.running_app import running
from tests.support.shared_data import SHARED_DATA

CHUNK = 1 << 16
app = suite(__doc__)


@app.command()
def zips(
    data_root: Annotated[Path, typer.Option(help="An installation with predictions.")], clients: int = 3
) -> list[dict[str, Any]]:
    """Seconds to the first byte and in all, and how much memory the app took more than before: one client, then more.

    At the same time another client asks for something small; `other_request_s` is its longest wait.
    """
    count = func.count()
    query = select(Prediction.prediction_set_id, count).group_by(Prediction.prediction_set_id).order_by(count.desc())
    with opened(data_root) as installation, installation.database.reading() as session:
        largest = session.execute(query).first()
    if largest is None:
        raise SystemExit(f"There is no prediction in {data_root}.")
    set_id, masks = largest
    rows = []
    with running(data_root.resolve()) as served:
        # A first request, so that the imports of the process are not measured.
        download(served.address + urls.scores_csv("prediction_set", set_id))
        zip_url = served.address + urls.masks_zip("prediction_set", set_id)
        for number in (1, clients):
            with memory_growth(served.pid) as growth:
                found, wait_s = several(served.address, zip_url, number, masks)
            firsts, totals, sizes = zip(*found, strict=True)
            row = {"clients": number, "masks": masks, "megabytes": sizes[0] / 1e6, "first_byte_s": max(firsts)}
            rows.append({**row, "all_s": max(totals), "memory_mib": max(growth), "other_request_s": wait_s})
    return rows


@app.command()
def imports(count: int = 10_000, size_px: int = 512, project: Path = REPOSITORY) -> dict[str, Any]:
    """Seconds and processor seconds of an import of PNG pairs, and the most memory that one of its processes held.

    `project` is the checkout that imports, to compare two versions.
    """
    with TemporaryDirectory() as folder:
        write_pairs(Path(folder) / "in", count, size_px)
        command = [sys.executable, "-m", "engine", "import", f"{folder}/in", "--name", "pairs", "--json"]
        environment = {**os.environ, "DATA_ROOT": f"{folder}/data"}
        before, started = os.times(), time.perf_counter()
        done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=True)
        seconds, after = time.perf_counter() - started, os.times()
    result = json.loads(done.stdout)
    if (result["images"], result["truth"]) != (count, count):
        raise SystemExit(f"{result['images']} images and {result['truth']} truth masks were imported, not {count}.")
    processor = after.children_user + after.children_system - before.children_user - before.children_system
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return {"pairs": count, "seconds": seconds, "processor_s": processor, "peak_mib": peak}


@app.command()
def label_maps(folder: Path = SHARED_DATA / "nuclei" / "instances") -> dict[str, Any]:
    """How many objects of label maps are foreground, pixel for pixel, in what an import stores and proposes."""
    files, codes = sorted(folder.iterdir()), TruthCodes()
    stored = [codes.encode(read_truth(file.read_bytes())) for file in files]
    found = truth.facts(truth.value_rows(values) for values in stored)
    proposed = truth.propose_classes(found, dict(codes.table))
    objects = kept = largest = 0
    for file, values in zip(files, stored, strict=True):
        ids = np.asarray(Image.open(file))
        foreground = class_maps.reference(values, proposed.lookup).foreground
        lost = np.unique(ids[~foreground & (ids > 0)])
        objects += len(np.unique(ids[ids > 0]))
        kept += len(np.unique(ids[ids > 0])) - len(lost)
        largest = max(largest, int(ids.max()))
    classes = ", ".join(entry.name for entry in proposed.classes)
    return {"label_maps": len(files), "largest_id": largest, "objects": objects, "kept": kept, "classes": classes}


def write_pairs(folder: Path, count: int, size_px: int) -> None:
    """Write `count` different pairs of a smooth picture with noise and a disc."""
    rng = np.random.default_rng(0)
    coarse = cv2.resize(rng.integers(0, 256, (9, 9, 3), np.uint8), (size_px, size_px), interpolation=cv2.INTER_CUBIC)
    base = cv2.add(coarse, rng.integers(0, 12, coarse.shape, np.uint8))
    mask = cv2.circle(np.zeros((size_px, size_px), np.uint8), (size_px // 2, size_px // 2), size_px // 5, 255, -1)
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for number in range(count):
        shift = divmod(number, size_px)
        cv2.imwrite(f"{folder}/images/{number:05}.png", np.roll(base, shift, (0, 1)))
        cv2.imwrite(f"{folder}/masks/{number:05}.png", np.roll(mask, shift, (0, 1)))


@contextmanager
def memory_growth(pid: int) -> Iterator[list[float]]:
    """Yield a list that is filled, ten times a second, with the MiB that a process holds more than at the start."""
    start, growth, ended = resident_mib(pid), [0.0], threading.Event()

    def sample() -> None:
        while not ended.wait(0.1):
            growth.append(resident_mib(pid) - start)

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield growth
    finally:
        ended.set()
        thread.join()


def download(url: str, masks: int | None = None) -> tuple[float, float, int]:
    """Return (seconds to the first byte of the body, seconds in all, bytes) of a file, a zip with so many masks."""
    began = time.monotonic()
    with urlopen(url, timeout=600) as response, TemporaryFile() as stored:
        stored.write(response.read(1))
        first_s = time.monotonic() - began
        shutil.copyfileobj(response, stored, CHUNK)
        total_s, size = time.monotonic() - began, stored.tell()
        if masks is not None:
            names = zipfile.ZipFile(stored).namelist()
            assert len(names) == masks + 1 and names[-1] == "scores.csv", len(names)
    return first_s, total_s, size


def several(app_url: str, zip_url: str, clients: int, masks: int) -> tuple[list[tuple[float, float, int]], float]:
    """Download with several clients at once; return what each took, and the longest wait for a small answer."""
    found: list[tuple[float, float, int]] = []
    threads = [threading.Thread(target=lambda: found.append(download(zip_url, masks))) for _ in range(clients)]
    for thread in threads:
        thread.start()
    waits = [0.0]
    while any(thread.is_alive() for thread in threads):
        waits.append(download(f"{app_url}/_stcore/health")[1])
        time.sleep(0.2)
    if len(found) < clients:
        raise SystemExit("A download failed.")
    return found, max(waits)


if __name__ == "__main__":
    app()
