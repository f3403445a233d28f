"""Make `half-trained-<commit>.zip`: an installation of an older commit whose training was killed.

    python PATH/make_half_trained.py ZIP    # in a checkout of that commit, with PYTHONPATH=.

It was run once for each commit of `COMMITS` in `test_half_trained.py` and documents how the zips were made, like
`make_installation.py`. It uses nothing of Maskloom but its commands, which all of these versions have.
"""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import zipfile
from contextlib import closing
from pathlib import Path

import numpy as np
from PIL import Image

SIZE_PX = 48
TINY = ["model.image_size=32", "model.depth=1", "model.base_filters=2", "model.first_stride=2"]
TINY += ["training.learning_rate=0.02", "training.precision=float32"]
EPOCHS, KILLED_AFTER = 8, 3


def main(target: Path) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        root = place / "data"
        os.environ |= {"DATA_ROOT": str(root), "WARM_WORKER_S": "0", "FREE_DISK_FLOOR_MB": "0"}
        draw(place / "plates")
        cli("import", place / "plates", "--name", "plates")
        cli("train", "plates", "--truth", *params("training.epochs=2"), "--name", "finished")
        train_and_kill(root / "app.db")
        make_anonymous(root, place)
        pack(root, target)


def draw(folder: Path) -> None:
    """Draw six bright plates on a noisy ground, and their masks."""
    rows, columns = np.mgrid[:SIZE_PX, :SIZE_PX]
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for number in range(6):
        rng = np.random.default_rng(number)
        y, x = rng.integers(14, SIZE_PX - 14, 2)
        plate = np.hypot(rows - y, columns - x) <= 12
        image = np.where(plate[..., None], 210, 60) + rng.normal(0, 3, (SIZE_PX, SIZE_PX, 3))
        Image.fromarray(np.clip(image, 0, 255).astype(np.uint8)).save(folder / "images" / f"plate{number}.png")
        Image.fromarray(plate.astype(np.uint8) * 255).save(folder / "masks" / f"plate{number}.png")


def cli(*arguments: object) -> None:
    subprocess.run(command(*arguments), check=True, stdout=subprocess.PIPE)


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "engine", *map(str, arguments)]


def params(*more: str) -> list[str]:
    return [part for assignment in (*TINY, *more) for part in ("-p", assignment)]


def train_and_kill(database: Path) -> None:
    """Start a training and kill its worker after a few epochs: its job stays at work, without a sign of life."""
    given = params(f"training.epochs={EPOCHS}", "training.batch_size=1")
    follower = subprocess.Popen(command("train", "plates", "--truth", *given, "--name", "half trained"))
    done, worker = 0, None
    with closing(sqlite3.connect(database, timeout=30)) as raw:
        while done < KILLED_AFTER:
            time.sleep(0.01)
            for job_id, run_id in raw.execute("SELECT job_id, id FROM runs WHERE name = 'half trained'").fetchall():
                (done,) = raw.execute(
                    "SELECT coalesce(max(epoch), 0) FROM metrics WHERE run_id = ?", [run_id]
                ).fetchone()
                (worker,) = raw.execute("SELECT worker FROM jobs WHERE id = ?", [job_id]).fetchone()
    follower.kill()
    os.kill(int(worker.rpartition(":")[2]), signal.SIGKILL)


def make_anonymous(root: Path, place: Path) -> None:
    """Replace the temporary folder and the host's name in rows and logs, and empty the write-ahead log."""
    replaced = ((str(place), "/pictures"), (socket.gethostname(), "workstation"))
    for path in [*root.glob("jobs/*.log"), *root.glob("logs/*")]:
        path.unlink()
    with closing(sqlite3.connect(root / "app.db")) as connection:
        with connection:
            for column in ("payload", "worker"):
                for before, after in replaced:
                    connection.execute(f"UPDATE jobs SET {column} = replace({column}, ?, ?)", (before, after))
        for statement in ("PRAGMA wal_checkpoint(TRUNCATE)", "VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"):
            connection.execute(statement)


def pack(root: Path, target: Path) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for path in sorted(root.rglob("*")):
            if path.is_file() and not path.name.startswith("app.db-"):
                archive.write(path, path.relative_to(root))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
