"""Make `installation-0.1.0.zip`: what an installation of version 0.1.0 left behind, for later versions to open.

    PYTHONPATH=. python tests/upgrade/make_installation.py ZIP    # at commit 3c30175, version 0.1.0

It was run once and documents how the zip was made. Do not run it with later code, which stores its own formats: write a
zip for that version beside this one. Real processes do the work: three runs (one trained on pseudo-labels in two
rounds, one archived, one whose worker is killed with SIGKILL while it trains), predictions of other images, and a COCO
export. Every table has rows. The temporary folder and the host's name are replaced in rows and logs.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import cv2
import numpy as np

from db import datasets, people, recipes, runs
from db.actors import Role
from db.models import Dataset, Job, LabelSet, Run
from db.names import by_id_or_name
from db.session import Database

SIZE_PX = 64
TINY = [
    "model.image_size=32",
    "model.depth=1",
    "model.base_filters=4",
    "training.precision=float32",
    "training.learning_rate=0.02",
]
EPOCHS = 8
KILLED_AFTER = 3


def main(target: Path) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        root = place / "data"
        os.environ |= {"DATA_ROOT": str(root), "WARM_WORKER_S": "0", "FREE_DISK_FLOOR_MB": "0"}
        draw(place / "plates", range(8))
        draw(place / "more", range(20, 22))
        (place / "plates" / "images" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnot a picture")
        cli("import", place / "plates", "--name", "plates")
        database = Database(f"sqlite:///{root / 'app.db'}")
        edit_dataset(database)
        cli("label", "plates", "--method", "kmeans", *params("clusters=3"), "--name", "plates kmeans")
        drop_a_mask(database)
        two_rounds = params(*TINY, "training.epochs=6", "self_training.rounds=2", "training.batch_size=2")
        cli("train", "plates", "--labels", "plates kmeans", *two_rounds, "--name", "finished")
        attention = params(*TINY, "training.epochs=6", "model.architecture=attention", "prediction.flips=false")
        cli("train", "plates", "--truth", *attention, "--name", "archived")
        mark_runs(database)
        cli("predict", "finished", place / "more", "--out", place / "masks")
        cli("measure", "plates", "--truth", *params(*TINY))
        cli("export", "finished", "--format", "coco", "--out", place / "coco.json")
        add_people(database)
        train_and_kill(database)
        listed = cli("runs", "--json")
        database.close()
        make_anonymous(root, place)
        pack(root, target)
    print(json.dumps(json.loads(listed), indent=1))


def draw(folder: Path, numbers: range) -> None:
    """Draw plates (truth value 128) with something to eat on them (255) before a noisy ground (0)."""
    rows, columns = np.mgrid[:SIZE_PX, :SIZE_PX]
    for name in ("images", "truth"):
        (folder / name).mkdir(parents=True)
    for number in numbers:
        rng = np.random.default_rng(number)
        y, x = rng.integers(22, SIZE_PX - 22, 2)
        distance = np.hypot(rows - y, columns - x)
        truth = np.select([distance <= 9, distance <= 19], [255, 128], 0).astype(np.uint8)
        colours = np.select([truth[..., None] == 255, truth[..., None] == 128], [(40, 170, 230), (210, 215, 220)], 60)
        image = np.clip(colours + rng.normal(0, 3, colours.shape), 0, 255).astype(np.uint8)
        cv2.imwrite(str(folder / "images" / f"plate {number}.png"), image)
        cv2.imwrite(str(folder / "truth" / f"plate {number}.png"), truth)


def cli(*arguments: object) -> str:
    done = subprocess.run(command(*arguments), check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "engine", *map(str, arguments)]


def params(*assignments: str) -> list[str]:
    return [part for assignment in assignments for part in ("-p", assignment)]


def edit_dataset(database: Database) -> None:
    """Name the classes and move the limit between them, as a person does, and choose two probe images."""
    names = ((0, "table", 0), (1, "plate", 128), (2, "egg", 255))
    with database.writing() as session:
        dataset = by_id_or_name(session, Dataset, "plates")
        classes = [{"index": index, "name": name, "value": value} for index, name, value in names]
        lookup = [0] * 100 + [1] * 100 + [2] * 56
        datasets.set_classes(session, dataset.id, classes, lookup, dataset.truth_version)
        datasets.set_probe_images(session, dataset.id, [image.id for image in datasets.images(session, dataset.id)[:2]])


def drop_a_mask(database: Database) -> None:
    with database.writing() as session:
        label_set = by_id_or_name(session, LabelSet, "plates kmeans")
        image = datasets.images(session, label_set.dataset_id)[-1]
        recipes.set_dropped(session, label_set.id, [image.id], True)
        recipes.keep_recipe(session, "three clusters", label_set.method, label_set.params)


def mark_runs(database: Database) -> None:
    with database.writing() as session:
        finished = by_id_or_name(session, Run, "finished")
        runs.mark(session, [finished.id], pinned=True)
        runs.set_tags(session, finished.id, ["baseline", "k-means"])
        runs.set_note(session, finished.id, "The first one worth keeping.")
        runs.mark(session, [by_id_or_name(session, Run, "archived").id], archived=True)


def add_people(database: Database) -> None:
    with database.writing() as session:
        ada = people.log_in(session, "https://people.example|ada", "ada@example.org", "Ada", Role.VIEWER, [])
        bob = people.log_in(session, "https://people.example|bob", "bob@example.org", "Bob", Role.VIEWER, [])
        session.info["actor"] = people.actor(ada)
        people.set_role(session, bob.id, Role.EDITOR)
        people.end_login(session, "0" * 64, people.actor(bob))


def train_and_kill(database: Database) -> None:
    """Start a training and kill its worker after a few epochs: its job stays at work, without a sign of life."""
    given = params(*TINY, f"training.epochs={EPOCHS}", "training.ema=0.5", "training.batch_size=1")
    follower = subprocess.Popen(command("train", "plates", "--truth", *given, "--name", "half trained"))
    done = 0
    while done < KILLED_AFTER:
        time.sleep(0.01)
        with database.reading() as session:
            run = session.query(Run).filter_by(name="half trained").one_or_none()
            done = max((metric.epoch for metric in runs.metrics(session, run.id)), default=0) if run else 0
    follower.kill()
    with database.reading() as session:
        worker = session.get_one(Job, run.job_id).worker
    os.kill(int(worker.rpartition(":")[2]), signal.SIGKILL)


def make_anonymous(root: Path, place: Path) -> None:
    """Replace the temporary folder and the host's name in rows and logs, and empty the write-ahead log."""
    replaced = ((str(place), "/pictures"), (socket.gethostname(), "workstation"))
    for path in [*root.glob("jobs/*.log"), *root.glob("logs/*.jsonl")]:
        text = path.read_text()
        for before, after in replaced:
            text = text.replace(before, after)
        path.write_text(text)
    connection = sqlite3.connect(root / "app.db")
    with connection:
        for table, column in (("jobs", "payload"), ("jobs", "worker"), ("audit", "detail")):
            for before, after in replaced:
                connection.execute(f"UPDATE {table} SET {column} = replace({column}, ?, ?)", (before, after))
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.execute("VACUUM")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def pack(root: Path, target: Path) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for path in sorted(root.rglob("*")):
            if path.is_file() and not path.name.startswith("app.db-"):
                archive.write(path, path.relative_to(root))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
